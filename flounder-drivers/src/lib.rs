//! The interconnect drivers of flounder: loopback, lmp and ump.
