#!/usr/bin/env bash
# The drivers scc and beehive are features: without them, and with each alone, flounder builds without a warning, and its
# registry has no other driver. Without scc it builds no generator of random numbers.
set -euo pipefail
cd "$(dirname "$0")/.."

for features in "" scc beehive; do
    # A warning of a crate of ours is on the standard error, also when the crate was checked before.
    warnings=$(cargo check --quiet -p flounder --no-default-features --features "$features" 2>&1) || {
        echo "$warnings" >&2
        exit 1
    }
    [ -z "$warnings" ] || {
        echo "with the features '$features': $warnings" >&2
        exit 1
    }
    cargo test --quiet -p flounder-drivers --no-default-features --features "$features" --lib registry >/dev/null
done

if cargo tree --package flounder --no-default-features --features beehive --edges normal --prefix none --quiet |
    grep -E '^rand_pcg '; then
    echo "flounder without scc needs a generator of random numbers" >&2
    exit 1
fi
