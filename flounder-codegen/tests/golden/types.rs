/// The interface `types`.
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    dead_code,
    unreachable_pub,
    private_interfaces,
    async_fn_in_trait
)]
#[allow(
    non_camel_case_types,
    non_snake_case,
    long_running_const_eval,
    unused_imports,
    unused_qualifications
)]
pub mod types {
    use ::flounder::__private as __rt;
    /// `typedef enum { .. } choice;`
    #[doc(alias = "choice")]
    #[__rt::core::prelude::v1::derive(
        __rt::core::fmt::Debug,
        __rt::core::clone::Clone,
        __rt::core::marker::Copy,
        __rt::core::cmp::PartialEq,
        __rt::core::cmp::Eq,
        __rt::core::hash::Hash,
    )]
    #[repr(u32)]
    pub enum Choice {
        /// `FIRST`
        #[doc(alias = "FIRST")]
        First = 0,
        /// `SECOND`
        #[doc(alias = "SECOND")]
        Two = 1,
    }
    const _: () = {
        #[automatically_derived]
        impl __rt::Shape for Choice {
            const SIZE: __rt::core::primitive::usize = 4;
            const ALIGN: __rt::core::primitive::usize = 4;
            const MAX_TAIL: __rt::core::primitive::usize = __rt::largest(&[]);
            const MAX_CAPS: __rt::core::primitive::usize = __rt::largest(&[]);
            const FINGERPRINT: __rt::core::primitive::u128 = __rt::fingerprint(
                __rt::digest("enum{FIRST,SECOND}"),
                &[],
            );
        }
        #[automatically_derived]
        impl __rt::Encode for Choice {
            #[inline]
            fn put(
                &self,
                __words: &mut [__rt::core::primitive::u64],
                __at: __rt::core::primitive::usize,
            ) {
                let __tag: __rt::core::primitive::u32 = match self {
                    Self::First { .. } => 0,
                    Self::Two { .. } => 1,
                };
                __rt::Encode::put(&__tag, __words, __at);
            }
        }
        #[automatically_derived]
        impl<'__a> __rt::Decode<'__a> for Choice {
            #[inline]
            fn take(
                __source: &mut __rt::Source<'__a>,
                __at: __rt::core::primitive::usize,
            ) -> __rt::core::result::Result<Self, __rt::DecodeError> {
                let __value = match __source.tag(__at, 2, "choice")? {
                    0 => Self::First {},
                    _ => Self::Two {},
                };
                __rt::core::result::Result::Ok(__value)
            }
        }
    };
    /// `typedef struct { .. } item;`
    #[doc(alias = "item")]
    #[__rt::core::prelude::v1::derive(
        __rt::core::fmt::Debug,
        __rt::core::clone::Clone,
        __rt::core::cmp::PartialEq,
        __rt::core::cmp::Eq,
        __rt::core::hash::Hash
    )]
    pub struct Item {
        /// A number.
        pub r#type: u8,
        /// `name`
        pub name: __rt::String,
        /// `label`
        pub label: __rt::String,
        /// `c`
        pub c: Choice,
    }
    const _: () = {
        const __REC: __rt::Record<4usize> = __rt::record([
            <u8 as __rt::Shape>::PLACE,
            <__rt::String as __rt::Shape>::PLACE,
            <__rt::String as __rt::Shape>::PLACE,
            <Choice as __rt::Shape>::PLACE,
        ]);
        #[automatically_derived]
        impl __rt::Shape for Item {
            const SIZE: __rt::core::primitive::usize = __REC.size;
            const ALIGN: __rt::core::primitive::usize = __REC.align;
            const MAX_TAIL: __rt::core::primitive::usize = __rt::total(
                &[
                    <u8 as __rt::Shape>::MAX_TAIL,
                    <__rt::String as __rt::Shape>::MAX_TAIL,
                    <__rt::String as __rt::Bounded<32u32>>::MAX_TAIL,
                    <Choice as __rt::Shape>::MAX_TAIL,
                ],
            );
            const MAX_CAPS: __rt::core::primitive::usize = __rt::total(
                &[
                    <u8 as __rt::Shape>::MAX_CAPS,
                    <__rt::String as __rt::Shape>::MAX_CAPS,
                    <__rt::String as __rt::Bounded<32u32>>::MAX_CAPS,
                    <Choice as __rt::Shape>::MAX_CAPS,
                ],
            );
            const FINGERPRINT: __rt::core::primitive::u128 = __rt::fingerprint(
                __rt::digest("struct{type,name,label[32],c}"),
                &[
                    <u8 as __rt::Shape>::FINGERPRINT,
                    <__rt::String as __rt::Shape>::FINGERPRINT,
                    <__rt::String as __rt::Shape>::FINGERPRINT,
                    <Choice as __rt::Shape>::FINGERPRINT,
                ],
            );
        }
        #[automatically_derived]
        impl __rt::Encode for Item {
            #[inline]
            fn check(&self) -> __rt::core::result::Result<(), __rt::TooLong> {
                let Self { r#type: __0, name: __1, label: __2, c: __3 } = self;
                <u8 as __rt::Encode>::check(__0)?;
                <__rt::String as __rt::Encode>::check(__1)?;
                <__rt::String as __rt::Bounded<32u32>>::check_bound(__2)?;
                <Choice as __rt::Encode>::check(__3)?;
                __rt::core::result::Result::Ok(())
            }
            #[inline]
            fn put(
                &self,
                __words: &mut [__rt::core::primitive::u64],
                __at: __rt::core::primitive::usize,
            ) {
                let Self { r#type: __0, name: __1, label: __2, c: __3 } = self;
                <u8 as __rt::Encode>::put(__0, __words, __at + __REC.at[0]);
                <__rt::String as __rt::Encode>::put(__1, __words, __at + __REC.at[1]);
                <__rt::String as __rt::Encode>::put(__2, __words, __at + __REC.at[2]);
                <Choice as __rt::Encode>::put(__3, __words, __at + __REC.at[3]);
            }
            #[inline]
            fn put_tail(&self, __tail: &mut __rt::Vec<__rt::core::primitive::u64>) {
                let Self { r#type: __0, name: __1, label: __2, c: __3 } = self;
                <u8 as __rt::Encode>::put_tail(__0, __tail);
                <__rt::String as __rt::Encode>::put_tail(__1, __tail);
                <__rt::String as __rt::Encode>::put_tail(__2, __tail);
                <Choice as __rt::Encode>::put_tail(__3, __tail);
            }
            #[inline]
            fn put_caps(
                &self,
                __caps: &mut __rt::Vec<__rt::Cap>,
            ) -> __rt::io::Result<()> {
                let Self { r#type: __0, name: __1, label: __2, c: __3 } = self;
                <u8 as __rt::Encode>::put_caps(__0, __caps)?;
                <__rt::String as __rt::Encode>::put_caps(__1, __caps)?;
                <__rt::String as __rt::Encode>::put_caps(__2, __caps)?;
                <Choice as __rt::Encode>::put_caps(__3, __caps)?;
                __rt::core::result::Result::Ok(())
            }
        }
        #[automatically_derived]
        impl<'__a> __rt::Decode<'__a> for Item {
            #[inline]
            fn take(
                __source: &mut __rt::Source<'__a>,
                __at: __rt::core::primitive::usize,
            ) -> __rt::core::result::Result<Self, __rt::DecodeError> {
                let __0 = <u8 as __rt::Decode<
                    '__a,
                >>::take(__source, __at + __REC.at[0])?;
                let __1 = <__rt::String as __rt::Decode<
                    '__a,
                >>::take(__source, __at + __REC.at[1])?;
                let __2 = <__rt::String as __rt::TakeBounded<
                    '__a,
                    32u32,
                >>::take_bounded(__source, __at + __REC.at[2])?;
                let __3 = <Choice as __rt::Decode<
                    '__a,
                >>::take(__source, __at + __REC.at[3])?;
                __source.zero(__at + __REC.used, __REC.size - __REC.used)?;
                __rt::core::result::Result::Ok(Self {
                    r#type: __0,
                    name: __1,
                    label: __2,
                    c: __3,
                })
            }
        }
    };
    /// `typedef struct { .. } pair;`
    #[doc(alias = "pair")]
    #[__rt::core::prelude::v1::derive(
        __rt::core::fmt::Debug,
        __rt::core::clone::Clone,
        __rt::core::marker::Copy,
        __rt::core::cmp::PartialEq
    )]
    pub struct Pair {
        /// `x`
        pub x: u64,
        /// `y`
        pub y: f64,
    }
    const _: () = {
        const __REC: __rt::Record<2usize> = __rt::record([
            <u64 as __rt::Shape>::PLACE,
            <f64 as __rt::Shape>::PLACE,
        ]);
        #[automatically_derived]
        impl __rt::Shape for Pair {
            const SIZE: __rt::core::primitive::usize = __REC.size;
            const ALIGN: __rt::core::primitive::usize = __REC.align;
            const MAX_TAIL: __rt::core::primitive::usize = __rt::total(&[]);
            const MAX_CAPS: __rt::core::primitive::usize = __rt::total(&[]);
            const FINGERPRINT: __rt::core::primitive::u128 = __rt::fingerprint(
                __rt::digest("struct{x,y}"),
                &[<u64 as __rt::Shape>::FINGERPRINT, <f64 as __rt::Shape>::FINGERPRINT],
            );
        }
        #[automatically_derived]
        impl __rt::Encode for Pair {
            #[inline]
            fn put(
                &self,
                __words: &mut [__rt::core::primitive::u64],
                __at: __rt::core::primitive::usize,
            ) {
                let Self { x: __0, y: __1 } = self;
                <u64 as __rt::Encode>::put(__0, __words, __at + __REC.at[0]);
                <f64 as __rt::Encode>::put(__1, __words, __at + __REC.at[1]);
            }
        }
        #[automatically_derived]
        impl<'__a> __rt::Decode<'__a> for Pair {
            #[inline]
            fn take(
                __source: &mut __rt::Source<'__a>,
                __at: __rt::core::primitive::usize,
            ) -> __rt::core::result::Result<Self, __rt::DecodeError> {
                let __0 = <u64 as __rt::Decode<
                    '__a,
                >>::take(__source, __at + __REC.at[0])?;
                let __1 = <f64 as __rt::Decode<
                    '__a,
                >>::take(__source, __at + __REC.at[1])?;
                __source.zero(__at + __REC.used, __REC.size - __REC.used)?;
                __rt::core::result::Result::Ok(Self { x: __0, y: __1 })
            }
        }
    };
    /// `typedef .. row[8];`
    #[doc(alias = "row")]
    pub type Row = [u16; 8];
    /// `typedef .. rows[16];`
    #[doc(alias = "rows")]
    pub type Rows = [Row; 16];
    /// `typedef .. old_item;`
    #[doc(alias = "old_item")]
    pub type OldItem = Item;
    /// `use crate::geometry::Pose as pose;`
    pub type Pose = crate::geometry::Pose;
    /// `use nearby::Thing as thing;`
    pub type Thing = super::nearby::Thing;
    const __REC_1: __rt::Record<18usize> = __rt::record([
        <bool as __rt::Shape>::PLACE,
        <u8 as __rt::Shape>::PLACE,
        <i32 as __rt::Shape>::PLACE,
        <i8 as __rt::Shape>::PLACE,
        <i16 as __rt::Shape>::PLACE,
        <i32 as __rt::Shape>::PLACE,
        <i64 as __rt::Shape>::PLACE,
        <u8 as __rt::Shape>::PLACE,
        <u16 as __rt::Shape>::PLACE,
        <u32 as __rt::Shape>::PLACE,
        <u64 as __rt::Shape>::PLACE,
        <isize as __rt::Shape>::PLACE,
        <usize as __rt::Shape>::PLACE,
        <usize as __rt::Shape>::PLACE,
        <__rt::Iref as __rt::Shape>::PLACE,
        <__rt::Errval as __rt::Shape>::PLACE,
        <f32 as __rt::Shape>::PLACE,
        <f64 as __rt::Shape>::PLACE,
    ]);
    const __REC_2: __rt::Record<8usize> = __rt::record([
        <Choice as __rt::Shape>::PLACE,
        <Item as __rt::Shape>::PLACE,
        <Pair as __rt::Shape>::PLACE,
        <Row as __rt::Shape>::PLACE,
        <Rows as __rt::Shape>::PLACE,
        <OldItem as __rt::Shape>::PLACE,
        <Pose as __rt::Shape>::PLACE,
        <Thing as __rt::Shape>::PLACE,
    ]);
    const __REC_3: __rt::Record<6usize> = __rt::record([
        <[u8] as __rt::Shape>::PLACE,
        <[bool] as __rt::Shape>::PLACE,
        <[__rt::String] as __rt::Shape>::PLACE,
        <[Item] as __rt::Shape>::PLACE,
        <[Pose] as __rt::Shape>::PLACE,
        <[Row] as __rt::Shape>::PLACE,
    ]);
    const __REC_4: __rt::Record<1usize> = __rt::record([<[u8] as __rt::Shape>::PLACE]);
    const __REC_5: __rt::Record<1usize> = __rt::record([<str as __rt::Shape>::PLACE]);
    const __REC_6: __rt::Record<0usize> = __rt::record([]);
    const __DIGESTS: [u128; 6usize] = [
        269899837218124726079304463074098772242,
        __rt::fingerprint(
            228275566438790355837691618974989125543,
            &[<Pose as __rt::Shape>::FINGERPRINT, <Thing as __rt::Shape>::FINGERPRINT],
        ),
        __rt::fingerprint(
            217462756144671743819730480496042671455,
            &[<Pose as __rt::Shape>::FINGERPRINT],
        ),
        47084162026853638037882772525238217963,
        265249017041179406468210852772884501627,
        299518143674955921476018328251520485579,
    ];
    /// Describes the interface `types`: its messages, and the digest that two ends must agree on.
    pub const INTERFACE: &__rt::Interface = &__rt::Interface {
        name: "types",
        description: "types",
        messages: &[
            __rt::MessageInfo {
                number: 1u16,
                name: "builtins",
                kind: __rt::MessageKind::Message,
                args: &[
                    __rt::ArgInfo {
                        name: "a",
                        ty: "bool",
                    },
                    __rt::ArgInfo {
                        name: "b",
                        ty: "char",
                    },
                    __rt::ArgInfo {
                        name: "c",
                        ty: "int32",
                    },
                    __rt::ArgInfo {
                        name: "d",
                        ty: "int8",
                    },
                    __rt::ArgInfo {
                        name: "e",
                        ty: "int16",
                    },
                    __rt::ArgInfo {
                        name: "f",
                        ty: "int32",
                    },
                    __rt::ArgInfo {
                        name: "g",
                        ty: "int64",
                    },
                    __rt::ArgInfo {
                        name: "h",
                        ty: "uint8",
                    },
                    __rt::ArgInfo {
                        name: "i",
                        ty: "uint16",
                    },
                    __rt::ArgInfo {
                        name: "j",
                        ty: "uint32",
                    },
                    __rt::ArgInfo {
                        name: "k",
                        ty: "uint64",
                    },
                    __rt::ArgInfo {
                        name: "l",
                        ty: "intptr",
                    },
                    __rt::ArgInfo {
                        name: "m",
                        ty: "uintptr",
                    },
                    __rt::ArgInfo {
                        name: "n",
                        ty: "uintptr",
                    },
                    __rt::ArgInfo {
                        name: "o",
                        ty: "iref",
                    },
                    __rt::ArgInfo {
                        name: "p",
                        ty: "errval",
                    },
                    __rt::ArgInfo {
                        name: "q",
                        ty: "float",
                    },
                    __rt::ArgInfo {
                        name: "r",
                        ty: "double",
                    },
                ],
                annotations: &[],
                fingerprint: __DIGESTS[0],
            },
            __rt::MessageInfo {
                number: 2u16,
                name: "values",
                kind: __rt::MessageKind::Message,
                args: &[
                    __rt::ArgInfo {
                        name: "c",
                        ty: "choice",
                    },
                    __rt::ArgInfo {
                        name: "i",
                        ty: "item",
                    },
                    __rt::ArgInfo {
                        name: "p",
                        ty: "pair",
                    },
                    __rt::ArgInfo {
                        name: "r",
                        ty: "row",
                    },
                    __rt::ArgInfo {
                        name: "q",
                        ty: "rows",
                    },
                    __rt::ArgInfo {
                        name: "o",
                        ty: "old_item",
                    },
                    __rt::ArgInfo {
                        name: "s",
                        ty: "pose",
                    },
                    __rt::ArgInfo {
                        name: "t",
                        ty: "thing",
                    },
                ],
                annotations: &[],
                fingerprint: __DIGESTS[1],
            },
            __rt::MessageInfo {
                number: 3u16,
                name: "arrays",
                kind: __rt::MessageKind::Message,
                args: &[
                    __rt::ArgInfo {
                        name: "a",
                        ty: "uint8[a_len, 65536]",
                    },
                    __rt::ArgInfo {
                        name: "b",
                        ty: "bool[b_len, 16]",
                    },
                    __rt::ArgInfo {
                        name: "c",
                        ty: "string[65536][c_len, 4]",
                    },
                    __rt::ArgInfo {
                        name: "d",
                        ty: "item[d_len, 8]",
                    },
                    __rt::ArgInfo {
                        name: "e",
                        ty: "pose[e_len, 65536]",
                    },
                    __rt::ArgInfo {
                        name: "f",
                        ty: "row[f_len, 65536]",
                    },
                ],
                annotations: &[],
                fingerprint: __DIGESTS[2],
            },
            __rt::MessageInfo {
                number: 4u16,
                name: "annotated",
                kind: __rt::MessageKind::Message,
                args: &[
                    __rt::ArgInfo {
                        name: "buf",
                        ty: "uint8[len, 65536]",
                    },
                ],
                annotations: &[
                    __rt::AnnotationInfo {
                        context: "bulk",
                        params: &[
                            ("size", __rt::AnnotationValue::Number(4096u64)),
                            ("data", __rt::AnnotationValue::Ident("buf")),
                        ],
                    },
                ],
                fingerprint: __DIGESTS[3],
            },
            __rt::MessageInfo {
                number: 5u16,
                name: "type",
                kind: __rt::MessageKind::Message,
                args: &[
                    __rt::ArgInfo {
                        name: "fn",
                        ty: "string[65536]",
                    },
                ],
                annotations: &[],
                fingerprint: __DIGESTS[4],
            },
            __rt::MessageInfo {
                number: 6u16,
                name: "none",
                kind: __rt::MessageKind::Message,
                args: &[],
                annotations: &[],
                fingerprint: __DIGESTS[5],
            },
        ],
        limits: &[
            __rt::MessageLimit {
                words: __rt::total(&[__REC_1.words]),
                caps: __rt::total(&[]),
            },
            __rt::MessageLimit {
                words: __rt::total(
                    &[
                        __REC_2.words,
                        <Item as __rt::Shape>::MAX_TAIL,
                        <OldItem as __rt::Shape>::MAX_TAIL,
                        <Pose as __rt::Shape>::MAX_TAIL,
                        <Thing as __rt::Shape>::MAX_TAIL,
                    ],
                ),
                caps: __rt::total(
                    &[<Pose as __rt::Shape>::MAX_CAPS, <Thing as __rt::Shape>::MAX_CAPS],
                ),
            },
            __rt::MessageLimit {
                words: __rt::total(
                    &[
                        __REC_3.words,
                        <[u8] as __rt::Bounded<65536u32>>::MAX_TAIL,
                        <[bool] as __rt::Bounded<16u32>>::MAX_TAIL,
                        <[__rt::String] as __rt::Bounded<4u32>>::MAX_TAIL,
                        <[Item] as __rt::Bounded<8u32>>::MAX_TAIL,
                        <[Pose] as __rt::Bounded<65536u32>>::MAX_TAIL,
                        <[Row] as __rt::Bounded<65536u32>>::MAX_TAIL,
                    ],
                ),
                caps: __rt::total(&[<[Pose] as __rt::Bounded<65536u32>>::MAX_CAPS]),
            },
            __rt::MessageLimit {
                words: __rt::total(
                    &[__REC_4.words, <[u8] as __rt::Bounded<65536u32>>::MAX_TAIL],
                ),
                caps: __rt::total(&[]),
            },
            __rt::MessageLimit {
                words: __rt::total(
                    &[__REC_5.words, <str as __rt::Bounded<65536u32>>::MAX_TAIL],
                ),
                caps: __rt::total(&[]),
            },
            __rt::MessageLimit {
                words: __rt::total(&[__REC_6.words]),
                caps: __rt::total(&[]),
            },
        ],
        fingerprint: __rt::fingerprint(0, &__DIGESTS),
    };
    /// One end of a connection that speaks `types`.
    ///
    /// Clones are the same end. What every binding can do is on the endpoint that it dereferences to.
    #[__rt::core::prelude::v1::derive(__rt::core::fmt::Debug, __rt::core::clone::Clone)]
    pub struct Binding(__rt::Endpoint);
    impl Binding {
        /// Makes a binding over one end of a channel; `rx` handles what arrives.
        ///
        /// # Errors
        /// If the waitset cannot watch the channel.
        pub fn attach(
            channel: __rt::Box<dyn __rt::Channel>,
            waitset: &__rt::Waitset,
            rx: impl Handlers,
        ) -> __rt::io::Result<Self> {
            __rt::Endpoint::attach(channel, waitset, INTERFACE, rx.__deliver()).map(Self)
        }
        /// Sends a message that is a value, which stays as it is: capabilities are copied, also those that would be given
        /// away.
        ///
        /// # Errors
        /// As the `tx_*` method of the message.
        #[inline]
        pub fn tx(
            &self,
            message: &Message,
        ) -> __rt::core::result::Result<__rt::Sent<'_>, __rt::TxError> {
            self.0.send_message(message)
        }
        /// Waits for the next message of the [`Inbox`] that the binding was made with. The future gives an error when the
        /// binding has ended, after everything that came before.
        #[inline]
        pub fn recv(&self) -> __rt::Receiving<'_, Message> {
            self.0.recv()
        }
        /// The messages of the [`Inbox`] that the binding was made with, as a stream, until the binding has ended.
        #[inline]
        pub fn messages(&self) -> __rt::Messages<'_, Message> {
            self.0.messages()
        }
        /// As `recv`, for the next `builtins(bool a, char b, int32 c, int8 d, int16 e, int32 f, int64 g, uint8 h, uint16 i, uint32 j, uint64 k, intptr l, uintptr m, uintptr n, iref o, errval p, float q, double r)`; others are kept.
        #[inline]
        pub fn recv_builtins(
            &self,
        ) -> __rt::Receiving<
            '_,
            (
                bool,
                u8,
                i32,
                i8,
                i16,
                i32,
                i64,
                u8,
                u16,
                u32,
                u64,
                isize,
                usize,
                usize,
                __rt::Iref,
                __rt::Errval,
                f32,
                f64,
            ),
        > {
            self.0.recv_one(1, (__REC_1.words, __REC_1.used), Message::__read_1)
        }
        /// As `recv`, for the next `values(choice c, item i, pair p, row r, rows q, old_item o, pose s, thing t)`; others are kept.
        #[inline]
        pub fn recv_values(
            &self,
        ) -> __rt::Receiving<'_, (Choice, Item, Pair, Row, Rows, OldItem, Pose, Thing)> {
            self.0.recv_one(2, (__REC_2.words, __REC_2.used), Message::__read_2)
        }
        /// As `recv`, for the next `arrays(uint8 a[a_len, 65536], bool b[b_len, 16], string c[c_len, 4], item d[d_len, 8], pose e[e_len, 65536], row f[f_len, 65536])`; others are kept.
        #[inline]
        pub fn recv_arrays(
            &self,
        ) -> __rt::Receiving<
            '_,
            (
                __rt::Vec<u8>,
                __rt::Vec<bool>,
                __rt::Vec<__rt::String>,
                __rt::Vec<Item>,
                __rt::Vec<Pose>,
                __rt::Vec<Row>,
            ),
        > {
            self.0.recv_one(3, (__REC_3.words, __REC_3.used), Message::__read_3)
        }
        /// As `recv`, for the next `annotated(uint8 buf[len, 65536])`; others are kept.
        #[inline]
        pub fn recv_annotated(&self) -> __rt::Receiving<'_, __rt::Vec<u8>> {
            self.0.recv_one(4, (__REC_4.words, __REC_4.used), Message::__read_4)
        }
        /// As `recv`, for the next `type(string fn)`; others are kept.
        #[inline]
        pub fn recv_type(&self) -> __rt::Receiving<'_, __rt::String> {
            self.0.recv_one(5, (__REC_5.words, __REC_5.used), Message::__read_5)
        }
        /// As `recv`, for the next `none()`; others are kept.
        #[inline]
        pub fn recv_none(&self) -> __rt::Receiving<'_, ()> {
            self.0.recv_one(6, (__REC_6.words, __REC_6.used), Message::__read_6)
        }
        /// Sends `builtins(bool a, char b, int32 c, int8 d, int16 e, int32 f, int64 g, uint8 h, uint16 i, uint32 j, uint64 k, intptr l, uintptr m, uintptr n, iref o, errval p, float q, double r)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        #[inline]
        pub fn tx_builtins(
            &self,
            a: bool,
            b: u8,
            c: i32,
            d: i8,
            e: i16,
            f: i32,
            g: i64,
            h: u8,
            i: u16,
            j: u32,
            k: u64,
            l: isize,
            m: usize,
            n: usize,
            o: __rt::Iref,
            p: __rt::Errval,
            q: f32,
            r: f64,
        ) -> __rt::core::result::Result<__rt::Sent<'_>, __rt::TxError> {
            let mut __words = [0u64; __REC_1.words];
            __rt::Encode::put(&a, &mut __words, __REC_1.at[0]);
            __rt::Encode::put(&b, &mut __words, __REC_1.at[1]);
            __rt::Encode::put(&c, &mut __words, __REC_1.at[2]);
            __rt::Encode::put(&d, &mut __words, __REC_1.at[3]);
            __rt::Encode::put(&e, &mut __words, __REC_1.at[4]);
            __rt::Encode::put(&f, &mut __words, __REC_1.at[5]);
            __rt::Encode::put(&g, &mut __words, __REC_1.at[6]);
            __rt::Encode::put(&h, &mut __words, __REC_1.at[7]);
            __rt::Encode::put(&i, &mut __words, __REC_1.at[8]);
            __rt::Encode::put(&j, &mut __words, __REC_1.at[9]);
            __rt::Encode::put(&k, &mut __words, __REC_1.at[10]);
            __rt::Encode::put(&l, &mut __words, __REC_1.at[11]);
            __rt::Encode::put(&m, &mut __words, __REC_1.at[12]);
            __rt::Encode::put(&n, &mut __words, __REC_1.at[13]);
            __rt::Encode::put(&o, &mut __words, __REC_1.at[14]);
            __rt::Encode::put(&p, &mut __words, __REC_1.at[15]);
            __rt::Encode::put(&q, &mut __words, __REC_1.at[16]);
            __rt::Encode::put(&r, &mut __words, __REC_1.at[17]);
            self.0.send(1, &__words, &[])
        }
        /// Sends `builtins(bool a, char b, int32 c, int8 d, int16 e, int32 f, int64 g, uint8 h, uint16 i, uint32 j, uint64 k, intptr l, uintptr m, uintptr n, iref o, errval p, float q, double r)`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, or a value is over its maximum. Nothing is sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        pub async fn send_builtins(
            &self,
            a: bool,
            b: u8,
            c: i32,
            d: i8,
            e: i16,
            f: i32,
            g: i64,
            h: u8,
            i: u16,
            j: u32,
            k: u64,
            l: isize,
            m: usize,
            n: usize,
            o: __rt::Iref,
            p: __rt::Errval,
            q: f32,
            r: f64,
        ) -> __rt::core::result::Result<(), __rt::TxError> {
            __rt::sending(
                    &self.0,
                    || {
                        self
                            .tx_builtins(
                                a,
                                b,
                                c,
                                d,
                                e,
                                f,
                                g,
                                h,
                                i,
                                j,
                                k,
                                l,
                                m,
                                n,
                                o,
                                p,
                                q,
                                r,
                            )
                            .map(__rt::core::mem::drop)
                    },
                )
                .await
        }
        /// Sends `values(choice c, item i, pair p, row r, rows q, old_item o, pose s, thing t)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        #[inline]
        pub fn tx_values(
            &self,
            c: Choice,
            i: &Item,
            p: Pair,
            r: &Row,
            q: &Rows,
            o: &OldItem,
            s: &Pose,
            t: &Thing,
        ) -> __rt::core::result::Result<__rt::Sent<'_>, __rt::TxError> {
            if let __rt::core::result::Result::Err(__error) = __rt::Encode::check(i) {
                return __rt::core::result::Result::Err(
                    __rt::TxError::too_long("i", __error),
                );
            }
            if let __rt::core::result::Result::Err(__error) = __rt::Encode::check(o) {
                return __rt::core::result::Result::Err(
                    __rt::TxError::too_long("o", __error),
                );
            }
            if let __rt::core::result::Result::Err(__error) = __rt::Encode::check(s) {
                return __rt::core::result::Result::Err(
                    __rt::TxError::too_long("s", __error),
                );
            }
            if let __rt::core::result::Result::Err(__error) = __rt::Encode::check(t) {
                return __rt::core::result::Result::Err(
                    __rt::TxError::too_long("t", __error),
                );
            }
            let mut __words = [0u64; __REC_2.words];
            __rt::Encode::put(&c, &mut __words, __REC_2.at[0]);
            __rt::Encode::put(i, &mut __words, __REC_2.at[1]);
            __rt::Encode::put(&p, &mut __words, __REC_2.at[2]);
            __rt::Encode::put(r, &mut __words, __REC_2.at[3]);
            __rt::Encode::put(q, &mut __words, __REC_2.at[4]);
            __rt::Encode::put(o, &mut __words, __REC_2.at[5]);
            __rt::Encode::put(s, &mut __words, __REC_2.at[6]);
            __rt::Encode::put(t, &mut __words, __REC_2.at[7]);
            let mut __tail_i = __rt::Vec::new();
            __rt::Encode::put_tail(i, &mut __tail_i);
            let mut __tail_o = __rt::Vec::new();
            __rt::Encode::put_tail(o, &mut __tail_o);
            let mut __tail_s = __rt::Vec::new();
            __rt::Encode::put_tail(s, &mut __tail_s);
            let mut __tail_t = __rt::Vec::new();
            __rt::Encode::put_tail(t, &mut __tail_t);
            let mut __caps = __rt::Vec::new();
            if let __rt::core::result::Result::Err(__error) = __rt::Encode::put_caps(
                s,
                &mut __caps,
            ) {
                return __rt::core::result::Result::Err(self.0.cap_copy(__error));
            }
            if let __rt::core::result::Result::Err(__error) = __rt::Encode::put_caps(
                t,
                &mut __caps,
            ) {
                return __rt::core::result::Result::Err(self.0.cap_copy(__error));
            }
            self.0
                .send_caps(
                    2,
                    &__words,
                    &[
                        __rt::plain_bytes(&__tail_i),
                        __rt::plain_bytes(&__tail_o),
                        __rt::plain_bytes(&__tail_s),
                        __rt::plain_bytes(&__tail_t),
                    ],
                    &mut __caps,
                )
        }
        /// Sends `values(choice c, item i, pair p, row r, rows q, old_item o, pose s, thing t)`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        pub async fn send_values(
            &self,
            c: Choice,
            i: &Item,
            p: Pair,
            r: &Row,
            q: &Rows,
            o: &OldItem,
            s: &Pose,
            t: &Thing,
        ) -> __rt::core::result::Result<(), __rt::TxError> {
            __rt::sending(
                    &self.0,
                    || self.tx_values(c, i, p, r, q, o, s, t).map(__rt::core::mem::drop),
                )
                .await
        }
        /// Sends `arrays(uint8 a[a_len, 65536], bool b[b_len, 16], string c[c_len, 4], item d[d_len, 8], pose e[e_len, 65536], row f[f_len, 65536])`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        #[inline]
        pub fn tx_arrays(
            &self,
            a: &[u8],
            b: &[bool],
            c: &[&str],
            d: &[Item],
            e: &[Pose],
            f: &[Row],
        ) -> __rt::core::result::Result<__rt::Sent<'_>, __rt::TxError> {
            if let __rt::core::result::Result::Err(__error) = __rt::Bounded::<
                65536u32,
            >::check_bound(a) {
                return __rt::core::result::Result::Err(
                    __rt::TxError::too_long("a", __error),
                );
            }
            if let __rt::core::result::Result::Err(__error) = __rt::Bounded::<
                16u32,
            >::check_bound(b) {
                return __rt::core::result::Result::Err(
                    __rt::TxError::too_long("b", __error),
                );
            }
            if let __rt::core::result::Result::Err(__error) = __rt::Bounded::<
                4u32,
            >::check_bound(c) {
                return __rt::core::result::Result::Err(
                    __rt::TxError::too_long("c", __error),
                );
            }
            if let __rt::core::result::Result::Err(__error) = __rt::Bounded::<
                8u32,
            >::check_bound(d) {
                return __rt::core::result::Result::Err(
                    __rt::TxError::too_long("d", __error),
                );
            }
            if let __rt::core::result::Result::Err(__error) = __rt::Bounded::<
                65536u32,
            >::check_bound(e) {
                return __rt::core::result::Result::Err(
                    __rt::TxError::too_long("e", __error),
                );
            }
            if let __rt::core::result::Result::Err(__error) = __rt::Bounded::<
                65536u32,
            >::check_bound(f) {
                return __rt::core::result::Result::Err(
                    __rt::TxError::too_long("f", __error),
                );
            }
            let mut __words = [0u64; __REC_3.words];
            __rt::Encode::put(a, &mut __words, __REC_3.at[0]);
            __rt::Encode::put(b, &mut __words, __REC_3.at[1]);
            __rt::Encode::put(c, &mut __words, __REC_3.at[2]);
            __rt::Encode::put(d, &mut __words, __REC_3.at[3]);
            __rt::Encode::put(e, &mut __words, __REC_3.at[4]);
            __rt::Encode::put(f, &mut __words, __REC_3.at[5]);
            let mut __tail_b = __rt::Vec::new();
            __rt::Encode::put_tail(b, &mut __tail_b);
            let mut __tail_c = __rt::Vec::new();
            __rt::Encode::put_tail(c, &mut __tail_c);
            let mut __tail_d = __rt::Vec::new();
            __rt::Encode::put_tail(d, &mut __tail_d);
            let mut __tail_e = __rt::Vec::new();
            __rt::Encode::put_tail(e, &mut __tail_e);
            let mut __tail_f = __rt::Vec::new();
            __rt::Encode::put_tail(f, &mut __tail_f);
            let mut __caps = __rt::Vec::new();
            if let __rt::core::result::Result::Err(__error) = __rt::Encode::put_caps(
                e,
                &mut __caps,
            ) {
                return __rt::core::result::Result::Err(self.0.cap_copy(__error));
            }
            self.0
                .send_caps(
                    3,
                    &__words,
                    &[
                        __rt::plain_bytes(a),
                        __rt::plain_bytes(&__tail_b),
                        __rt::plain_bytes(&__tail_c),
                        __rt::plain_bytes(&__tail_d),
                        __rt::plain_bytes(&__tail_e),
                        __rt::plain_bytes(&__tail_f),
                    ],
                    &mut __caps,
                )
        }
        /// Sends `arrays(uint8 a[a_len, 65536], bool b[b_len, 16], string c[c_len, 4], item d[d_len, 8], pose e[e_len, 65536], row f[f_len, 65536])`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        pub async fn send_arrays(
            &self,
            a: &[u8],
            b: &[bool],
            c: &[&str],
            d: &[Item],
            e: &[Pose],
            f: &[Row],
        ) -> __rt::core::result::Result<(), __rt::TxError> {
            __rt::sending(
                    &self.0,
                    || self.tx_arrays(a, b, c, d, e, f).map(__rt::core::mem::drop),
                )
                .await
        }
        /// Sends `annotated(uint8 buf[len, 65536])`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        #[inline]
        pub fn tx_annotated(
            &self,
            buf: &[u8],
        ) -> __rt::core::result::Result<__rt::Sent<'_>, __rt::TxError> {
            if let __rt::core::result::Result::Err(__error) = __rt::Bounded::<
                65536u32,
            >::check_bound(buf) {
                return __rt::core::result::Result::Err(
                    __rt::TxError::too_long("buf", __error),
                );
            }
            let mut __words = [0u64; __REC_4.words];
            __rt::Encode::put(buf, &mut __words, __REC_4.at[0]);
            self.0.send(4, &__words, &[__rt::plain_bytes(buf)])
        }
        /// Sends `annotated(uint8 buf[len, 65536])`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, or a value is over its maximum. Nothing is sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        pub async fn send_annotated(
            &self,
            buf: &[u8],
        ) -> __rt::core::result::Result<(), __rt::TxError> {
            __rt::sending(&self.0, || self.tx_annotated(buf).map(__rt::core::mem::drop))
                .await
        }
        /// Sends `type(string fn)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        #[inline]
        pub fn tx_type(
            &self,
            r#fn: &str,
        ) -> __rt::core::result::Result<__rt::Sent<'_>, __rt::TxError> {
            if let __rt::core::result::Result::Err(__error) = __rt::Bounded::<
                65536u32,
            >::check_bound(r#fn) {
                return __rt::core::result::Result::Err(
                    __rt::TxError::too_long("fn", __error),
                );
            }
            let mut __words = [0u64; __REC_5.words];
            __rt::Encode::put(r#fn, &mut __words, __REC_5.at[0]);
            self.0.send(5, &__words, &[r#fn.as_bytes()])
        }
        /// Sends `type(string fn)`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, or a value is over its maximum. Nothing is sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        pub async fn send_type(
            &self,
            r#fn: &str,
        ) -> __rt::core::result::Result<(), __rt::TxError> {
            __rt::sending(&self.0, || self.tx_type(r#fn).map(__rt::core::mem::drop))
                .await
        }
        /// Sends `none()`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        #[inline]
        pub fn tx_none(
            &self,
        ) -> __rt::core::result::Result<__rt::Sent<'_>, __rt::TxError> {
            let __words = [0u64; __REC_6.words];
            self.0.send(6, &__words, &[])
        }
        /// Sends `none()`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, or a value is over its maximum. Nothing is sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        pub async fn send_none(&self) -> __rt::core::result::Result<(), __rt::TxError> {
            __rt::sending(&self.0, || self.tx_none().map(__rt::core::mem::drop)).await
        }
    }
    #[automatically_derived]
    impl __rt::core::ops::Deref for Binding {
        type Target = __rt::Endpoint;
        fn deref(&self) -> &__rt::Endpoint {
            &self.0
        }
    }
    /// What one end of `types` does with the messages that it receives.
    ///
    /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down.
    pub trait Rx {
        /// Handles `builtins(bool a, char b, int32 c, int8 d, int16 e, int32 f, int64 g, uint8 h, uint16 i, uint32 j, uint64 k, intptr l, uintptr m, uintptr n, iref o, errval p, float q, double r)`.
        fn builtins(
            &mut self,
            binding: &Binding,
            a: bool,
            b: u8,
            c: i32,
            d: i8,
            e: i16,
            f: i32,
            g: i64,
            h: u8,
            i: u16,
            j: u32,
            k: u64,
            l: isize,
            m: usize,
            n: usize,
            o: __rt::Iref,
            p: __rt::Errval,
            q: f32,
            r: f64,
        );
        /// Handles `values(choice c, item i, pair p, row r, rows q, old_item o, pose s, thing t)`.
        fn values(
            &mut self,
            binding: &Binding,
            c: Choice,
            i: Item,
            p: Pair,
            r: Row,
            q: Rows,
            o: OldItem,
            s: Pose,
            t: Thing,
        );
        /// Handles `arrays(uint8 a[a_len, 65536], bool b[b_len, 16], string c[c_len, 4], item d[d_len, 8], pose e[e_len, 65536], row f[f_len, 65536])`.
        fn arrays(
            &mut self,
            binding: &Binding,
            a: &[u8],
            b: &[bool],
            c: &[&str],
            d: &[Item],
            e: &[Pose],
            f: &[Row],
        );
        /// Handles `annotated(uint8 buf[len, 65536])`.
        fn annotated(&mut self, binding: &Binding, buf: &[u8]);
        /// Handles `type(string fn)`.
        fn r#type(&mut self, binding: &Binding, r#fn: &str);
        /// Handles `none()`.
        fn none(&mut self, binding: &Binding);
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&mut self, binding: &Binding, error: __rt::BindingError) {
            let _ = binding;
            __rt::unhandled_error(INTERFACE, &error);
        }
    }
    struct __Dispatch<__R>(__R);
    impl<__R: Rx> __Dispatch<__R> {
        #[inline]
        fn __deliver_1(
            &mut self,
            __endpoint: &__rt::Endpoint,
            __message: __rt::Received<'_>,
        ) -> __rt::core::result::Result<(), __rt::DecodeError> {
            let mut __source = __rt::Source::new(
                __message.words,
                __message.caps,
                __REC_1.words,
            )?;
            let a = <bool as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[0])?;
            let b = <u8 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[1])?;
            let c = <i32 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[2])?;
            let d = <i8 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[3])?;
            let e = <i16 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[4])?;
            let f = <i32 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[5])?;
            let g = <i64 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[6])?;
            let h = <u8 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[7])?;
            let i = <u16 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[8])?;
            let j = <u32 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[9])?;
            let k = <u64 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[10])?;
            let l = <isize as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[11])?;
            let m = <usize as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[12])?;
            let n = <usize as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[13])?;
            let o = <__rt::Iref as __rt::Decode<
                '_,
            >>::take(&mut __source, __REC_1.at[14])?;
            let p = <__rt::Errval as __rt::Decode<
                '_,
            >>::take(&mut __source, __REC_1.at[15])?;
            let q = <f32 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[16])?;
            let r = <f64 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[17])?;
            __source.zero(__REC_1.used, __REC_1.words * 8 - __REC_1.used)?;
            __source.finish()?;
            Rx::builtins(
                &mut self.0,
                &Binding(__rt::core::clone::Clone::clone(__endpoint)),
                a,
                b,
                c,
                d,
                e,
                f,
                g,
                h,
                i,
                j,
                k,
                l,
                m,
                n,
                o,
                p,
                q,
                r,
            );
            __rt::core::result::Result::Ok(())
        }
        #[inline]
        fn __deliver_2(
            &mut self,
            __endpoint: &__rt::Endpoint,
            __message: __rt::Received<'_>,
        ) -> __rt::core::result::Result<(), __rt::DecodeError> {
            let mut __source = __rt::Source::new(
                __message.words,
                __message.caps,
                __REC_2.words,
            )?;
            let c = <Choice as __rt::Decode<'_>>::take(&mut __source, __REC_2.at[0])?;
            let i = <Item as __rt::Decode<'_>>::take(&mut __source, __REC_2.at[1])?;
            let p = <Pair as __rt::Decode<'_>>::take(&mut __source, __REC_2.at[2])?;
            let r = <Row as __rt::Decode<'_>>::take(&mut __source, __REC_2.at[3])?;
            let q = <Rows as __rt::Decode<'_>>::take(&mut __source, __REC_2.at[4])?;
            let o = <OldItem as __rt::Decode<'_>>::take(&mut __source, __REC_2.at[5])?;
            let s = <Pose as __rt::Decode<'_>>::take(&mut __source, __REC_2.at[6])?;
            let t = <Thing as __rt::Decode<'_>>::take(&mut __source, __REC_2.at[7])?;
            __source.zero(__REC_2.used, __REC_2.words * 8 - __REC_2.used)?;
            __source.finish()?;
            Rx::values(
                &mut self.0,
                &Binding(__rt::core::clone::Clone::clone(__endpoint)),
                c,
                i,
                p,
                r,
                q,
                o,
                s,
                t,
            );
            __rt::core::result::Result::Ok(())
        }
        #[inline]
        fn __deliver_3(
            &mut self,
            __endpoint: &__rt::Endpoint,
            __message: __rt::Received<'_>,
        ) -> __rt::core::result::Result<(), __rt::DecodeError> {
            let mut __source = __rt::Source::new(
                __message.words,
                __message.caps,
                __REC_3.words,
            )?;
            let a = <&[u8] as __rt::TakeBounded<
                '_,
                65536u32,
            >>::take_bounded(&mut __source, __REC_3.at[0])?;
            let b = <__rt::Vec<
                bool,
            > as __rt::TakeBounded<
                '_,
                16u32,
            >>::take_bounded(&mut __source, __REC_3.at[1])?;
            let c = <__rt::Vec<
                &str,
            > as __rt::TakeBounded<
                '_,
                4u32,
            >>::take_bounded(&mut __source, __REC_3.at[2])?;
            let d = <__rt::Vec<
                Item,
            > as __rt::TakeBounded<
                '_,
                8u32,
            >>::take_bounded(&mut __source, __REC_3.at[3])?;
            let e = <__rt::Vec<
                Pose,
            > as __rt::TakeBounded<
                '_,
                65536u32,
            >>::take_bounded(&mut __source, __REC_3.at[4])?;
            let f = <__rt::Vec<
                Row,
            > as __rt::TakeBounded<
                '_,
                65536u32,
            >>::take_bounded(&mut __source, __REC_3.at[5])?;
            __source.zero(__REC_3.used, __REC_3.words * 8 - __REC_3.used)?;
            __source.finish()?;
            Rx::arrays(
                &mut self.0,
                &Binding(__rt::core::clone::Clone::clone(__endpoint)),
                a,
                &b,
                &c,
                &d,
                &e,
                &f,
            );
            __rt::core::result::Result::Ok(())
        }
        #[inline]
        fn __deliver_4(
            &mut self,
            __endpoint: &__rt::Endpoint,
            __message: __rt::Received<'_>,
        ) -> __rt::core::result::Result<(), __rt::DecodeError> {
            let mut __source = __rt::Source::new(
                __message.words,
                __message.caps,
                __REC_4.words,
            )?;
            let buf = <&[u8] as __rt::TakeBounded<
                '_,
                65536u32,
            >>::take_bounded(&mut __source, __REC_4.at[0])?;
            __source.zero(__REC_4.used, __REC_4.words * 8 - __REC_4.used)?;
            __source.finish()?;
            Rx::annotated(
                &mut self.0,
                &Binding(__rt::core::clone::Clone::clone(__endpoint)),
                buf,
            );
            __rt::core::result::Result::Ok(())
        }
        #[inline]
        fn __deliver_5(
            &mut self,
            __endpoint: &__rt::Endpoint,
            __message: __rt::Received<'_>,
        ) -> __rt::core::result::Result<(), __rt::DecodeError> {
            let mut __source = __rt::Source::new(
                __message.words,
                __message.caps,
                __REC_5.words,
            )?;
            let r#fn = <&str as __rt::TakeBounded<
                '_,
                65536u32,
            >>::take_bounded(&mut __source, __REC_5.at[0])?;
            __source.zero(__REC_5.used, __REC_5.words * 8 - __REC_5.used)?;
            __source.finish()?;
            Rx::r#type(
                &mut self.0,
                &Binding(__rt::core::clone::Clone::clone(__endpoint)),
                r#fn,
            );
            __rt::core::result::Result::Ok(())
        }
        #[inline]
        fn __deliver_6(
            &mut self,
            __endpoint: &__rt::Endpoint,
            __message: __rt::Received<'_>,
        ) -> __rt::core::result::Result<(), __rt::DecodeError> {
            let __source = __rt::Source::new(
                __message.words,
                __message.caps,
                __REC_6.words,
            )?;
            __source.zero(__REC_6.used, __REC_6.words * 8 - __REC_6.used)?;
            __source.finish()?;
            Rx::none(&mut self.0, &Binding(__rt::core::clone::Clone::clone(__endpoint)));
            __rt::core::result::Result::Ok(())
        }
    }
    #[automatically_derived]
    impl<__R: Rx> __rt::Deliver for __Dispatch<__R> {
        fn deliver(
            &mut self,
            __endpoint: &__rt::Endpoint,
            __message: __rt::Received<'_>,
        ) -> __rt::core::result::Result<(), __rt::DecodeError> {
            match __message.number {
                1 => self.__deliver_1(__endpoint, __message),
                2 => self.__deliver_2(__endpoint, __message),
                3 => self.__deliver_3(__endpoint, __message),
                4 => self.__deliver_4(__endpoint, __message),
                5 => self.__deliver_5(__endpoint, __message),
                6 => self.__deliver_6(__endpoint, __message),
                __number => {
                    __rt::core::result::Result::Err(__rt::unknown_message(__number))
                }
            }
        }
        fn error(&mut self, __endpoint: &__rt::Endpoint, __error: __rt::BindingError) {
            Rx::error(
                &mut self.0,
                &Binding(__rt::core::clone::Clone::clone(__endpoint)),
                __error,
            );
        }
    }
    /// Handlers of `types` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::core::prelude::v1::derive(__rt::core::default::Default)]
    pub struct RxVtbl {
        /// Handles `builtins(bool a, char b, int32 c, int8 d, int16 e, int32 f, int64 g, uint8 h, uint16 i, uint32 j, uint64 k, intptr l, uintptr m, uintptr n, iref o, errval p, float q, double r)`.
        pub builtins: __rt::core::option::Option<
            __rt::Box<
                dyn __rt::core::ops::FnMut(
                    &Binding,
                    bool,
                    u8,
                    i32,
                    i8,
                    i16,
                    i32,
                    i64,
                    u8,
                    u16,
                    u32,
                    u64,
                    isize,
                    usize,
                    usize,
                    __rt::Iref,
                    __rt::Errval,
                    f32,
                    f64,
                ),
            >,
        >,
        /// Handles `values(choice c, item i, pair p, row r, rows q, old_item o, pose s, thing t)`.
        pub values: __rt::core::option::Option<
            __rt::Box<
                dyn __rt::core::ops::FnMut(
                    &Binding,
                    Choice,
                    Item,
                    Pair,
                    Row,
                    Rows,
                    OldItem,
                    Pose,
                    Thing,
                ),
            >,
        >,
        /// Handles `arrays(uint8 a[a_len, 65536], bool b[b_len, 16], string c[c_len, 4], item d[d_len, 8], pose e[e_len, 65536], row f[f_len, 65536])`.
        pub arrays: __rt::core::option::Option<
            __rt::Box<
                dyn __rt::core::ops::FnMut(
                    &Binding,
                    &[u8],
                    &[bool],
                    &[&str],
                    &[Item],
                    &[Pose],
                    &[Row],
                ),
            >,
        >,
        /// Handles `annotated(uint8 buf[len, 65536])`.
        pub annotated: __rt::core::option::Option<
            __rt::Box<dyn __rt::core::ops::FnMut(&Binding, &[u8])>,
        >,
        /// Handles `type(string fn)`.
        pub r#type: __rt::core::option::Option<
            __rt::Box<dyn __rt::core::ops::FnMut(&Binding, &str)>,
        >,
        /// Handles `none()`.
        pub none: __rt::core::option::Option<
            __rt::Box<dyn __rt::core::ops::FnMut(&Binding)>,
        >,
        /// Something went wrong with the binding. Without it, the error is logged.
        pub error: __rt::core::option::Option<
            __rt::Box<dyn __rt::core::ops::FnMut(&Binding, __rt::BindingError)>,
        >,
    }
    #[automatically_derived]
    impl __rt::core::fmt::Debug for RxVtbl {
        fn fmt(
            &self,
            __f: &mut __rt::core::fmt::Formatter<'_>,
        ) -> __rt::core::fmt::Result {
            __f.debug_struct("RxVtbl").finish_non_exhaustive()
        }
    }
    #[automatically_derived]
    impl Rx for RxVtbl {
        fn builtins(
            &mut self,
            binding: &Binding,
            a: bool,
            b: u8,
            c: i32,
            d: i8,
            e: i16,
            f: i32,
            g: i64,
            h: u8,
            i: u16,
            j: u32,
            k: u64,
            l: isize,
            m: usize,
            n: usize,
            o: __rt::Iref,
            p: __rt::Errval,
            q: f32,
            r: f64,
        ) {
            if let __rt::core::option::Option::Some(__handler) = &mut self.builtins {
                return __handler(
                    binding,
                    a,
                    b,
                    c,
                    d,
                    e,
                    f,
                    g,
                    h,
                    i,
                    j,
                    k,
                    l,
                    m,
                    n,
                    o,
                    p,
                    q,
                    r,
                );
            }
            Rx::error(
                self,
                binding,
                __rt::BindingError::NoHandler {
                    message: "builtins",
                },
            );
        }
        fn values(
            &mut self,
            binding: &Binding,
            c: Choice,
            i: Item,
            p: Pair,
            r: Row,
            q: Rows,
            o: OldItem,
            s: Pose,
            t: Thing,
        ) {
            if let __rt::core::option::Option::Some(__handler) = &mut self.values {
                return __handler(binding, c, i, p, r, q, o, s, t);
            }
            Rx::error(
                self,
                binding,
                __rt::BindingError::NoHandler {
                    message: "values",
                },
            );
        }
        fn arrays(
            &mut self,
            binding: &Binding,
            a: &[u8],
            b: &[bool],
            c: &[&str],
            d: &[Item],
            e: &[Pose],
            f: &[Row],
        ) {
            if let __rt::core::option::Option::Some(__handler) = &mut self.arrays {
                return __handler(binding, a, b, c, d, e, f);
            }
            Rx::error(
                self,
                binding,
                __rt::BindingError::NoHandler {
                    message: "arrays",
                },
            );
        }
        fn annotated(&mut self, binding: &Binding, buf: &[u8]) {
            if let __rt::core::option::Option::Some(__handler) = &mut self.annotated {
                return __handler(binding, buf);
            }
            Rx::error(
                self,
                binding,
                __rt::BindingError::NoHandler {
                    message: "annotated",
                },
            );
        }
        fn r#type(&mut self, binding: &Binding, r#fn: &str) {
            if let __rt::core::option::Option::Some(__handler) = &mut self.r#type {
                return __handler(binding, r#fn);
            }
            Rx::error(
                self,
                binding,
                __rt::BindingError::NoHandler {
                    message: "type",
                },
            );
        }
        fn none(&mut self, binding: &Binding) {
            if let __rt::core::option::Option::Some(__handler) = &mut self.none {
                return __handler(binding);
            }
            Rx::error(
                self,
                binding,
                __rt::BindingError::NoHandler {
                    message: "none",
                },
            );
        }
        fn error(&mut self, binding: &Binding, error: __rt::BindingError) {
            match &mut self.error {
                __rt::core::option::Option::Some(__handler) => __handler(binding, error),
                __rt::core::option::Option::None => {
                    __rt::unhandled_error(INTERFACE, &error)
                }
            }
        }
    }
    /// What can be put behind a binding of `types`: an [`Rx`], an [`AsyncRx`] in [`Async`], or an [`Inbox`].
    pub trait Handlers: 'static {
        #[doc(hidden)]
        fn __deliver(self) -> __rt::Box<dyn __rt::Deliver>;
    }
    #[automatically_derived]
    impl<__R: Rx + 'static> Handlers for __R {
        fn __deliver(self) -> __rt::Box<dyn __rt::Deliver> {
            __rt::Box::new(__Dispatch(self))
        }
    }
    /// What one end of `types` does with the messages that it receives, as futures.
    ///
    /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
    /// returns is the reply: one that returns an error, or panics, tells the caller that there will be none. When the
    /// caller gives up, the handler is dropped where it waits.
    pub trait AsyncRx {
        /// Handles `builtins(bool a, char b, int32 c, int8 d, int16 e, int32 f, int64 g, uint8 h, uint16 i, uint32 j, uint64 k, intptr l, uintptr m, uintptr n, iref o, errval p, float q, double r)`.
        async fn builtins(
            &self,
            binding: &Binding,
            a: bool,
            b: u8,
            c: i32,
            d: i8,
            e: i16,
            f: i32,
            g: i64,
            h: u8,
            i: u16,
            j: u32,
            k: u64,
            l: isize,
            m: usize,
            n: usize,
            o: __rt::Iref,
            p: __rt::Errval,
            q: f32,
            r: f64,
        );
        /// Handles `values(choice c, item i, pair p, row r, rows q, old_item o, pose s, thing t)`.
        async fn values(
            &self,
            binding: &Binding,
            c: Choice,
            i: Item,
            p: Pair,
            r: Row,
            q: Rows,
            o: OldItem,
            s: Pose,
            t: Thing,
        );
        /// Handles `arrays(uint8 a[a_len, 65536], bool b[b_len, 16], string c[c_len, 4], item d[d_len, 8], pose e[e_len, 65536], row f[f_len, 65536])`.
        async fn arrays(
            &self,
            binding: &Binding,
            a: __rt::Vec<u8>,
            b: __rt::Vec<bool>,
            c: __rt::Vec<__rt::String>,
            d: __rt::Vec<Item>,
            e: __rt::Vec<Pose>,
            f: __rt::Vec<Row>,
        );
        /// Handles `annotated(uint8 buf[len, 65536])`.
        async fn annotated(&self, binding: &Binding, buf: __rt::Vec<u8>);
        /// Handles `type(string fn)`.
        async fn r#type(&self, binding: &Binding, r#fn: __rt::String);
        /// Handles `none()`.
        async fn none(&self, binding: &Binding);
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&self, binding: &Binding, error: __rt::BindingError) {
            let _ = binding;
            __rt::unhandled_error(INTERFACE, &error);
        }
    }
    /// Puts an [`AsyncRx`] behind a binding.
    #[__rt::core::prelude::v1::derive(__rt::core::fmt::Debug)]
    pub struct Async<S>(pub S);
    #[automatically_derived]
    impl<__R: AsyncRx + 'static> Handlers for Async<__R> {
        fn __deliver(self) -> __rt::Box<dyn __rt::Deliver> {
            __rt::Box::new(__AsyncDispatch(__rt::Rc::new(self.0)))
        }
    }
    struct __AsyncDispatch<__R>(__rt::Rc<__R>);
    impl<__R: AsyncRx + 'static> __AsyncDispatch<__R> {
        #[inline]
        fn __deliver_1(
            &mut self,
            __endpoint: &__rt::Endpoint,
            __message: __rt::Received<'_>,
        ) -> __rt::core::result::Result<(), __rt::DecodeError> {
            let mut __source = __rt::Source::new(
                __message.words,
                __message.caps,
                __REC_1.words,
            )?;
            let a = <bool as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[0])?;
            let b = <u8 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[1])?;
            let c = <i32 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[2])?;
            let d = <i8 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[3])?;
            let e = <i16 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[4])?;
            let f = <i32 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[5])?;
            let g = <i64 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[6])?;
            let h = <u8 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[7])?;
            let i = <u16 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[8])?;
            let j = <u32 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[9])?;
            let k = <u64 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[10])?;
            let l = <isize as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[11])?;
            let m = <usize as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[12])?;
            let n = <usize as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[13])?;
            let o = <__rt::Iref as __rt::Decode<
                '_,
            >>::take(&mut __source, __REC_1.at[14])?;
            let p = <__rt::Errval as __rt::Decode<
                '_,
            >>::take(&mut __source, __REC_1.at[15])?;
            let q = <f32 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[16])?;
            let r = <f64 as __rt::Decode<'_>>::take(&mut __source, __REC_1.at[17])?;
            __source.zero(__REC_1.used, __REC_1.words * 8 - __REC_1.used)?;
            __source.finish()?;
            let __server = __rt::core::clone::Clone::clone(&self.0);
            let __binding = Binding(__rt::core::clone::Clone::clone(__endpoint));
            __endpoint
                .spawn(async move {
                    AsyncRx::builtins(
                            &*__server,
                            &__binding,
                            a,
                            b,
                            c,
                            d,
                            e,
                            f,
                            g,
                            h,
                            i,
                            j,
                            k,
                            l,
                            m,
                            n,
                            o,
                            p,
                            q,
                            r,
                        )
                        .await
                });
            __rt::core::result::Result::Ok(())
        }
        #[inline]
        fn __deliver_2(
            &mut self,
            __endpoint: &__rt::Endpoint,
            __message: __rt::Received<'_>,
        ) -> __rt::core::result::Result<(), __rt::DecodeError> {
            let mut __source = __rt::Source::new(
                __message.words,
                __message.caps,
                __REC_2.words,
            )?;
            let c = <Choice as __rt::Decode<'_>>::take(&mut __source, __REC_2.at[0])?;
            let i = <Item as __rt::Decode<'_>>::take(&mut __source, __REC_2.at[1])?;
            let p = <Pair as __rt::Decode<'_>>::take(&mut __source, __REC_2.at[2])?;
            let r = <Row as __rt::Decode<'_>>::take(&mut __source, __REC_2.at[3])?;
            let q = <Rows as __rt::Decode<'_>>::take(&mut __source, __REC_2.at[4])?;
            let o = <OldItem as __rt::Decode<'_>>::take(&mut __source, __REC_2.at[5])?;
            let s = <Pose as __rt::Decode<'_>>::take(&mut __source, __REC_2.at[6])?;
            let t = <Thing as __rt::Decode<'_>>::take(&mut __source, __REC_2.at[7])?;
            __source.zero(__REC_2.used, __REC_2.words * 8 - __REC_2.used)?;
            __source.finish()?;
            let __server = __rt::core::clone::Clone::clone(&self.0);
            let __binding = Binding(__rt::core::clone::Clone::clone(__endpoint));
            __endpoint
                .spawn(async move {
                    AsyncRx::values(&*__server, &__binding, c, i, p, r, q, o, s, t).await
                });
            __rt::core::result::Result::Ok(())
        }
        #[inline]
        fn __deliver_3(
            &mut self,
            __endpoint: &__rt::Endpoint,
            __message: __rt::Received<'_>,
        ) -> __rt::core::result::Result<(), __rt::DecodeError> {
            let mut __source = __rt::Source::new(
                __message.words,
                __message.caps,
                __REC_3.words,
            )?;
            let a = <__rt::Vec<
                u8,
            > as __rt::TakeBounded<
                '_,
                65536u32,
            >>::take_bounded(&mut __source, __REC_3.at[0])?;
            let b = <__rt::Vec<
                bool,
            > as __rt::TakeBounded<
                '_,
                16u32,
            >>::take_bounded(&mut __source, __REC_3.at[1])?;
            let c = <__rt::Vec<
                __rt::String,
            > as __rt::TakeBounded<
                '_,
                4u32,
            >>::take_bounded(&mut __source, __REC_3.at[2])?;
            let d = <__rt::Vec<
                Item,
            > as __rt::TakeBounded<
                '_,
                8u32,
            >>::take_bounded(&mut __source, __REC_3.at[3])?;
            let e = <__rt::Vec<
                Pose,
            > as __rt::TakeBounded<
                '_,
                65536u32,
            >>::take_bounded(&mut __source, __REC_3.at[4])?;
            let f = <__rt::Vec<
                Row,
            > as __rt::TakeBounded<
                '_,
                65536u32,
            >>::take_bounded(&mut __source, __REC_3.at[5])?;
            __source.zero(__REC_3.used, __REC_3.words * 8 - __REC_3.used)?;
            __source.finish()?;
            let __server = __rt::core::clone::Clone::clone(&self.0);
            let __binding = Binding(__rt::core::clone::Clone::clone(__endpoint));
            __endpoint
                .spawn(async move {
                    AsyncRx::arrays(&*__server, &__binding, a, b, c, d, e, f).await
                });
            __rt::core::result::Result::Ok(())
        }
        #[inline]
        fn __deliver_4(
            &mut self,
            __endpoint: &__rt::Endpoint,
            __message: __rt::Received<'_>,
        ) -> __rt::core::result::Result<(), __rt::DecodeError> {
            let mut __source = __rt::Source::new(
                __message.words,
                __message.caps,
                __REC_4.words,
            )?;
            let buf = <__rt::Vec<
                u8,
            > as __rt::TakeBounded<
                '_,
                65536u32,
            >>::take_bounded(&mut __source, __REC_4.at[0])?;
            __source.zero(__REC_4.used, __REC_4.words * 8 - __REC_4.used)?;
            __source.finish()?;
            let __server = __rt::core::clone::Clone::clone(&self.0);
            let __binding = Binding(__rt::core::clone::Clone::clone(__endpoint));
            __endpoint
                .spawn(async move {
                    AsyncRx::annotated(&*__server, &__binding, buf).await
                });
            __rt::core::result::Result::Ok(())
        }
        #[inline]
        fn __deliver_5(
            &mut self,
            __endpoint: &__rt::Endpoint,
            __message: __rt::Received<'_>,
        ) -> __rt::core::result::Result<(), __rt::DecodeError> {
            let mut __source = __rt::Source::new(
                __message.words,
                __message.caps,
                __REC_5.words,
            )?;
            let r#fn = <__rt::String as __rt::TakeBounded<
                '_,
                65536u32,
            >>::take_bounded(&mut __source, __REC_5.at[0])?;
            __source.zero(__REC_5.used, __REC_5.words * 8 - __REC_5.used)?;
            __source.finish()?;
            let __server = __rt::core::clone::Clone::clone(&self.0);
            let __binding = Binding(__rt::core::clone::Clone::clone(__endpoint));
            __endpoint
                .spawn(async move {
                    AsyncRx::r#type(&*__server, &__binding, r#fn).await
                });
            __rt::core::result::Result::Ok(())
        }
        #[inline]
        fn __deliver_6(
            &mut self,
            __endpoint: &__rt::Endpoint,
            __message: __rt::Received<'_>,
        ) -> __rt::core::result::Result<(), __rt::DecodeError> {
            let __source = __rt::Source::new(
                __message.words,
                __message.caps,
                __REC_6.words,
            )?;
            __source.zero(__REC_6.used, __REC_6.words * 8 - __REC_6.used)?;
            __source.finish()?;
            let __server = __rt::core::clone::Clone::clone(&self.0);
            let __binding = Binding(__rt::core::clone::Clone::clone(__endpoint));
            __endpoint.spawn(async move { AsyncRx::none(&*__server, &__binding).await });
            __rt::core::result::Result::Ok(())
        }
    }
    #[automatically_derived]
    impl<__R: AsyncRx + 'static> __rt::Deliver for __AsyncDispatch<__R> {
        fn deliver(
            &mut self,
            __endpoint: &__rt::Endpoint,
            __message: __rt::Received<'_>,
        ) -> __rt::core::result::Result<(), __rt::DecodeError> {
            match __message.number {
                1 => self.__deliver_1(__endpoint, __message),
                2 => self.__deliver_2(__endpoint, __message),
                3 => self.__deliver_3(__endpoint, __message),
                4 => self.__deliver_4(__endpoint, __message),
                5 => self.__deliver_5(__endpoint, __message),
                6 => self.__deliver_6(__endpoint, __message),
                __number => {
                    __rt::core::result::Result::Err(__rt::unknown_message(__number))
                }
            }
        }
        fn error(&mut self, __endpoint: &__rt::Endpoint, __error: __rt::BindingError) {
            AsyncRx::error(
                &*self.0,
                &Binding(__rt::core::clone::Clone::clone(__endpoint)),
                __error,
            );
        }
    }
    /// One end of a connection that speaks `types`, for any thread.
    ///
    /// It is made by `Binding::shared`. Messages wait in a queue, in order, until the thread of the binding's waitset sends
    /// them. What every such binding can do is on the endpoint that it dereferences to.
    #[__rt::core::prelude::v1::derive(__rt::core::fmt::Debug, __rt::core::clone::Clone)]
    pub struct SharedBinding(__rt::SharedEndpoint);
    impl Binding {
        /// The same end, for other threads. Its handlers stay in this one.
        pub fn shared(&self) -> SharedBinding {
            SharedBinding(self.0.share())
        }
    }
    impl SharedBinding {
        /// Sends `builtins(bool a, char b, int32 c, int8 d, int16 e, int32 f, int64 g, uint8 h, uint16 i, uint32 j, uint64 k, intptr l, uintptr m, uintptr n, iref o, errval p, float q, double r)`.
        pub fn send_builtins(
            &self,
            a: bool,
            b: u8,
            c: i32,
            d: i8,
            e: i16,
            f: i32,
            g: i64,
            h: u8,
            i: u16,
            j: u32,
            k: u64,
            l: isize,
            m: usize,
            n: usize,
            o: __rt::Iref,
            p: __rt::Errval,
            q: f32,
            r: f64,
        ) -> __rt::SharedSend {
            let mut __words = [0u64; __REC_1.words];
            __rt::Encode::put(&a, &mut __words, __REC_1.at[0]);
            __rt::Encode::put(&b, &mut __words, __REC_1.at[1]);
            __rt::Encode::put(&c, &mut __words, __REC_1.at[2]);
            __rt::Encode::put(&d, &mut __words, __REC_1.at[3]);
            __rt::Encode::put(&e, &mut __words, __REC_1.at[4]);
            __rt::Encode::put(&f, &mut __words, __REC_1.at[5]);
            __rt::Encode::put(&g, &mut __words, __REC_1.at[6]);
            __rt::Encode::put(&h, &mut __words, __REC_1.at[7]);
            __rt::Encode::put(&i, &mut __words, __REC_1.at[8]);
            __rt::Encode::put(&j, &mut __words, __REC_1.at[9]);
            __rt::Encode::put(&k, &mut __words, __REC_1.at[10]);
            __rt::Encode::put(&l, &mut __words, __REC_1.at[11]);
            __rt::Encode::put(&m, &mut __words, __REC_1.at[12]);
            __rt::Encode::put(&n, &mut __words, __REC_1.at[13]);
            __rt::Encode::put(&o, &mut __words, __REC_1.at[14]);
            __rt::Encode::put(&p, &mut __words, __REC_1.at[15]);
            __rt::Encode::put(&q, &mut __words, __REC_1.at[16]);
            __rt::Encode::put(&r, &mut __words, __REC_1.at[17]);
            self.0.send(1, &__words, &[], __rt::Vec::new())
        }
        /// Sends `values(choice c, item i, pair p, row r, rows q, old_item o, pose s, thing t)`.
        pub fn send_values(
            &self,
            c: Choice,
            i: &Item,
            p: Pair,
            r: &Row,
            q: &Rows,
            o: &OldItem,
            s: &Pose,
            t: &Thing,
        ) -> __rt::SharedSend {
            if let __rt::core::result::Result::Err(__error) = __rt::Encode::check(i) {
                return __rt::SharedSend::failed(__rt::TxError::too_long("i", __error));
            }
            if let __rt::core::result::Result::Err(__error) = __rt::Encode::check(o) {
                return __rt::SharedSend::failed(__rt::TxError::too_long("o", __error));
            }
            if let __rt::core::result::Result::Err(__error) = __rt::Encode::check(s) {
                return __rt::SharedSend::failed(__rt::TxError::too_long("s", __error));
            }
            if let __rt::core::result::Result::Err(__error) = __rt::Encode::check(t) {
                return __rt::SharedSend::failed(__rt::TxError::too_long("t", __error));
            }
            let mut __words = [0u64; __REC_2.words];
            __rt::Encode::put(&c, &mut __words, __REC_2.at[0]);
            __rt::Encode::put(i, &mut __words, __REC_2.at[1]);
            __rt::Encode::put(&p, &mut __words, __REC_2.at[2]);
            __rt::Encode::put(r, &mut __words, __REC_2.at[3]);
            __rt::Encode::put(q, &mut __words, __REC_2.at[4]);
            __rt::Encode::put(o, &mut __words, __REC_2.at[5]);
            __rt::Encode::put(s, &mut __words, __REC_2.at[6]);
            __rt::Encode::put(t, &mut __words, __REC_2.at[7]);
            let mut __tail_i = __rt::Vec::new();
            __rt::Encode::put_tail(i, &mut __tail_i);
            let mut __tail_o = __rt::Vec::new();
            __rt::Encode::put_tail(o, &mut __tail_o);
            let mut __tail_s = __rt::Vec::new();
            __rt::Encode::put_tail(s, &mut __tail_s);
            let mut __tail_t = __rt::Vec::new();
            __rt::Encode::put_tail(t, &mut __tail_t);
            let mut __caps = __rt::Vec::new();
            if let __rt::core::result::Result::Err(__error) = __rt::Encode::put_caps(
                s,
                &mut __caps,
            ) {
                return __rt::SharedSend::failed(self.0.cap_copy(__error));
            }
            if let __rt::core::result::Result::Err(__error) = __rt::Encode::put_caps(
                t,
                &mut __caps,
            ) {
                return __rt::SharedSend::failed(self.0.cap_copy(__error));
            }
            self.0
                .send(
                    2,
                    &__words,
                    &[
                        __rt::plain_bytes(&__tail_i),
                        __rt::plain_bytes(&__tail_o),
                        __rt::plain_bytes(&__tail_s),
                        __rt::plain_bytes(&__tail_t),
                    ],
                    __caps,
                )
        }
        /// Sends `arrays(uint8 a[a_len, 65536], bool b[b_len, 16], string c[c_len, 4], item d[d_len, 8], pose e[e_len, 65536], row f[f_len, 65536])`.
        pub fn send_arrays(
            &self,
            a: &[u8],
            b: &[bool],
            c: &[&str],
            d: &[Item],
            e: &[Pose],
            f: &[Row],
        ) -> __rt::SharedSend {
            if let __rt::core::result::Result::Err(__error) = __rt::Bounded::<
                65536u32,
            >::check_bound(a) {
                return __rt::SharedSend::failed(__rt::TxError::too_long("a", __error));
            }
            if let __rt::core::result::Result::Err(__error) = __rt::Bounded::<
                16u32,
            >::check_bound(b) {
                return __rt::SharedSend::failed(__rt::TxError::too_long("b", __error));
            }
            if let __rt::core::result::Result::Err(__error) = __rt::Bounded::<
                4u32,
            >::check_bound(c) {
                return __rt::SharedSend::failed(__rt::TxError::too_long("c", __error));
            }
            if let __rt::core::result::Result::Err(__error) = __rt::Bounded::<
                8u32,
            >::check_bound(d) {
                return __rt::SharedSend::failed(__rt::TxError::too_long("d", __error));
            }
            if let __rt::core::result::Result::Err(__error) = __rt::Bounded::<
                65536u32,
            >::check_bound(e) {
                return __rt::SharedSend::failed(__rt::TxError::too_long("e", __error));
            }
            if let __rt::core::result::Result::Err(__error) = __rt::Bounded::<
                65536u32,
            >::check_bound(f) {
                return __rt::SharedSend::failed(__rt::TxError::too_long("f", __error));
            }
            let mut __words = [0u64; __REC_3.words];
            __rt::Encode::put(a, &mut __words, __REC_3.at[0]);
            __rt::Encode::put(b, &mut __words, __REC_3.at[1]);
            __rt::Encode::put(c, &mut __words, __REC_3.at[2]);
            __rt::Encode::put(d, &mut __words, __REC_3.at[3]);
            __rt::Encode::put(e, &mut __words, __REC_3.at[4]);
            __rt::Encode::put(f, &mut __words, __REC_3.at[5]);
            let mut __tail_b = __rt::Vec::new();
            __rt::Encode::put_tail(b, &mut __tail_b);
            let mut __tail_c = __rt::Vec::new();
            __rt::Encode::put_tail(c, &mut __tail_c);
            let mut __tail_d = __rt::Vec::new();
            __rt::Encode::put_tail(d, &mut __tail_d);
            let mut __tail_e = __rt::Vec::new();
            __rt::Encode::put_tail(e, &mut __tail_e);
            let mut __tail_f = __rt::Vec::new();
            __rt::Encode::put_tail(f, &mut __tail_f);
            let mut __caps = __rt::Vec::new();
            if let __rt::core::result::Result::Err(__error) = __rt::Encode::put_caps(
                e,
                &mut __caps,
            ) {
                return __rt::SharedSend::failed(self.0.cap_copy(__error));
            }
            self.0
                .send(
                    3,
                    &__words,
                    &[
                        __rt::plain_bytes(a),
                        __rt::plain_bytes(&__tail_b),
                        __rt::plain_bytes(&__tail_c),
                        __rt::plain_bytes(&__tail_d),
                        __rt::plain_bytes(&__tail_e),
                        __rt::plain_bytes(&__tail_f),
                    ],
                    __caps,
                )
        }
        /// Sends `annotated(uint8 buf[len, 65536])`.
        pub fn send_annotated(&self, buf: &[u8]) -> __rt::SharedSend {
            if let __rt::core::result::Result::Err(__error) = __rt::Bounded::<
                65536u32,
            >::check_bound(buf) {
                return __rt::SharedSend::failed(__rt::TxError::too_long("buf", __error));
            }
            let mut __words = [0u64; __REC_4.words];
            __rt::Encode::put(buf, &mut __words, __REC_4.at[0]);
            self.0.send(4, &__words, &[__rt::plain_bytes(buf)], __rt::Vec::new())
        }
        /// Sends `type(string fn)`.
        pub fn send_type(&self, r#fn: &str) -> __rt::SharedSend {
            if let __rt::core::result::Result::Err(__error) = __rt::Bounded::<
                65536u32,
            >::check_bound(r#fn) {
                return __rt::SharedSend::failed(__rt::TxError::too_long("fn", __error));
            }
            let mut __words = [0u64; __REC_5.words];
            __rt::Encode::put(r#fn, &mut __words, __REC_5.at[0]);
            self.0.send(5, &__words, &[r#fn.as_bytes()], __rt::Vec::new())
        }
        /// Sends `none()`.
        pub fn send_none(&self) -> __rt::SharedSend {
            let __words = [0u64; __REC_6.words];
            self.0.send(6, &__words, &[], __rt::Vec::new())
        }
    }
    #[automatically_derived]
    impl __rt::core::ops::Deref for SharedBinding {
        type Target = __rt::SharedEndpoint;
        fn deref(&self) -> &__rt::SharedEndpoint {
            &self.0
        }
    }
    /// Any message of `types`, with all that it carries.
    ///
    /// Two messages are equal if they are the same words. Capabilities cannot be compared: a message that holds one
    /// equals none.
    pub enum Message {
        /// `builtins(bool a, char b, int32 c, int8 d, int16 e, int32 f, int64 g, uint8 h, uint16 i, uint32 j, uint64 k, intptr l, uintptr m, uintptr n, iref o, errval p, float q, double r)`
        Builtins {
            /// `a`
            a: bool,
            /// `b`
            b: u8,
            /// `c`
            c: i32,
            /// `d`
            d: i8,
            /// `e`
            e: i16,
            /// `f`
            f: i32,
            /// `g`
            g: i64,
            /// `h`
            h: u8,
            /// `i`
            i: u16,
            /// `j`
            j: u32,
            /// `k`
            k: u64,
            /// `l`
            l: isize,
            /// `m`
            m: usize,
            /// `n`
            n: usize,
            /// `o`
            o: __rt::Iref,
            /// `p`
            p: __rt::Errval,
            /// `q`
            q: f32,
            /// `r`
            r: f64,
        },
        /// `values(choice c, item i, pair p, row r, rows q, old_item o, pose s, thing t)`
        Values {
            /// `c`
            c: Choice,
            /// `i`
            i: Item,
            /// `p`
            p: Pair,
            /// `r`
            r: Row,
            /// `q`
            q: Rows,
            /// `o`
            o: OldItem,
            /// `s`
            s: Pose,
            /// `t`
            t: Thing,
        },
        /// `arrays(uint8 a[a_len, 65536], bool b[b_len, 16], string c[c_len, 4], item d[d_len, 8], pose e[e_len, 65536], row f[f_len, 65536])`
        Arrays {
            /// `a`
            a: __rt::Vec<u8>,
            /// `b`
            b: __rt::Vec<bool>,
            /// `c`
            c: __rt::Vec<__rt::String>,
            /// `d`
            d: __rt::Vec<Item>,
            /// `e`
            e: __rt::Vec<Pose>,
            /// `f`
            f: __rt::Vec<Row>,
        },
        /// `annotated(uint8 buf[len, 65536])`
        Annotated {
            /// `buf`
            buf: __rt::Vec<u8>,
        },
        /// `type(string fn)`
        Type {
            /// `fn`
            r#fn: __rt::String,
        },
        /// `none()`
        None {},
    }
    impl Message {
        /// The message in words, those that go over the wire. Capabilities are copied.
        ///
        /// # Errors
        /// If a value is over its maximum, or a capability cannot be copied.
        #[inline]
        pub fn encode(
            &self,
        ) -> __rt::core::result::Result<__rt::MessageBuffer, __rt::EncodeError> {
            __rt::MessageBuffer::encode(self)
        }
        /// Reads message `number` from its words and capabilities.
        ///
        /// # Errors
        /// If no sender of the interface writes these words.
        #[inline]
        pub fn decode(
            number: u16,
            words: &[u64],
            mut caps: __rt::Vec<__rt::Cap>,
        ) -> __rt::core::result::Result<Self, __rt::DecodeError> {
            <Self as __rt::MessageValue>::unmarshal(__rt::Received {
                number,
                words,
                caps: &mut caps,
            })
        }
        #[inline]
        fn __read_1(
            __source: &mut __rt::Source<'_>,
        ) -> __rt::core::result::Result<
            (
                bool,
                u8,
                i32,
                i8,
                i16,
                i32,
                i64,
                u8,
                u16,
                u32,
                u64,
                isize,
                usize,
                usize,
                __rt::Iref,
                __rt::Errval,
                f32,
                f64,
            ),
            __rt::DecodeError,
        > {
            let a = <bool as __rt::Decode<'_>>::take(__source, __REC_1.at[0])?;
            let b = <u8 as __rt::Decode<'_>>::take(__source, __REC_1.at[1])?;
            let c = <i32 as __rt::Decode<'_>>::take(__source, __REC_1.at[2])?;
            let d = <i8 as __rt::Decode<'_>>::take(__source, __REC_1.at[3])?;
            let e = <i16 as __rt::Decode<'_>>::take(__source, __REC_1.at[4])?;
            let f = <i32 as __rt::Decode<'_>>::take(__source, __REC_1.at[5])?;
            let g = <i64 as __rt::Decode<'_>>::take(__source, __REC_1.at[6])?;
            let h = <u8 as __rt::Decode<'_>>::take(__source, __REC_1.at[7])?;
            let i = <u16 as __rt::Decode<'_>>::take(__source, __REC_1.at[8])?;
            let j = <u32 as __rt::Decode<'_>>::take(__source, __REC_1.at[9])?;
            let k = <u64 as __rt::Decode<'_>>::take(__source, __REC_1.at[10])?;
            let l = <isize as __rt::Decode<'_>>::take(__source, __REC_1.at[11])?;
            let m = <usize as __rt::Decode<'_>>::take(__source, __REC_1.at[12])?;
            let n = <usize as __rt::Decode<'_>>::take(__source, __REC_1.at[13])?;
            let o = <__rt::Iref as __rt::Decode<'_>>::take(__source, __REC_1.at[14])?;
            let p = <__rt::Errval as __rt::Decode<'_>>::take(__source, __REC_1.at[15])?;
            let q = <f32 as __rt::Decode<'_>>::take(__source, __REC_1.at[16])?;
            let r = <f64 as __rt::Decode<'_>>::take(__source, __REC_1.at[17])?;
            __rt::core::result::Result::Ok((
                a,
                b,
                c,
                d,
                e,
                f,
                g,
                h,
                i,
                j,
                k,
                l,
                m,
                n,
                o,
                p,
                q,
                r,
            ))
        }
        #[inline]
        fn __read_2(
            __source: &mut __rt::Source<'_>,
        ) -> __rt::core::result::Result<
            (Choice, Item, Pair, Row, Rows, OldItem, Pose, Thing),
            __rt::DecodeError,
        > {
            let c = <Choice as __rt::Decode<'_>>::take(__source, __REC_2.at[0])?;
            let i = <Item as __rt::Decode<'_>>::take(__source, __REC_2.at[1])?;
            let p = <Pair as __rt::Decode<'_>>::take(__source, __REC_2.at[2])?;
            let r = <Row as __rt::Decode<'_>>::take(__source, __REC_2.at[3])?;
            let q = <Rows as __rt::Decode<'_>>::take(__source, __REC_2.at[4])?;
            let o = <OldItem as __rt::Decode<'_>>::take(__source, __REC_2.at[5])?;
            let s = <Pose as __rt::Decode<'_>>::take(__source, __REC_2.at[6])?;
            let t = <Thing as __rt::Decode<'_>>::take(__source, __REC_2.at[7])?;
            __rt::core::result::Result::Ok((c, i, p, r, q, o, s, t))
        }
        #[inline]
        fn __read_3(
            __source: &mut __rt::Source<'_>,
        ) -> __rt::core::result::Result<
            (
                __rt::Vec<u8>,
                __rt::Vec<bool>,
                __rt::Vec<__rt::String>,
                __rt::Vec<Item>,
                __rt::Vec<Pose>,
                __rt::Vec<Row>,
            ),
            __rt::DecodeError,
        > {
            let a = <__rt::Vec<
                u8,
            > as __rt::TakeBounded<
                '_,
                65536u32,
            >>::take_bounded(__source, __REC_3.at[0])?;
            let b = <__rt::Vec<
                bool,
            > as __rt::TakeBounded<'_, 16u32>>::take_bounded(__source, __REC_3.at[1])?;
            let c = <__rt::Vec<
                __rt::String,
            > as __rt::TakeBounded<'_, 4u32>>::take_bounded(__source, __REC_3.at[2])?;
            let d = <__rt::Vec<
                Item,
            > as __rt::TakeBounded<'_, 8u32>>::take_bounded(__source, __REC_3.at[3])?;
            let e = <__rt::Vec<
                Pose,
            > as __rt::TakeBounded<
                '_,
                65536u32,
            >>::take_bounded(__source, __REC_3.at[4])?;
            let f = <__rt::Vec<
                Row,
            > as __rt::TakeBounded<
                '_,
                65536u32,
            >>::take_bounded(__source, __REC_3.at[5])?;
            __rt::core::result::Result::Ok((a, b, c, d, e, f))
        }
        #[inline]
        fn __read_4(
            __source: &mut __rt::Source<'_>,
        ) -> __rt::core::result::Result<__rt::Vec<u8>, __rt::DecodeError> {
            let buf = <__rt::Vec<
                u8,
            > as __rt::TakeBounded<
                '_,
                65536u32,
            >>::take_bounded(__source, __REC_4.at[0])?;
            __rt::core::result::Result::Ok(buf)
        }
        #[inline]
        fn __read_5(
            __source: &mut __rt::Source<'_>,
        ) -> __rt::core::result::Result<__rt::String, __rt::DecodeError> {
            let r#fn = <__rt::String as __rt::TakeBounded<
                '_,
                65536u32,
            >>::take_bounded(__source, __REC_5.at[0])?;
            __rt::core::result::Result::Ok(r#fn)
        }
        #[inline]
        fn __read_6(
            __source: &mut __rt::Source<'_>,
        ) -> __rt::core::result::Result<(), __rt::DecodeError> {
            __rt::core::result::Result::Ok(())
        }
    }
    #[automatically_derived]
    impl __rt::MessageValue for Message {
        const INTERFACE: &'static __rt::Interface = INTERFACE;
        #[inline]
        fn visit(&self, __visit: &mut __rt::Visit<'_>) {
            match self {
                Self::Builtins {
                    a,
                    b,
                    c,
                    d,
                    e,
                    f,
                    g,
                    h,
                    i,
                    j,
                    k,
                    l,
                    m,
                    n,
                    o,
                    p,
                    q,
                    r,
                } => {
                    __visit(__rt::Parts {
                        number: 1,
                        variant: "Builtins",
                        at: &__REC_1.at,
                        words: __REC_1.words,
                        fields: &[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r],
                    })
                }
                Self::Values { c, i, p, r, q, o, s, t } => {
                    __visit(__rt::Parts {
                        number: 2,
                        variant: "Values",
                        at: &__REC_2.at,
                        words: __REC_2.words,
                        fields: &[c, i, p, r, q, o, &__rt::Untold(s), &__rt::Untold(t)],
                    })
                }
                Self::Arrays { a, b, c, d, e, f } => {
                    __visit(__rt::Parts {
                        number: 3,
                        variant: "Arrays",
                        at: &__REC_3.at,
                        words: __REC_3.words,
                        fields: &[
                            &__rt::Max::<_, 65536u32>(a),
                            &__rt::Max::<_, 16u32>(b),
                            &__rt::Max::<_, 4u32>(c),
                            &__rt::Max::<_, 8u32>(d),
                            &__rt::Max::<_, 65536u32>(&__rt::Untold(e)),
                            &__rt::Max::<_, 65536u32>(f),
                        ],
                    })
                }
                Self::Annotated { buf } => {
                    __visit(__rt::Parts {
                        number: 4,
                        variant: "Annotated",
                        at: &__REC_4.at,
                        words: __REC_4.words,
                        fields: &[&__rt::Max::<_, 65536u32>(buf)],
                    })
                }
                Self::Type { r#fn } => {
                    __visit(__rt::Parts {
                        number: 5,
                        variant: "Type",
                        at: &__REC_5.at,
                        words: __REC_5.words,
                        fields: &[&__rt::Max::<_, 65536u32>(r#fn)],
                    })
                }
                Self::None {} => {
                    __visit(__rt::Parts {
                        number: 6,
                        variant: "None",
                        at: &__REC_6.at,
                        words: __REC_6.words,
                        fields: &[],
                    })
                }
            }
        }
        #[inline]
        fn unmarshal(
            __message: __rt::Received<'_>,
        ) -> __rt::core::result::Result<Self, __rt::DecodeError> {
            match __message.number {
                1 => {
                    __rt::read(__message, (__REC_1.words, __REC_1.used), Self::__read_1)
                        .map(|(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r)| Self::Builtins {
                            a,
                            b,
                            c,
                            d,
                            e,
                            f,
                            g,
                            h,
                            i,
                            j,
                            k,
                            l,
                            m,
                            n,
                            o,
                            p,
                            q,
                            r,
                        })
                }
                2 => {
                    __rt::read(__message, (__REC_2.words, __REC_2.used), Self::__read_2)
                        .map(|(c, i, p, r, q, o, s, t)| Self::Values {
                            c,
                            i,
                            p,
                            r,
                            q,
                            o,
                            s,
                            t,
                        })
                }
                3 => {
                    __rt::read(__message, (__REC_3.words, __REC_3.used), Self::__read_3)
                        .map(|(a, b, c, d, e, f)| Self::Arrays { a, b, c, d, e, f })
                }
                4 => {
                    __rt::read(__message, (__REC_4.words, __REC_4.used), Self::__read_4)
                        .map(|buf| Self::Annotated { buf })
                }
                5 => {
                    __rt::read(__message, (__REC_5.words, __REC_5.used), Self::__read_5)
                        .map(|r#fn| Self::Type { r#fn })
                }
                6 => {
                    __rt::read(__message, (__REC_6.words, __REC_6.used), Self::__read_6)
                        .map(|()| Self::None {})
                }
                __number => {
                    __rt::core::result::Result::Err(__rt::unknown_message(__number))
                }
            }
        }
    }
    #[automatically_derived]
    impl __rt::core::cmp::PartialEq for Message {
        fn eq(&self, __other: &Self) -> bool {
            __rt::same(self, __other)
        }
    }
    #[automatically_derived]
    impl __rt::core::fmt::Debug for Message {
        fn fmt(
            &self,
            __f: &mut __rt::core::fmt::Formatter<'_>,
        ) -> __rt::core::fmt::Result {
            __rt::show(self, __f)
        }
    }
    /// Keeps messages for `recv` of its binding: given to `bind` or `export` in place of handlers.
    #[__rt::core::prelude::v1::derive(__rt::core::fmt::Debug)]
    pub struct Inbox(__rt::Inbox);
    impl Inbox {
        /// Room for `bound` messages, at least one. While it is full, the binding receives nothing. Calls of rpcs are
        /// refused.
        #[inline]
        pub fn new(bound: __rt::core::primitive::usize) -> Self {
            Self::beside(bound, <RxVtbl as __rt::core::default::Default>::default())
        }
        /// As `new`; `rx` gets the calls of rpcs, as they come, and is told of errors. None of its other handlers runs.
        pub fn beside(bound: __rt::core::primitive::usize, rx: impl Handlers) -> Self {
            Self(__rt::Inbox::new(bound, rx.__deliver()))
        }
        /// Has `callback` run from the waitset with the binding, once there is one: for a service, whose connect
        /// callback comes before.
        #[must_use]
        pub fn on_bound(
            self,
            callback: impl __rt::core::ops::FnOnce(Binding) + 'static,
        ) -> Self {
            Self(self.0.on_bound(|__endpoint| callback(Binding(__endpoint))))
        }
    }
    #[automatically_derived]
    impl Handlers for Inbox {
        fn __deliver(self) -> __rt::Box<dyn __rt::Deliver> {
            self.0.into_deliver()
        }
    }
    /// Offers the service: `connect` is asked for each client, and answers with what handles its messages.
    pub fn export<C, X>(waitset: &__rt::Waitset, mut connect: C) -> __rt::Export
    where
        C: __rt::core::ops::FnMut(
                &__rt::Peer,
            ) -> __rt::core::result::Result<X, __rt::Refusal> + 'static,
        X: Handlers,
    {
        __rt::Export::new(
            waitset,
            INTERFACE,
            __rt::broker(),
            move |__peer: &__rt::Peer| { connect(__peer).map(Handlers::__deliver) },
        )
    }
    /// Connects to the service that `iref` names; `rx` handles what it sends.
    pub fn bind<X: Handlers>(
        iref: __rt::Iref,
        waitset: &__rt::Waitset,
        rx: X,
    ) -> __rt::Bind<Binding> {
        __rt::Bind::new(
            iref,
            waitset,
            INTERFACE,
            __rt::broker(),
            rx.__deliver(),
            Binding,
        )
    }
}
