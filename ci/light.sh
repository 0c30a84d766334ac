#!/usr/bin/env bash
# The package flounder without features builds no foreign event loop, and the first command of the README builds at most 60
# packages.
set -euo pipefail
cd "$(dirname "$0")/.."

if cargo tree --package flounder --edges normal --prefix none --quiet | grep -E '^(tokio|mio|async-io|smol) '; then
    echo "flounder needs an event loop of others" >&2
    exit 1
fi

packages=$(cargo tree --package flounder-examples --edges normal,build,dev --prefix none --quiet |
    sed 's/ (.*//' | sort -u | wc -l)
echo "quickstart builds $packages packages"
if [ "$packages" -gt 60 ]; then
    echo "quickstart builds more than 60 packages" >&2
    exit 1
fi
