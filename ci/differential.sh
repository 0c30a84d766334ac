#!/usr/bin/env bash
# The same random programs over every driver give the same traces: 100,000 operations over each, or as many as are asked for
# in FLOUNDER_DIFFERENTIAL_OPS; and strings and arrays of every length at which something ends, with buffers of three sizes.
set -euo pipefail
cd "$(dirname "$0")/.."

FLOUNDER_DIFFERENTIAL_OPS=${FLOUNDER_DIFFERENTIAL_OPS:-100000} \
    cargo test --quiet --release --test differential -- --nocapture
