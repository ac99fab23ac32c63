#!/bin/sh
# The containers of the demo and the tests: podman with runc, its whole state in a directory of the
# caller's, a busybox root file system made on the spot. No image is pulled, nothing is left behind.
#
# usage: scripts/container.sh root DIR               makes a busybox root file system
#        scripts/container.sh podman STATE ARGS...   podman with its state under STATE
set -eu

root() {
    mkdir -p "$1/bin" "$1/etc" "$1/proc" "$1/sys" "$1/dev" "$1/run" "$1/tmp"
    chmod 1777 "$1/tmp"
    busybox=$(command -v busybox)
    cp "$busybox" "$1/bin/busybox"
    "$busybox" --list | while read -r applet; do
        [ "$applet" = busybox ] || ln -sf busybox "$1/bin/$applet"
    done
}

podman_in() {
    state=$1
    shift
    if [ ! -e "$state/containers.conf" ]; then
        mkdir -p "$state"
        # a file of this process, put in place whole: the first two commands may come at once.
        # Locks in files of its own: several of these run at once. The limits are set because a
        # machine without CAP_SYS_RESOURCE cannot raise them to podman's defaults.
        cat >"$state/containers.conf.$$" <<END
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "none"
netns = "none"

[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
runtime = "runc"
END
        mv "$state/containers.conf.$$" "$state/containers.conf"
    fi
    CONTAINERS_CONF="$state/containers.conf" exec podman \
        --root "$state/root" --runroot "$state/run" --tmpdir "$state/tmp" --storage-driver vfs "$@"
}

case "${1:-}" in
root) shift && root "$@" ;;
podman) shift && podman_in "$@" ;;
*)
    sed -n 's/^# usage: /usage: /p; s/^#        /       /p' "$0" >&2
    exit 2
    ;;
esac
