#!/usr/bin/env bash
# The rings of the drivers and the protocols of the runtime under loom: the models pass, and each planted defect makes one of
# them fail. The test programs are built once; the variable FLOUNDER_DEFECT plants a defect.
set -euo pipefail
cd "$(dirname "$0")/.."

target="$(realpath -m "${CARGO_TARGET_DIR:-target}")/loom"
mkdir -p "$target"
export LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}"

# Prints the paths of the test programs that cargo builds.
build() {
    cargo test --no-run --message-format=json --target-dir "$target" "$@" |
        sed -n 's/.*"name":"loom[a-z_]*".*"executable":"\([^"]*\)".*/\1/p'
}

# Runs the models of some test programs, all of them.
run() {
    local program failed=0
    for program; do
        timeout 900 "$program" --quiet --test-threads=1 || failed=1
    done
    return $failed
}

# Fails unless a model finds the defect in the test programs.
find() {
    local defect=$1 log="$target/$1.log"
    shift
    if FLOUNDER_DEFECT=$defect run "$@" >"$log" 2>&1; then
        echo "loom does not find $defect" >&2
        return 1
    fi
    if ! grep -q '^test result: FAILED' "$log"; then
        cat "$log" >&2
        return 1
    fi
    echo "loom finds $defect: $(sed -n 's/^    \([a-z_]*\)$/\1/p' "$log" | sort -u | tr '\n' ' ')"
}

drivers=$(RUSTFLAGS="--cfg loom" build -p flounder-drivers --test loom)
runtime=$(build -p flounder-rt --test loom_bulk --test loom_job_queue --test loom_park --test loom_remote)
if [ "$(wc -w <<<"$drivers $runtime")" -ne 5 ]; then
    echo "cargo has not built five test programs, but: $drivers $runtime" >&2
    exit 1
fi

running=()
for models in drivers runtime; do
    run ${!models} &
    running+=($!)
done
for process in "${running[@]}"; do
    wait "$process"
done

export -f run find
export target
{
    for defect in relaxed_header header_first early_ack no_fence late_look sure_at_once; do
        echo $defect $drivers
    done
    for defect in gate_without_fence claim_ignores_wake combiner_forgets pool_stays_rung alarm_of_no_use \
        park_without_notice job_queue_keeps_place slot_release_relaxed slot_note_stays \
        claim_leaves_while_running; do
        echo $defect $runtime
    done
} | xargs -P "$(nproc)" -L 1 bash -c 'set -euo pipefail; find "$@"' find
