#!/usr/bin/env bash
# Every example does what its docs promise, over every driver, with processes and with threads.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --examples --quiet
cargo build --release --examples --quiet -p event-loops -p foreign-driver
bin=${CARGO_TARGET_DIR:-target}/release/examples

FLOUNDER_RUNTIME_DIR=$(mktemp -d)
export FLOUNDER_RUNTIME_DIR
trap 'rm -rf "$FLOUNDER_RUNTIME_DIR"' EXIT

timeout 30 "$bin/quickstart"
timeout 30 "$bin/serve"
timeout 30 "$bin/serve" use &
user=$!
"$bin/serve" serve &
server=$!
wait "$user"
kill "$server"
timeout 60 "$bin/reconnect"
timeout 30 "$bin/pool"
timeout 30 "$bin/epoll_loop"
timeout 30 "$bin/tokio_service"
timeout 30 "$bin/foreign"
timeout 30 "$bin/async_echo"
timeout 30 "$bin/pipeline"
timeout 30 "$bin/frames"
timeout 30 "$bin/record_replay"
if timeout 30 "$bin/record_replay" --differ >/dev/null; then
    echo "record_replay does not see a wrong answer" >&2
    exit 1
fi
timeout 60 "$bin/disk"
timeout 30 "$bin/disk" --model
for driver in loopback lmp ump scc beehive; do
    timeout 30 "$bin/idctest" --driver "$driver"
    timeout 30 "$bin/idctest" --driver "$driver" --threads
done
for driver in lmp ump scc beehive; do
    for role in echo stream caps; do
        timeout 30 "$bin/peer" serve --name "ci $driver $role" &
        server=$!
        timeout 30 "$bin/peer" "$role" --name "ci $driver $role" --driver "$driver" --count 2000 --size 5000
        wait "$server"
    done
done

left=$(find "$FLOUNDER_RUNTIME_DIR" -mindepth 1)
[ -z "$left" ] || { echo "files are left behind: $left" >&2; exit 1; }
