#!/usr/bin/env bash
# Clippy reports nothing, in libraries, tests, examples and benches.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo clippy --workspace --all-targets -- -D warnings
