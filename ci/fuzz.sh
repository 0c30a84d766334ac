#!/usr/bin/env bash
# Each fuzz target runs over its corpus, and then for FLOUNDER_FUZZ_SECONDS seconds (10) over inputs that it derives from it.
#
#   ci/fuzz.sh            runs every target
#   ci/fuzz.sh TARGET     runs one; more arguments go to libFuzzer
#
# Any compiler works: `cargo fuzz` needs a nightly one only for the address sanitizer, and the targets have no unsafe code.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"

if ! command -v c++ >/dev/null; then
    echo "SKIPPED: there is no C++ compiler, which libFuzzer is built with" >&2
    exit 0
fi
host=$(rustc -vV | sed -n 's/^host: //p')
target=$(realpath -m "${CARGO_TARGET_DIR:-../target}")/fuzz
# The flags of cargo-fuzz. With --target they apply to the code of the target, not to build scripts and macros.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares
    -Cllvm-args=-simplifycfg-branch-fold-threshold=0"
RUSTFLAGS=${RUSTFLAGS//$'\n'/ }
cargo build --quiet --release --locked --bins --target "$host" --target-dir "$target"

targets=("${1:-connection}")
[ $# -gt 0 ] && shift || targets=(connection idl)
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
for name in "${targets[@]}"; do
    mkdir -p "$found/$name" "corpus/$name"
    "$target/$host/release/$name" -max_total_time="${FLOUNDER_FUZZ_SECONDS:-10}" -max_len=4096 -timeout=10 \
        -artifact_prefix="$target/$name-" -verbosity=0 -print_final_stats=1 "$@" "$found/$name" "corpus/$name" \
        2>"$found/log" || {
        cat "$found/log" >&2
        exit 1
    }
    echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$found/log") programs"
done
