#!/usr/bin/env bash
# Every combination of features builds without a warning; what each crate offers is read from its manifest. Without the
# features scc and beehive the registry has no such driver, and without scc no generator of random numbers is built.
set -euo pipefail
cd "$(dirname "$0")/.."

# Prints the features of a manifest, without `default`.
features() {
    awk '/^\[features\]/ { inside = 1; next } /^\[/ { inside = 0 } inside && /^[a-z]/ && $1 != "default" { print $1 }' "$1"
}

for manifest in Cargo.toml flounder-*/Cargo.toml; do
    mapfile -t all < <(features "$manifest")
    [ ${#all[@]} -gt 0 ] || continue
    package=$(sed -n 's/^name = "\(.*\)"/\1/p' "$manifest" | head -1)
    for ((set = 0; set < 1 << ${#all[@]}; set++)); do
        chosen=()
        for i in "${!all[@]}"; do
            ((set >> i & 1)) && chosen+=("${all[i]}")
        done
        echo "$package: ${chosen[*]:-none}"
        output=$(cargo check --quiet -p "$package" --no-default-features --features "${chosen[*]:-}" 2>&1) || {
            echo "$output" >&2
            exit 1
        }
        if [ -n "$output" ]; then
            echo "$output" >&2
            echo "these features build with warnings" >&2
            exit 1
        fi
    done
done

for features in "" scc beehive; do
    cargo test --quiet -p flounder-drivers --no-default-features --features "$features" --lib registry >/dev/null
done
if cargo tree --package flounder --no-default-features --features beehive --edges normal --prefix none --quiet |
    grep -E '^rand_pcg '; then
    echo "flounder without scc needs a generator of random numbers" >&2
    exit 1
fi
