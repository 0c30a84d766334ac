/// The interface `types`.
#[allow(clippy::all, clippy::pedantic, clippy::nursery, dead_code, unreachable_pub)]
#[allow(private_interfaces, async_fn_in_trait, non_camel_case_types, non_snake_case)]
#[allow(long_running_const_eval, missing_docs, unused_imports, unused_qualifications)]
pub mod types {
    use ::flounder::__private as __rt;
    /// `typedef enum { .. } choice;`
    #[__rt::derive(__rt::Debug, __rt::Clone, __rt::Copy)]
    #[__rt::derive(__rt::PartialEq, __rt::Eq, __rt::Hash)]
    #[repr(u32)]
    pub enum Choice {
        First = 0,
        #[doc(alias = "SECOND")]
        Two = 1,
    }
    #[automatically_derived]
    impl __rt::Shape for Choice {
        const SIZE: __rt::usize = 4;
        const ALIGN: __rt::usize = 4;
        const FORM: &'static __rt::TypeForm = &__rt::TypeForm::new(
            "enum{FIRST,SECOND}",
            &[],
        );
    }
    #[automatically_derived]
    impl __rt::Encode for Choice {
        #[inline]
        fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
            __rt::put_tag(*self as __rt::u32, __words, __at);
        }
    }
    #[automatically_derived]
    impl<'__a> __rt::Decode<'__a> for Choice {
        #[inline]
        fn take(
            __decoder: &mut __rt::Decoder<'__a>,
            __at: __rt::usize,
        ) -> __rt::Result<Self, __rt::DecodeError> {
            __rt::Ok(
                match __decoder.tag(__at, 2, "choice")? {
                    0 => Self::First {},
                    _ => Self::Two {},
                },
            )
        }
    }
    /// `typedef struct { .. } item;`
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    #[__rt::derive(__rt::PartialEq, __rt::Eq, __rt::Hash)]
    pub struct Item {
        /// A number.
        pub r#type: u8,
        pub name: __rt::String,
        pub label: __rt::String,
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
            const FORM: &'static __rt::TypeForm = &__rt::TypeForm::new(
                "struct{type,name,label[32],c}",
                &[
                    <u8 as __rt::Shape>::FORM,
                    <__rt::String as __rt::Shape>::FORM,
                    <__rt::String as __rt::Shape>::FORM,
                    <Choice as __rt::Shape>::FORM,
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
                let __0 = <u8 as __rt::Decode<
                    '__a,
                >>::take(__decoder, __at + __REC.at[0])?;
                let __1 = <__rt::String as __rt::Decode<
                    '__a,
                >>::take(__decoder, __at + __REC.at[1])?;
                let __2 = <__rt::String as __rt::TakeBounded<
                    '__a,
                    32u32,
                >>::take_bounded(__decoder, __at + __REC.at[2])?;
                let __3 = <Choice as __rt::Decode<
                    '__a,
                >>::take(__decoder, __at + __REC.at[3])?;
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
    #[__rt::derive(__rt::Debug, __rt::Clone, __rt::Copy)]
    #[__rt::derive(__rt::PartialEq)]
    pub struct Pair {
        pub x: u64,
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
            const FORM: &'static __rt::TypeForm = &__rt::TypeForm::new(
                "struct{x,y}",
                &[<u64 as __rt::Shape>::FORM, <f64 as __rt::Shape>::FORM],
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
    pub type Row = [u16; 8];
    /// `typedef .. rows[16];`
    pub type Rows = [Row; 16];
    /// `typedef .. old_item;`
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
    const __MESSAGES: [__rt::MessageInfo; 6] = __rt::numbered(
        [
            __Builtins::info(
                "builtins",
                "a: bool, b: char, c: int32, d: int8, e: int16, f: int32, g: int64, h: uint8, i: uint16, j: uint32, k: uint64, l: intptr, m: uintptr, n: uintptr, o: iref, p: errval, q: float, r: double",
                "message builtins(a:bool,b:char,c:int32,d:int8,e:int16,f:int32,g:int64,h:uint8,i:uint16,j:uint32,k:uint64,l:intptr,m:uintptr,n:uintptr,o:iref,p:errval,q:float,r:double)",
            ),
            __Values::info(
                    "values",
                    "c: choice, i: item, p: pair, r: row, q: rows, o: old_item, s: pose, t: thing",
                    "message values(c:enum{FIRST,SECOND},i:{type:uint8,name:string[65536],label:string[32],c:enum{FIRST,SECOND}},p:{x:uint64,y:double},r:[uint16;8],q:[[uint16;8];16],o:{type:uint8,name:string[65536],label:string[32],c:enum{FIRST,SECOND}},s:extern#0,t:extern#1)",
                )
                .externs(&[<Pose as __rt::Shape>::FORM, <Thing as __rt::Shape>::FORM]),
            __Arrays::info(
                    "arrays",
                    "a: uint8[a_len, 65536], b: bool[b_len, 16], c: string[65536][c_len, 4], d: item[d_len, 8], e: pose[e_len, 65536], f: row[f_len, 65536]",
                    "message arrays(a:uint8[;65536],b:bool[;16],c:string[65536][;4],d:{type:uint8,name:string[65536],label:string[32],c:enum{FIRST,SECOND}}[;8],e:extern#0[;65536],f:[uint16;8][;65536])",
                )
                .externs(&[<Pose as __rt::Shape>::FORM]),
            __Annotated::info(
                    "annotated",
                    "buf: uint8[len, 65536]",
                    "message annotated(buf:uint8[;65536])",
                )
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
            __Type::info("type", "fn: string[65536]", "message type(fn:string[65536])"),
            __None::info("none", "", "message none()"),
        ],
        [
            269899837218124726079304463074098772242,
            228275566438790355837691618974989125543,
            217462756144671743819730480496042671455,
            47084162026853638037882772525238217963,
            265249017041179406468210852772884501627,
            299518143674955921476018328251520485579,
        ],
    );
    /// Describes the interface `types`: its messages, and the digest that two ends must agree on.
    pub const INTERFACE: &__rt::Interface = &__rt::Interface::new(
        "types",
        "types",
        &__MESSAGES,
        &__rt::limits(&__MESSAGES),
    );
    /// One end of a connection that speaks `types`.
    ///
    /// Clones are the same end. It is for the thread of its waitset; [`shared`](Self::shared) returns one for any thread.
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    pub struct Binding<E: __rt::End = __rt::Local>(__rt::RawEnd<E>);
    impl<E: __rt::End> Binding<E> {
        /// Sends `builtins(bool a, char b, int32 c, int8 d, int16 e, int32 f, int64 g, uint8 h, uint16 i, uint32 j, uint64 k, intptr l, uintptr m, uintptr n, iref o, errval p, float q, double r)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
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
        ) -> __sent<'_, E> {
            __Builtins::tx(
                &self.0,
                (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r),
            )
        }
        /// Sends `builtins(bool a, char b, int32 c, int8 d, int16 e, int32 f, int64 g, uint8 h, uint16 i, uint32 j, uint64 k, intptr l, uintptr m, uintptr n, iref o, errval p, float q, double r)` once the binding is not busy.
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
        ) -> __rt::Sending<'_, E> {
            __Builtins::sending(
                &self.0,
                (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r),
            )
        }
        /// Sends `values(choice c, item i, pair p, row r, rows q, old_item o, pose s, thing t)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
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
        ) -> __sent<'_, E> {
            __Values::tx(&self.0, (c, i, p, r, q, o, s, t))
        }
        /// Sends `values(choice c, item i, pair p, row r, rows q, old_item o, pose s, thing t)` once the binding is not busy.
        pub fn send_values<'a>(
            &'a self,
            c: Choice,
            i: &'a Item,
            p: Pair,
            r: &'a Row,
            q: &'a Rows,
            o: &'a OldItem,
            s: &'a Pose,
            t: &'a Thing,
        ) -> __rt::Sending<'a, E> {
            __Values::sending(&self.0, (c, i, p, r, q, o, s, t))
        }
        /// Sends `arrays(uint8 a[a_len, 65536], bool b[b_len, 16], string c[c_len, 4], item d[d_len, 8], pose e[e_len, 65536], row f[f_len, 65536])`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        pub fn tx_arrays(
            &self,
            a: &[u8],
            b: &[bool],
            c: &[impl __rt::TextItem],
            d: &[Item],
            e: &[Pose],
            f: &[Row],
        ) -> __sent<'_, E> {
            __Arrays::tx(&self.0, (a, b, __rt::TextItem::strings(c), d, e, f))
        }
        /// Sends `arrays(uint8 a[a_len, 65536], bool b[b_len, 16], string c[c_len, 4], item d[d_len, 8], pose e[e_len, 65536], row f[f_len, 65536])` once the binding is not busy.
        pub fn send_arrays<'a>(
            &'a self,
            a: &'a [u8],
            b: &'a [bool],
            c: &'a [impl __rt::TextItem],
            d: &'a [Item],
            e: &'a [Pose],
            f: &'a [Row],
        ) -> __rt::Sending<'a, E> {
            __Arrays::sending(&self.0, (a, b, __rt::TextItem::strings(c), d, e, f))
        }
        /// Sends `annotated(uint8 buf[len, 65536])`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        pub fn tx_annotated(&self, buf: &[u8]) -> __sent<'_, E> {
            __Annotated::tx(&self.0, (buf,))
        }
        /// Sends `annotated(uint8 buf[len, 65536])` once the binding is not busy.
        pub fn send_annotated<'a>(&'a self, buf: &'a [u8]) -> __rt::Sending<'a, E> {
            __Annotated::sending(&self.0, (buf,))
        }
        /// Sends `type(string fn)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        pub fn tx_type(&self, r#fn: &str) -> __sent<'_, E> {
            __Type::tx(&self.0, (r#fn,))
        }
        /// Sends `type(string fn)` once the binding is not busy.
        pub fn send_type<'a>(&'a self, r#fn: &'a str) -> __rt::Sending<'a, E> {
            __Type::sending(&self.0, (r#fn,))
        }
        /// Sends `none()`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        pub fn tx_none(&self) -> __sent<'_, E> {
            __None::tx(&self.0, ())
        }
        /// Sends `none()` once the binding is not busy.
        pub fn send_none(&self) -> __rt::Sending<'_, E> {
            __None::sending(&self.0, ())
        }
        /// Receives the next `builtins(bool a, char b, int32 c, int8 d, int16 e, int32 f, int64 g, uint8 h, uint16 i, uint32 j, uint64 k, intptr l, uintptr m, uintptr n, iref o, errval p, float q, double r)`; the inbox keeps others.
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
            E,
        > {
            __Builtins::recv(&self.0)
        }
        /// Receives the next `values(choice c, item i, pair p, row r, rows q, old_item o, pose s, thing t)`; the inbox keeps others.
        pub fn recv_values(
            &self,
        ) -> __rt::Receiving<
            '_,
            (Choice, Item, Pair, Row, Rows, OldItem, Pose, Thing),
            E,
        > {
            __Values::recv(&self.0)
        }
        /// Receives the next `arrays(uint8 a[a_len, 65536], bool b[b_len, 16], string c[c_len, 4], item d[d_len, 8], pose e[e_len, 65536], row f[f_len, 65536])`; the inbox keeps others.
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
            E,
        > {
            __Arrays::recv(&self.0)
        }
        /// Receives the next `annotated(uint8 buf[len, 65536])`; the inbox keeps others.
        pub fn recv_annotated(&self) -> __rt::Receiving<'_, __rt::Vec<u8>, E> {
            __Annotated::recv(&self.0)
        }
        /// Receives the next `type(string fn)`; the inbox keeps others.
        pub fn recv_type(&self) -> __rt::Receiving<'_, __rt::String, E> {
            __Type::recv(&self.0)
        }
        /// Receives the next `none()`; the inbox keeps others.
        pub fn recv_none(&self) -> __rt::Receiving<'_, (), E> {
            __None::recv(&self.0)
        }
        /// Sends a message that is a value: `tx_*` with copies of all capabilities, also those that would be given away.
        pub fn tx(&self, message: &Message) -> __sent<'_, E> {
            self.0.send_message(message, __rt::Direction::Both)
        }
        /// Receives the next message of the `Inbox` that the binding was made with.
        pub fn recv(&self) -> __rt::Receiving<'_, Message, E> {
            self.0.recv()
        }
        /// Receives the messages of the `Inbox` as a stream, until the binding has ended.
        pub fn messages(&self) -> __rt::Messages<'_, Message, E> {
            self.0.messages()
        }
        /// Returns an end for any thread, which is `Send` and `Sync`. The handlers stay in the thread of the waitset.
        pub fn shared(&self) -> Binding<__rt::Shared> {
            Binding(self.0.shared())
        }
        /// Returns the process at the other end.
        pub fn peer(&self) -> &__rt::Peer {
            self.0.peer()
        }
        /// Returns the name of the driver.
        pub fn driver(&self) -> &'static __rt::str {
            self.0.driver()
        }
        /// Returns the reason why the binding ended, if it has.
        pub fn ended(&self) -> __rt::Option<__rt::BindingError> {
            self.0.ended()
        }
        /// Tears the binding down, without blocking. The peer receives what was accepted, and then `BindingError::Closed`.
        pub fn teardown(&self) {
            self.0.teardown();
        }
        /// Tears the binding down. The future completes when everything that was accepted is sent.
        pub fn close(&self) -> __rt::Closing<E> {
            self.0.close()
        }
        /// Returns true if a message would be accepted now.
        pub fn can_send(&self) -> __rt::bool {
            self.0.can_send()
        }
        /// Gives the binding another priority among the bindings of its waitset. Does nothing once the binding has ended.
        pub fn set_priority(&self, priority: __rt::Priority) {
            self.0.set_priority(priority);
        }
    }
    type __sent<'a, E> = __rt::Result<__rt::Sent<'a, E>, __rt::TxError>;
    type __controlled = __rt::Result<(), __rt::ControlError>;
    impl Binding<__rt::Local> {
        /// Runs `callback` once from `waitset` when a message is likely to be accepted. Fails if another callback waits.
        pub fn register_send(
            &self,
            waitset: &__rt::Waitset,
            callback: impl __rt::FnOnce(&__rt::Waitset) -> __rt::Outcome + 'static,
        ) -> __controlled {
            self.0.0.register_send(waitset, callback)
        }
        /// Returns the waitset that serves the binding, unless it is gone.
        pub fn waitset(&self) -> __rt::Option<__rt::Waitset> {
            self.0.0.waitset()
        }
        /// Moves the binding to another waitset of this thread. Fails if that cannot watch the channel.
        pub fn change_waitset(&self, waitset: &__rt::Waitset) -> __controlled {
            self.0.0.change_waitset(waitset)
        }
        /// Executes a control operation. A driver ignores an operation that it has no use for.
        pub fn control(&self, control: __rt::Control) -> __controlled {
            self.0.0.control(control)
        }
    }
    impl Binding<__rt::Shared> {
        /// Runs `callback` once from `waitset` when a message is likely to be accepted. Fails if another callback waits.
        pub fn register_send(
            &self,
            waitset: &__rt::SharedWaitset,
            callback: impl __rt::FnOnce(
                &__rt::SharedWaitset,
            ) -> __rt::Outcome + __rt::Send + 'static,
        ) -> __controlled {
            self.0.0.register_send(waitset, callback)
        }
        /// Moves a binding of a `SharedWaitset` to another one. Fails if that cannot watch the channel, or the binding
        /// belongs to one thread.
        pub fn change_waitset(&self, waitset: &__rt::SharedWaitset) -> __controlled {
            self.0.0.change_waitset(waitset)
        }
    }
    #[automatically_derived]
    impl __rt::AsRaw for Binding<__rt::Local> {
        fn as_raw(&self) -> &__rt::RawBinding {
            &self.0.0
        }
    }
    /// What handles the messages of `types`: an [`Rx`], an [`AsyncRx`] in `Async`, an `Inbox`, or `()` for nothing.
    pub trait Handlers<E: __rt::End = __rt::Local>: 'static {
        #[doc(hidden)]
        fn __deliver(self) -> __rt::BoxDispatch<E>;
    }
    #[automatically_derived]
    impl<E: __rt::End> Handlers<E> for () {
        fn __deliver(self) -> __rt::BoxDispatch<E> {
            __rt::nothing::<E, Message>(__rt::Direction::Both)
        }
    }
    #[automatically_derived]
    impl<E: __rt::End, __R: Handlers<E>> Handlers<E> for __rt::Inbox<Binding<E>, __R> {
        fn __deliver(self) -> __rt::BoxDispatch<E> {
            __rt::inbox(self, __rt::Direction::Both, Binding, __R::__deliver)
        }
    }
    /// What one end of `types` does with the messages that it receives.
    ///
    /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down. Those of `Rx<Shared>` are `Send`, and run on any thread of a `SharedWaitset`.
    pub trait Rx<E: __rt::End = __rt::Local> {
        /// Handles `builtins(bool a, char b, int32 c, int8 d, int16 e, int32 f, int64 g, uint8 h, uint16 i, uint32 j, uint64 k, intptr l, uintptr m, uintptr n, iref o, errval p, float q, double r)`.
        fn builtins(
            &mut self,
            binding: &Binding<E>,
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
            binding: &Binding<E>,
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
            binding: &Binding<E>,
            a: &[u8],
            b: &[bool],
            c: &[&str],
            d: &[Item],
            e: &[Pose],
            f: &[Row],
        );
        /// Handles `annotated(uint8 buf[len, 65536])`.
        fn annotated(&mut self, binding: &Binding<E>, buf: &[u8]);
        /// Handles `type(string fn)`.
        fn r#type(&mut self, binding: &Binding<E>, r#fn: &str);
        /// Handles `none()`.
        fn none(&mut self, binding: &Binding<E>);
        /// The binding has been made, and may send. Runs before any other handler.
        fn connected(&mut self, binding: &Binding<E>) {
            let _ = binding;
        }
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&mut self, binding: &Binding<E>, error: __rt::BindingError) {
            __rt::unhandled_error(&binding.0, error);
        }
    }
    /// Handlers of `types` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::derive(__rt::Default)]
    pub struct RxVtbl {
        /// Handles `builtins(bool a, char b, int32 c, int8 d, int16 e, int32 f, int64 g, uint8 h, uint16 i, uint32 j, uint64 k, intptr l, uintptr m, uintptr n, iref o, errval p, float q, double r)`.
        pub builtins: __closure<
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
        /// Handles `values(choice c, item i, pair p, row r, rows q, old_item o, pose s, thing t)`.
        pub values: __closure<
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
        /// Handles `arrays(uint8 a[a_len, 65536], bool b[b_len, 16], string c[c_len, 4], item d[d_len, 8], pose e[e_len, 65536], row f[f_len, 65536])`.
        pub arrays: __closure<
            dyn __rt::FnMut(&Binding, &[u8], &[bool], &[&str], &[Item], &[Pose], &[Row]),
        >,
        /// Handles `annotated(uint8 buf[len, 65536])`.
        pub annotated: __closure<dyn __rt::FnMut(&Binding, &[u8])>,
        /// Handles `type(string fn)`.
        pub r#type: __closure<dyn __rt::FnMut(&Binding, &str)>,
        /// Handles `none()`.
        pub none: __closure<dyn __rt::FnMut(&Binding)>,
        /// The binding has been made, and may send. Runs before any other handler.
        pub connected: __closure<dyn __rt::FnMut(&Binding)>,
        /// Something went wrong with the binding. Without it, the error is logged.
        pub error: __closure<dyn __rt::FnMut(&Binding, __rt::BindingError)>,
    }
    type __closure<F> = __rt::Option<__rt::Box<F>>;
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
        fn connected(&mut self, binding: &Binding) {
            if let __rt::Some(__handler) = &mut self.connected {
                __handler(binding);
            }
        }
        fn error(&mut self, binding: &Binding, error: __rt::BindingError) {
            match &mut self.error {
                __rt::Some(__handler) => __handler(binding, error),
                __rt::None => __rt::unhandled_error(&binding.0, error),
            }
        }
    }
    #[automatically_derived]
    impl<__R: Rx + 'static> Handlers<__rt::Local> for __R {
        fn __deliver(self) -> __rt::BoxDispatch {
            __rt::dispatcher(
                self,
                Binding,
                __deliver,
                Rx::error,
                __rt::Some(Rx::connected),
            )
        }
    }
    #[automatically_derived]
    impl<__R: Rx<__rt::Shared> + __rt::Send + 'static> Handlers<__rt::Shared> for __R {
        fn __deliver(self) -> __rt::BoxDispatch<__rt::Shared> {
            __rt::shared_dispatcher(
                self,
                Binding,
                __deliver,
                Rx::error,
                __rt::Some(Rx::connected),
            )
        }
    }
    #[inline(always)]
    fn __deliver<E: __rt::End, __R: Rx<E>>(
        __rx: &mut __R,
        __b: &Binding<E>,
        __m: &mut __rt::Received<'_>,
    ) -> __rt::Result<(), __rt::DecodeError> {
        match __m.number {
            1 => {
                __Builtins::deliver(
                    __m,
                    |(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r)| Rx::builtins(
                        __rx,
                        __b,
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
                    ),
                )
            }
            2 => {
                __Values::deliver(
                    __m,
                    |(c, i, p, r, q, o, s, t)| Rx::values(
                        __rx,
                        __b,
                        c,
                        i,
                        p,
                        r,
                        q,
                        o,
                        s,
                        t,
                    ),
                )
            }
            3 => {
                __Arrays::deliver(
                    __m,
                    |(a, b, c, d, e, f)| Rx::arrays(__rx, __b, a, &b, &c, &d, &e, &f),
                )
            }
            4 => __Annotated::deliver(__m, |(buf,)| Rx::annotated(__rx, __b, buf)),
            5 => __Type::deliver(__m, |(r#fn,)| Rx::r#type(__rx, __b, r#fn)),
            6 => __None::deliver(__m, |()| Rx::none(__rx, __b)),
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// What one end of `types` does with the messages that it receives, as futures.
    ///
    /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
    /// returns is the reply. An error that is a `Refusal` goes to the caller; after another one, or a panic, the caller
    /// learns which of the two it was. When the caller gives up, the handler is dropped where it waits.
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
        /// The binding has been made, and may send. Starts before any other handler.
        async fn connected(&self, binding: &Binding) {
            let _ = binding;
        }
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&self, binding: &Binding, error: __rt::BindingError) {
            __rt::unhandled_error(&binding.0, error);
        }
    }
    #[automatically_derived]
    impl<__R: AsyncRx + 'static> Handlers for __rt::Async<__R> {
        fn __deliver(self) -> __rt::BoxDispatch {
            __rt::async_dispatcher(
                self.0,
                Binding,
                __deliver_async,
                __R::error,
                __rt::Some(|__rx, __b| {
                    __b.0.0.spawn(__rx, __rt::Clone::clone(__b), (), __R::connected);
                }),
            )
        }
    }
    fn __deliver_async<__R: AsyncRx + 'static>(
        __rx: &mut __rt::Rc<__R>,
        __b: &Binding,
        __m: &mut __rt::Received<'_>,
    ) -> __rt::Result<(), __rt::DecodeError> {
        match __m.number {
            1 => {
                __Builtins::spawn_whole(
                    __m,
                    __rx,
                    __b,
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
            }
            2 => __Values::spawn(__m, __rx, __b, __R::values),
            3 => __Arrays::spawn(__m, __rx, __b, __R::arrays),
            4 => __Annotated::spawn(__m, __rx, __b, __R::annotated),
            5 => __Type::spawn(__m, __rx, __b, __R::r#type),
            6 => __None::spawn(__m, __rx, __b, __R::none),
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// Any message of `types`, with all that it carries.
    ///
    /// Two messages are equal if they are the same words. A message with a capability equals none.
    pub enum Message {
        /// `builtins(bool a, char b, int32 c, int8 d, int16 e, int32 f, int64 g, uint8 h, uint16 i, uint32 j, uint64 k, intptr l, uintptr m, uintptr n, iref o, errval p, float q, double r)`
        Builtins {
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
        },
        /// `values(choice c, item i, pair p, row r, rows q, old_item o, pose s, thing t)`
        Values {
            c: Choice,
            i: Item,
            p: Pair,
            r: Row,
            q: Rows,
            o: OldItem,
            s: Pose,
            t: Thing,
        },
        /// `arrays(uint8 a[a_len, 65536], bool b[b_len, 16], string c[c_len, 4], item d[d_len, 8], pose e[e_len, 65536], row f[f_len, 65536])`
        Arrays {
            a: __rt::Vec<u8>,
            b: __rt::Vec<bool>,
            c: __rt::Vec<__rt::String>,
            d: __rt::Vec<Item>,
            e: __rt::Vec<Pose>,
            f: __rt::Vec<Row>,
        },
        /// `annotated(uint8 buf[len, 65536])`
        Annotated { buf: __rt::Vec<u8> },
        /// `type(string fn)`
        Type { r#fn: __rt::String },
        /// `none()`
        None {},
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
        fn unmarshal(__m: __rt::Received<'_>) -> __rt::Result<Self, __rt::DecodeError> {
            match __m.number {
                1 => {
                    __Builtins::read(
                        __m,
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
                        __m,
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
                        __m,
                        |(a, b, c, d, e, f)| Self::Arrays { a, b, c, d, e, f },
                    )
                }
                4 => __Annotated::read(__m, |(buf,)| Self::Annotated { buf }),
                5 => __Type::read(__m, |(r#fn,)| Self::Type { r#fn }),
                6 => __None::read(__m, |()| Self::None {}),
                __number => __rt::stray(INTERFACE, __number),
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
    /// Offers the service: `connect` is asked for each client, and answers with what handles its messages.
    pub fn export<W: __rt::AnyWaitset, C, X>(waitset: &W, connect: C) -> W::Export
    where
        C: __rt::FnMut(&__rt::Peer) -> __rt::Result<X, __rt::Refusal>
            + __rt::Connects<W::End, X>,
        X: Handlers<W::End>,
    {
        __rt::export(waitset, INTERFACE, __rt::broker(), connect, X::__deliver)
    }
    /// Connects to the service that `iref` names; `rx` handles what it sends.
    pub fn bind<W: __rt::AnyWaitset, X: Handlers<W::End>>(
        iref: __rt::Iref,
        waitset: &W,
        rx: X,
    ) -> W::Bind<Binding<W::End>> {
        __rt::bind(iref, waitset, INTERFACE, __rt::broker(), rx.__deliver(), Binding)
    }
    /// Makes a binding over one end of a channel that the caller has; `rx` handles what it receives. The binding ends when
    /// its last handle is dropped. Its peer is unknown. Fails if the waitset cannot watch the channel.
    pub fn over(
        channel: __rt::Box<dyn __rt::Channel>,
        waitset: &__rt::Waitset,
        rx: impl Handlers,
    ) -> __rt::io::Result<Binding> {
        __rt::attach(channel, waitset, INTERFACE, rx.__deliver()).map(Binding)
    }
    /// Offers the service under `name`, in a thread of the library. `handlers` makes the handlers of each client.
    pub fn serve<S, X>(name: &__rt::str, mut handlers: S) -> __rt::Serve
    where
        S: __rt::FnMut() -> X + __rt::Send + 'static,
        X: Handlers,
    {
        __rt::serve(name, INTERFACE, move || handlers().__deliver())
    }
    /// Connects to the service called `name`, once there is one, for any thread.
    #[inline]
    pub fn connect(name: &__rt::str) -> __connect {
        __rt::connect::<Message, _, _>(name, |__e| Binding(__e.shared()), Binding)
    }
    type __connect = __rt::Connect<
        Binding<__rt::Shared>,
        __rt::Again<Binding<__rt::Reconnecting>>,
    >;
}
