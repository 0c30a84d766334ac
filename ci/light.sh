#!/usr/bin/env bash
# Who uses flounder without features builds no runtime of others.
set -euo pipefail
cd "$(dirname "$0")/.."

if cargo tree --package flounder --edges normal --prefix none --quiet | grep -E '^(tokio|mio|async-io|smol) '; then
    echo "flounder needs an event loop of others" >&2
    exit 1
fi
