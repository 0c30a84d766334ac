/// Types shared by interfaces: `limits`.
#[allow(clippy::all, clippy::pedantic, clippy::nursery, dead_code, unreachable_pub)]
#[allow(private_interfaces, async_fn_in_trait, non_camel_case_types, non_snake_case)]
#[allow(long_running_const_eval, missing_docs, unused_imports, unused_qualifications)]
pub mod limits {
    use ::flounder::__private as __rt;
    /// The most entries of a list.
    pub const MAX_LIST: usize = 8;
}
/// The interface `data`.
#[allow(clippy::all, clippy::pedantic, clippy::nursery, dead_code, unreachable_pub)]
#[allow(private_interfaces, async_fn_in_trait, non_camel_case_types, non_snake_case)]
#[allow(long_running_const_eval, missing_docs, unused_imports, unused_qualifications)]
pub mod data {
    use ::flounder::__private as __rt;
    /// The most entries of a list.
    pub use super::limits::MAX_LIST;
    /// `const uint8 ROW = 4;`
    pub const ROW: u8 = 4;
    /// `const int64 LEAST = -1000;`
    #[doc(alias = "LEAST")]
    pub const LEAST_BALANCE: i64 = -1000;
    /// `typedef struct { .. } account;`
    #[__rt::derive(__rt::Debug, __rt::Clone, __rt::Copy)]
    #[__rt::derive(__rt::PartialEq, __rt::Eq, __rt::Hash)]
    pub struct Account {
        pub id: u128,
        pub balance: i128,
        pub kind: u8,
    }
    const _: () = {
        const __REC: __rt::Record<3usize> = __rt::record([
            <u128 as __rt::Shape>::PLACE,
            <i128 as __rt::Shape>::PLACE,
            <u8 as __rt::Shape>::PLACE,
        ]);
        #[automatically_derived]
        impl __rt::Shape for Account {
            const SIZE: __rt::usize = __REC.size;
            const ALIGN: __rt::usize = __REC.align;
            const FORM: &'static __rt::TypeForm = &__rt::TypeForm::new(
                "struct{id,balance,kind}",
                &[
                    <u128 as __rt::Shape>::FORM,
                    <i128 as __rt::Shape>::FORM,
                    <u8 as __rt::Shape>::FORM,
                ],
            );
        }
        #[automatically_derived]
        impl __rt::Encode for Account {
            #[inline]
            fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
                let Self { id: __0, balance: __1, kind: __2 } = self;
                <u128 as __rt::Encode>::put(__0, __words, __at + __REC.at[0]);
                <i128 as __rt::Encode>::put(__1, __words, __at + __REC.at[1]);
                <u8 as __rt::Encode>::put(__2, __words, __at + __REC.at[2]);
            }
        }
        #[automatically_derived]
        impl<'__a> __rt::Decode<'__a> for Account {
            #[inline]
            fn take(
                __decoder: &mut __rt::Decoder<'__a>,
                __at: __rt::usize,
            ) -> __rt::Result<Self, __rt::DecodeError> {
                let __0 = __decoder.take::<u128>(__at + __REC.at[0])?;
                let __1 = __decoder.take::<i128>(__at + __REC.at[1])?;
                let __2 = __decoder.take::<u8>(__at + __REC.at[2])?;
                __decoder.zero(__at + __REC.used, __REC.size - __REC.used)?;
                __rt::Ok(Self {
                    id: __0,
                    balance: __1,
                    kind: __2,
                })
            }
        }
    };
    /// `typedef .. row[4];`
    pub type Row = [u32; 4];
    /// `typedef struct { .. } entry;`
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    #[__rt::derive(__rt::PartialEq, __rt::Eq, __rt::Hash)]
    pub struct Entry {
        pub key: [u8; 16],
        pub value: __rt::Vec<u8>,
        pub note: __rt::Option<__rt::String>,
        pub owner: __rt::Option<Account>,
        pub tags: __rt::Vec<__rt::String>,
        pub ports: __rt::Option<__rt::Vec<u16>>,
    }
    const _: () = {
        const __REC: __rt::Record<6usize> = __rt::record([
            <[u8; 16] as __rt::Shape>::PLACE,
            <__rt::Vec<u8> as __rt::Shape>::PLACE,
            <__rt::Option<__rt::String> as __rt::Shape>::PLACE,
            <__rt::Option<Account> as __rt::Shape>::PLACE,
            <__rt::Vec<__rt::String> as __rt::Shape>::PLACE,
            <__rt::Option<__rt::Vec<u16>> as __rt::Shape>::PLACE,
        ]);
        #[automatically_derived]
        impl __rt::Shape for Entry {
            const SIZE: __rt::usize = __REC.size;
            const ALIGN: __rt::usize = __REC.align;
            const MAX_TAIL: __rt::usize = __rt::total(
                &[
                    <[u8; 16] as __rt::Shape>::MAX_TAIL,
                    <__rt::Vec<u8> as __rt::Bounded<4096u32>>::MAX_TAIL,
                    <__rt::Option<__rt::String> as __rt::Bounded<64u32>>::MAX_TAIL,
                    <__rt::Option<Account> as __rt::Shape>::MAX_TAIL,
                    <__rt::Vec<__rt::String> as __rt::Bounded<8u32>>::MAX_TAIL,
                    <__rt::Option<__rt::Vec<u16>> as __rt::Shape>::MAX_TAIL,
                ],
            );
            const MAX_CAPS: __rt::usize = __rt::total(
                &[
                    <[u8; 16] as __rt::Shape>::MAX_CAPS,
                    <__rt::Vec<u8> as __rt::Bounded<4096u32>>::MAX_CAPS,
                    <__rt::Option<__rt::String> as __rt::Bounded<64u32>>::MAX_CAPS,
                    <__rt::Option<Account> as __rt::Shape>::MAX_CAPS,
                    <__rt::Vec<__rt::String> as __rt::Bounded<8u32>>::MAX_CAPS,
                    <__rt::Option<__rt::Vec<u16>> as __rt::Shape>::MAX_CAPS,
                ],
            );
            const FORM: &'static __rt::TypeForm = &__rt::TypeForm::new(
                "struct{key,value[4096],note[64],owner,tags[8],ports}",
                &[
                    <[u8; 16] as __rt::Shape>::FORM,
                    <__rt::Vec<u8> as __rt::Shape>::FORM,
                    <__rt::Option<__rt::String> as __rt::Shape>::FORM,
                    <__rt::Option<Account> as __rt::Shape>::FORM,
                    <__rt::Vec<__rt::String> as __rt::Shape>::FORM,
                    <__rt::Option<__rt::Vec<u16>> as __rt::Shape>::FORM,
                ],
            );
        }
        #[automatically_derived]
        impl __rt::Encode for Entry {
            #[inline]
            fn check(&self) -> __rt::Result<(), __rt::TooLong> {
                let Self {
                    key: __0,
                    value: __1,
                    note: __2,
                    owner: __3,
                    tags: __4,
                    ports: __5,
                } = self;
                <[u8; 16] as __rt::Encode>::check(__0)?;
                <__rt::Vec<u8> as __rt::Bounded<4096u32>>::check_bound(__1)?;
                <__rt::Option<__rt::String> as __rt::Bounded<64u32>>::check_bound(__2)?;
                <__rt::Option<Account> as __rt::Encode>::check(__3)?;
                <__rt::Vec<__rt::String> as __rt::Bounded<8u32>>::check_bound(__4)?;
                <__rt::Option<__rt::Vec<u16>> as __rt::Encode>::check(__5)?;
                __rt::Ok(())
            }
            #[inline]
            fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
                let Self {
                    key: __0,
                    value: __1,
                    note: __2,
                    owner: __3,
                    tags: __4,
                    ports: __5,
                } = self;
                <[u8; 16] as __rt::Encode>::put(__0, __words, __at + __REC.at[0]);
                <__rt::Vec<u8> as __rt::Encode>::put(__1, __words, __at + __REC.at[1]);
                <__rt::Option<
                    __rt::String,
                > as __rt::Encode>::put(__2, __words, __at + __REC.at[2]);
                <__rt::Option<
                    Account,
                > as __rt::Encode>::put(__3, __words, __at + __REC.at[3]);
                <__rt::Vec<
                    __rt::String,
                > as __rt::Encode>::put(__4, __words, __at + __REC.at[4]);
                <__rt::Option<
                    __rt::Vec<u16>,
                > as __rt::Encode>::put(__5, __words, __at + __REC.at[5]);
            }
            #[inline]
            fn put_tail(&self, __tail: &mut __rt::Vec<__rt::u64>) {
                let Self {
                    key: __0,
                    value: __1,
                    note: __2,
                    owner: __3,
                    tags: __4,
                    ports: __5,
                } = self;
                <[u8; 16] as __rt::Encode>::put_tail(__0, __tail);
                <__rt::Vec<u8> as __rt::Encode>::put_tail(__1, __tail);
                <__rt::Option<__rt::String> as __rt::Encode>::put_tail(__2, __tail);
                <__rt::Option<Account> as __rt::Encode>::put_tail(__3, __tail);
                <__rt::Vec<__rt::String> as __rt::Encode>::put_tail(__4, __tail);
                <__rt::Option<__rt::Vec<u16>> as __rt::Encode>::put_tail(__5, __tail);
            }
            #[inline]
            fn put_caps<'__a>(&'__a self, __caps: &mut __rt::CapRefs<'__a>) {
                let Self {
                    key: __0,
                    value: __1,
                    note: __2,
                    owner: __3,
                    tags: __4,
                    ports: __5,
                } = self;
                <[u8; 16] as __rt::Encode>::put_caps(__0, __caps);
                <__rt::Vec<u8> as __rt::Encode>::put_caps(__1, __caps);
                <__rt::Option<__rt::String> as __rt::Encode>::put_caps(__2, __caps);
                <__rt::Option<Account> as __rt::Encode>::put_caps(__3, __caps);
                <__rt::Vec<__rt::String> as __rt::Encode>::put_caps(__4, __caps);
                <__rt::Option<__rt::Vec<u16>> as __rt::Encode>::put_caps(__5, __caps);
            }
        }
        #[automatically_derived]
        impl<'__a> __rt::Decode<'__a> for Entry {
            #[inline]
            fn take(
                __decoder: &mut __rt::Decoder<'__a>,
                __at: __rt::usize,
            ) -> __rt::Result<Self, __rt::DecodeError> {
                let __0 = <[u8; 16] as __rt::Decode<
                    '__a,
                >>::take(__decoder, __at + __REC.at[0])?;
                let __1 = <__rt::Vec<
                    u8,
                > as __rt::TakeBounded<
                    '__a,
                    4096u32,
                >>::take_bounded(__decoder, __at + __REC.at[1])?;
                let __2 = <__rt::Option<
                    __rt::String,
                > as __rt::TakeBounded<
                    '__a,
                    64u32,
                >>::take_bounded(__decoder, __at + __REC.at[2])?;
                let __3 = <__rt::Option<
                    Account,
                > as __rt::Decode<'__a>>::take(__decoder, __at + __REC.at[3])?;
                let __4 = <__rt::Vec<
                    __rt::String,
                > as __rt::TakeBounded<
                    '__a,
                    8u32,
                >>::take_bounded(__decoder, __at + __REC.at[4])?;
                let __5 = <__rt::Option<
                    __rt::Vec<u16>,
                > as __rt::Decode<'__a>>::take(__decoder, __at + __REC.at[5])?;
                __decoder.zero(__at + __REC.used, __REC.size - __REC.used)?;
                __rt::Ok(Self {
                    key: __0,
                    value: __1,
                    note: __2,
                    owner: __3,
                    tags: __4,
                    ports: __5,
                })
            }
        }
    };
    /// `typedef union { .. } number;`
    #[__rt::derive(__rt::Debug, __rt::Clone, __rt::Copy)]
    #[__rt::derive(__rt::PartialEq, __rt::Eq, __rt::Hash)]
    pub enum Number {
        Small(u32),
        Fixed(Account),
    }
    const _: () = {
        const __REC_0: __rt::Record<1usize> = __rt::record([
            <u32 as __rt::Shape>::PLACE,
        ]);
        const __REC_1: __rt::Record<1usize> = __rt::record([
            <Account as __rt::Shape>::PLACE,
        ]);
        #[automatically_derived]
        impl __rt::Shape for Number {
            const SIZE: __rt::usize = 4;
            const ALIGN: __rt::usize = 4;
            const MAX_TAIL: __rt::usize = __rt::largest(
                &[
                    __rt::total(&[__REC_0.words, <u32 as __rt::Shape>::MAX_TAIL]),
                    __rt::total(&[__REC_1.words, <Account as __rt::Shape>::MAX_TAIL]),
                ],
            );
            const MAX_CAPS: __rt::usize = __rt::largest(
                &[
                    __rt::total(&[<u32 as __rt::Shape>::MAX_CAPS]),
                    __rt::total(&[<Account as __rt::Shape>::MAX_CAPS]),
                ],
            );
            const FORM: &'static __rt::TypeForm = &__rt::TypeForm::new(
                "enum{small{0},fixed{0}}",
                &[<u32 as __rt::Shape>::FORM, <Account as __rt::Shape>::FORM],
            );
        }
        #[automatically_derived]
        impl __rt::Encode for Number {
            #[inline]
            fn check(&self) -> __rt::Result<(), __rt::TooLong> {
                match self {
                    Self::Small { 0: __0 } => {
                        <u32 as __rt::Encode>::check(__0)?;
                    }
                    Self::Fixed { 0: __0 } => {
                        <Account as __rt::Encode>::check(__0)?;
                    }
                }
                __rt::Ok(())
            }
            #[inline]
            fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
                __rt::put_tag(
                    match self {
                        Self::Small { .. } => 0,
                        Self::Fixed { .. } => 1,
                    },
                    __words,
                    __at,
                );
            }
            #[inline]
            fn put_tail(&self, __tail: &mut __rt::Vec<__rt::u64>) {
                match self {
                    Self::Small { 0: __0 } => {
                        let __words = __rt::nest(__tail, __REC_0.words);
                        <u32 as __rt::Encode>::put(__0, __words, __REC_0.at[0]);
                        <u32 as __rt::Encode>::put_tail(__0, __tail);
                    }
                    Self::Fixed { 0: __0 } => {
                        let __words = __rt::nest(__tail, __REC_1.words);
                        <Account as __rt::Encode>::put(__0, __words, __REC_1.at[0]);
                        <Account as __rt::Encode>::put_tail(__0, __tail);
                    }
                }
            }
            #[inline]
            fn put_caps<'__a>(&'__a self, __caps: &mut __rt::CapRefs<'__a>) {
                match self {
                    Self::Small { 0: __0 } => {
                        <u32 as __rt::Encode>::put_caps(__0, __caps);
                    }
                    Self::Fixed { 0: __0 } => {
                        <Account as __rt::Encode>::put_caps(__0, __caps);
                    }
                }
            }
        }
        #[automatically_derived]
        impl<'__a> __rt::Decode<'__a> for Number {
            #[inline]
            fn take(
                __decoder: &mut __rt::Decoder<'__a>,
                __at: __rt::usize,
            ) -> __rt::Result<Self, __rt::DecodeError> {
                __rt::Ok(
                    match __decoder.tag(__at, 2, "number")? {
                        0 => {
                            let __inner = __decoder.nested(__REC_0.words)?;
                            let __0 = <u32 as __rt::Decode<
                                '__a,
                            >>::take(__decoder, __inner + __REC_0.at[0])?;
                            __decoder
                                .zero(
                                    __inner + __REC_0.used,
                                    __REC_0.words * 8 - __REC_0.used,
                                )?;
                            Self::Small { 0: __0 }
                        }
                        _ => {
                            let __inner = __decoder.nested(__REC_1.words)?;
                            let __0 = <Account as __rt::Decode<
                                '__a,
                            >>::take(__decoder, __inner + __REC_1.at[0])?;
                            __decoder
                                .zero(
                                    __inner + __REC_1.used,
                                    __REC_1.words * 8 - __REC_1.used,
                                )?;
                            Self::Fixed { 0: __0 }
                        }
                    },
                )
            }
        }
    };
    /// `typedef union { .. } value;`
    #[__rt::derive(__rt::Debug)]
    pub enum Value {
        /// As text.
        Text(__rt::String),
        Data(__rt::Vec<u8>),
        Maybe(__rt::Option<Number>),
        #[doc(alias = "entry_t")]
        Whole(Entry),
        File(__rt::Cap),
    }
    const _: () = {
        const __REC_0: __rt::Record<1usize> = __rt::record([
            <__rt::String as __rt::Shape>::PLACE,
        ]);
        const __REC_1: __rt::Record<1usize> = __rt::record([
            <__rt::Vec<u8> as __rt::Shape>::PLACE,
        ]);
        const __REC_2: __rt::Record<1usize> = __rt::record([
            <__rt::Option<Number> as __rt::Shape>::PLACE,
        ]);
        const __REC_3: __rt::Record<1usize> = __rt::record([
            <Entry as __rt::Shape>::PLACE,
        ]);
        const __REC_4: __rt::Record<1usize> = __rt::record([
            <__rt::Cap as __rt::Shape>::PLACE,
        ]);
        #[automatically_derived]
        impl __rt::Shape for Value {
            const SIZE: __rt::usize = 4;
            const ALIGN: __rt::usize = 4;
            const MAX_TAIL: __rt::usize = __rt::largest(
                &[
                    __rt::total(
                        &[
                            __REC_0.words,
                            <__rt::String as __rt::Bounded<64u32>>::MAX_TAIL,
                        ],
                    ),
                    __rt::total(
                        &[
                            __REC_1.words,
                            <__rt::Vec<u8> as __rt::Bounded<128u32>>::MAX_TAIL,
                        ],
                    ),
                    __rt::total(
                        &[__REC_2.words, <__rt::Option<Number> as __rt::Shape>::MAX_TAIL],
                    ),
                    __rt::total(&[__REC_3.words, <Entry as __rt::Shape>::MAX_TAIL]),
                    __rt::total(&[__REC_4.words, <__rt::Cap as __rt::Shape>::MAX_TAIL]),
                ],
            );
            const MAX_CAPS: __rt::usize = __rt::largest(
                &[
                    __rt::total(&[<__rt::String as __rt::Bounded<64u32>>::MAX_CAPS]),
                    __rt::total(&[<__rt::Vec<u8> as __rt::Bounded<128u32>>::MAX_CAPS]),
                    __rt::total(&[<__rt::Option<Number> as __rt::Shape>::MAX_CAPS]),
                    __rt::total(&[<Entry as __rt::Shape>::MAX_CAPS]),
                    __rt::total(&[<__rt::Cap as __rt::Shape>::MAX_CAPS]),
                ],
            );
            const FORM: &'static __rt::TypeForm = &__rt::TypeForm::new(
                "enum{text{0[64]},data{0[128]},maybe{0},entry_t{0},file{0}}",
                &[
                    <__rt::String as __rt::Shape>::FORM,
                    <__rt::Vec<u8> as __rt::Shape>::FORM,
                    <__rt::Option<Number> as __rt::Shape>::FORM,
                    <Entry as __rt::Shape>::FORM,
                    <__rt::Cap as __rt::Shape>::FORM,
                ],
            );
        }
        #[automatically_derived]
        impl __rt::Encode for Value {
            #[inline]
            fn check(&self) -> __rt::Result<(), __rt::TooLong> {
                match self {
                    Self::Text { 0: __0 } => {
                        <__rt::String as __rt::Bounded<64u32>>::check_bound(__0)?;
                    }
                    Self::Data { 0: __0 } => {
                        <__rt::Vec<u8> as __rt::Bounded<128u32>>::check_bound(__0)?;
                    }
                    Self::Maybe { 0: __0 } => {
                        <__rt::Option<Number> as __rt::Encode>::check(__0)?;
                    }
                    Self::Whole { 0: __0 } => {
                        <Entry as __rt::Encode>::check(__0)?;
                    }
                    Self::File { 0: __0 } => {
                        <__rt::Cap as __rt::Encode>::check(__0)?;
                    }
                }
                __rt::Ok(())
            }
            #[inline]
            fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
                __rt::put_tag(
                    match self {
                        Self::Text { .. } => 0,
                        Self::Data { .. } => 1,
                        Self::Maybe { .. } => 2,
                        Self::Whole { .. } => 3,
                        Self::File { .. } => 4,
                    },
                    __words,
                    __at,
                );
            }
            #[inline]
            fn put_tail(&self, __tail: &mut __rt::Vec<__rt::u64>) {
                match self {
                    Self::Text { 0: __0 } => {
                        let __words = __rt::nest(__tail, __REC_0.words);
                        <__rt::String as __rt::Encode>::put(__0, __words, __REC_0.at[0]);
                        <__rt::String as __rt::Encode>::put_tail(__0, __tail);
                    }
                    Self::Data { 0: __0 } => {
                        let __words = __rt::nest(__tail, __REC_1.words);
                        <__rt::Vec<
                            u8,
                        > as __rt::Encode>::put(__0, __words, __REC_1.at[0]);
                        <__rt::Vec<u8> as __rt::Encode>::put_tail(__0, __tail);
                    }
                    Self::Maybe { 0: __0 } => {
                        let __words = __rt::nest(__tail, __REC_2.words);
                        <__rt::Option<
                            Number,
                        > as __rt::Encode>::put(__0, __words, __REC_2.at[0]);
                        <__rt::Option<Number> as __rt::Encode>::put_tail(__0, __tail);
                    }
                    Self::Whole { 0: __0 } => {
                        let __words = __rt::nest(__tail, __REC_3.words);
                        <Entry as __rt::Encode>::put(__0, __words, __REC_3.at[0]);
                        <Entry as __rt::Encode>::put_tail(__0, __tail);
                    }
                    Self::File { 0: __0 } => {
                        let __words = __rt::nest(__tail, __REC_4.words);
                        <__rt::Cap as __rt::Encode>::put(__0, __words, __REC_4.at[0]);
                        <__rt::Cap as __rt::Encode>::put_tail(__0, __tail);
                    }
                }
            }
            #[inline]
            fn put_caps<'__a>(&'__a self, __caps: &mut __rt::CapRefs<'__a>) {
                match self {
                    Self::Text { 0: __0 } => {
                        <__rt::String as __rt::Encode>::put_caps(__0, __caps);
                    }
                    Self::Data { 0: __0 } => {
                        <__rt::Vec<u8> as __rt::Encode>::put_caps(__0, __caps);
                    }
                    Self::Maybe { 0: __0 } => {
                        <__rt::Option<Number> as __rt::Encode>::put_caps(__0, __caps);
                    }
                    Self::Whole { 0: __0 } => {
                        <Entry as __rt::Encode>::put_caps(__0, __caps);
                    }
                    Self::File { 0: __0 } => {
                        <__rt::Cap as __rt::Encode>::put_caps(__0, __caps);
                    }
                }
            }
        }
        #[automatically_derived]
        impl<'__a> __rt::Decode<'__a> for Value {
            #[inline]
            fn take(
                __decoder: &mut __rt::Decoder<'__a>,
                __at: __rt::usize,
            ) -> __rt::Result<Self, __rt::DecodeError> {
                __rt::Ok(
                    match __decoder.tag(__at, 5, "value")? {
                        0 => {
                            let __inner = __decoder.nested(__REC_0.words)?;
                            let __0 = <__rt::String as __rt::TakeBounded<
                                '__a,
                                64u32,
                            >>::take_bounded(__decoder, __inner + __REC_0.at[0])?;
                            __decoder
                                .zero(
                                    __inner + __REC_0.used,
                                    __REC_0.words * 8 - __REC_0.used,
                                )?;
                            Self::Text { 0: __0 }
                        }
                        1 => {
                            let __inner = __decoder.nested(__REC_1.words)?;
                            let __0 = <__rt::Vec<
                                u8,
                            > as __rt::TakeBounded<
                                '__a,
                                128u32,
                            >>::take_bounded(__decoder, __inner + __REC_1.at[0])?;
                            __decoder
                                .zero(
                                    __inner + __REC_1.used,
                                    __REC_1.words * 8 - __REC_1.used,
                                )?;
                            Self::Data { 0: __0 }
                        }
                        2 => {
                            let __inner = __decoder.nested(__REC_2.words)?;
                            let __0 = <__rt::Option<
                                Number,
                            > as __rt::Decode<
                                '__a,
                            >>::take(__decoder, __inner + __REC_2.at[0])?;
                            __decoder
                                .zero(
                                    __inner + __REC_2.used,
                                    __REC_2.words * 8 - __REC_2.used,
                                )?;
                            Self::Maybe { 0: __0 }
                        }
                        3 => {
                            let __inner = __decoder.nested(__REC_3.words)?;
                            let __0 = <Entry as __rt::Decode<
                                '__a,
                            >>::take(__decoder, __inner + __REC_3.at[0])?;
                            __decoder
                                .zero(
                                    __inner + __REC_3.used,
                                    __REC_3.words * 8 - __REC_3.used,
                                )?;
                            Self::Whole { 0: __0 }
                        }
                        _ => {
                            let __inner = __decoder.nested(__REC_4.words)?;
                            let __0 = <__rt::Cap as __rt::Decode<
                                '__a,
                            >>::take(__decoder, __inner + __REC_4.at[0])?;
                            __decoder
                                .zero(
                                    __inner + __REC_4.used,
                                    __REC_4.words * 8 - __REC_4.used,
                                )?;
                            Self::File { 0: __0 }
                        }
                    },
                )
            }
        }
    };
    /// `typedef struct { .. } bag;`
    #[__rt::derive(__rt::Debug)]
    pub struct Bag {
        pub files: __rt::Vec<__rt::Cap>,
        pub log: __rt::Option<__rt::Cap>,
    }
    const _: () = {
        const __REC: __rt::Record<2usize> = __rt::record([
            <__rt::Vec<__rt::Cap> as __rt::Shape>::PLACE,
            <__rt::Option<__rt::Cap> as __rt::Shape>::PLACE,
        ]);
        #[automatically_derived]
        impl __rt::Shape for Bag {
            const SIZE: __rt::usize = __REC.size;
            const ALIGN: __rt::usize = __REC.align;
            const MAX_TAIL: __rt::usize = __rt::total(
                &[
                    <__rt::Vec<__rt::Cap> as __rt::Bounded<3u32>>::MAX_TAIL,
                    <__rt::Option<__rt::Cap> as __rt::Shape>::MAX_TAIL,
                ],
            );
            const MAX_CAPS: __rt::usize = __rt::total(
                &[
                    <__rt::Vec<__rt::Cap> as __rt::Bounded<3u32>>::MAX_CAPS,
                    <__rt::Option<__rt::Cap> as __rt::Shape>::MAX_CAPS,
                ],
            );
            const FORM: &'static __rt::TypeForm = &__rt::TypeForm::new(
                "struct{files[3],log}",
                &[
                    <__rt::Vec<__rt::Cap> as __rt::Shape>::FORM,
                    <__rt::Option<__rt::Cap> as __rt::Shape>::FORM,
                ],
            );
        }
        #[automatically_derived]
        impl __rt::Encode for Bag {
            #[inline]
            fn check(&self) -> __rt::Result<(), __rt::TooLong> {
                let Self { files: __0, log: __1 } = self;
                <__rt::Vec<__rt::Cap> as __rt::Bounded<3u32>>::check_bound(__0)?;
                <__rt::Option<__rt::Cap> as __rt::Encode>::check(__1)?;
                __rt::Ok(())
            }
            #[inline]
            fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
                let Self { files: __0, log: __1 } = self;
                <__rt::Vec<
                    __rt::Cap,
                > as __rt::Encode>::put(__0, __words, __at + __REC.at[0]);
                <__rt::Option<
                    __rt::Cap,
                > as __rt::Encode>::put(__1, __words, __at + __REC.at[1]);
            }
            #[inline]
            fn put_tail(&self, __tail: &mut __rt::Vec<__rt::u64>) {
                let Self { files: __0, log: __1 } = self;
                <__rt::Vec<__rt::Cap> as __rt::Encode>::put_tail(__0, __tail);
                <__rt::Option<__rt::Cap> as __rt::Encode>::put_tail(__1, __tail);
            }
            #[inline]
            fn put_caps<'__a>(&'__a self, __caps: &mut __rt::CapRefs<'__a>) {
                let Self { files: __0, log: __1 } = self;
                <__rt::Vec<__rt::Cap> as __rt::Encode>::put_caps(__0, __caps);
                <__rt::Option<__rt::Cap> as __rt::Encode>::put_caps(__1, __caps);
            }
        }
        #[automatically_derived]
        impl<'__a> __rt::Decode<'__a> for Bag {
            #[inline]
            fn take(
                __decoder: &mut __rt::Decoder<'__a>,
                __at: __rt::usize,
            ) -> __rt::Result<Self, __rt::DecodeError> {
                let __0 = <__rt::Vec<
                    __rt::Cap,
                > as __rt::TakeBounded<
                    '__a,
                    3u32,
                >>::take_bounded(__decoder, __at + __REC.at[0])?;
                let __1 = <__rt::Option<
                    __rt::Cap,
                > as __rt::Decode<'__a>>::take(__decoder, __at + __REC.at[1])?;
                __decoder.zero(__at + __REC.used, __REC.size - __REC.used)?;
                __rt::Ok(Self { files: __0, log: __1 })
            }
        }
    };
    /// `typedef struct { .. } pair;`
    #[__rt::derive(__rt::Debug)]
    pub struct Pair {
        pub both: [__rt::Cap; 2],
    }
    const _: () = {
        const __REC: __rt::Record<1usize> = __rt::record([
            <[__rt::Cap; 2] as __rt::Shape>::PLACE,
        ]);
        #[automatically_derived]
        impl __rt::Shape for Pair {
            const SIZE: __rt::usize = __REC.size;
            const ALIGN: __rt::usize = __REC.align;
            const MAX_TAIL: __rt::usize = __rt::total(
                &[<[__rt::Cap; 2] as __rt::Shape>::MAX_TAIL],
            );
            const MAX_CAPS: __rt::usize = __rt::total(
                &[<[__rt::Cap; 2] as __rt::Shape>::MAX_CAPS],
            );
            const FORM: &'static __rt::TypeForm = &__rt::TypeForm::new(
                "struct{both}",
                &[<[__rt::Cap; 2] as __rt::Shape>::FORM],
            );
        }
        #[automatically_derived]
        impl __rt::Encode for Pair {
            #[inline]
            fn check(&self) -> __rt::Result<(), __rt::TooLong> {
                let Self { both: __0 } = self;
                <[__rt::Cap; 2] as __rt::Encode>::check(__0)?;
                __rt::Ok(())
            }
            #[inline]
            fn put(&self, __words: &mut [__rt::u64], __at: __rt::usize) {
                let Self { both: __0 } = self;
                <[__rt::Cap; 2] as __rt::Encode>::put(__0, __words, __at + __REC.at[0]);
            }
            #[inline]
            fn put_tail(&self, __tail: &mut __rt::Vec<__rt::u64>) {
                let Self { both: __0 } = self;
                <[__rt::Cap; 2] as __rt::Encode>::put_tail(__0, __tail);
            }
            #[inline]
            fn put_caps<'__a>(&'__a self, __caps: &mut __rt::CapRefs<'__a>) {
                let Self { both: __0 } = self;
                <[__rt::Cap; 2] as __rt::Encode>::put_caps(__0, __caps);
            }
        }
        #[automatically_derived]
        impl<'__a> __rt::Decode<'__a> for Pair {
            #[inline]
            fn take(
                __decoder: &mut __rt::Decoder<'__a>,
                __at: __rt::usize,
            ) -> __rt::Result<Self, __rt::DecodeError> {
                let __0 = <[__rt::Cap; 2] as __rt::Decode<
                    '__a,
                >>::take(__decoder, __at + __REC.at[0])?;
                __decoder.zero(__at + __REC.used, __REC.size - __REC.used)?;
                __rt::Ok(Self { both: __0 })
            }
        }
    };
    type __Wide = __rt::MessageType<
        1,
        10,
        (
            __rt::Copied<u128>,
            __rt::Copied<i128>,
            __rt::Items<i128, 8>,
            __rt::Copied<Account>,
        ),
    >;
    type __Limited = __rt::MessageType<2, 3, (__rt::Text<4>, __rt::Lent<Row>)>;
    type __Fixed = __rt::MessageType<3, 4, (__rt::Lent<[u8; 16]>, __rt::Lent<[u32; 4]>)>;
    type __Maybe = __rt::MessageType<
        4,
        26,
        (
            __rt::Optional<__rt::Copied<u32>>,
            __rt::Optional<__rt::Text<32>>,
            __rt::Optional<__rt::Copied<Account>>,
            __rt::Optional<__rt::Lent<Entry>>,
            __rt::Optional<__rt::Lent<Row>>,
            __rt::Optional<__rt::Slice<u8, 64>>,
            __rt::Optional<__rt::Texts<8>>,
            __rt::Optional<__rt::Items<Entry, 65536>>,
            __rt::Optional<__rt::Lent<__rt::Cap>>,
            __rt::Optional<__rt::Moved>,
        ),
    >;
    type __United = __rt::MessageType<
        5,
        3,
        (
            __rt::Copied<Number>,
            __rt::Lent<Value>,
            __rt::Optional<__rt::Copied<Number>>,
            __rt::Items<Number, 4>,
        ),
    >;
    type __Caps = __rt::MessageType<
        6,
        5,
        (
            __rt::Items<__rt::Cap, 4>,
            __rt::Lent<[__rt::Cap; 3]>,
            __rt::Items<__rt::Cap, 4>,
            __rt::Optional<__rt::Items<__rt::Cap, 2>>,
            __rt::Optional<__rt::Items<__rt::Cap, 2>>,
            __rt::Items<Bag, 2>,
            __rt::Lent<Pair>,
            __rt::Items<Pair, 2>,
            __rt::Optional<__rt::Lent<Pair>>,
        ),
    >;
    type __FindCall = __rt::MessageType<
        7,
        5,
        (__rt::Copied<u32>, __rt::Copied<u128>, __rt::Optional<__rt::Copied<u64>>),
    >;
    type __FindResponse = __rt::MessageType<
        8,
        18,
        (__rt::Copied<u32>, __rt::Copied<Account>, __rt::Optional<__rt::Lent<Entry>>),
    >;
    const __MESSAGES: [__rt::MessageInfo; 8] = __rt::numbered(
        [
            __Wide::info(
                "wide",
                "id: uint128, delta: int128, list: int128[n, 8], a: account",
                "message wide(id:uint128,delta:int128,list:int128[;8],a:{id:uint128,balance:int128,kind:uint8})",
            ),
            __Limited::info(
                "limited",
                "name: string[4], r: row",
                "message limited(name:string[4],r:[uint32;4])",
            ),
            __Fixed::info(
                "fixed",
                "id: uint8[16], cells: uint32[4]",
                "message fixed(id:[uint8;16],cells:[uint32;4])",
            ),
            __Maybe::info(
                "maybe",
                "n: optional uint32, s: optional string, a: optional account, e: optional entry, r: optional row, bytes: optional uint8[.., 64], names: optional string[.., 8], list: optional entry[.., 65536], c: optional cap, g: optional give_away_cap",
                "message maybe(n:uint32?,s:string[32]?,a:{id:uint128,balance:int128,kind:uint8}?,e:{key:[uint8;16],value:uint8[;4096],note:string[64]?,owner:{id:uint128,balance:int128,kind:uint8}?,tags:string[65536][;8],ports:uint16[;65536]?}?,r:[uint32;4]?,bytes:uint8[;64]?,names:string[65536][;8]?,list:{key:[uint8;16],value:uint8[;4096],note:string[64]?,owner:{id:uint128,balance:int128,kind:uint8}?,tags:string[65536][;8],ports:uint16[;65536]?}[;65536]?,c:cap?,g:give_away_cap?)",
            ),
            __United::info(
                "united",
                "n: number, v: value, o: optional number, list: number[count, 4]",
                "message united(n:enum{small{0:uint32},fixed{0:{id:uint128,balance:int128,kind:uint8}}},v:enum{text{0:string[64]},data{0:uint8[;128]},maybe{0:enum{small{0:uint32},fixed{0:{id:uint128,balance:int128,kind:uint8}}}?},entry_t{0:{key:[uint8;16],value:uint8[;4096],note:string[64]?,owner:{id:uint128,balance:int128,kind:uint8}?,tags:string[65536][;8],ports:uint16[;65536]?}},file{0:cap}},o:enum{small{0:uint32},fixed{0:{id:uint128,balance:int128,kind:uint8}}}?,list:enum{small{0:uint32},fixed{0:{id:uint128,balance:int128,kind:uint8}}}[;4])",
            ),
            __Caps::info(
                "caps",
                "list: cap[n, 4], three: cap[3], gifts: give_away_cap[m, 4], more: optional cap[.., 2], last: optional give_away_cap[.., 2], bags: bag[b, 2], p: pair, pairs: pair[q, 2], r: optional pair",
                "message caps(list:cap[;4],three:[cap;3],gifts:give_away_cap[;4],more:cap[;2]?,last:give_away_cap[;2]?,bags:{files:cap[;3],log:cap?}[;2],p:{both:[give_away_cap;2]},pairs:{both:[give_away_cap;2]}[;2],r:{both:[give_away_cap;2]}?)",
            ),
            __FindCall::call_info(
                "find_call",
                "id: uint128, at: optional uint64",
                "rpc-call find_call(id:uint128,at:uint64?)",
            ),
            __FindResponse::response_info(
                "find_response",
                "found: account, e: optional entry",
                "rpc-response find_response(found:{id:uint128,balance:int128,kind:uint8},e:{key:[uint8;16],value:uint8[;4096],note:string[64]?,owner:{id:uint128,balance:int128,kind:uint8}?,tags:string[65536][;8],ports:uint16[;65536]?}?)",
            ),
        ],
        [
            110791929361127120429366315248374645068,
            218313110226348063869052350542922587405,
            89091344754418434676612963148681431110,
            233646016375277447372054213622322843492,
            51596471663827661948979205873456559239,
            170966402402658794288560489653964466217,
            295631046478479419295264727616043091548,
            136918021593004481181482526495138698589,
        ],
    );
    /// Describes the interface `data`: its messages, and the digest that two ends must agree on.
    pub const INTERFACE: &__rt::Interface = &__rt::Interface::new(
        "data",
        "data",
        &__MESSAGES,
        &__rt::limits(&__MESSAGES),
    );
    /// One end of a connection that speaks `data`.
    ///
    /// Clones are the same end. It is for the thread of its waitset; [`shared`](Self::shared) returns one for any thread.
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    pub struct Binding<E: __rt::End = __rt::Local, S: __rt::Side = __rt::ServiceSide>(
        __rt::RawEnd<E>,
        __rt::PhantomData<S>,
    );
    /// The client's end of a connection that speaks `data`.
    pub type ClientBinding<E = __rt::Local> = Binding<E, __rt::ClientSide>;
    #[inline]
    fn __binding<E: __rt::End, S: __rt::Side>(__end: __rt::RawEnd<E>) -> Binding<E, S> {
        Binding(__end, __rt::PhantomData)
    }
    impl<E: __rt::End, S: __rt::Side> Binding<E, S> {
        /// Sends `wide(uint128 id, int128 delta, int128 list[n, 8], account a)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        pub fn tx_wide(
            &self,
            id: u128,
            delta: i128,
            list: &[i128],
            a: Account,
        ) -> __sent<'_, E> {
            __Wide::tx(&self.0, (id, delta, list, a))
        }
        /// Sends `wide(uint128 id, int128 delta, int128 list[n, 8], account a)` once the binding is not busy.
        pub fn send_wide<'a>(
            &'a self,
            id: u128,
            delta: i128,
            list: &'a [i128],
            a: Account,
        ) -> __rt::Sending<'a, E> {
            __Wide::sending(&self.0, (id, delta, list, a))
        }
        /// Sends `limited(string name, row r)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        pub fn tx_limited(&self, name: &str, r: &Row) -> __sent<'_, E> {
            __Limited::tx(&self.0, (name, r))
        }
        /// Sends `limited(string name, row r)` once the binding is not busy.
        pub fn send_limited<'a>(
            &'a self,
            name: &'a str,
            r: &'a Row,
        ) -> __rt::Sending<'a, E> {
            __Limited::sending(&self.0, (name, r))
        }
        /// Sends `fixed(uint8 id[16], uint32 cells[4])`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, or a value is over its maximum. Nothing is sent then.
        pub fn tx_fixed(&self, id: &[u8; 16], cells: &[u32; 4]) -> __sent<'_, E> {
            __Fixed::tx(&self.0, (id, cells))
        }
        /// Sends `fixed(uint8 id[16], uint32 cells[4])` once the binding is not busy.
        pub fn send_fixed<'a>(
            &'a self,
            id: &'a [u8; 16],
            cells: &'a [u32; 4],
        ) -> __rt::Sending<'a, E> {
            __Fixed::sending(&self.0, (id, cells))
        }
        /// Sends `maybe(optional uint32 n, optional string s, optional account a, optional entry e, optional row r, optional uint8 bytes[.., 64], optional string names[.., 8], optional entry list[.., 65536], optional cap c, optional give_away_cap g)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        pub fn tx_maybe(
            &self,
            n: __rt::Option<u32>,
            s: __rt::Option<&str>,
            a: __rt::Option<Account>,
            e: __rt::Option<&Entry>,
            r: __rt::Option<&Row>,
            bytes: __rt::Option<&[u8]>,
            names: __rt::Option<&[impl __rt::TextItem]>,
            list: __rt::Option<&[Entry]>,
            c: __rt::Option<&__rt::Cap>,
            g: __rt::Option<__rt::Cap>,
        ) -> __rt::Result<__rt::Sent<'_, E>, __rt::Rejected<__rt::Option<__rt::Cap>>> {
            let g = g.map(__rt::CapToMove::new);
            __Maybe::tx(
                    &self.0,
                    (
                        n,
                        s,
                        a,
                        e,
                        r,
                        bytes,
                        names.map(__rt::TextItem::strings),
                        list,
                        c,
                        g.as_ref().map(__rt::Giving::CapToMove),
                    ),
                )
                .map_err(|__error| __rt::Rejected {
                    error: __error,
                    given: g.map(|__cap| __cap.back()),
                })
        }
        /// Sends `maybe(optional uint32 n, optional string s, optional account a, optional entry e, optional row r, optional uint8 bytes[.., 64], optional string names[.., 8], optional entry list[.., 65536], optional cap c, optional give_away_cap g)` once the binding is not busy.
        pub fn send_maybe(
            &self,
            n: __rt::Option<u32>,
            s: __rt::Option<&str>,
            a: __rt::Option<Account>,
            e: __rt::Option<&Entry>,
            r: __rt::Option<&Row>,
            bytes: __rt::Option<&[u8]>,
            names: __rt::Option<&[impl __rt::TextItem]>,
            list: __rt::Option<&[Entry]>,
            c: __rt::Option<&__rt::Cap>,
            g: __rt::Option<__rt::Cap>,
        ) -> __rt::SendingCaps<'_, E, __rt::Option<__rt::Cap>> {
            let g = g.map(__rt::CapToMove::new);
            __Maybe::given(
                    &self.0,
                    (
                        n,
                        s,
                        a,
                        e,
                        r,
                        bytes,
                        names.map(__rt::TextItem::strings),
                        list,
                        c,
                        g.as_ref().map(__rt::Giving::CapToMove),
                    ),
                )
                .giving(move |__caps| g.map(|__cap| __cap.back_from(__caps)))
        }
        /// Sends `united(number n, value v, optional number o, number list[count, 4])`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        pub fn tx_united(
            &self,
            n: Number,
            v: &Value,
            o: __rt::Option<Number>,
            list: &[Number],
        ) -> __sent<'_, E> {
            __United::tx(&self.0, (n, v, o, list))
        }
        /// Sends `united(number n, value v, optional number o, number list[count, 4])` once the binding is not busy.
        pub fn send_united<'a>(
            &'a self,
            n: Number,
            v: &'a Value,
            o: __rt::Option<Number>,
            list: &'a [Number],
        ) -> __rt::Sending<'a, E> {
            __United::sending(&self.0, (n, v, o, list))
        }
        /// Sends `caps(cap list[n, 4], cap three[3], give_away_cap gifts[m, 4], optional cap more[.., 2], optional give_away_cap last[.., 2], bag bags[b, 2], pair p, pair pairs[q, 2], optional pair r)`.
        ///
        /// # Errors
        /// If the binding is busy with another message or has ended, a value is over its maximum, or a capability may not leave or cannot be copied. The message is not sent then.
        pub fn tx_caps(
            &self,
            list: &[__rt::Cap],
            three: &[__rt::Cap; 3],
            gifts: __rt::Vec<__rt::Cap>,
            more: __rt::Option<&[__rt::Cap]>,
            last: __rt::Option<__rt::Vec<__rt::Cap>>,
            bags: &[Bag],
            p: Pair,
            pairs: __rt::Vec<Pair>,
            r: __rt::Option<Pair>,
        ) -> __rt::Result<
            __rt::Sent<'_, E>,
            __rt::Rejected<
                (
                    __rt::Vec<__rt::Cap>,
                    __rt::Option<__rt::Vec<__rt::Cap>>,
                    Pair,
                    __rt::Vec<Pair>,
                    __rt::Option<Pair>,
                ),
            >,
        > {
            __Caps::tx(
                    &self.0,
                    (
                        list,
                        three,
                        &gifts[..],
                        more,
                        last.as_deref(),
                        bags,
                        &p,
                        &pairs[..],
                        r.as_ref(),
                    ),
                )
                .map_err(|__error| __rt::Rejected {
                    error: __error,
                    given: (gifts, last, p, pairs, r),
                })
        }
        /// Sends `caps(cap list[n, 4], cap three[3], give_away_cap gifts[m, 4], optional cap more[.., 2], optional give_away_cap last[.., 2], bag bags[b, 2], pair p, pair pairs[q, 2], optional pair r)` once the binding is not busy.
        pub fn send_caps(
            &self,
            list: &[__rt::Cap],
            three: &[__rt::Cap; 3],
            gifts: __rt::Vec<__rt::Cap>,
            more: __rt::Option<&[__rt::Cap]>,
            last: __rt::Option<__rt::Vec<__rt::Cap>>,
            bags: &[Bag],
            p: Pair,
            pairs: __rt::Vec<Pair>,
            r: __rt::Option<Pair>,
        ) -> __rt::SendingCaps<
            '_,
            E,
            (
                __rt::Vec<__rt::Cap>,
                __rt::Option<__rt::Vec<__rt::Cap>>,
                Pair,
                __rt::Vec<Pair>,
                __rt::Option<Pair>,
            ),
        > {
            __Caps::given(
                    &self.0,
                    (
                        list,
                        three,
                        &gifts[..],
                        more,
                        last.as_deref(),
                        bags,
                        &p,
                        &pairs[..],
                        r.as_ref(),
                    ),
                )
                .giving(move |__caps| (gifts, last, p, pairs, r))
        }
        /// Receives the next `wide(uint128 id, int128 delta, int128 list[n, 8], account a)`; the inbox keeps others.
        pub fn recv_wide(
            &self,
        ) -> __rt::Receiving<'_, (u128, i128, __rt::Vec<i128>, Account), E> {
            __Wide::recv(&self.0)
        }
        /// Receives the next `limited(string name, row r)`; the inbox keeps others.
        pub fn recv_limited(&self) -> __rt::Receiving<'_, (__rt::String, Row), E> {
            __Limited::recv(&self.0)
        }
        /// Receives the next `fixed(uint8 id[16], uint32 cells[4])`; the inbox keeps others.
        pub fn recv_fixed(&self) -> __rt::Receiving<'_, ([u8; 16], [u32; 4]), E> {
            __Fixed::recv(&self.0)
        }
        /// Receives the next `maybe(optional uint32 n, optional string s, optional account a, optional entry e, optional row r, optional uint8 bytes[.., 64], optional string names[.., 8], optional entry list[.., 65536], optional cap c, optional give_away_cap g)`; the inbox keeps others.
        pub fn recv_maybe(
            &self,
        ) -> __rt::Receiving<
            '_,
            (
                __rt::Option<u32>,
                __rt::Option<__rt::String>,
                __rt::Option<Account>,
                __rt::Option<Entry>,
                __rt::Option<Row>,
                __rt::Option<__rt::Vec<u8>>,
                __rt::Option<__rt::Vec<__rt::String>>,
                __rt::Option<__rt::Vec<Entry>>,
                __rt::Option<__rt::Cap>,
                __rt::Option<__rt::Cap>,
            ),
            E,
        > {
            __Maybe::recv(&self.0)
        }
        /// Receives the next `united(number n, value v, optional number o, number list[count, 4])`; the inbox keeps others.
        pub fn recv_united(
            &self,
        ) -> __rt::Receiving<
            '_,
            (Number, Value, __rt::Option<Number>, __rt::Vec<Number>),
            E,
        > {
            __United::recv(&self.0)
        }
        /// Receives the next `caps(cap list[n, 4], cap three[3], give_away_cap gifts[m, 4], optional cap more[.., 2], optional give_away_cap last[.., 2], bag bags[b, 2], pair p, pair pairs[q, 2], optional pair r)`; the inbox keeps others.
        pub fn recv_caps(
            &self,
        ) -> __rt::Receiving<
            '_,
            (
                __rt::Vec<__rt::Cap>,
                [__rt::Cap; 3],
                __rt::Vec<__rt::Cap>,
                __rt::Option<__rt::Vec<__rt::Cap>>,
                __rt::Option<__rt::Vec<__rt::Cap>>,
                __rt::Vec<Bag>,
                Pair,
                __rt::Vec<Pair>,
                __rt::Option<Pair>,
            ),
            E,
        > {
            __Caps::recv(&self.0)
        }
        /// Sends a message that is a value: `tx_*` with copies of all capabilities, also those that would be given away.
        pub fn tx(&self, message: &Message) -> __sent<'_, E> {
            self.0.send_message(message, S::RECEIVES)
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
        pub fn shared(&self) -> Binding<__rt::Shared, S> {
            __binding(self.0.shared())
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
    impl<S: __rt::Side> Binding<__rt::Local, S> {
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
    impl<S: __rt::Side> Binding<__rt::Shared, S> {
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
    impl<S: __rt::Side> __rt::AsRaw for Binding<__rt::Local, S> {
        fn as_raw(&self) -> &__rt::RawBinding {
            &self.0.0
        }
    }
    /// What handles the messages of `data`: an [`Rx`] or a [`ClientRx`], an [`AsyncRx`] in `Async`, an `Inbox`, or `()` for nothing.
    pub trait Handlers<
        E: __rt::End = __rt::Local,
        S: __rt::Side = __rt::ServiceSide,
    >: 'static {
        #[doc(hidden)]
        fn __deliver(self) -> __rt::BoxDispatch<E>;
    }
    #[automatically_derived]
    impl<E: __rt::End, S: __rt::Side> Handlers<E, S> for () {
        fn __deliver(self) -> __rt::BoxDispatch<E> {
            __rt::nothing::<E, Message>(S::RECEIVES)
        }
    }
    #[automatically_derived]
    impl<E: __rt::End, S: __rt::Side, __R: Handlers<E, S>> Handlers<E, S>
    for __rt::Inbox<Binding<E, S>, __R> {
        fn __deliver(self) -> __rt::BoxDispatch<E> {
            __rt::inbox(self, S::RECEIVES, __binding, __R::__deliver)
        }
    }
    /// What a service of `data` does with the messages that it receives.
    ///
    /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down. Those of `Rx<Shared>` are `Send`, and run on any thread of a `SharedWaitset`.
    pub trait Rx<E: __rt::End = __rt::Local> {
        /// Handles `wide(uint128 id, int128 delta, int128 list[n, 8], account a)`.
        fn wide(
            &mut self,
            binding: &Binding<E>,
            id: u128,
            delta: i128,
            list: &[i128],
            a: Account,
        );
        /// Handles `limited(string name, row r)`.
        fn limited(&mut self, binding: &Binding<E>, name: &str, r: Row);
        /// Handles `fixed(uint8 id[16], uint32 cells[4])`.
        fn fixed(&mut self, binding: &Binding<E>, id: [u8; 16], cells: [u32; 4]);
        /// Handles `maybe(optional uint32 n, optional string s, optional account a, optional entry e, optional row r, optional uint8 bytes[.., 64], optional string names[.., 8], optional entry list[.., 65536], optional cap c, optional give_away_cap g)`.
        fn maybe(
            &mut self,
            binding: &Binding<E>,
            n: __rt::Option<u32>,
            s: __rt::Option<&str>,
            a: __rt::Option<Account>,
            e: __rt::Option<Entry>,
            r: __rt::Option<Row>,
            bytes: __rt::Option<&[u8]>,
            names: __rt::Option<&[&str]>,
            list: __rt::Option<&[Entry]>,
            c: __rt::Option<__rt::Cap>,
            g: __rt::Option<__rt::Cap>,
        );
        /// Handles `united(number n, value v, optional number o, number list[count, 4])`.
        fn united(
            &mut self,
            binding: &Binding<E>,
            n: Number,
            v: Value,
            o: __rt::Option<Number>,
            list: &[Number],
        );
        /// Handles `caps(cap list[n, 4], cap three[3], give_away_cap gifts[m, 4], optional cap more[.., 2], optional give_away_cap last[.., 2], bag bags[b, 2], pair p, pair pairs[q, 2], optional pair r)`.
        fn caps(
            &mut self,
            binding: &Binding<E>,
            list: __rt::Vec<__rt::Cap>,
            three: [__rt::Cap; 3],
            gifts: __rt::Vec<__rt::Cap>,
            more: __rt::Option<__rt::Vec<__rt::Cap>>,
            last: __rt::Option<__rt::Vec<__rt::Cap>>,
            bags: __rt::Vec<Bag>,
            p: Pair,
            pairs: __rt::Vec<Pair>,
            r: __rt::Option<Pair>,
        );
        /// Handles `rpc find(in uint128 id, in optional uint64 at, out account found, out optional entry e)`.
        fn find(
            &mut self,
            binding: &Binding<E>,
            id: u128,
            at: __rt::Option<u64>,
            reply: FindReply<E>,
        );
        /// The binding has been made, and may send. Runs before any other handler.
        fn connected(&mut self, binding: &Binding<E>) {
            let _ = binding;
        }
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&mut self, binding: &Binding<E>, error: __rt::BindingError) {
            __rt::unhandled_error(&binding.0, error);
        }
    }
    /// Handlers of a service of `data` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::derive(__rt::Default)]
    pub struct RxVtbl {
        /// Handles `wide(uint128 id, int128 delta, int128 list[n, 8], account a)`.
        pub wide: __closure<dyn __rt::FnMut(&Binding, u128, i128, &[i128], Account)>,
        /// Handles `limited(string name, row r)`.
        pub limited: __closure<dyn __rt::FnMut(&Binding, &str, Row)>,
        /// Handles `fixed(uint8 id[16], uint32 cells[4])`.
        pub fixed: __closure<dyn __rt::FnMut(&Binding, [u8; 16], [u32; 4])>,
        /// Handles `maybe(optional uint32 n, optional string s, optional account a, optional entry e, optional row r, optional uint8 bytes[.., 64], optional string names[.., 8], optional entry list[.., 65536], optional cap c, optional give_away_cap g)`.
        pub maybe: __closure<
            dyn __rt::FnMut(
                &Binding,
                __rt::Option<u32>,
                __rt::Option<&str>,
                __rt::Option<Account>,
                __rt::Option<Entry>,
                __rt::Option<Row>,
                __rt::Option<&[u8]>,
                __rt::Option<&[&str]>,
                __rt::Option<&[Entry]>,
                __rt::Option<__rt::Cap>,
                __rt::Option<__rt::Cap>,
            ),
        >,
        /// Handles `united(number n, value v, optional number o, number list[count, 4])`.
        pub united: __closure<
            dyn __rt::FnMut(&Binding, Number, Value, __rt::Option<Number>, &[Number]),
        >,
        /// Handles `caps(cap list[n, 4], cap three[3], give_away_cap gifts[m, 4], optional cap more[.., 2], optional give_away_cap last[.., 2], bag bags[b, 2], pair p, pair pairs[q, 2], optional pair r)`.
        pub caps: __closure<
            dyn __rt::FnMut(
                &Binding,
                __rt::Vec<__rt::Cap>,
                [__rt::Cap; 3],
                __rt::Vec<__rt::Cap>,
                __rt::Option<__rt::Vec<__rt::Cap>>,
                __rt::Option<__rt::Vec<__rt::Cap>>,
                __rt::Vec<Bag>,
                Pair,
                __rt::Vec<Pair>,
                __rt::Option<Pair>,
            ),
        >,
        /// Handles `rpc find(in uint128 id, in optional uint64 at, out account found, out optional entry e)`.
        pub find: __closure<
            dyn __rt::FnMut(&Binding, u128, __rt::Option<u64>, FindReply),
        >,
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
        fn wide(
            &mut self,
            binding: &Binding,
            id: u128,
            delta: i128,
            list: &[i128],
            a: Account,
        ) {
            match &mut self.wide {
                __rt::Some(__handler) => __handler(binding, id, delta, list, a),
                __rt::None => Rx::error(self, binding, __rt::no_handler("wide")),
            }
        }
        fn limited(&mut self, binding: &Binding, name: &str, r: Row) {
            match &mut self.limited {
                __rt::Some(__handler) => __handler(binding, name, r),
                __rt::None => Rx::error(self, binding, __rt::no_handler("limited")),
            }
        }
        fn fixed(&mut self, binding: &Binding, id: [u8; 16], cells: [u32; 4]) {
            match &mut self.fixed {
                __rt::Some(__handler) => __handler(binding, id, cells),
                __rt::None => Rx::error(self, binding, __rt::no_handler("fixed")),
            }
        }
        fn maybe(
            &mut self,
            binding: &Binding,
            n: __rt::Option<u32>,
            s: __rt::Option<&str>,
            a: __rt::Option<Account>,
            e: __rt::Option<Entry>,
            r: __rt::Option<Row>,
            bytes: __rt::Option<&[u8]>,
            names: __rt::Option<&[&str]>,
            list: __rt::Option<&[Entry]>,
            c: __rt::Option<__rt::Cap>,
            g: __rt::Option<__rt::Cap>,
        ) {
            match &mut self.maybe {
                __rt::Some(__handler) => {
                    __handler(binding, n, s, a, e, r, bytes, names, list, c, g)
                }
                __rt::None => Rx::error(self, binding, __rt::no_handler("maybe")),
            }
        }
        fn united(
            &mut self,
            binding: &Binding,
            n: Number,
            v: Value,
            o: __rt::Option<Number>,
            list: &[Number],
        ) {
            match &mut self.united {
                __rt::Some(__handler) => __handler(binding, n, v, o, list),
                __rt::None => Rx::error(self, binding, __rt::no_handler("united")),
            }
        }
        fn caps(
            &mut self,
            binding: &Binding,
            list: __rt::Vec<__rt::Cap>,
            three: [__rt::Cap; 3],
            gifts: __rt::Vec<__rt::Cap>,
            more: __rt::Option<__rt::Vec<__rt::Cap>>,
            last: __rt::Option<__rt::Vec<__rt::Cap>>,
            bags: __rt::Vec<Bag>,
            p: Pair,
            pairs: __rt::Vec<Pair>,
            r: __rt::Option<Pair>,
        ) {
            match &mut self.caps {
                __rt::Some(__handler) => {
                    __handler(binding, list, three, gifts, more, last, bags, p, pairs, r)
                }
                __rt::None => Rx::error(self, binding, __rt::no_handler("caps")),
            }
        }
        fn find(
            &mut self,
            binding: &Binding,
            id: u128,
            at: __rt::Option<u64>,
            reply: FindReply,
        ) {
            match &mut self.find {
                __rt::Some(__handler) => __handler(binding, id, at, reply),
                __rt::None => Rx::error(self, binding, __rt::no_handler("find")),
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
                __binding,
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
                __binding,
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
                __Wide::deliver(
                    __m,
                    |(id, delta, list, a)| Rx::wide(__rx, __b, id, delta, &list, a),
                )
            }
            2 => __Limited::deliver(__m, |(name, r)| Rx::limited(__rx, __b, name, r)),
            3 => __Fixed::deliver(__m, |(id, cells)| Rx::fixed(__rx, __b, id, cells)),
            4 => {
                __Maybe::deliver(
                    __m,
                    |(n, s, a, e, r, bytes, names, list, c, g)| Rx::maybe(
                        __rx,
                        __b,
                        n,
                        s,
                        a,
                        e,
                        r,
                        bytes,
                        names.as_deref(),
                        list.as_deref(),
                        c,
                        g,
                    ),
                )
            }
            5 => {
                __United::deliver(
                    __m,
                    |(n, v, o, list)| Rx::united(__rx, __b, n, v, o, &list),
                )
            }
            6 => {
                __Caps::deliver(
                    __m,
                    |(list, three, gifts, more, last, bags, p, pairs, r)| Rx::caps(
                        __rx,
                        __b,
                        list,
                        three,
                        gifts,
                        more,
                        last,
                        bags,
                        p,
                        pairs,
                        r,
                    ),
                )
            }
            7 => {
                __FindCall::deliver_call(
                    __m,
                    &__b.0,
                    8,
                    |__reply, (__id, id, at)| Rx::find(
                        __rx,
                        __b,
                        id,
                        at,
                        FindReply(__reply),
                    ),
                )
            }
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// What a client of `data` does with the messages that it receives.
    ///
    /// Handlers run from the waitset of the binding, with nothing locked: they may send, bind and tear down. Those of `ClientRx<Shared>` are `Send`, and run on any thread of a `SharedWaitset`.
    pub trait ClientRx<E: __rt::End = __rt::Local> {
        /// Handles `wide(uint128 id, int128 delta, int128 list[n, 8], account a)`.
        fn wide(
            &mut self,
            binding: &ClientBinding<E>,
            id: u128,
            delta: i128,
            list: &[i128],
            a: Account,
        );
        /// Handles `limited(string name, row r)`.
        fn limited(&mut self, binding: &ClientBinding<E>, name: &str, r: Row);
        /// Handles `fixed(uint8 id[16], uint32 cells[4])`.
        fn fixed(&mut self, binding: &ClientBinding<E>, id: [u8; 16], cells: [u32; 4]);
        /// Handles `maybe(optional uint32 n, optional string s, optional account a, optional entry e, optional row r, optional uint8 bytes[.., 64], optional string names[.., 8], optional entry list[.., 65536], optional cap c, optional give_away_cap g)`.
        fn maybe(
            &mut self,
            binding: &ClientBinding<E>,
            n: __rt::Option<u32>,
            s: __rt::Option<&str>,
            a: __rt::Option<Account>,
            e: __rt::Option<Entry>,
            r: __rt::Option<Row>,
            bytes: __rt::Option<&[u8]>,
            names: __rt::Option<&[&str]>,
            list: __rt::Option<&[Entry]>,
            c: __rt::Option<__rt::Cap>,
            g: __rt::Option<__rt::Cap>,
        );
        /// Handles `united(number n, value v, optional number o, number list[count, 4])`.
        fn united(
            &mut self,
            binding: &ClientBinding<E>,
            n: Number,
            v: Value,
            o: __rt::Option<Number>,
            list: &[Number],
        );
        /// Handles `caps(cap list[n, 4], cap three[3], give_away_cap gifts[m, 4], optional cap more[.., 2], optional give_away_cap last[.., 2], bag bags[b, 2], pair p, pair pairs[q, 2], optional pair r)`.
        fn caps(
            &mut self,
            binding: &ClientBinding<E>,
            list: __rt::Vec<__rt::Cap>,
            three: [__rt::Cap; 3],
            gifts: __rt::Vec<__rt::Cap>,
            more: __rt::Option<__rt::Vec<__rt::Cap>>,
            last: __rt::Option<__rt::Vec<__rt::Cap>>,
            bags: __rt::Vec<Bag>,
            p: Pair,
            pairs: __rt::Vec<Pair>,
            r: __rt::Option<Pair>,
        );
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&mut self, binding: &ClientBinding<E>, error: __rt::BindingError) {
            __rt::unhandled_error(&binding.0, error);
        }
    }
    /// Handlers of a client of `data` as closures, each of them optional.
    ///
    /// A message without a handler is reported to `error`.
    #[__rt::derive(__rt::Default)]
    pub struct ClientRxVtbl {
        /// Handles `wide(uint128 id, int128 delta, int128 list[n, 8], account a)`.
        pub wide: __closure<
            dyn __rt::FnMut(&ClientBinding, u128, i128, &[i128], Account),
        >,
        /// Handles `limited(string name, row r)`.
        pub limited: __closure<dyn __rt::FnMut(&ClientBinding, &str, Row)>,
        /// Handles `fixed(uint8 id[16], uint32 cells[4])`.
        pub fixed: __closure<dyn __rt::FnMut(&ClientBinding, [u8; 16], [u32; 4])>,
        /// Handles `maybe(optional uint32 n, optional string s, optional account a, optional entry e, optional row r, optional uint8 bytes[.., 64], optional string names[.., 8], optional entry list[.., 65536], optional cap c, optional give_away_cap g)`.
        pub maybe: __closure<
            dyn __rt::FnMut(
                &ClientBinding,
                __rt::Option<u32>,
                __rt::Option<&str>,
                __rt::Option<Account>,
                __rt::Option<Entry>,
                __rt::Option<Row>,
                __rt::Option<&[u8]>,
                __rt::Option<&[&str]>,
                __rt::Option<&[Entry]>,
                __rt::Option<__rt::Cap>,
                __rt::Option<__rt::Cap>,
            ),
        >,
        /// Handles `united(number n, value v, optional number o, number list[count, 4])`.
        pub united: __closure<
            dyn __rt::FnMut(
                &ClientBinding,
                Number,
                Value,
                __rt::Option<Number>,
                &[Number],
            ),
        >,
        /// Handles `caps(cap list[n, 4], cap three[3], give_away_cap gifts[m, 4], optional cap more[.., 2], optional give_away_cap last[.., 2], bag bags[b, 2], pair p, pair pairs[q, 2], optional pair r)`.
        pub caps: __closure<
            dyn __rt::FnMut(
                &ClientBinding,
                __rt::Vec<__rt::Cap>,
                [__rt::Cap; 3],
                __rt::Vec<__rt::Cap>,
                __rt::Option<__rt::Vec<__rt::Cap>>,
                __rt::Option<__rt::Vec<__rt::Cap>>,
                __rt::Vec<Bag>,
                Pair,
                __rt::Vec<Pair>,
                __rt::Option<Pair>,
            ),
        >,
        /// Something went wrong with the binding. Without it, the error is logged.
        pub error: __closure<dyn __rt::FnMut(&ClientBinding, __rt::BindingError)>,
    }
    #[automatically_derived]
    impl __rt::Debug for ClientRxVtbl {
        fn fmt(&self, __f: &mut __rt::Formatter<'_>) -> __rt::fmt::Result {
            __rt::closures(__f)
        }
    }
    #[automatically_derived]
    impl ClientRx for ClientRxVtbl {
        fn wide(
            &mut self,
            binding: &ClientBinding,
            id: u128,
            delta: i128,
            list: &[i128],
            a: Account,
        ) {
            match &mut self.wide {
                __rt::Some(__handler) => __handler(binding, id, delta, list, a),
                __rt::None => ClientRx::error(self, binding, __rt::no_handler("wide")),
            }
        }
        fn limited(&mut self, binding: &ClientBinding, name: &str, r: Row) {
            match &mut self.limited {
                __rt::Some(__handler) => __handler(binding, name, r),
                __rt::None => ClientRx::error(self, binding, __rt::no_handler("limited")),
            }
        }
        fn fixed(&mut self, binding: &ClientBinding, id: [u8; 16], cells: [u32; 4]) {
            match &mut self.fixed {
                __rt::Some(__handler) => __handler(binding, id, cells),
                __rt::None => ClientRx::error(self, binding, __rt::no_handler("fixed")),
            }
        }
        fn maybe(
            &mut self,
            binding: &ClientBinding,
            n: __rt::Option<u32>,
            s: __rt::Option<&str>,
            a: __rt::Option<Account>,
            e: __rt::Option<Entry>,
            r: __rt::Option<Row>,
            bytes: __rt::Option<&[u8]>,
            names: __rt::Option<&[&str]>,
            list: __rt::Option<&[Entry]>,
            c: __rt::Option<__rt::Cap>,
            g: __rt::Option<__rt::Cap>,
        ) {
            match &mut self.maybe {
                __rt::Some(__handler) => {
                    __handler(binding, n, s, a, e, r, bytes, names, list, c, g)
                }
                __rt::None => ClientRx::error(self, binding, __rt::no_handler("maybe")),
            }
        }
        fn united(
            &mut self,
            binding: &ClientBinding,
            n: Number,
            v: Value,
            o: __rt::Option<Number>,
            list: &[Number],
        ) {
            match &mut self.united {
                __rt::Some(__handler) => __handler(binding, n, v, o, list),
                __rt::None => ClientRx::error(self, binding, __rt::no_handler("united")),
            }
        }
        fn caps(
            &mut self,
            binding: &ClientBinding,
            list: __rt::Vec<__rt::Cap>,
            three: [__rt::Cap; 3],
            gifts: __rt::Vec<__rt::Cap>,
            more: __rt::Option<__rt::Vec<__rt::Cap>>,
            last: __rt::Option<__rt::Vec<__rt::Cap>>,
            bags: __rt::Vec<Bag>,
            p: Pair,
            pairs: __rt::Vec<Pair>,
            r: __rt::Option<Pair>,
        ) {
            match &mut self.caps {
                __rt::Some(__handler) => {
                    __handler(binding, list, three, gifts, more, last, bags, p, pairs, r)
                }
                __rt::None => ClientRx::error(self, binding, __rt::no_handler("caps")),
            }
        }
        fn error(&mut self, binding: &ClientBinding, error: __rt::BindingError) {
            match &mut self.error {
                __rt::Some(__handler) => __handler(binding, error),
                __rt::None => __rt::unhandled_error(&binding.0, error),
            }
        }
    }
    #[automatically_derived]
    impl<__R: ClientRx + 'static> Handlers<__rt::Local, __rt::ClientSide> for __R {
        fn __deliver(self) -> __rt::BoxDispatch {
            __rt::dispatcher(
                self,
                __binding,
                __deliver_client,
                ClientRx::error,
                __rt::None,
            )
        }
    }
    #[automatically_derived]
    impl<
        __R: ClientRx<__rt::Shared> + __rt::Send + 'static,
    > Handlers<__rt::Shared, __rt::ClientSide> for __R {
        fn __deliver(self) -> __rt::BoxDispatch<__rt::Shared> {
            __rt::shared_dispatcher(
                self,
                __binding,
                __deliver_client,
                ClientRx::error,
                __rt::None,
            )
        }
    }
    #[inline(always)]
    fn __deliver_client<E: __rt::End, __R: ClientRx<E>>(
        __rx: &mut __R,
        __b: &Binding<E, __rt::ClientSide>,
        __m: &mut __rt::Received<'_>,
    ) -> __rt::Result<(), __rt::DecodeError> {
        match __m.number {
            8 => return __FindResponse::answer(&__b.0, __m),
            _ => {}
        }
        match __m.number {
            1 => {
                __Wide::deliver(
                    __m,
                    |(id, delta, list, a)| ClientRx::wide(__rx, __b, id, delta, &list, a),
                )
            }
            2 => {
                __Limited::deliver(
                    __m,
                    |(name, r)| ClientRx::limited(__rx, __b, name, r),
                )
            }
            3 => {
                __Fixed::deliver(
                    __m,
                    |(id, cells)| ClientRx::fixed(__rx, __b, id, cells),
                )
            }
            4 => {
                __Maybe::deliver(
                    __m,
                    |(n, s, a, e, r, bytes, names, list, c, g)| ClientRx::maybe(
                        __rx,
                        __b,
                        n,
                        s,
                        a,
                        e,
                        r,
                        bytes,
                        names.as_deref(),
                        list.as_deref(),
                        c,
                        g,
                    ),
                )
            }
            5 => {
                __United::deliver(
                    __m,
                    |(n, v, o, list)| ClientRx::united(__rx, __b, n, v, o, &list),
                )
            }
            6 => {
                __Caps::deliver(
                    __m,
                    |(list, three, gifts, more, last, bags, p, pairs, r)| ClientRx::caps(
                        __rx,
                        __b,
                        list,
                        three,
                        gifts,
                        more,
                        last,
                        bags,
                        p,
                        pairs,
                        r,
                    ),
                )
            }
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// What a service of `data` does with the messages that it receives, as futures.
    ///
    /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
    /// returns is the reply. An error that is a `Refusal` goes to the caller; after another one, or a panic, the caller
    /// learns which of the two it was. When the caller gives up, the handler is dropped where it waits.
    pub trait AsyncRx {
        /// Handles `wide(uint128 id, int128 delta, int128 list[n, 8], account a)`.
        async fn wide(
            &self,
            binding: &Binding,
            id: u128,
            delta: i128,
            list: __rt::Vec<i128>,
            a: Account,
        );
        /// Handles `limited(string name, row r)`.
        async fn limited(&self, binding: &Binding, name: __rt::String, r: Row);
        /// Handles `fixed(uint8 id[16], uint32 cells[4])`.
        async fn fixed(&self, binding: &Binding, id: [u8; 16], cells: [u32; 4]);
        /// Handles `maybe(optional uint32 n, optional string s, optional account a, optional entry e, optional row r, optional uint8 bytes[.., 64], optional string names[.., 8], optional entry list[.., 65536], optional cap c, optional give_away_cap g)`.
        async fn maybe(
            &self,
            binding: &Binding,
            n: __rt::Option<u32>,
            s: __rt::Option<__rt::String>,
            a: __rt::Option<Account>,
            e: __rt::Option<Entry>,
            r: __rt::Option<Row>,
            bytes: __rt::Option<__rt::Vec<u8>>,
            names: __rt::Option<__rt::Vec<__rt::String>>,
            list: __rt::Option<__rt::Vec<Entry>>,
            c: __rt::Option<__rt::Cap>,
            g: __rt::Option<__rt::Cap>,
        );
        /// Handles `united(number n, value v, optional number o, number list[count, 4])`.
        async fn united(
            &self,
            binding: &Binding,
            n: Number,
            v: Value,
            o: __rt::Option<Number>,
            list: __rt::Vec<Number>,
        );
        /// Handles `caps(cap list[n, 4], cap three[3], give_away_cap gifts[m, 4], optional cap more[.., 2], optional give_away_cap last[.., 2], bag bags[b, 2], pair p, pair pairs[q, 2], optional pair r)`.
        async fn caps(
            &self,
            binding: &Binding,
            list: __rt::Vec<__rt::Cap>,
            three: [__rt::Cap; 3],
            gifts: __rt::Vec<__rt::Cap>,
            more: __rt::Option<__rt::Vec<__rt::Cap>>,
            last: __rt::Option<__rt::Vec<__rt::Cap>>,
            bags: __rt::Vec<Bag>,
            p: Pair,
            pairs: __rt::Vec<Pair>,
            r: __rt::Option<Pair>,
        );
        /// Handles `rpc find(in uint128 id, in optional uint64 at, out account found, out optional entry e)`.
        async fn find(
            &self,
            binding: &Binding,
            id: u128,
            at: __rt::Option<u64>,
        ) -> __rt::Result<(Account, __rt::Option<Entry>), __rt::CallbackError>;
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
                __binding,
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
            1 => __Wide::spawn(__m, __rx, __b, __R::wide),
            2 => __Limited::spawn(__m, __rx, __b, __R::limited),
            3 => __Fixed::spawn(__m, __rx, __b, __R::fixed),
            4 => __Maybe::spawn(__m, __rx, __b, __R::maybe),
            5 => __United::spawn(__m, __rx, __b, __R::united),
            6 => __Caps::spawn(__m, __rx, __b, __R::caps),
            7 => {
                __FindCall::serve(
                    __m,
                    __rx,
                    __b,
                    __R::find,
                    8,
                    |__reply, (found, e)| { FindReply(__reply).send(found, e.as_ref()) },
                    __rt::handler_failed,
                )
            }
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// What a client of `data` does with the messages that it receives, as futures.
    ///
    /// Each message has a task of its own on the waitset of the binding; tasks start in order. What a handler of a call
    /// returns is the reply. An error that is a `Refusal` goes to the caller; after another one, or a panic, the caller
    /// learns which of the two it was. When the caller gives up, the handler is dropped where it waits.
    pub trait AsyncClientRx {
        /// Handles `wide(uint128 id, int128 delta, int128 list[n, 8], account a)`.
        async fn wide(
            &self,
            binding: &ClientBinding,
            id: u128,
            delta: i128,
            list: __rt::Vec<i128>,
            a: Account,
        );
        /// Handles `limited(string name, row r)`.
        async fn limited(&self, binding: &ClientBinding, name: __rt::String, r: Row);
        /// Handles `fixed(uint8 id[16], uint32 cells[4])`.
        async fn fixed(&self, binding: &ClientBinding, id: [u8; 16], cells: [u32; 4]);
        /// Handles `maybe(optional uint32 n, optional string s, optional account a, optional entry e, optional row r, optional uint8 bytes[.., 64], optional string names[.., 8], optional entry list[.., 65536], optional cap c, optional give_away_cap g)`.
        async fn maybe(
            &self,
            binding: &ClientBinding,
            n: __rt::Option<u32>,
            s: __rt::Option<__rt::String>,
            a: __rt::Option<Account>,
            e: __rt::Option<Entry>,
            r: __rt::Option<Row>,
            bytes: __rt::Option<__rt::Vec<u8>>,
            names: __rt::Option<__rt::Vec<__rt::String>>,
            list: __rt::Option<__rt::Vec<Entry>>,
            c: __rt::Option<__rt::Cap>,
            g: __rt::Option<__rt::Cap>,
        );
        /// Handles `united(number n, value v, optional number o, number list[count, 4])`.
        async fn united(
            &self,
            binding: &ClientBinding,
            n: Number,
            v: Value,
            o: __rt::Option<Number>,
            list: __rt::Vec<Number>,
        );
        /// Handles `caps(cap list[n, 4], cap three[3], give_away_cap gifts[m, 4], optional cap more[.., 2], optional give_away_cap last[.., 2], bag bags[b, 2], pair p, pair pairs[q, 2], optional pair r)`.
        async fn caps(
            &self,
            binding: &ClientBinding,
            list: __rt::Vec<__rt::Cap>,
            three: [__rt::Cap; 3],
            gifts: __rt::Vec<__rt::Cap>,
            more: __rt::Option<__rt::Vec<__rt::Cap>>,
            last: __rt::Option<__rt::Vec<__rt::Cap>>,
            bags: __rt::Vec<Bag>,
            p: Pair,
            pairs: __rt::Vec<Pair>,
            r: __rt::Option<Pair>,
        );
        /// Something went wrong with the binding. Left alone, it is logged.
        fn error(&self, binding: &ClientBinding, error: __rt::BindingError) {
            __rt::unhandled_error(&binding.0, error);
        }
    }
    #[automatically_derived]
    impl<__R: AsyncClientRx + 'static> Handlers<__rt::Local, __rt::ClientSide>
    for __rt::Async<__R> {
        fn __deliver(self) -> __rt::BoxDispatch {
            __rt::async_dispatcher(
                self.0,
                __binding,
                __deliver_async_client,
                __R::error,
                __rt::None,
            )
        }
    }
    fn __deliver_async_client<__R: AsyncClientRx + 'static>(
        __rx: &mut __rt::Rc<__R>,
        __b: &ClientBinding,
        __m: &mut __rt::Received<'_>,
    ) -> __rt::Result<(), __rt::DecodeError> {
        match __m.number {
            8 => return __FindResponse::answer(&__b.0, __m),
            _ => {}
        }
        match __m.number {
            1 => __Wide::spawn(__m, __rx, __b, __R::wide),
            2 => __Limited::spawn(__m, __rx, __b, __R::limited),
            3 => __Fixed::spawn(__m, __rx, __b, __R::fixed),
            4 => __Maybe::spawn(__m, __rx, __b, __R::maybe),
            5 => __United::spawn(__m, __rx, __b, __R::united),
            6 => __Caps::spawn(__m, __rx, __b, __R::caps),
            __number => __rt::stray(INTERFACE, __number),
        }
    }
    /// The reply that a caller of `rpc find(in uint128 id, in optional uint64 at, out account found, out optional entry e)` waits for.
    ///
    /// It can be kept and sent later. Dropped, it informs the caller that no reply will come, and whether because of a
    /// panic.
    #[must_use = "a caller waits for the reply"]
    #[__rt::derive(__rt::Debug)]
    pub struct FindReply<E: __rt::End = __rt::Local>(__rt::ReplyToken<E>);
    impl<E: __rt::End> FindReply<E> {
        /// Sends the reply. If a value is over its maximum or a capability cannot be copied, the caller and the error
        /// handler of this end get the reason.
        #[inline]
        pub fn send(self, found: Account, e: __rt::Option<&Entry>) {
            __FindResponse::reply((self.0.id(), found, e), self.0);
        }
        /// Refuses the call: the caller gets `RpcError::Refused`, and knows that the call was not carried out.
        #[cold]
        pub fn refuse(self, refusal: __rt::Refusal) {
            self.0.refuse(refusal);
        }
        /// Returns true if nobody waits for the reply any more: the caller gave up, or the binding has ended.
        #[must_use]
        pub fn is_cancelled(&self) -> bool {
            self.0.is_cancelled()
        }
        /// Completes when nobody waits for the reply any more.
        pub fn cancelled(&mut self) -> __rt::Cancelled<'_, E> {
            self.0.cancelled()
        }
    }
    #[automatically_derived]
    impl __rt::Reply for FindReply {
        type Values = (Account, __rt::Option<Entry>);
        type Response = __FindResponse;
    }
    /// Calls the remote procedures of `data`.
    ///
    /// Many calls may be under way at a time, in any order. A call without a time of its own ends after 30 seconds.
    #[__rt::derive(__rt::Debug, __rt::Clone)]
    pub struct RpcClient<E: __rt::End = __rt::Local>(ClientBinding<E>, __rt::Timeout);
    impl<E: __rt::End> RpcClient<E> {
        /// Calls `rpc find(in uint128 id, in optional uint64 at, out account found, out optional entry e)` and blocks until the reply has come.
        ///
        /// # Errors
        /// If the call cannot be sent, or no reply will come; through a shared end, always in the thread of the binding's waitset. Capabilities that are given away with a call that fails are closed.
        pub fn find(
            &self,
            id: u128,
            at: __rt::Option<u64>,
        ) -> __rt::Result<(Account, __rt::Option<Entry>), __rt::RpcError> {
            let __id = self.0.0.next_call();
            __FindCall::call::<E, FindReply>(&self.0.0, __id, (__id, id, at), self.1)
        }
        /// Makes the call of `find`: the result is a future.
        pub fn find_async(
            &self,
            id: u128,
            at: __rt::Option<u64>,
        ) -> __rt::Call<FindReply, E> {
            let __id = self.0.0.next_call();
            __FindCall::call_async(&self.0.0, __id, (__id, id, at), self.1)
        }
        /// Returns a client over a binding.
        pub fn new(binding: &ClientBinding<E>) -> Self {
            Self(__rt::Clone::clone(binding), __rt::Timeout::Default)
        }
        /// Returns a client whose calls end with an error if they take longer than this. `Duration::MAX` is no limit.
        #[must_use]
        pub fn timeout(&self, timeout: __rt::Duration) -> Self {
            Self(__rt::Clone::clone(&self.0), __rt::Timeout::For(timeout))
        }
        /// Returns a client whose calls end with an error if they are not done by then.
        #[must_use]
        pub fn deadline(&self, deadline: __rt::Instant) -> Self {
            Self(__rt::Clone::clone(&self.0), __rt::Timeout::Until(deadline))
        }
        /// Returns the binding.
        pub fn binding(&self) -> &ClientBinding<E> {
            &self.0
        }
        /// Returns a client for any thread, which is `Send` and `Sync`.
        pub fn shared(&self) -> RpcClient<__rt::Shared> {
            RpcClient(self.0.shared(), self.1)
        }
    }
    /// Any message of `data`, with all that it carries.
    ///
    /// Two messages are equal if they are the same words. A message with a capability equals none.
    #[__rt::derive(__rt::Debug)]
    pub enum Message {
        /// `wide(uint128 id, int128 delta, int128 list[n, 8], account a)`
        Wide { id: u128, delta: i128, list: __rt::Vec<i128>, a: Account },
        /// `limited(string name, row r)`
        Limited { name: __rt::String, r: Row },
        /// `fixed(uint8 id[16], uint32 cells[4])`
        Fixed { id: [u8; 16], cells: [u32; 4] },
        /// `maybe(optional uint32 n, optional string s, optional account a, optional entry e, optional row r, optional uint8 bytes[.., 64], optional string names[.., 8], optional entry list[.., 65536], optional cap c, optional give_away_cap g)`
        Maybe {
            n: __rt::Option<u32>,
            s: __rt::Option<__rt::String>,
            a: __rt::Option<Account>,
            e: __rt::Option<Entry>,
            r: __rt::Option<Row>,
            bytes: __rt::Option<__rt::Vec<u8>>,
            names: __rt::Option<__rt::Vec<__rt::String>>,
            list: __rt::Option<__rt::Vec<Entry>>,
            c: __rt::Option<__rt::Cap>,
            g: __rt::Option<__rt::Cap>,
        },
        /// `united(number n, value v, optional number o, number list[count, 4])`
        United { n: Number, v: Value, o: __rt::Option<Number>, list: __rt::Vec<Number> },
        /// `caps(cap list[n, 4], cap three[3], give_away_cap gifts[m, 4], optional cap more[.., 2], optional give_away_cap last[.., 2], bag bags[b, 2], pair p, pair pairs[q, 2], optional pair r)`
        Caps {
            list: __rt::Vec<__rt::Cap>,
            three: [__rt::Cap; 3],
            gifts: __rt::Vec<__rt::Cap>,
            more: __rt::Option<__rt::Vec<__rt::Cap>>,
            last: __rt::Option<__rt::Vec<__rt::Cap>>,
            bags: __rt::Vec<Bag>,
            p: Pair,
            pairs: __rt::Vec<Pair>,
            r: __rt::Option<Pair>,
        },
        /// `find_call(uint128 id, optional uint64 at)`: the call of the rpc.
        FindCall {
            /// The number of the call.
            __id: u32,
            id: u128,
            at: __rt::Option<u64>,
        },
        /// `find_response(account found, optional entry e)`: the response of the rpc.
        FindResponse {
            /// The number of the call.
            id: u32,
            found: Account,
            e: __rt::Option<Entry>,
        },
    }
    #[automatically_derived]
    impl __rt::MessageValue for Message {
        const INTERFACE: &'static __rt::Interface = INTERFACE;
        #[inline]
        fn marshal(&self) -> __rt::Result<__rt::MessageBuffer, __rt::EncodeError> {
            match self {
                Self::Wide { id, delta, list, a } => {
                    __Wide::encode(INTERFACE, (*id, *delta, list, *a))
                }
                Self::Limited { name, r } => __Limited::encode(INTERFACE, (name, r)),
                Self::Fixed { id, cells } => __Fixed::encode(INTERFACE, (id, cells)),
                Self::Maybe { n, s, a, e, r, bytes, names, list, c, g } => {
                    __Maybe::encode(
                        INTERFACE,
                        (
                            *n,
                            s.as_deref(),
                            *a,
                            e.as_ref(),
                            r.as_ref(),
                            bytes.as_deref(),
                            names.as_deref().map(__rt::TextItem::strings),
                            list.as_deref(),
                            c.as_ref(),
                            g.as_ref().map(__rt::Giving::Copy),
                        ),
                    )
                }
                Self::United { n, v, o, list } => {
                    __United::encode(INTERFACE, (*n, v, *o, list))
                }
                Self::Caps { list, three, gifts, more, last, bags, p, pairs, r } => {
                    __Caps::encode(
                        INTERFACE,
                        (
                            list,
                            three,
                            gifts,
                            more.as_deref(),
                            last.as_deref(),
                            bags,
                            p,
                            pairs,
                            r.as_ref(),
                        ),
                    )
                }
                Self::FindCall { __id, id, at } => {
                    __FindCall::encode(INTERFACE, (*__id, *id, *at))
                }
                Self::FindResponse { id, found, e } => {
                    __FindResponse::encode(INTERFACE, (*id, *found, e.as_ref()))
                }
            }
        }
        #[inline]
        fn unmarshal(__m: __rt::Received<'_>) -> __rt::Result<Self, __rt::DecodeError> {
            match __m.number {
                1 => {
                    __Wide::read(
                        __m,
                        |(id, delta, list, a)| Self::Wide { id, delta, list, a },
                    )
                }
                2 => __Limited::read(__m, |(name, r)| Self::Limited { name, r }),
                3 => __Fixed::read(__m, |(id, cells)| Self::Fixed { id, cells }),
                4 => {
                    __Maybe::read(
                        __m,
                        |(n, s, a, e, r, bytes, names, list, c, g)| Self::Maybe {
                            n,
                            s,
                            a,
                            e,
                            r,
                            bytes,
                            names,
                            list,
                            c,
                            g,
                        },
                    )
                }
                5 => {
                    __United::read(__m, |(n, v, o, list)| Self::United { n, v, o, list })
                }
                6 => {
                    __Caps::read(
                        __m,
                        |(list, three, gifts, more, last, bags, p, pairs, r)| Self::Caps {
                            list,
                            three,
                            gifts,
                            more,
                            last,
                            bags,
                            p,
                            pairs,
                            r,
                        },
                    )
                }
                7 => {
                    __FindCall::read(
                        __m,
                        |(__id, id, at)| Self::FindCall { __id, id, at },
                    )
                }
                8 => {
                    __FindResponse::read(
                        __m,
                        |(id, found, e)| Self::FindResponse { id, found, e },
                    )
                }
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
    pub fn bind<W: __rt::AnyWaitset, X: Handlers<W::End, __rt::ClientSide>>(
        iref: __rt::Iref,
        waitset: &W,
        rx: X,
    ) -> W::Bind<ClientBinding<W::End>> {
        __rt::bind(iref, waitset, INTERFACE, __rt::broker(), rx.__deliver(), __binding)
    }
    /// Makes a binding over one end of a channel that the caller has; `rx` handles what it receives. The binding ends when
    /// its last handle is dropped. Its peer is unknown. Fails if the waitset cannot watch the channel.
    pub fn over<S: __rt::Side>(
        channel: __rt::Box<dyn __rt::Channel>,
        waitset: &__rt::Waitset,
        rx: impl Handlers<__rt::Local, S>,
    ) -> __rt::io::Result<Binding<__rt::Local, S>> {
        __rt::attach(channel, waitset, INTERFACE, rx.__deliver()).map(__binding)
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
        __rt::connect::<Message, _, _>(name, |__e| __binding(__e.shared()), __binding)
    }
    type __connect = __rt::Connect<
        ClientBinding<__rt::Shared>,
        __rt::Again<ClientBinding<__rt::Reconnecting>>,
    >;
}
