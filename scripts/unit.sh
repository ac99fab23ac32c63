#!/bin/bash
# Runs every test of the workspace and ends with one line that sums the runner's own result lines.
# One `cargo test` prints a result line for each test binary and each crate's documentation tests.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT

status=0
# every program of the workspace is built before the first test runs: the kit need not build again
STRONGROOM_TESTS_PREBUILT=1 cargo test --workspace --all-features --locked --no-fail-fast 2>&1 |
    tee "$log" || status=$?

awk '
    /^test result: / {
        for (i = 2; i <= NF; i++) {
            if ($i ~ /^passed/) passed += $(i - 1)
            if ($i ~ /^failed/) failed += $(i - 1)
            if ($i ~ /^ignored/) skipped += $(i - 1)
        }
    }
    END {
        printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
        exit passed == 0 || failed > 0
    }
' "$log" || status=1
exit "$status"
