#!/bin/bash
# Every figure of the project beside its limit, measured in the same run: one Markdown report on
# standard output. Builds what it measures first, then waits a little for the machine to be calm.
#
# usage: scripts/bench.sh      BENCH_WAIT=SECONDS waits at most so long for a load under 1
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*"; }
bench() { cargo bench --quiet --profile release --locked "$@"; }

# the sidecar as `make install` builds it, strongroom-run as it is mounted, then the benches
cargo build --quiet --release --locked -p strongroom-sidecar >&2
scripts/build-run.sh >&2
bench --no-run -p strongroom-core --bench seal --bench store --bench vault --bench config --bench rewrap --bench policy --bench audit --bench flags >&2
scripts/flag-clients.sh
bench --no-run -p strongroom-tests --bench socket >&2

load() { cut -d' ' -f1 /proc/loadavg; }
is_calm() { awk -v load="$(load)" 'BEGIN { exit !(load <= 1) }'; }
for ((waited = 0; waited < ${BENCH_WAIT:-120}; waited += 5)); do
    is_calm && break
    sleep 5
done

report=$(mktemp)
trap 'rm -f "$report"' EXIT
{
    say "## Strongroom, measured"
    say
    say "- $(date -u +%F), commit $(git rev-parse --short HEAD 2>/dev/null || say unknown), \`make bench\`"
    say "- $(nproc) cores: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
    say "- Linux $(uname -r) $(uname -m), $(rustc --version)"
    say "- load average before: $(cut -d' ' -f1-3 /proc/loadavg)"
    if ! is_calm; then
        say
        say "**Warning: the load is over 1: other programs ran. Trust the ratios a little, the times not at all.**"
    fi
    bench -p strongroom-core --bench seal
    bench -p strongroom-core --bench store
    bench -p strongroom-core --bench vault
    bench -p strongroom-core --bench config
    bench -p strongroom-core --bench rewrap
    bench -p strongroom-core --bench policy
    bench -p strongroom-core --bench audit
    bench -p strongroom-core --bench flags
    bench -p strongroom-tests --bench socket
} | tee "$report"

awk -F '|' '
    / reached \|$/ { reached++ }
    / MISSED \|$/ { missed++; names = names "\n-" $2 }
    END { printf "\n%d reached, %d missed%s\n", reached, missed, names }
' "$report"
