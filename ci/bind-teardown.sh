#!/usr/bin/env bash
# A hundred thousand bindings, a quarter of them over each driver between processes, come and go, one in ten by the death of
# its client, and leave no descriptor, mapping, thread or memory behind. FLOUNDER_BIND_CYCLES is the number over each driver.
set -euo pipefail
cd "$(dirname "$0")/.."
FLOUNDER_BIND_CYCLES="${FLOUNDER_BIND_CYCLES:-25000}" cargo test --release --quiet --test bind_teardown -- --nocapture
