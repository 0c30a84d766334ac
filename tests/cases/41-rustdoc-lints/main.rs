//! A crate whose documentation is checked (`RUSTDOCFLAGS=-D warnings`, all lints of rustdoc), with descriptions and comments as
//! people write them: in brackets, with angle brackets, addresses, code blocks that are C.
#![deny(rustdoc::all)]
#![allow(rustdoc::missing_crate_level_docs)]

flounder::flounder! {
    interface described "Reads <key> from [store]; see https://example.invalid/x" {
        /* the <T> of a plain comment */
        typedef enum { ONE, TWO } choice;
        message note(choice which, uint32 arg);
        rpc get(in string key, out string value[64], out uint8 data[n, 100]);
    };
}

flounder::flounder! {
    pub(crate) interface hidden "Not public" {
        typedef struct { uint8 a; } s;
        message m(s v);
        rpc r(in s v, out s w);
    };
}

mod private {
    flounder::flounder! {
        interface inner "In a private module" {
            message m(uint8 x);
            rpc r(out uint8 x);
        };
    }
}

/// Uses.
pub fn uses(_: &private::inner::Binding) {
    let _ = hidden::INTERFACE;
}
