//! The broker of flounder: bind, capability transfer and names, without a daemon.
