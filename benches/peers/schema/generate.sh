#!/bin/sh
# Makes src/peer_capnp.rs from peer.capnp. Only who changes the schema needs it, and what it calls:
#     apt-get install capnproto libcapnp-dev && cargo install capnpc --version 0.27.0
set -eu
cd "$(dirname "$0")"
exec capnp compile --src-prefix=. -orust:../src peer.capnp
