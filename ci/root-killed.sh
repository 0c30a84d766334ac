#!/usr/bin/env bash
# The root monitor is killed every half second for a minute, under load: no message is lost, and new binds succeed within a
# second. Then it is killed 80 times beside one process that looks a name up (100,000 times in all) and one that tries to
# take it: no lookup is denied, and the name stays with its owner; and 25 times before nine binds: none is denied.
set -euo pipefail
cd "$(dirname "$0")/.."

FLOUNDER_SECONDS=${FLOUNDER_SECONDS:-60} cargo test --quiet -p flounder --test daemon -- --nocapture \
    killing_the_root_repeatedly_loses_no_message |
    grep -E 'none lost|test result: FAILED|panicked'

roots() {
    FLOUNDER_ROOTS=$1 cargo test --quiet -p flounder --test root_change -- --nocapture "$2" |
        grep -E 'refused|after the death|test result: FAILED|panicked'
}
roots 80 a_living_owner_keeps_its_name_when_the_root_dies
roots 25 binds_succeed_when_the_root_dies
