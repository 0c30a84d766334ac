//! Interfaces come out of `macro_rules!`, with fragments of every kind, nested, repeated, with names of the caller, raw names.
#![deny(warnings)]
#![allow(dead_code)]

macro_rules! service {
    ($vis:vis $name:ident, $doc:literal, $arg:ident : $ty:ident, $max:literal) => {
        flounder::flounder! {
            $vis interface $name $doc {
                message put($ty $arg);
                message many($ty $arg[len, $max]);
                message named(string $arg[$max]);
                rpc get(in $ty $arg, out $ty $arg);
            };
        }
    };
}

service!(pub sums, "Sums", value: uint32, 16);
service!(pub(crate) texts, "Texts", value: string, 8);
service!(r#match, "A raw name", r#type: uint64, 0x10);

macro_rules! all {
    ($($name:ident { $($msg:ident ( $($t:ident $a:ident),* ) ),* $(,)? })*) => {
        $(
            flounder::flounder! {
                interface $name {
                    $( message $msg($($t $a),*); )*
                };
            }
        )*
    };
}

all! {
    one { a(uint8 x), b(bool y, string z) }
    two { c(), }
}

macro_rules! by_tokens {
    ($($body:tt)*) => {
        flounder::flounder! { $($body)* }
    };
}

by_tokens! {
    /// Documented.
    interface three "Three" {
        #[rust_name = "Kept"]
        typedef struct { uint8 a; } s;
        message r#loop(s v);
        message try(uint8 async);
        message union(uint8 auto);
    } ;
}

macro_rules! documented {
    ($(#[$meta:meta])* $name:ident $ty:ty) => {
        flounder::flounder! {
            $(#[$meta])*
            interface $name {
                use $ty as thing;
                message m(thing t);
            };
        }
    };
}

/// A type.
#[derive(flounder::FlounderMessage, Debug)]
pub struct Small {
    pub a: [u8; 4],
}

documented!(
    /// By a macro.
    #[allow(missing_docs)]
    four crate::Small
);

macro_rules! shared {
    ($p:path) => {
        flounder::flounder! {
            interface five {
                use $p as thing;
                message m(thing t);
            };
        }
    };
}

shared!(crate::Small);

macro_rules! length {
    ($n:expr) => {
        flounder::flounder! {
            interface six {
                typedef uint8 key[$n];
                message m(key k, uint8 d[len, $n]);
            };
        }
    };
}

length!(32);

pub fn check() {
    let _ = (
        sums::INTERFACE,
        texts::INTERFACE,
        r#match::INTERFACE,
        one::INTERFACE,
        two::INTERFACE,
        three::Kept { a: 1 },
        four::INTERFACE,
        five::INTERFACE,
        six::INTERFACE,
    );
}
