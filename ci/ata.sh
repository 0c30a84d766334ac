#!/usr/bin/env bash
# Disks work over the HBA of QEMU, an implementation of others, as they do over the model; and no command allocates. Installs
# QEMU with apt-get if it is missing, or says that its tests are skipped.
#
#   ci/ata.sh            runs the tests; FLOUNDER_ATA_COMMANDS sets the commands of each random run (10000)
#   ci/ata.sh --count    prints the instructions of a command, of which `send` ends with the write of PxCI; needs valgrind
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" = --count ]; then
    bench=$(cargo bench -p flounder-ata --bench commands --no-run --message-format=json |
        sed -n 's/.*"name":"commands".*"executable":"\([^"]*\)".*/\1/p')
    out=$(mktemp)
    trap 'rm -f "$out"' EXIT
    for case in read write flush; do
        for function in send recv; do
            commands=$(valgrind --tool=callgrind --callgrind-out-file="$out" --collect-atstart=no \
                --toggle-collect="*AtaChannel*$function*" "$bench" "$case" 2>/dev/null | awk '{ print $2 }')
            total=$(sed -n 's/^\(summary\|totals\): \([0-9]*\).*/\2/p' "$out" | tail -1)
            echo "$case $function $((total / commands))"
        done
    done
    exit 0
fi

if ! command -v qemu-system-x86_64 >/dev/null; then
    install=(apt-get install -y --no-install-recommends qemu-system-x86)
    "${install[@]}" >/dev/null 2>&1 || (apt-get update && "${install[@]}") >/dev/null 2>&1 || true
fi
if ! command -v qemu-system-x86_64 >/dev/null; then
    echo "SKIPPED: disks are not tested over QEMU, because there is none and none can be installed" >&2
fi
FLOUNDER_ATA_COMMANDS=${FLOUNDER_ATA_COMMANDS:-10000} cargo test --quiet -p flounder-ata
# The profile of the tests: its figures are no figures, but it fails if a command allocates.
cargo test --quiet -p flounder-ata --bench commands
