#!/bin/sh
# The rings of the drivers and the protocols of the runtime under loom: the models pass, and each planted defect makes one of
# them fail.
set -eu
cd "$(dirname "$0")/.."

target="${CARGO_TARGET_DIR:-target}/loom"
# Runs the models of the drivers, or of the runtime, with these flags.
drivers() {
    RUSTFLAGS="--cfg loom $1" LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}" \
        cargo test --quiet -p flounder-drivers --test loom --target-dir "$target" -- --test-threads=1
}
runtime() {
    RUSTFLAGS="$1" cargo test --quiet --no-fail-fast -p flounder-rt --test loom_job_queue --test loom_park --test loom_remote \
        --target-dir "$target" -- --test-threads=1
}

# find MODELS BUG..: each of these defects is found by one of these models.
find() {
    models=$1
    shift
    for bug; do
        log="$target/$bug.log"
        if "$models" "--cfg flounder_bug=\"$bug\"" >"$log" 2>&1; then
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
}

drivers ""
runtime ""
find drivers relaxed_header header_first early_ack no_fence sure_at_once
find runtime gate_without_fence pool_stays_rung alarm_of_no_use park_without_notice job_queue_keeps_place
