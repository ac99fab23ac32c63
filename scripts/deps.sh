#!/bin/sh
# Installs, by name, the Debian packages that the demo and the tests use: when run as root on a
# system with apt-get, without asking. Elsewhere it says what is missing: a failure when CI is set,
# a warning otherwise (the tests that need it then skip, and say so).
#
# usage: scripts/deps.sh [--check]      --check only reports
set -eu

# command:package
wanted='
cc:gcc
c++:g++
curl:curl
node:nodejs
npm:npm
python3:python3
openssl:openssl
podman:podman
redis-server:redis-server
ssh:openssh-client
runc:runc
busybox:busybox-static
setpriv:util-linux
'

missing() {
    for pair in $wanted; do
        command -v "${pair%%:*}" >/dev/null 2>&1 || echo "${pair#*:}"
    done
    # SQLite and ring are built from C, libFuzzer from C++; gcc alone brings no headers
    [ -e /usr/include/stdio.h ] || echo libc6-dev
    # servers whose credentials the tests rotate; Debian has PostgreSQL's outside of PATH
    [ -x /usr/sbin/nginx ] || echo nginx
    [ -x /usr/sbin/sshd ] || echo openssh-server
    ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || echo postgresql
    # what other engines of flags are installed into
    python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv
    # the container's busybox has no libraries to load: it must be the static one
    if command -v busybox >/dev/null 2>&1 && ldd "$(command -v busybox)" >/dev/null 2>&1; then
        echo busybox-static
    fi
}

packages=$(missing | sort -u | tr '\n' ' ')
packages=${packages% }
[ -n "$packages" ] || exit 0

if [ "${1:-}" != --check ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "deps: installing $packages" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2
    # word splitting is meant: one argument a package
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $packages >&2
    packages=$(missing | sort -u | tr '\n' ' ')
    packages=${packages% }
    [ -n "$packages" ] || exit 0
fi

echo "deps: missing: $packages" >&2
echo "deps: as root on Debian: apt-get install -y --no-install-recommends $packages" >&2
[ -z "${CI:-}" ] || exit 1
