#!/usr/bin/env bash
# Every bench builds.
set -euo pipefail
cd "$(dirname "$0")/.."
# With the profile of the tests, whose dependencies are built already; measuring commands build their own.
cargo test --workspace --bench '*' --no-run --quiet
