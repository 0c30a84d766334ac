# What `src/subjects/capnp.rs` speaks. `schema/generate.sh` makes `src/subjects/capnp/peer_capnp.rs` of it.
@0xc3f1a2b4d5e60718;

interface Peer {
  # The size of the payloads that follow, and whether to look at all of every one or at a word of each cache line.
  begin @0 (size :UInt64, thorough :Bool) -> ();

  # One payload there, another of the same size back.
  echo @1 (payload :Data) -> (payload :Data);

  # One payload of a stream; the runtime limits how many are on their way.
  put @2 (payload :Data) -> stream;

  # How many payloads of the stream have come.
  finish @3 () -> (received :UInt64);
}
