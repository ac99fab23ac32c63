#!/bin/sh
# Installs, by name and version, the engines of flagd that ours is compared with, into target/flag-engines: from npm
# and from PyPI. What is there already is left alone while it is of these versions. Without node, npm or python3 it
# says so: a failure when CI is set, a warning otherwise (the tests that need them then skip, and say so).
set -eu
cd "$(dirname "$0")/.."

NODE_ENGINE=@openfeature/flagd-core@4.0.1
NODE_SDK=@openfeature/core@1.12.0
PYTHON_ENGINE=openfeature-flagd-core==2.0.0
home=${CARGO_TARGET_DIR:-target}/flag-engines

missing() {
    echo "flag-engines: $1" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 0
}

command -v npm >/dev/null 2>&1 || missing "npm is missing: apt-get install -y nodejs npm"
command -v python3 >/dev/null 2>&1 || missing "python3 is missing: apt-get install -y python3 python3-venv"

# what is installed, written last; the virtual environment is of one version of Python
pins="$NODE_ENGINE $NODE_SDK $PYTHON_ENGINE $(python3 --version)"
[ "$(cat "$home/pins" 2>/dev/null)" != "$pins" ] || exit 0

rm -rf "$home"
mkdir -p "$home/node"
echo '{"private":true}' >"$home/node/package.json"
npm install --prefix "$home/node" --no-audit --no-fund --ignore-scripts --silent "$NODE_ENGINE" "$NODE_SDK" >&2 ||
    missing "$NODE_ENGINE was not installed"
python3 -m venv "$home/python" || missing "a virtual environment was not made: apt-get install -y python3-venv"
"$home/python/bin/pip" install --quiet --disable-pip-version-check "$PYTHON_ENGINE" >&2 ||
    missing "$PYTHON_ENGINE was not installed"
echo "$pins" >"$home/pins"
