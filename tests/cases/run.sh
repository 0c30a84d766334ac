#!/usr/bin/env bash
# run.sh [PATTERN]: builds and runs the cases whose `NN-name` matches the pattern (an extended regular expression; all without
# one), and prints a line for each: `NN name pass|fail detail`. Fails if one of them fails.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
pattern=${1:-}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$here/target}
logs=$CARGO_TARGET_DIR/case-logs
mkdir -p "$logs"

build() {
    cargo build --manifest-path "$here/Cargo.toml" "$@"
}

cases=() programs=()
for directory in "$here"/[0-9]*/; do
    case=$(basename "$directory")
    [[ $case =~ $pattern ]] || continue
    cases+=("$case")
    [ -f "$directory/check.sh" ] || programs+=(--bin "${case#*-}")
done
if [ ${#cases[@]} = 0 ]; then
    echo "no case matches $pattern" >&2
    exit 2
fi

# All at once first, which is quicker. A program that does not compile is reported below.
[ ${#programs[@]} = 0 ] || build --quiet --keep-going "${programs[@]}" 2>"$logs/build"

failed=0
for case in "${cases[@]}"; do
    name=${case#*-} log=$logs/$case
    if [ -f "$here/$case/check.sh" ]; then
        verdict=$(timeout 600 bash "$here/$case/check.sh" 2>"$log" | grep '^RESULT' | tail -1)
    elif build --quiet --bin "$name" 2>"$log"; then
        # Not from here: a case must not depend on where it is started.
        verdict=$(cd / && timeout 200 "$CARGO_TARGET_DIR/debug/$name" 2>"$log" </dev/null | grep '^RESULT' | tail -1)
    else
        verdict="RESULT fail does not compile (see $log)"
    fi
    verdict=${verdict#RESULT }
    verdict=${verdict:-fail no verdict (see $log)}
    echo "${case%%-*} $name $verdict"
    [[ $verdict == pass* ]] || failed=1
done
exit $failed
