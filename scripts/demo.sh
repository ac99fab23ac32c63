#!/bin/bash
# The whole way in a minute: a sealed store, a sidecar, a busybox container that is given a secret, a
# config document and a flag by environment, files and socket, and a secret that changes inside it.
#
# What is timed: from the time that is signed into the commit (taken before it is sealed and made
# durable, to the millisecond) to the moment the program in the container holds the new value. That
# program is examples/consumer: it is told by inotify and by the socket's event stream, and takes the
# time by the same clock, which containers share with their host.
#
# Everything lies in one temporary directory, and what is opened in another on a tmpfs; both are removed
# at the end with what was started.
# STRONGROOM_DEMO_BIN=DIRECTORY takes the programs that lie there instead of building them.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d "${TMPDIR:-/tmp}/strongroom-demo.XXXXXX")
# what is opened belongs on a tmpfs, where a value never reaches a disk
if [ -w /dev/shm ]; then memory=$(mktemp -d /dev/shm/strongroom-demo.XXXXXX); else memory=$work; fi
name=strongroom-demo-$$
sidecar=
app=
engine=

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
podman() { scripts/container.sh podman "$work/engine" "$@"; }

cleanup() {
    status=$?
    trap - EXIT INT TERM
    [ "$engine" != podman ] || podman rm --force --ignore --time 0 "$name" >/dev/null 2>&1 || true
    for pid in $app $sidecar; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work" "$memory"
    [ "$status" = 0 ] || echo "demo: failed" >&2
    exit "$status"
}
trap cleanup EXIT INT TERM

# waits until a command succeeds, at most a minute
until_true() {
    what=$1
    shift
    for _ in $(seq 1200); do
        "$@" && return
        [ -z "$app" ] || kill -0 "$app" 2>/dev/null || break
        sleep 0.05
    done
    echo "demo: waited in vain: $what" >&2
    for log in "$work"/*.log; do
        echo "--- ${log##*/}" >&2
        cat "$log" >&2
    done
    return 1
}

bin=${STRONGROOM_DEMO_BIN:-}
if [ -z "$bin" ]; then
    say "Building (a few minutes, the first time)"
    cargo build --quiet --locked --release -p strongroom-cli -p strongroom-sidecar --bins
    bin=${CARGO_TARGET_DIR:-target}/release
fi
run=$(realpath "$(scripts/build-run.sh 2>"$work/build.log" | tail -n 1)")
consumer=$(realpath "$(scripts/build-consumer.sh | tail -n 1)")
strongroom() { "$bin/strongroom" "$@"; }
export STRONGROOM_STORE=sqlite:$work/store.db STRONGROOM_IDENTITY=$work/alice.identity
# what the programs remember between runs stays in the temporary directory too
export HOME=$work/home
unset "${!XDG_@}"
mkdir "$HOME"

say "A store, sealed, and what the service needs: a secret, a config document, a flag"
strongroom init "$STRONGROOM_STORE" --admin alice --identity "$STRONGROOM_IDENTITY" --no-passphrase
strongroom environment add prod
printf first-secret | strongroom put prod web/token
printf 'greeting = "hello"\nlimit = 10\n' | strongroom put prod web/app --kind config --format toml
printf '{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"on"}' |
    strongroom put prod web/new-ui --kind flag
strongroom list prod

say "A sidecar with an identity of its own: it opens prod and nothing else"
strongroom identity new "$work/web.identity" --no-passphrase
strongroom member add web --public "$(strongroom identity show "$work/web.identity")" --role reader --compartment prod

# as root the container gets a user of its own; otherwise it runs as the user who runs this
if [ "$(id -u)" = 0 ]; then uid=2001; else uid=$(id -u); fi
cat >"$work/web.toml" <<END
store = "$STRONGROOM_STORE"
identity = "$work/web.identity"
environment = "prod"

[socket]
path = "$memory/web/sidecar.sock"
allow_uids = [$(id -u), $uid]
END
if [ "$(id -u)" = 0 ]; then echo "group = \"$uid\"" >>"$work/web.toml"; fi
cat >>"$work/web.toml" <<END

