#!/usr/bin/env bash
# The rings of the drivers and the protocols of the runtime under loom: the models pass, and each planted defect makes one of
# them fail.
set -euo pipefail
cd "$(dirname "$0")/.."

target="$(realpath -m "${CARGO_TARGET_DIR:-target}")/loom"
mkdir -p "$target"

# The models run for seconds, and are compiled anew for each defect: not optimised, as the test programs are, and only once.
export CARGO_INCREMENTAL=0
plain=()
for package in conformance drivers rt wire; do
    plain+=(--config "profile.dev.package.flounder-$package.opt-level=0")
done

# Runs cargo with a defect, if one is named. The wrapper sets the cfg for the crates of this workspace only, so their
# dependencies are built once.
with() {
    local bug=$1 wrapper
    shift
    [ -n "$bug" ] || {
        "$@"
        return
    }
    wrapper="$target/rustc-$bug"
    printf '#!/bin/sh\nexec "$@" --cfg "flounder_bug=\\"%s\\""\n' "$bug" >"$wrapper"
    chmod +x "$wrapper"
    RUSTC_WORKSPACE_WRAPPER="$wrapper" "$@"
}

# Runs the models of the drivers, or of the runtime.
drivers() {
    RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}" with "$1" \
        cargo test --quiet "${plain[@]}" -p flounder-drivers --test loom --target-dir "$target" -- --test-threads=1
}
runtime() {
    with "$1" cargo test --quiet "${plain[@]}" --no-fail-fast -p flounder-rt --test loom_bulk --test loom_job_queue --test loom_park --test loom_remote \
        --target-dir "$target" -- --test-threads=1
}

# find MODELS BUG..: each of these defects is found by one of these models.
find() {
    local models=$1 bug log
    shift
    for bug; do
        log="$target/$bug.log"
        if "$models" "$bug" >"$log" 2>&1; then
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
find drivers relaxed_header header_first early_ack no_fence late_look sure_at_once
find runtime gate_without_fence claim_ignores_wake combiner_forgets pool_stays_rung alarm_of_no_use park_without_notice job_queue_keeps_place \
    slot_release_relaxed slot_note_stays
