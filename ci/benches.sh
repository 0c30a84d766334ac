#!/usr/bin/env bash
# Every bench builds.
set -euo pipefail
cd "$(dirname "$0")/.."
# Uses the profile of the tests, whose dependencies are built already. Commands that measure build their own.
cargo test --workspace --bench '*' --no-run --quiet
