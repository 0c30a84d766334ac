#!/bin/sh
# The rings under loom: the models pass, and each planted defect makes one of them fail.
set -eu
cd "$(dirname "$0")/.."

target="${CARGO_TARGET_DIR:-target}/loom"
run() {
    RUSTFLAGS="--cfg loom $1" LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}" \
        cargo test --quiet -p flounder-drivers --test loom --target-dir "$target" -- --test-threads=1
}

run ""
for bug in relaxed_header header_first early_ack no_fence; do
    log="$target/$bug.log"
    if run "--cfg flounder_bug=\"$bug\"" >"$log" 2>&1; then
        echo "loom does not find $bug" >&2
        exit 1
    fi
    # A defect is found by a model that runs and fails, not by code that does not build.
    if ! grep -q '^test result: FAILED' "$log"; then
        cat "$log" >&2
        exit 1
    fi
    echo "loom finds $bug: $(sed -n 's/^    \([a-z_]*\)$/\1/p' "$log" | sort -u | tr '\n' ' ')"
done
