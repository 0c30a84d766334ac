#!/usr/bin/env bash
# Monitors work without the newest parts of the kernel: the tests of monitors, names, binds and deaths pass where the socket
# options SO_PEERPIDFD (Linux 6.5) and SO_PASSRIGHTS (6.16) are refused, as in an older kernel.
set -euo pipefail
cd "$(dirname "$0")/.."

without=${CARGO_TARGET_DIR:-target}/debug/old-kernel
cargo build --quiet -p flounder-test-support --bin old-kernel

tests=(bind closing daemon deaths meeting_place monitor nameservice root_change)
# Between PID namespaces only SO_PEERPIDFD identifies a process.
"$without" cargo test --quiet --no-fail-fast -p flounder "${tests[@]/#/--test=}" -- \
    --skip processes_of_different_pid_namespaces_pass_capabilities
# Two tests are about that option.
"$without" cargo test --quiet -p flounder-monitor --lib -- \
    --skip sys::tests::file_has_no_peer --skip sys::tests::socket_has_a_pidfd_of_its_peer
