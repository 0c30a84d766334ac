#!/usr/bin/env bash
# Each cache operation of the driver scc is needed: without it the test that its reason names fails.
#
# The reasons, with their names and tests, are the variants of `CacheOpReason`. Each is used in one place of the driver, and
# each place has one. The model skips the operations of the reason in FLOUNDER_SCC_WITHOUT.
set -euo pipefail
cd "$(dirname "$0")/.."

scc=flounder-drivers/src/scc
log=$(mktemp)
trap 'rm -f "$log"' EXIT

reasons=$(awk '
    /^reasons! \{/ { inside = 1; next }
    inside && /^\}/ { exit }
    inside && match($0, /Without: `[a-z_]*`/) { test = substr($0, RSTART + 10, RLENGTH - 11) }
    inside && / = "/ { split($0, part, "\""); print $1, part[2], test; test = "-" }
' $scc/hardware.rs)

# Every operation has a reason of its own.
operations=$(grep -cE 'hardware\.(write_back|invalidate|fence_writes|fence_reads)\(' <(cat $scc/ring.rs $scc/pool.rs))
if [ "$operations" -ne "$(wc -l <<<"$reasons")" ] ||
    grep -nE '\.(write_back|invalidate|fence_writes|fence_reads)\(' $scc/channel.rs $scc/mod.rs $scc/connect.rs; then
    echo "there are $operations cache operations in ring.rs and pool.rs, or some elsewhere, and these reasons:" >&2
    echo "$reasons" >&2
    exit 1
fi

# With all of them the tests pass.
cargo test --quiet -p flounder-drivers --test scc >"$log" 2>&1 || {
    cat "$log" >&2
    exit 1
}

killed=0
total=0
while read -r variant name test; do
    total=$((total + 1))
    if [ "$(cat $scc/ring.rs $scc/pool.rs | grep -c "CacheOpReason::$variant)")" -ne 1 ]; then
        echo "$variant is not the reason for one operation" >&2
        continue
    fi
    # Programs that hang are stopped by their own deadlines; the real machine takes no notice.
    FLOUNDER_SCC_WITHOUT=$name FLOUNDER_SCC_SEEDS=200 timeout 120 \
        cargo test --quiet -p flounder-drivers --test scc -- \
        --skip threads --skip doorbells_of_their_cores >"$log" 2>&1 || true
    failed=$(sed -n 's/^    \([a-z_]*\)$/\1/p' "$log" | sort -u)
    if grep -q '^test result: FAILED' "$log" && grep -qx "$test" <<<"$failed"; then
        killed=$((killed + 1))
        echo "without $name: $(wc -w <<<"$failed") tests fail, $test among them"
    else
        echo "without $name $test does not fail, but: ${failed:-none}" >&2
    fi
done <<<"$reasons"

echo "killed $killed of $total"
[ "$killed" -eq "$total" ]
