#!/usr/bin/env bash
# No lint speaks, in libraries, tests, examples and benches.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo clippy --workspace --all-targets -- -D warnings
