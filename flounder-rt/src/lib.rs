//! The runtime of flounder: wire, waitset, bindings, and the contract of an interconnect driver.