[[files]]
directory = "$memory/web/files"
prefix = "web"
END
if [ "$(id -u)" = 0 ]; then printf 'owner = "%s"\ngroup = "%s"\n' "$uid" "$uid" >>"$work/web.toml"; fi
"$bin/strongroom-sidecar" --settings "$work/web.toml" 2>"$work/sidecar.log" &
sidecar=$!
ready() { curl -sf -o /dev/null --unix-socket "$memory/web/sidecar.sock" http://localhost/readyz; }
until_true "the sidecar is ready" ready
echo "serving on web/sidecar.sock and web/files (pid $sidecar, $(awk '/^VmRSS/ {print $2, $3}' "/proc/$sidecar/status") resident)"

# what runs in the container: it shows what it was given, and then follows the secret both ways
inside='
echo "user:        $(id -u)"
echo "environment: WEB_TOKEN=$WEB_TOKEN WEB_NEW_UI=$WEB_NEW_UI"
echo "file:        app"
sed "s/^/             /" "$FILES/app"
exec "$CONSUMER" "$SOCKET" web/token "$FILES" token
'

start_container() {
    command -v podman >/dev/null && command -v runc >/dev/null && command -v busybox >/dev/null || return 1
    scripts/container.sh root "$work/root"
    podman run --rm --rootfs "$work/root" true >"$work/engine.log" 2>&1 || return 1
    if [ "$(id -u)" = 0 ]; then user=(--user "$uid:$uid"); else user=(); fi
    podman run --rm --name "$name" --read-only "${user[@]}" \
        -v "$memory/web:/run/strongroom:ro" -v "$run:/bin/strongroom-run:ro" -v "$consumer:/bin/consumer:ro" \
        -e SOCKET=/run/strongroom/sidecar.sock -e FILES=/run/strongroom/files -e CONSUMER=consumer \
        --rootfs "$work/root" \
        strongroom-run --socket /run/strongroom/sidecar.sock -- sh -c "$inside" >"$work/app.log" 2>&1 &
    app=$!
    engine=podman
}

if start_container; then
    say "A busybox container (podman, runc, user $uid, no network): the directory is mounted, and strongroom-run"
else
    say "A plain process: NO CONTAINER, for no container engine runs here"
    [ ! -s "$work/engine.log" ] || sed 's/^/  podman: /' "$work/engine.log"
    SOCKET=$memory/web/sidecar.sock FILES=$memory/web/files CONSUMER=$consumer \
        "$run" --socket "$memory/web/sidecar.sock" -- sh -c "$inside" >"$work/app.log" 2>&1 &
    app=$!
fi
arrived() { grep -q "^$1 [0-9]* $2\$" "$work/app.log"; }
for way in socket file; do until_true "the first value by $way" arrived "$way" first-secret; done
grep -v '^[a-z]* [0-9]\{15,\} ' "$work/app.log"
awk '/^(socket|file) [0-9]+ / { printf "%-12s web/token is %s\n", $1 ":", $3 }' "$work/app.log"

say "The secret changes, twice, and the container goes on running"
printf '%-16s %-10s %14s %14s\n' "new value" revision "by socket" "by file"
for value in second-secret third-secret; do
    revision=$(printf '%s' "$value" | strongroom put prod web/token | awk '/^revision/ { print $2; exit }')
    for way in socket file; do until_true "$value by $way" arrived "$way" "$value"; done
    committed=$(date -d "$(strongroom history prod web/token --limit 1 | awk 'NR == 1 { print $3 }')" +%s%N)
    took() {
        seen=$(awk -v way="$1" -v value="$value" '$1 == way && $3 == value { print $2; exit }' "$work/app.log")
        awk -v ns=$((seen - committed)) 'BEGIN { printf "%.1f ms", ns / 1e6 }'
    }
    printf '%-16s %-10s %14s %14s\n' "$value" "$revision" "$(took socket)" "$(took file)"
done
echo "(from the commit's signed time, before it is durable, to the value in the program's hands)"
if [ "$engine" = podman ]; then echo "container's first process: still $(podman inspect -f '{{.State.Pid}}, {{.State.Status}}' "$name")"; fi

say "Every signature, hash and record, from the first commit on"
strongroom verify

# plain, for whoever looks whether it is gone
printf '\nRemoving what was started, and %s %s\n' "$work" "$memory"
