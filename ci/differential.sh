#!/usr/bin/env bash
# The same random programs over every driver have the same traces: 100,000 operations over each (FLOUNDER_DIFFERENTIAL_OPS
# sets another number); and strings and arrays of lengths around the ends of words, lines and frames, with buffers of three
# sizes.
set -euo pipefail
cd "$(dirname "$0")/.."

FLOUNDER_DIFFERENTIAL_OPS=${FLOUNDER_DIFFERENTIAL_OPS:-100000} \
    cargo test --quiet --release --test differential -- --nocapture
