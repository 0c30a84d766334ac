#!/usr/bin/env bash
# Every bench builds.
set -euo pipefail
cd "$(dirname "$0")/.."
# With the profile of the tests, whose dependencies are there; what is measured is built by what measures it.
cargo test --workspace --bench '*' --no-run --quiet
