#!/bin/sh
# Builds strongroom-run as it is mounted into containers: static, under 3 MB, for this machine.
# Checks both, and prints the path of the program as its last line.
set -eu
cd "$(dirname "$0")/.."
most=$((3 * 1024 * 1024))

target=$(rustc -vV | sed -n 's/^host: //p')
case $target in
*-linux-gnu | *-linux-musl) ;;
*)
	echo "build-run: strongroom-run is for Linux, this is $target" >&2
	exit 1
	;;
esac
# build scripts and macros run here and stay as they are; the flags are the program's alone
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static" \
	cargo build --quiet --locked --package strongroom-cli --bin strongroom-run \
	--no-default-features --profile small --target "$target" >&2
program=${CARGO_TARGET_DIR:-target}/$target/small/strongroom-run

# a program that is not static names its loader at its very beginning
if head -c 4096 "$program" | LC_ALL=C grep -aq -e '/ld-linux' -e '/ld-musl' -e '/ld64'; then
	echo "build-run: $program is not static: it asks for a loader" >&2
	exit 1
fi
size=$(wc -c <"$program")
if [ "$size" -ge "$most" ]; then
	echo "build-run: $program has $size bytes; under $most are wanted" >&2
	exit 1
fi
"$program" --version >&2
echo "build-run: static, $size bytes" >&2
echo "$program"
