#!/usr/bin/env bash
# Every bench builds.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo bench --workspace --bench '*' --no-run --quiet
