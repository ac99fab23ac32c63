#!/bin/sh
# Builds every fuzz target and runs each for FUZZ_SECONDS (10 when unset), from the committed seeds
# and from what earlier runs found (fuzz/corpus, not committed). A crash fails, and leaves its
# input under fuzz/artifacts.
#
# usage: scripts/fuzz.sh [TARGET...]
#
# cargo-fuzz is installed by name and version into target/tools when it is missing. Where a nightly toolchain is
# installed, the targets run under AddressSanitizer; elsewhere on stable without it, and that is
# said: coverage, assertions and overflow checks are the same.
set -eu
cd "$(dirname "$0")/.."

VERSION=0.13.2
seconds=${FUZZ_SECONDS:-10}

# one that is installed already comes first
PATH="$PATH:$PWD/target/tools/bin"
if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "fuzz: installing cargo-fuzz $VERSION into target/tools" >&2
    cargo install --quiet --locked --version "$VERSION" --root target/tools cargo-fuzz
fi

toolchain=+stable
sanitizer=none
if command -v rustup >/dev/null 2>&1 && rustup toolchain list | grep -q '^nightly'; then
    toolchain=+nightly
    sanitizer=address
else
    # without rustup there is one toolchain and no `+`
    command -v rustup >/dev/null 2>&1 || toolchain=
    echo "fuzz: no nightly toolchain is installed: running on stable, without AddressSanitizer" >&2
fi

fuzz() {
    action=$1
    shift
    # shellcheck disable=SC2086 # an empty toolchain is no argument
    cargo $toolchain fuzz "$action" --sanitizer "$sanitizer" "$@"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT

fuzz build
targets=${*:-$(cargo fuzz list)}
for target in $targets; do
    mkdir -p "fuzz/corpus/$target"
    # new inputs go to the first directory; an input may take 1 GiB and 25 s
    if ! fuzz run "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=25 \
        -verbosity=0 -print_final_stats=1 >"$log" 2>&1; then
        cat "$log" >&2
        echo "fuzz: $target failed" >&2
        exit 1
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    echo "fuzz: $target: $runs inputs in $seconds s, nothing found"
done
