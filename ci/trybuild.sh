#!/usr/bin/env bash
# What the compiler must refuse, it refuses, with the words we want.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo test --test ui --quiet
