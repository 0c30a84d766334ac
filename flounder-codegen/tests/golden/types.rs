/// The interface `types`.
#[allow(clippy::all, clippy::pedantic, clippy::nursery, dead_code, unreachable_pub)]
#[allow(private_interfaces, async_fn_in_trait, non_camel_case_types, non_snake_case)]
#[allow(long_running_const_eval, unused_imports, unused_qualifications)]
pub mod types {
    use ::flounder::__private as __rt;
    /// `typedef enum { .. } choice;`
    #[doc(alias = "choice")]
    #[__rt::derive(__rt::Debug, __rt::Clone, __rt::Copy)]
    #[__rt::derive(__rt::PartialEq, __rt::Eq, __rt::Hash)]
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
            const SIZE: __rt::usize = 4;
            const ALIGN: __rt::usize = 4;
            const FINGERPRINT: __rt::u128 = __rt::fingerprint(
                __rt::digest("enum{FIRST,SECOND}"),
                &[],
            );
        }
        #[automatically_derived]
        impl __rt::Encode for Choice {
            #[inline]
            fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
                let __tag: __rt::u32 = match self {
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
                __decoder: &mut __rt::Decoder<'__a>,
                __at: __rt::usize,
            ) -> __rt::Result<Self, __rt::DecodeError> {
                let __value = match __decoder.tag(__at, 2, "choice")? {
                    0 => Self::First {},
                    _ => Self::Two {},
                };
                __rt::Ok(__value)
            }
        }
    };
    /// `typedef struct { .. } item;`
    #[doc(alias = "item")]
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    #[__rt::derive(__rt::PartialEq, __rt::Eq, __rt::Hash)]
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
            const SIZE: __rt::usize = __REC.size;
            const ALIGN: __rt::usize = __REC.align;
            const MAX_TAIL: __rt::usize = __rt::total(
                &[
                    <u8 as __rt::Shape>::MAX_TAIL,
                    <__rt::String as __rt::Shape>::MAX_TAIL,
                    <__rt::String as __rt::Bounded<32u32>>::MAX_TAIL,
                    <Choice as __rt::Shape>::MAX_TAIL,
                ],
            );
            const MAX_CAPS: __rt::usize = __rt::total(
                &[
                    <u8 as __rt::Shape>::MAX_CAPS,
                    <__rt::String as __rt::Shape>::MAX_CAPS,
                    <__rt::String as __rt::Bounded<32u32>>::MAX_CAPS,
                    <Choice as __rt::Shape>::MAX_CAPS,
                ],
            );
            const FINGERPRINT: __rt::u128 = __rt::fingerprint(
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
            fn check(&self) -> __rt::Result<(), __rt::TooLong> {
                let Self { r#type: __0, name: __1, label: __2, c: __3 } = self;
                <u8 as __rt::Encode>::check(__0)?;
                <__rt::String as __rt::Encode>::check(__1)?;
                <__rt::String as __rt::Bounded<32u32>>::check_bound(__2)?;
                <Choice as __rt::Encode>::check(__3)?;
                __rt::Ok(())
            }
            #[inline]
            fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
                let Self { r#type: __0, name: __1, label: __2, c: __3 } = self;
                <u8 as __rt::Encode>::put(__0, __words, __at + __REC.at[0]);
                <__rt::String as __rt::Encode>::put(__1, __words, __at + __REC.at[1]);
                <__rt::String as __rt::Encode>::put(__2, __words, __at + __REC.at[2]);
                <Choice as __rt::Encode>::put(__3, __words, __at + __REC.at[3]);
            }
            #[inline]
            fn put_tail(&self, __tail: &mut __rt::Vec<__rt::u64>) {
                let Self { r#type: __0, name: __1, label: __2, c: __3 } = self;
                <u8 as __rt::Encode>::put_tail(__0, __tail);
                <__rt::String as __rt::Encode>::put_tail(__1, __tail);
                <__rt::String as __rt::Encode>::put_tail(__2, __tail);
                <Choice as __rt::Encode>::put_tail(__3, __tail);
            }
            #[inline]
            fn put_caps<'__a>(&'__a self, __caps: &mut __rt::CapRefs<'__a>) {
                let Self { r#type: __0, name: __1, label: __2, c: __3 } = self;
                <u8 as __rt::Encode>::put_caps(__0, __caps);
                <__rt::String as __rt::Encode>::put_caps(__1, __caps);
                <__rt::String as __rt::Encode>::put_caps(__2, __caps);
                <Choice as __rt::Encode>::put_caps(__3, __caps);
            }
        }
        #[automatically_derived]
        impl<'__a> __rt::Decode<'__a> for Item {
            #[inline]
            fn take(
                __decoder: &mut __rt::Decoder<'__a>,
                __at: __rt::usize,
            ) -> __rt::Result<Self, __rt::DecodeError> {
                let __0 = __decoder.take::<u8>(__at + __REC.at[0])?;
                let __1 = __decoder.take::<__rt::String>(__at + __REC.at[1])?;
                let __2 = <__rt::String as __rt::TakeBounded<
                    '__a,
                    32u32,
                >>::take_bounded(__decoder, __at + __REC.at[2])?;
                let __3 = __decoder.take::<Choice>(__at + __REC.at[3])?;
                __decoder.zero(__at + __REC.used, __REC.size - __REC.used)?;
                __rt::Ok(Self {
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
    #[__rt::derive(__rt::Debug, __rt::Clone, __rt::Copy)]
    #[__rt::derive(__rt::PartialEq)]
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
            const SIZE: __rt::usize = __REC.size;
            const ALIGN: __rt::usize = __REC.align;
            const FINGERPRINT: __rt::u128 = __rt::fingerprint(
                __rt::digest("struct{x,y}"),
                &[<u64 as __rt::Shape>::FINGERPRINT, <f64 as __rt::Shape>::FINGERPRINT],
            );
        }
        #[automatically_derived]
        impl __rt::Encode for Pair {
            #[inline]
            fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
                let Self { x: __0, y: __1 } = self;
                <u64 as __rt::Encode>::put(__0, __words, __at + __REC.at[0]);
                <f64 as __rt::Encode>::put(__1, __words, __at + __REC.at[1]);
            }
        }
        #[automatically_derived]
        impl<'__a> __rt::Decode<'__a> for Pair {
            #[inline]
            fn take(
                __decoder: &mut __rt::Decoder<'__a>,
                __at: __rt::usize,
            ) -> __rt::Result<Self, __rt::DecodeError> {
                let __0 = __decoder.take::<u64>(__at + __REC.at[0])?;
                let __1 = __decoder.take::<f64>(__at + __REC.at[1])?;
                __decoder.zero(__at + __REC.used, __REC.size - __REC.used)?;
                __rt::Ok(Self { x: __0, y: __1 })
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
    struct __Builtins_args;
    __rt::__args! {
        [] __Builtins_args, 18 : (__rt::Copied < bool >) value_0 built_0 0, (__rt::Copied
        < u8 >) value_1 built_1 1, (__rt::Copied < i32 >) value_2 built_2 2,
        (__rt::Copied < i8 >) value_3 built_3 3, (__rt::Copied < i16 >) value_4 built_4
        4, (__rt::Copied < i32 >) value_5 built_5 5, (__rt::Copied < i64 >) value_6
        built_6 6, (__rt::Copied < u8 >) value_7 built_7 7, (__rt::Copied < u16 >)
        value_8 built_8 8, (__rt::Copied < u32 >) value_9 built_9 9, (__rt::Copied < u64
        >) value_10 built_10 10, (__rt::Copied < isize >) value_11 built_11 11,
        (__rt::Copied < usize >) value_12 built_12 12, (__rt::Copied < usize >) value_13
        built_13 13, (__rt::Copied < __rt::Iref >) value_14 built_14 14, (__rt::Copied <
        __rt::Errval >) value_15 built_15 15, (__rt::Copied < f32 >) value_16 built_16
        16, (__rt::Copied < f64 >) value_17 built_17 17,
    }
    type __Builtins = __rt::MessageType<
        1,
        { <__Builtins_args as __rt::Args>::WORDS },
        __Builtins_args,
    >;
    type __Values_args = (
        __rt::Copied<Choice>,
        __rt::Lent<Item>,
        __rt::Copied<Pair>,
        __rt::Lent<Row>,
        __rt::Lent<Rows>,
        __rt::Lent<OldItem>,
        __rt::Lent<Pose>,
        __rt::Lent<Thing>,
    );
    type __Values = __rt::MessageType<
        2,
        { <__Values_args as __rt::Args>::WORDS },
        __Values_args,
    >;
    type __Arrays = __rt::MessageType<
        3,
        3,
        (
            __rt::Slice<u8, 65536>,
            __rt::Items<bool, 16>,
            __rt::Texts<4>,
            __rt::Items<Item, 8>,
            __rt::Items<Pose, 65536>,
            __rt::Items<Row, 65536>,
        ),
    >;
    type __Annotated = __rt::MessageType<4, 1, (__rt::Slice<u8, 65536>,)>;
    type __Type = __rt::MessageType<5, 1, (__rt::Text<65536>,)>;
    type __None = __rt::MessageType<6, 0, ()>;
    /// Describes the interface `types`: its messages, and the digest that two ends must agree on.
    pub const INTERFACE: &__rt::Interface = &__rt::Interface::new(
        "types",
        "types",
        &__rt::numbered(
            [
                __Builtins::info(
                    "builtins",
                    "a: bool, b: char, c: int32, d: int8, e: int16, f: int32, g: int64, h: uint8, i: uint16, j: uint32, k: uint64, l: intptr, m: uintptr, n: uintptr, o: iref, p: errval, q: float, r: double",
                ),
                __Values::info(
                    "values",
                    "c: choice, i: item, p: pair, r: row, q: rows, o: old_item, s: pose, t: thing",
                ),
                __Arrays::info(
                    "arrays",
                    "a: uint8[a_len, 65536], b: bool[b_len, 16], c: string[65536][c_len, 4], d: item[d_len, 8], e: pose[e_len, 65536], f: row[f_len, 65536]",
                ),
                __Annotated::info("annotated", "buf: uint8[len, 65536]")
                    .annotations(
                        &[
                            __rt::AnnotationInfo {
                                context: "bulk",
                                params: &[
                                    ("size", __rt::AnnotationValue::Number(4096u64)),
                                    ("data", __rt::AnnotationValue::Ident("buf")),
                                ],
                            },
                        ],
                    ),
                __Type::info("type", "fn: string[65536]"),
                __None::info("none", ""),
            ],
            &[
                269899837218124726079304463074098772242,
                __rt::fingerprint(
                    228275566438790355837691618974989125543,
                    &[
                        <Pose as __rt::Shape>::FINGERPRINT,
                        <Thing as __rt::Shape>::FINGERPRINT,
                    ],
                ),
                __rt::fingerprint(
                    217462756144671743819730480496042671455,
                    &[<Pose as __rt::Shape>::FINGERPRINT],
                ),
                47084162026853638037882772525238217963,
                265249017041179406468210852772884501627,
                299518143674955921476018328251520485579,
            ],
        ),
        &[
            __Builtins::LIMIT,
            __Values::LIMIT,
            __Arrays::LIMIT,
            __Annotated::LIMIT,
            __Type::LIMIT,
            __None::LIMIT,
        ],
    );
    /// One end of a connection that speaks `types`.
    ///
    /// Clones are the same end. What every binding can do is on the endpoint that it dereferences to.
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    pub struct Binding(__rt::RawBinding);
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
            __rt::RawBinding::attach(channel, waitset, INTERFACE, rx.__deliver())
                .map(Self)
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
        ) -> __rt::Result<__rt::Sent<'_>, __rt::TxError> {
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
            __Builtins::recv(&self.0)
        }
        /// As `recv`, for the next `values(choice c, item i, pair p, row r, rows q, old_item o, pose s, thing t)`; others are kept.
        #[inline]
        pub fn recv_values(
            &self,
        ) -> __rt::Receiving<'_, (Choice, Item, Pair, Row, Rows, OldItem, Pose, Thing)> {
            __Values::recv(&self.0)
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
            __Arrays::recv(&self.0)
        }
        /// As `recv`, for the next `annotated(uint8 buf[len, 65536])`; others are kept.
        #[inline]
        pub fn recv_annotated(&self) -> __rt::Receiving<'_, __rt::Vec<u8>> {
            __Annotated::recv(&self.0)
        }
        /// As `recv`, for the next `type(string fn)`; others are kept.
        #[inline]
        pub fn recv_type(&self) -> __rt::Receiving<'_, __rt::String> {
            __Type::recv(&self.0)
        }
        /// As `recv`, for the next `none()`; others are kept.
        #[inline]
        pub fn recv_none(&self) -> __rt::Receiving<'_, ()> {
            __None::recv(&self.0)
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
        ) -> __rt::Result<__rt::Sent<'_>, __rt::TxError> {
            __Builtins::send(
                &self.0,
                (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r),
            )
        }
        /// Sends `builtins(bool a, char b, int32 c, int8 d, int16 e, int32 f, int64 g, uint8 h, uint16 i, uint32 j, uint64 k, intptr l, uintptr m, uintptr n, iref o, errval p, float q, double r)`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, or a value is over its maximum. Nothing is sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        #[inline]
        pub fn send_builtins<'__a>(
            &'__a self,
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
        ) -> __rt::Sending<'__a, __Builtins> {
            __Builtins::sending(
                &self.0,
                (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r),
            )
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
        ) -> __rt::Result<__rt::Sent<'_>, __rt::TxError> {
            __Values::send(&self.0, (c, i, p, r, q, o, s, t))
        }
        /// Sends `values(choice c, item i, pair p, row r, rows q, old_item o, pose s, thing t)`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        #[inline]
        pub fn send_values<'__a>(
            &'__a self,
            c: Choice,
            i: &'__a Item,
            p: Pair,
            r: &'__a Row,
            q: &'__a Rows,
            o: &'__a OldItem,
            s: &'__a Pose,
            t: &'__a Thing,
        ) -> __rt::Sending<'__a, __Values> {
            __Values::sending(&self.0, (c, i, p, r, q, o, s, t))
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
            c: &[impl __rt::TextItem],
            d: &[Item],
            e: &[Pose],
            f: &[Row],
        ) -> __rt::Result<__rt::Sent<'_>, __rt::TxError> {
            __Arrays::send(&self.0, (a, b, __rt::TextItem::strings(c), d, e, f))
        }
        /// Sends `arrays(uint8 a[a_len, 65536], bool b[b_len, 16], string c[c_len, 4], item d[d_len, 8], pose e[e_len, 65536], row f[f_len, 65536])`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        #[inline]
        pub fn send_arrays<'__a>(
            &'__a self,
            a: &'__a [u8],
            b: &'__a [bool],
            c: &'__a [impl __rt::TextItem],
            d: &'__a [Item],
            e: &'__a [Pose],
            f: &'__a [Row],
        ) -> __rt::Sending<'__a, __Arrays> {
            __Arrays::sending(&self.0, (a, b, __rt::TextItem::strings(c), d, e, f))
        }
        /// Sends `annotated(uint8 buf[len, 65536])`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        #[inline]
        pub fn tx_annotated(
            &self,
            buf: &[u8],
        ) -> __rt::Result<__rt::Sent<'_>, __rt::TxError> {
            __Annotated::send(&self.0, (buf,))
        }
        /// Sends `annotated(uint8 buf[len, 65536])`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, or a value is over its maximum. Nothing is sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        #[inline]
        pub fn send_annotated<'__a>(
            &'__a self,
            buf: &'__a [u8],
        ) -> __rt::Sending<'__a, __Annotated> {
            __Annotated::sending(&self.0, (buf,))
        }
        /// Sends `type(string fn)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        #[inline]
        pub fn tx_type(
            &self,
            r#fn: &str,
        ) -> __rt::Result<__rt::Sent<'_>, __rt::TxError> {
            __Type::send(&self.0, (r#fn,))
        }
        /// Sends `type(string fn)`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, or a value is over its maximum. Nothing is sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        #[inline]
        pub fn send_type<'__a>(
            &'__a self,
            r#fn: &'__a str,
        ) -> __rt::Sending<'__a, __Type> {
            __Type::sending(&self.0, (r#fn,))
        }
        /// Sends `none()`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        #[inline]
        pub fn tx_none(&self) -> __rt::Result<__rt::Sent<'_>, __rt::TxError> {
            __None::send(&self.0, ())
        }
        /// Sends `none()`, after waiting while the binding is busy.
        ///
        /// # Errors
        /// If the binding has ended, or a value is over its maximum. Nothing is sent then.
        ///
        /// Dropped before it is done, the future has sent nothing.
        #[inline]
        pub fn send_none<'__a>(&'__a self) -> __rt::Sending<'__a, __None> {
            __None::sending(&self.0, ())
        }
    }
    #[automatically_derived]
    impl __rt::Deref for Binding {
        type Target = __rt::RawBinding;
        fn deref(&self) -> &__rt::RawBinding {
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
    /// Handlers of `types` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::derive(__rt::Default)]
    pub struct RxVtbl {
        /// Handles `builtins(bool a, char b, int32 c, int8 d, int16 e, int32 f, int64 g, uint8 h, uint16 i, uint32 j, uint64 k, intptr l, uintptr m, uintptr n, iref o, errval p, float q, double r)`.
        pub builtins: __rt::Option<
            __rt::Box<
                dyn __rt::FnMut(
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
        pub values: __rt::Option<
            __rt::Box<
                dyn __rt::FnMut(
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
        pub arrays: __rt::Option<
            __rt::Box<
                dyn __rt::FnMut(
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
        pub annotated: __rt::Option<__rt::Box<dyn __rt::FnMut(&Binding, &[u8])>>,
        /// Handles `type(string fn)`.
        pub r#type: __rt::Option<__rt::Box<dyn __rt::FnMut(&Binding, &str)>>,
        /// Handles `none()`.
        pub none: __rt::Option<__rt::Box<dyn __rt::FnMut(&Binding)>>,
        /// Something went wrong with the binding. Without it, the error is logged.
        pub error: __rt::Option<
            __rt::Box<dyn __rt::FnMut(&Binding, __rt::BindingError)>,
        >,
    }
    #[automatically_derived]
    impl __rt::Debug for RxVtbl {
        fn fmt(&self, __f: &mut __rt::Formatter<'_>) -> __rt::fmt::Result {
            __rt::closures(__f)
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
            match &mut self.builtins {
                __rt::Some(__handler) => {
                    __handler(
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
                    )
                }
                __rt::None => Rx::error(self, binding, __rt::no_handler("builtins")),
            }
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
            match &mut self.values {
                __rt::Some(__handler) => __handler(binding, c, i, p, r, q, o, s, t),
                __rt::None => Rx::error(self, binding, __rt::no_handler("values")),
            }
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
            match &mut self.arrays {
                __rt::Some(__handler) => __handler(binding, a, b, c, d, e, f),
                __rt::None => Rx::error(self, binding, __rt::no_handler("arrays")),
            }
        }
        fn annotated(&mut self, binding: &Binding, buf: &[u8]) {
            match &mut self.annotated {
                __rt::Some(__handler) => __handler(binding, buf),
                __rt::None => Rx::error(self, binding, __rt::no_handler("annotated")),
            }
        }
        fn r#type(&mut self, binding: &Binding, r#fn: &str) {
            match &mut self.r#type {
                __rt::Some(__handler) => __handler(binding, r#fn),
                __rt::None => Rx::error(self, binding, __rt::no_handler("type")),
            }
        }
        fn none(&mut self, binding: &Binding) {
            match &mut self.none {
                __rt::Some(__handler) => __handler(binding),
                __rt::None => Rx::error(self, binding, __rt::no_handler("none")),
            }
        }
        fn error(&mut self, binding: &Binding, error: __rt::BindingError) {
            match &mut self.error {
                __rt::Some(__handler) => __handler(binding, error),
                __rt::None => __rt::unhandled_error(INTERFACE, &error),
            }
        }
    }
    /// What can be put behind a binding of `types`: an [`Rx`], an [`AsyncRx`] in [`Async`], or an [`Inbox`].
    pub trait Handlers: 'static {
        #[doc(hidden)]
        fn __deliver(self) -> __rt::Box<dyn __rt::Dispatch>;
    }
    #[automatically_derived]
    impl<__R: Rx + 'static> Handlers for __R {
        fn __deliver(self) -> __rt::Box<dyn __rt::Dispatch> {
            __rt::dispatcher(
                self,
                |__rx, __raw, __message| match __message.number {
                    1 => {
                        __Builtins::deliver(
                            __message,
                            |(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r)| {
                                Rx::builtins(
                                    __rx,
                                    &Binding(__raw.handle()),
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
                            },
                        )
                    }
                    2 => {
                        __Values::deliver(
                            __message,
                            |(c, i, p, r, q, o, s, t)| {
                                Rx::values(
                                    __rx,
                                    &Binding(__raw.handle()),
                                    c,
                                    i,
                                    p,
                                    r,
                                    q,
                                    o,
                                    s,
                                    t,
                                )
                            },
                        )
                    }
                    3 => {
                        __Arrays::deliver(
                            __message,
                            |(a, b, c, d, e, f)| {
                                Rx::arrays(
                                    __rx,
                                    &Binding(__raw.handle()),
                                    a,
                                    &b,
                                    &c,
                                    &d,
                                    &e,
                                    &f,
                                )
                            },
                        )
                    }
                    4 => {
                        __Annotated::deliver(
                            __message,
                            |(buf,)| {
                                Rx::annotated(__rx, &Binding(__raw.handle()), buf)
                            },
                        )
                    }
                    5 => {
                        __Type::deliver(
                            __message,
                            |(r#fn,)| {
                                Rx::r#type(__rx, &Binding(__raw.handle()), r#fn)
                            },
                        )
                    }
                    6 => {
                        __None::deliver(
                            __message,
                            |()| { Rx::none(__rx, &Binding(__raw.handle())) },
                        )
                    }
                    __number => __rt::unknown_message(__number),
                },
                |__rx, __raw, __error| {
                    let __binding = &Binding(__raw.handle());
                    Rx::error(__rx, __binding, __error)
                },
            )
        }
    }
    /// What one end of `types` does with the messages that it receives, as futures.
    ///
    /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
    /// returns is the reply: one that returns an error, or panics, informs the caller that there will be none. When the
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
    #[__rt::derive(__rt::Debug)]
    pub struct Async<S>(pub S);
    #[automatically_derived]
    impl<__R: AsyncRx + 'static> Handlers for Async<__R> {
        fn __deliver(self) -> __rt::Box<dyn __rt::Dispatch> {
            __rt::dispatcher(
                __rt::Rc::new(self.0),
                |__rx, __raw, __message| match __message.number {
                    1 => {
                        __Builtins::deliver_owned(
                            __message,
                            |(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r)| {
                                __raw
                                    .spawn_handler(
                                        __rx,
                                        Binding,
                                        ((a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r),),
                                        async |
                                            __server: &__R,
                                            __binding: &Binding,
                                            (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r)|
                                        {
                                            AsyncRx::builtins(
                                                    __server,
                                                    __binding,
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
                                        },
                                    )
                            },
                        )
                    }
                    2 => {
                        __Values::deliver_owned(
                            __message,
                            |(c, i, p, r, q, o, s, t)| {
                                __raw
                                    .spawn_handler(
                                        __rx,
                                        Binding,
                                        (c, i, p, r, q, o, s, t),
                                        __R::values,
                                    )
                            },
                        )
                    }
                    3 => {
                        __Arrays::deliver_owned(
                            __message,
                            |(a, b, c, d, e, f)| {
                                __raw
                                    .spawn_handler(
                                        __rx,
                                        Binding,
                                        (a, b, c, d, e, f),
                                        __R::arrays,
                                    )
                            },
                        )
                    }
                    4 => {
                        __Annotated::deliver_owned(
                            __message,
                            |(buf,)| {
                                __raw.spawn_handler(__rx, Binding, (buf,), __R::annotated)
                            },
                        )
                    }
                    5 => {
                        __Type::deliver_owned(
                            __message,
                            |(r#fn,)| {
                                __raw.spawn_handler(__rx, Binding, (r#fn,), __R::r#type)
                            },
                        )
                    }
                    6 => {
                        __None::deliver_owned(
                            __message,
                            |()| { __raw.spawn_handler(__rx, Binding, (), __R::none) },
                        )
                    }
                    __number => __rt::unknown_message(__number),
                },
                |__rx, __raw, __error| {
                    let __binding = &Binding(__raw.handle());
                    AsyncRx::error(&**__rx, __binding, __error)
                },
            )
        }
    }
    /// One end of a connection that speaks `types`, for any thread.
    ///
    /// It is made by `Binding::shared`. Messages wait in a queue, in order, until the thread of the binding's waitset sends
    /// them. What every such binding can do is on the endpoint that it dereferences to.
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    pub struct SharedBinding(__rt::SharedEndpoint);
    impl Binding {
        /// Returns a handle to this end for other threads. The handlers stay in this one.
        pub fn shared(&self) -> SharedBinding {
            SharedBinding(self.0.share())
        }
    }
    impl SharedBinding {
        /// Sends `builtins(bool a, char b, int32 c, int8 d, int16 e, int32 f, int64 g, uint8 h, uint16 i, uint32 j, uint64 k, intptr l, uintptr m, uintptr n, iref o, errval p, float q, double r)`.
        #[inline]
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
            __Builtins::send_shared(
                &self.0,
                (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r),
            )
        }
        /// Sends `values(choice c, item i, pair p, row r, rows q, old_item o, pose s, thing t)`.
        #[inline]
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
            __Values::send_shared(&self.0, (c, i, p, r, q, o, s, t))
        }
        /// Sends `arrays(uint8 a[a_len, 65536], bool b[b_len, 16], string c[c_len, 4], item d[d_len, 8], pose e[e_len, 65536], row f[f_len, 65536])`.
        #[inline]
        pub fn send_arrays(
            &self,
            a: &[u8],
            b: &[bool],
            c: &[impl __rt::TextItem],
            d: &[Item],
            e: &[Pose],
            f: &[Row],
        ) -> __rt::SharedSend {
            __Arrays::send_shared(&self.0, (a, b, __rt::TextItem::strings(c), d, e, f))
        }
        /// Sends `annotated(uint8 buf[len, 65536])`.
        #[inline]
        pub fn send_annotated(&self, buf: &[u8]) -> __rt::SharedSend {
            __Annotated::send_shared(&self.0, (buf,))
        }
        /// Sends `type(string fn)`.
        #[inline]
        pub fn send_type(&self, r#fn: &str) -> __rt::SharedSend {
            __Type::send_shared(&self.0, (r#fn,))
        }
        /// Sends `none()`.
        #[inline]
        pub fn send_none(&self) -> __rt::SharedSend {
            __None::send_shared(&self.0, ())
        }
    }
    #[automatically_derived]
    impl __rt::Deref for SharedBinding {
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
        pub fn encode(&self) -> __rt::Result<__rt::MessageBuffer, __rt::EncodeError> {
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
        ) -> __rt::Result<Self, __rt::DecodeError> {
            <Self as __rt::MessageValue>::unmarshal(__rt::Received {
                number,
                words,
                caps: &mut caps,
            })
        }
    }
    #[automatically_derived]
    impl __rt::MessageValue for Message {
        const INTERFACE: &'static __rt::Interface = INTERFACE;
        #[inline]
        fn marshal(&self) -> __rt::Result<__rt::MessageBuffer, __rt::EncodeError> {
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
                    __Builtins::encode(
                        INTERFACE,
                        (
                            *a,
                            *b,
                            *c,
                            *d,
                            *e,
                            *f,
                            *g,
                            *h,
                            *i,
                            *j,
                            *k,
                            *l,
                            *m,
                            *n,
                            *o,
                            *p,
                            *q,
                            *r,
                        ),
                    )
                }
                Self::Values { c, i, p, r, q, o, s, t } => {
                    __Values::encode(INTERFACE, (*c, i, *p, r, q, o, s, t))
                }
                Self::Arrays { a, b, c, d, e, f } => {
                    __Arrays::encode(
                        INTERFACE,
                        (a, b, __rt::TextItem::strings(c), d, e, f),
                    )
                }
                Self::Annotated { buf } => __Annotated::encode(INTERFACE, (buf,)),
                Self::Type { r#fn } => __Type::encode(INTERFACE, (r#fn,)),
                Self::None {} => __None::encode(INTERFACE, ()),
            }
        }
        #[inline]
        fn unmarshal(
            __message: __rt::Received<'_>,
        ) -> __rt::Result<Self, __rt::DecodeError> {
            match __message.number {
                1 => {
                    __Builtins::read(
                        __message,
                        |(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r)| Self::Builtins {
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
                        },
                    )
                }
                2 => {
                    __Values::read(
                        __message,
                        |(c, i, p, r, q, o, s, t)| Self::Values {
                            c,
                            i,
                            p,
                            r,
                            q,
                            o,
                            s,
                            t,
                        },
                    )
                }
                3 => {
                    __Arrays::read(
                        __message,
                        |(a, b, c, d, e, f)| Self::Arrays { a, b, c, d, e, f },
                    )
                }
                4 => __Annotated::read(__message, |(buf,)| Self::Annotated { buf }),
                5 => __Type::read(__message, |(r#fn,)| Self::Type { r#fn }),
                6 => __None::read(__message, |()| Self::None {}),
                __number => __rt::unknown_message(__number),
            }
        }
    }
    #[automatically_derived]
    impl __rt::PartialEq for Message {
        #[inline]
        fn eq(&self, __other: &Self) -> bool {
            __rt::same(self, __other)
        }
    }
    #[automatically_derived]
    impl __rt::Debug for Message {
        #[inline]
        fn fmt(&self, __f: &mut __rt::Formatter<'_>) -> __rt::fmt::Result {
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
                    __rt::show(
                        __f,
                        INTERFACE,
                        1,
                        "Builtins",
                        &[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r],
                    )
                }
                Self::Values { c, i, p, r, q, o, s, t } => {
                    __rt::show(
                        __f,
                        INTERFACE,
                        2,
                        "Values",
                        &[c, i, p, r, q, o, &__rt::Opaque, &__rt::Opaque],
                    )
                }
                Self::Arrays { a, b, c, d, e, f } => {
                    __rt::show(
                        __f,
                        INTERFACE,
                        3,
                        "Arrays",
                        &[a, b, c, d, &__rt::Opaque, f],
                    )
                }
                Self::Annotated { buf } => {
                    __rt::show(__f, INTERFACE, 4, "Annotated", &[buf])
                }
                Self::Type { r#fn } => __rt::show(__f, INTERFACE, 5, "Type", &[r#fn]),
                Self::None {} => __rt::show(__f, INTERFACE, 6, "None", &[]),
            }
        }
    }
    /// Keeps messages for `recv` of its binding: given to `bind` or `export` in place of handlers.
    #[__rt::derive(__rt::Debug)]
    pub struct Inbox(__rt::Inbox);
    impl Inbox {
        /// Room for `bound` messages, at least one. While it is full, the binding receives nothing. Calls of rpcs are
        /// refused.
        #[inline]
        pub fn new(bound: __rt::usize) -> Self {
            Self::beside(bound, <RxVtbl as __rt::Default>::default())
        }
        /// An inbox beside the handlers `rx`, which get the calls of rpcs, as they come, and errors. None of its other handlers runs.
        pub fn beside(bound: __rt::usize, rx: impl Handlers) -> Self {
            Self(__rt::Inbox::new(bound, rx.__deliver()))
        }
        /// Has `callback` run from the waitset with the binding, once there is one: for a service, whose connect
        /// callback comes before.
        #[must_use]
        pub fn on_bound(self, callback: impl __rt::FnOnce(Binding) + 'static) -> Self {
            Self(self.0.on_bound(|__endpoint| callback(Binding(__endpoint))))
        }
    }
    #[automatically_derived]
    impl Handlers for Inbox {
        fn __deliver(self) -> __rt::Box<dyn __rt::Dispatch> {
            self.0.into_deliver()
        }
    }
    /// Offers the service: `connect` is asked for each client, and answers with what handles its messages.
    pub fn export<C, X>(waitset: &__rt::Waitset, mut connect: C) -> __rt::Export
    where
        C: __rt::FnMut(&__rt::Peer) -> __rt::Result<X, __rt::Refusal> + 'static,
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
    /// Offers the service under `name`, in a thread of the library: `handlers` makes what handles the messages of one
    /// client.
    pub fn serve<S, X>(name: &__rt::str, mut handlers: S) -> __rt::Serve
    where
        S: __rt::FnMut() -> X + __rt::Send + 'static,
        X: Handlers,
    {
        __rt::Serve::new(name, INTERFACE, move || handlers().__deliver())
    }
    /// Connects to the service called `name`, once there is one, for any thread.
    pub fn connect(name: &__rt::str) -> __rt::Connect<SharedBinding> {
        let __handlers = || <RxVtbl as __rt::Default>::default().__deliver();
        __rt::Connect::new(
            name,
            INTERFACE,
            __handlers,
            |__raw| SharedBinding(__raw.share()),
        )
    }
}
