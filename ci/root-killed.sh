#!/usr/bin/env bash
# The root monitor is killed every half second for a minute, under load: no message is lost, and new binds succeed within a
# second.
set -euo pipefail
cd "$(dirname "$0")/.."

FLOUNDER_SECONDS=${FLOUNDER_SECONDS:-60} cargo test --quiet -p flounder --test daemon -- --nocapture \
    the_root_is_killed_every_half_second_and_no_message_is_lost |
    grep -E 'none lost|test result: FAILED|panicked'
