//! Generated code needs no name of the scope that it is placed in, and causes no warning.
#![no_implicit_prelude]
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, unused)]
#![warn(clippy::pedantic)]

mod core {}
mod std {}
#[allow(dead_code)]
struct Option;
#[allow(dead_code)]
struct Ok;

/// Types of the program.
pub mod geometry {
    /// A type that messages carry.
    #[derive(
        ::flounder::FlounderMessage, ::std::fmt::Debug, ::std::clone::Clone, ::std::cmp::PartialEq,
    )]
    pub struct Pose {
        /// A number.
        pub x: f32,
        /// A name.
        #[flounder(max = 16)]
        pub name: ::std::string::String,
        /// A choice.
        pub shape: Shape,
    }

    /// An enumeration with data.
    #[derive(
        ::flounder::FlounderMessage, ::std::fmt::Debug, ::std::clone::Clone, ::std::cmp::PartialEq,
    )]
    pub enum Shape {
        /// Nothing.
        Nothing,
        /// A circle.
        Circle(u8, ::std::vec::Vec<u16>),
        /// A box.
        Rectangle {
            /// Width.
            w: u32,
            /// Height.
            h: ::std::option::Option<u64>,
        },
    }

    /// Nothing.
    #[derive(
        ::flounder::FlounderMessage, ::std::fmt::Debug, ::std::clone::Clone, ::std::cmp::PartialEq,
    )]
    pub struct Unit;

    /// Two.
    #[derive(::flounder::FlounderMessage, ::std::fmt::Debug)]
    pub struct Tuple(pub Unit, pub ::flounder::Cap);
}

::flounder::flounder! {
    /// The interface of the tutorial.
    interface test "Test interface" {
        alias number uint32;
        typedef enum { FOO, BAR, BAZ } myenum;
        typedef struct { uint32 x; uint32 y; } point;
        typedef struct { string name[32]; myenum e; cap c; } named;
        typedef struct { give_away_cap c; uint8 x; } gift;
        typedef uint16 words[8];
        typedef words word_rows[2];
        typedef string text;
        use crate::geometry::Pose as pose;
        use geometry::Tuple as tuple;
        message basic(number arg, myenum e);
        message str(number arg, string s);
        message caps(number arg, cap cap1, cap cap2);
        message buffy(uint8 buf[buflen]);
        message everything(bool a, char b, int8 c, int16 d, int32 e, int64 f, uint8 g, uint16 h, uint64 i, intptr j,
            uintptr k, float l, double m, iref n, errval o, point p, words q, word_rows r, pose s, named t, text u);
        message arrays(bool a[a_len], point b[b_len, 4], string c[c_len, 3], pose d[d_len], double e[e_len], text f[f_len]);
        message give(cap a, give_away_cap b, named c, give_away_cap d, gift e, tuple f);
        message none();
        message type(uint8 fn, uint16 binding, uint8 reply, size error);
        call ask(string Option, uint8 INTERFACE, uint8 Binding, uint8 None);
        response answer(string Ok);
        @stats(size=1, kind=bulk)
        rpc testrpc(in string s, out uint32 result);
        rpc nothing();
        rpc many(in pose p, in cap c, in give_away_cap binding, in uint8 reply, out string s[10], out uint8 b[n], out cap c, out pose q, out string t[m]);
    };
}

fn within() {
    ::flounder::flounder! {
        interface test { typedef enum { A } e; message go(e x); };
        interface other { message go(uint8 x[n]); rpc r(out uint8 x[n]); };
    }
    let _ = (test::INTERFACE, other::INTERFACE);
}

::flounder::flounder! { crate = ::flounder; types shared { typedef struct { uint8 x; } s; }; interface a { message m(s x); }; interface b { message m(s x); }; }

::flounder::flounder! { file = "tests/support/if/sketch.if"; }

/// The crate under another name.
pub mod elsewhere {
    pub use ::flounder as renamed;

    ::flounder::flounder! { crate = self::renamed; interface nearby { message go(string s); }; }
    ::flounder::flounder! { crate = super::elsewhere::renamed; interface above { rpc go(out string s); }; }
}

::flounder::flounder! {
    crate = crate::elsewhere::renamed;
    interface renamed { use Renamed as value; message go(value v); };
}

/// A type over the crate under another name.
#[derive(::flounder::FlounderMessage, ::std::fmt::Debug)]
#[flounder(crate = elsewhere::renamed)]
pub struct Renamed(pub u8);

#[::core::prelude::v1::test]
fn a_file_is_read_with_its_imports() {
    let figure = sketch::Figure { kind: shapes::Shape::Round, size: 1 };
    let same: shapes::Figure = figure;
    ::std::assert_eq!(same.kind, sketch::Shape::Round);
    ::std::assert_eq!(sketch::INTERFACE.messages.len(), 3);
}

#[::core::prelude::v1::test]
fn it_compiles() {
    within();
    let same: a::S = b::S { x: 1 };
    let _: shared::S = same;
}
