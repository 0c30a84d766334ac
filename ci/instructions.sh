#!/usr/bin/env bash
# Instructions per message, counted by callgrind, compared with the committed ones.
#
#   ci/instructions.sh           compares; more than 3 % over ci/instructions.expected fails
#   ci/instructions.sh --bless   writes the counts into that file
#
# The figures are valid for the pinned compiler and x86-64; elsewhere they are printed and not compared.
set -euo pipefail
cd "$(dirname "$0")/.."

expected=ci/instructions.expected
slack=3

if ! command -v valgrind >/dev/null; then
    apt-get install -y valgrind >/dev/null 2>&1 || (apt-get update && apt-get install -y valgrind) >/dev/null 2>&1 || true
fi
if ! command -v valgrind >/dev/null; then
    echo "SKIPPED: instructions are not counted, because there is no valgrind and none can be installed" >&2
    exit 0
fi

bench=$(cargo bench --bench instructions --no-run --message-format=json |
    sed -n 's/.*"name":"instructions".*"executable":"\([^"]*\)".*/\1/p')
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# Prints the instructions of `function` per unit of work of `case`, in hundredths.
count() {
    local case=$1 function=$2 units total
    units=$(timeout 120 valgrind --tool=callgrind --callgrind-out-file="$out/callgrind" --collect-atstart=no \
        --toggle-collect="*$function*" "$bench" "$case" 2>"$out/log" | awk '{ print $2 }')
    total=$(sed -n 's/^\(summary\|totals\): \([0-9]*\).*/\2/p' "$out/callgrind" | tail -1)
    if [ -z "$units" ] || [ "${total:-0}" -eq 0 ]; then
        cat "$out/log" >&2
        echo "nothing was counted in $function of $case" >&2
        exit 1
    fi
    echo $((total * 100 / units))
}

{
    echo "# Instructions by case and function: of one message, or of one line for large and long ones."
    while read -r case function; do
        hundredths=$(count "$case" "$function")
        printf '%-14s %-14s %d.%02d\n' "$case" "$function" $((hundredths / 100)) $((hundredths % 100))
    done <<'CASES'
ump-alone send_batch
ump-alone receive_until
ump-run send_batch
ump-run receive_until
mapped-alone receive_until
mapped-run send_batch
mapped-run receive_until
ump-ping send_batch
ump-ping receive_until
ump-note send_notes
ump-note receive_until
ump-large send_notes
ump-large receive_until
ump-long exchange
ump-call ask
ump-call answer
mapped-ping send_batch
mapped-ping receive_until
mapped-large send_notes
mapped-large receive_until
loopback-ping send_batch
loopback-ping receive_until
CASES
} >"$out/counted"

if [ "${1:-}" = --bless ]; then
    cp "$out/counted" "$expected"
    cat "$expected"
    exit 0
fi
if [ "$(uname -m)" != x86_64 ]; then
    cat "$out/counted"
    echo "SKIPPED: the figures to compare with are of x86-64" >&2
    exit 0
fi
awk -v slack="$slack" '
    /^#/ { next }
    FNR == NR { before[$1, $2] = $3; next }
    !(($1, $2) in before) { printf "%-14s %-14s %8.2f  NOT IN THE FILE\n", $1, $2, $3; failed = 1; next }
    {
        was = before[$1, $2]
        change = 100 * ($3 - was) / was
        verdict = change > slack ? "MORE" : change < -slack ? "FEWER: run ci/instructions.sh --bless" : ""
        printf "%-14s %-14s %8.2f  was %8.2f  %+6.1f %%  %s\n", $1, $2, $3, was, change, verdict
        failed = failed || change > slack
    }
    END { exit failed }
' "$expected" "$out/counted" || {
    echo "a message costs more instructions than before" >&2
    exit 1
}
