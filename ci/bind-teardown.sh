#!/usr/bin/env bash
# A hundred thousand bindings over each driver come and go between processes, one in ten by the death of its client, and
# leave no descriptor, mapping, thread or memory behind.
set -euo pipefail
cd "$(dirname "$0")/.."
FLOUNDER_BIND_CYCLES=100000 cargo test --release --quiet --test bind_teardown -- --nocapture
