#!/bin/sh
# Builds examples/consumer as one static file that runs in any container, even an empty one, and
# prints its path.
set -eu
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
# with --target these flags reach the program alone, not build scripts
RUSTFLAGS='-C target-feature=+crt-static' \
    cargo build --quiet --locked --profile small --target "$host" -p strongroom-consumer >&2
echo "${CARGO_TARGET_DIR:-target}/$host/small/consumer"
