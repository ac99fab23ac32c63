#!/bin/sh
# A target for `strongroom rotate`: a file with one accepted password a line, for the strategies `overlap`
# and `replace`. The plan names it:
#
#   [target]
#   exec = ["/usr/local/libexec/rotate-file", "/etc/web/accepted"]
#
# Every action may have been done before, in whole or in part, and leaves the same behind. No value is
# given to a command as an argument: others could see it; what is used here is built into the shell.
set -eu
umask 077
file=$1
action=$2

json=$(cat)
# Enough for passwords of letters and digits; use a JSON parser for others.
value() {
    printf '%s\n' "$json" | sed -n "s/.*\"$1\":{\"version\":[0-9]*,\"text\":\"\([A-Za-z0-9]*\)\".*/\1/p"
}
new=$(value new)
old=$(value old)
if [ -z "$new" ] || [ -z "$old" ]; then
    echo "passwords are letters and digits here" >&2
    exit 64
fi

# The target is down: strongroom asks again.
[ -e "$file" ] || exit 75

has() {
    while read -r line; do
        if [ "$line" = "$1" ]; then return 0; fi
    done <"$file"
    return 1
}
without() {
    while read -r line; do
        if [ "$line" != "$1" ]; then printf '%s\n' "$line"; fi
    done
}
# The file changes at once, or not at all.
store() {
    cat >"$file.new"
    mv "$file.new" "$file"
}

case $action in
apply)
    case $json in
    *'"strategy":"replace"'*) printf '%s\n' "$new" | store ;;
    *) { without "$new" <"$file" && printf '%s\n' "$new"; } | store ;;
    esac
    ;;
probe)
    case $json in
    *'"probe":"new"'*) has "$new" ;;
    *) has "$old" ;;
    esac
    ;;
retire) without "$old" <"$file" | store ;;
undo) { without "$new" <"$file" | without "$old" && printf '%s\n' "$old"; } | store ;;
*)
    echo "unknown action" >&2
    exit 64
    ;;
esac
