#!/bin/sh
# Installs, by name and version, the OpenFeature SDKs and providers that the examples of flags use, and the engines of
# flagd that ours is compared with, into target/flag-clients: from npm, PyPI and crates.io. What is there already is left
# alone while it is of these versions. Without node, npm or python3 it says so: a failure when CI is set, a warning otherwise
# (the tests that need them then skip, and say so).
set -eu
cd "$(dirname "$0")/.."

NODE="@openfeature/server-sdk@1.23.0 @openfeature/core@1.12.0 @openfeature/flagd-provider@0.16.1
    @openfeature/flagd-core@4.0.1 @openfeature/ofrep-provider@0.1.3 @openfeature/ofrep-core@0.1.4 @grpc/grpc-js@1.14.7
    @openfeature/web-sdk@1.10.0 @openfeature/ofrep-web-provider@0.4.3 undici@6.29.1"
# the providers want different ones of it
OFREP_WEB=2.3.0
PYTHON="openfeature-sdk==0.10.0 openfeature-provider-flagd==0.6.1 openfeature-flagd-core==2.0.0
    openfeature-provider-ofrep==0.3.0 grpcio==1.85.3 grpcio-tools==1.85.1"
# those of crates.io, with their versions
RUST=tests/flag_clients/rust
home=${CARGO_TARGET_DIR:-target}/flag-clients

missing() {
    echo "flag-clients: $1" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 0
}

command -v npm >/dev/null 2>&1 || missing "npm is missing: apt-get install -y nodejs npm"
command -v python3 >/dev/null 2>&1 || missing "python3 is missing: apt-get install -y python3 python3-venv"

# what is installed, written last; the virtual environment is of one version of Python
pins=$(echo $NODE $OFREP_WEB $PYTHON "$(cksum <$RUST/Cargo.lock)" "$(python3 --version)")
[ "$(cat "$home/pins" 2>/dev/null)" != "$pins" ] || exit 0

rm -rf "$home"
mkdir -p "$home/node"
cat >"$home/node/package.json" <<END
{"private":true,"overrides":{"@openfeature/ofrep-web-provider":{"@openfeature/ofrep-core":"$OFREP_WEB"}}}
END
npm install --prefix "$home/node" --no-audit --no-fund --ignore-scripts --silent $NODE >&2 ||
    missing "the clients of npm were not installed"
python3 -m venv "$home/python" || missing "a virtual environment was not made: apt-get install -y python3-venv"
"$home/python/bin/pip" install --quiet --disable-pip-version-check $PYTHON >&2 ||
    missing "the clients of PyPI were not installed"
# flagd's provider for Rust is built with protoc, which is in grpcio-tools
cat >"$home/protoc" <<END
#!/bin/sh
exec "$(cd "$home" && pwd)/python/bin/python" -m grpc_tools.protoc "\$@"
END
chmod +x "$home/protoc"
PROTOC="$(cd "$home" && pwd)/protoc" cargo build --quiet --locked --manifest-path $RUST/Cargo.toml \
    --target-dir "$home/rust" >&2 || missing "the clients of crates.io were not built"
echo "$pins" >"$home/pins"
