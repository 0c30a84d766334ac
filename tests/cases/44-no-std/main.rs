//! A crate that is `no_std` itself (it holds a protocol for several hosts) declares the interface.
#![no_std]
#![deny(warnings)]

extern crate alloc;

flounder::flounder! {
    pub interface proto "Protocol" {
        typedef struct { string s[8]; uint32 x; } item;
        message put(item i, uint8 d[n]);
        rpc get(in string k, out item i, out string all[m]);
    };
}

/// A type of it.
#[derive(flounder::FlounderMessage, Debug, Clone)]
pub struct Mine {
    pub a: alloc::string::String,
    pub b: alloc::vec::Vec<u8>,
    pub c: Option<u16>,
}

flounder::flounder! {
    pub interface with_type {
        use crate::Mine as mine;
        message m(mine v);
    };
}

pub struct S;

impl proto::Rx for S {
    fn put(&mut self, _: &proto::Binding, _: proto::Item, _: &[u8]) {}

    fn get(&mut self, _: &proto::Binding, _: &str, r: proto::GetReply) {
        drop(r)
    }
}
