//! `#[derive(FlounderMessage)]`: every shape of type, every kind of bad word, and the canonical form.

use std::fmt::Debug;

use flounder::{Cap, FlounderMessage};
use flounder_rt::wire::{
    Bounded, CapRefs, CapSlots, Decode, DecodeError, Decoder, Encode, Shape, TooLong,
};
use proptest::prelude::*;

#[derive(FlounderMessage, Debug, Clone, PartialEq)]
struct Named {
    small: u8,
    wide: u64,
    name: String,
    r#type: bool,
}

#[derive(FlounderMessage, Debug, Clone, PartialEq)]
struct Tuple(i16, Option<Named>, [char; 2]);

#[derive(FlounderMessage, Debug, Clone, PartialEq)]
struct Unit;

#[derive(FlounderMessage, Debug, Clone, Copy, PartialEq)]
enum Plain {
    One,
    Two,
    Three,
}

#[derive(FlounderMessage, Debug, Clone, PartialEq)]
enum Data {
    Empty,
    Tuple(u8, Vec<u32>, u64),
    Struct { name: String, inner: Box<Named> },
    Nested(Inner),
    Brackets(),
}

#[derive(FlounderMessage, Debug, Clone, PartialEq)]
enum Inner {
    Number(u16),
    Texts(Vec<String>),
}

#[derive(FlounderMessage, Debug, Clone, PartialEq)]
struct Bounded4 {
    #[flounder(max = 4)]
    text: String,
    #[flounder(max = 2)]
    list: Vec<Data>,
}

#[derive(FlounderMessage, Debug, Clone, PartialEq)]
struct MaybeBounded {
    #[flounder(max = 4)]
    text: Option<String>,
    #[flounder(max = 2)]
    list: Option<Vec<u8>>,
}

#[derive(FlounderMessage, Debug)]
struct Caps {
    first: Cap,
    maybe: Option<Cap>,
    rest: Vec<Cap>,
}

#[derive(FlounderMessage, Debug, Clone, PartialEq)]
struct Wide {
    small: u8,
    number: u128,
    signed: Option<i128>,
}

/// The body of a message with this value alone.
fn encode<T: Encode>(value: &T) -> (Vec<u64>, Vec<Cap>) {
    value.check().expect("the value is within its bounds");
    let (mut record, mut tail) = (vec![0; T::SIZE.div_ceil(8)], Vec::new());
    value.put(&mut record, 0);
    value.put_tail(&mut tail);
    let mut listed = CapRefs::new();
    value.put_caps(&mut listed);
    let copy = |cap: Option<&Cap>| cap.expect("it is a `Cap`").try_clone().expect("copy it");
    let caps: Vec<_> = listed.iter::<Cap>().map(copy).collect();
    assert!(tail.len() <= T::MAX_TAIL && caps.len() <= T::MAX_CAPS, "the limits hold");
    record.extend(tail);
    (record, caps)
}

fn decode<T: for<'a> Decode<'a>>(words: &[u64], mut caps: Vec<Cap>) -> Result<T, DecodeError> {
    let record = T::SIZE.div_ceil(8);
    let count = caps.len();
    let mut decoder = Decoder::new(words, CapSlots::new(&mut caps, count), record)?;
    let value = T::take(&mut decoder, 0)?;
    decoder.zero(T::SIZE, record * 8 - T::SIZE)?;
    decoder.finish()?;
    Ok(value)
}

fn round_trip<T: Encode + for<'a> Decode<'a> + PartialEq + Debug>(value: &T) -> Vec<u64> {
    let (words, caps) = encode(value);
    assert_eq!(decode::<T>(&words, caps).as_ref(), Ok(value));
    words
}

fn named(name: &str) -> Named {
    Named { small: 1, wide: u64::MAX, name: name.to_owned(), r#type: true }
}

fn data() -> Vec<Data> {
    vec![
        Data::Empty,
        Data::Tuple(7, vec![1, 2, 3], u64::MAX),
        Data::Struct { name: "x".to_owned(), inner: Box::new(named("inner")) },
        Data::Nested(Inner::Number(9)),
        Data::Nested(Inner::Texts(vec![String::new(), "two".to_owned()])),
        Data::Brackets(),
    ]
}

#[test]
fn every_shape_of_type_goes_through() {
    round_trip(&named("name"));
    round_trip(&Tuple(-1, None, ['a', '\u{10ffff}']));
    round_trip(&Tuple(i16::MIN, Some(named("")), ['\0', 'ß']));
    assert_eq!(round_trip(&Unit), [0; 0]);
    for plain in [Plain::One, Plain::Two, Plain::Three] {
        assert_eq!(round_trip(&plain), [plain as u64]);
    }
    data().iter().for_each(|value| drop(round_trip(value)));
    round_trip(&vec![(); 5]);
    round_trip(&data());
    round_trip(&Bounded4 { text: "four".to_owned(), list: data()[1..3].to_vec() });
}

#[test]
fn variants_with_data_lie_where_the_wire_says() {
    // Fixed part: the tag. Tail: the fields as a record of their own (u64, then the length of the vector, then u8), then
    // the vector's elements.
    let words = round_trip(&Data::Tuple(7, vec![1, 2, 3], 5));
    assert_eq!(words, [1, 5, 7 << 32 | 3, 2 << 32 | 1, 3]);
    assert_eq!(round_trip(&Data::Nested(Inner::Number(9))), [3, 0, 9]);
}

#[test]
fn result_is_laid_out_as_an_enum_of_two_variants() {
    mod same {
        #[derive(flounder::FlounderMessage, Debug, Clone, PartialEq)]
        pub(super) enum Either {
            Ok(super::Named),
            Err(()),
        }
        #[derive(flounder::FlounderMessage, Debug, Clone, PartialEq)]
        pub(super) enum Listed {
            Ok(Vec<Either>),
            Err(u8),
        }
    }
    use same::{Either, Listed};
    type Inner = Result<Named, ()>;
    type Outer = Result<Vec<Inner>, u8>;
    assert_eq!(Outer::FORM.to_string(), Listed::FORM.to_string());
    assert_eq!(Outer::FORM.digest(), Listed::FORM.digest());
    assert_eq!((Outer::MAX_TAIL, Outer::MAX_CAPS), (Listed::MAX_TAIL, Listed::MAX_CAPS));
    let listed = Listed::Ok(vec![Either::Ok(named("a")), Either::Err(())]);
    let words = round_trip::<Outer>(&Ok(vec![Ok(named("a")), Err(())]));
    assert_eq!(words, round_trip(&listed));
    assert_eq!(round_trip::<Outer>(&Err(7)), round_trip(&Listed::Err(7)));
    for (words, error) in [
        (&[2, 7][..], DecodeError::Enum { name: "Result", value: 2 }),
        (&[1 | 1 << 32, 7], DecodeError::Padding),
        (&[1, 1 << 8 | 7], DecodeError::Padding),
        (&[1, 7, 0], DecodeError::Leftover { words: 1 }),
    ] {
        assert_eq!(decode::<Outer>(words, Vec::new()), Err(error), "{words:?}");
    }
    assert!(decode::<Outer>(&[1], Vec::new()).is_err());
}

#[test]
fn numbers_of_128_bits_are_two_words_the_low_one_first() {
    let words = round_trip(&Wide { small: 7, number: 5 << 64 | 4, signed: Some(-2) });
    assert_eq!(words, [4, 5, 1, -2_i64 as u64, u64::MAX, 7]);
    round_trip(&Wide { small: 0, number: u128::MAX, signed: None });
    round_trip(&vec![i128::MIN, i128::MAX]);
    assert_eq!(Wide::FORM.to_string(), "struct{small:uint8,number:uint128,signed:int128?}");
    assert_eq!(decode::<Wide>(&[4, 5, 0, 0, 1, 7], vec![]), Err(DecodeError::Padding));
    assert_eq!(decode::<Wide>(&[4, 5, 0x101, 0, 1, 7], vec![]), Err(DecodeError::Padding));
}

#[test]
fn capabilities_travel_beside_the_words() {
    let file = || Cap::from(tempfile::tempfile().expect("a file can be made"));
    let (words, caps) =
        encode(&Caps { first: file(), maybe: Some(file()), rest: vec![file(), file()] });
    assert_eq!(caps.len(), 4);
    let value: Caps = decode(&words, caps).expect("what was sent can be read");
    assert!(value.maybe.is_some() && value.rest.len() == 2, "{value:?}");
    let (words, mut caps) = encode(&value);
    drop(caps.pop());
    assert_eq!(decode::<Caps>(&words, caps).err(), Some(DecodeError::MissingCap));
    let (words, mut caps) = encode(&value);
    caps.push(file());
    assert_eq!(decode::<Caps>(&words, caps).err(), Some(DecodeError::ExtraCaps));
}

#[test]
fn bounds_are_kept_by_sender_and_receiver() {
    let long = Bounded4 { text: "five!".to_owned(), list: vec![] };
    assert_eq!(long.check(), Err(TooLong { len: 5, max: 4 }));
    let many = Bounded4 { text: String::new(), list: vec![Data::Empty; 3] };
    assert_eq!(many.check(), Err(TooLong { len: 3, max: 2 }));
    assert_eq!(decode::<Bounded4>(&[5, 0], vec![]), Err(DecodeError::TooLong { len: 5, max: 4 }));
    assert_eq!(
        decode::<Bounded4>(&[3 << 32], vec![]),
        Err(DecodeError::TooLong { len: 3, max: 2 })
    );
    let inner = Data::Struct { name: "x".repeat(65_537), inner: Box::new(named("")) };
    assert_eq!(inner.check(), Err(TooLong { len: 65_537, max: 65_536 }));
    assert_eq!(Bounded4::MAX_TAIL, 1 + <Vec<Data> as Bounded<2>>::MAX_TAIL);
}

#[test]
fn a_maximum_of_an_option_is_that_of_its_value() {
    let value =
        |text: &str, len| MaybeBounded { text: Some(text.into()), list: Some(vec![7; len]) };
    assert_eq!(round_trip(&value("four", 2))[..3], [4 << 32 | 1, 2 << 32 | 1, 0x7275_6f66]);
    assert_eq!(round_trip(&MaybeBounded { text: None, list: None }), [0, 0]);
    assert_eq!(value("five!", 2).check(), Err(TooLong { len: 5, max: 4 }));
    assert_eq!(value("", 3).check(), Err(TooLong { len: 3, max: 2 }));
    let words = [5 << 32 | 1, 0, 0];
    let error = DecodeError::TooLong { len: 5, max: 4 };
    assert_eq!(decode::<MaybeBounded>(&words, vec![]), Err(error));
    assert_eq!(MaybeBounded::MAX_TAIL, 2);
    let form = "struct{text:string[4]?,list:uint8[;2]?}";
    assert_eq!(MaybeBounded::FORM.to_string(), form);
}

#[test]
fn every_kind_of_bad_word_is_refused() {
    assert_eq!(decode::<Plain>(&[3], vec![]), Err(DecodeError::Enum { name: "Plain", value: 3 }));
    assert_eq!(decode::<Plain>(&[1 << 32], vec![]), Err(DecodeError::Padding));
    assert_eq!(decode::<Data>(&[0, 0], vec![]), Err(DecodeError::Leftover { words: 1 }));
    assert_eq!(decode::<Data>(&[1, 5], vec![]), Err(DecodeError::Short { need: 2, have: 1 }));
    assert_eq!(decode::<Data>(&[1, 5, 1 << 40, 0], vec![]), Err(DecodeError::Padding));
    assert_eq!(decode::<Data>(&[3, 0, 1 << 16], vec![]), Err(DecodeError::Padding));
    // small, type and padding lie in the last word of the record: wide, name, small, type.
    let (mut words, _) = encode(&named(""));
    words[1] |= 2 << 40;
    assert_eq!(decode::<Named>(&words, vec![]), Err(DecodeError::Bool(3)));
    assert_eq!(
        decode::<Tuple>(&[], vec![]),
        Err(DecodeError::Short { need: Tuple::SIZE.div_ceil(8), have: 0 })
    );
}

#[test]
fn names_and_types_of_fields_make_the_digest() {
    mod same {
        #[derive(flounder::FlounderMessage)]
        pub(super) struct Renamed(u8);
        #[derive(flounder::FlounderMessage)]
        pub(super) struct Other(u8);
        #[derive(flounder::FlounderMessage)]
        pub(super) struct Wider(u16);
        #[derive(flounder::FlounderMessage)]
        pub(super) struct Field {
            x: u8,
        }
        #[derive(flounder::FlounderMessage)]
        pub(super) struct Bounded {
            #[flounder(max = 5)]
            x: String,
        }
        #[derive(flounder::FlounderMessage)]
        pub(super) struct Default {
            #[flounder(max = 65536)]
            x: String,
        }
        #[derive(flounder::FlounderMessage)]
        pub(super) struct Unbounded {
            x: String,
        }
    }
    assert_eq!(same::Renamed::FORM.digest(), same::Other::FORM.digest());
    assert_eq!(same::Default::FORM.digest(), same::Unbounded::FORM.digest());
    let all = [
        same::Renamed::FORM.digest(),
        same::Wider::FORM.digest(),
        same::Field::FORM.digest(),
        same::Bounded::FORM.digest(),
        same::Unbounded::FORM.digest(),
        Data::FORM.digest(),
        Plain::FORM.digest(),
    ];
    for (i, one) in all.iter().enumerate() {
        assert!(all[i + 1..].iter().all(|other| other != one), "number {i} is equal to another");
    }
}

#[test]
fn forms_write_the_types_of_fields_out() {
    let named = "struct{small:uint8,wide:uint64,name:string[65536],type:bool}";
    assert_eq!(Named::FORM.to_string(), named);
    assert_eq!(Tuple::FORM.to_string(), format!("struct{{0:int16,1:{named}?,2:[rust-char;2]}}"));
    assert_eq!(Unit::FORM.to_string(), "struct{}");
    assert_eq!(Plain::FORM.to_string(), "enum{One,Two,Three}");
    let data = format!(
        "enum{{Empty,Tuple{{0:uint8,1:uint32[;65536],2:uint64}},Struct{{name:string[65536],inner:{named}}},\
         Nested{{0:enum{{Number{{0:uint16}},Texts{{0:string[65536][;65536]}}}}}},Brackets}}"
    );
    assert_eq!(Data::FORM.to_string(), data);
    assert_eq!(Bounded4::FORM.to_string(), format!("struct{{text:string[4],list:{data}[;2]}}"));
    assert_eq!(Caps::FORM.to_string(), "struct{first:cap,maybe:cap?,rest:cap[;65536]}");
}

/// A new version of the library must bind to an old one.
#[test]
fn digests_of_types_stay_as_they_were() {
    let digests = [Named::FORM, Tuple::FORM, Unit::FORM, Plain::FORM, Data::FORM, Inner::FORM];
    let digests = digests.into_iter().chain([Bounded4::FORM, Caps::FORM]).map(|form| form.digest());
    let expected = [
        0x8845_7066_852d_55a2_9fb2_a94d_1ecc_42ad_u128,
        0x01a9_3f18_bceb_0bda_0e6b_ddc1_e7a8_b878,
        0x7a4c_c0b4_1a65_9baf_a337_5680_26c9_765c,
        0x5130_21ff_6440_6736_7d4a_3981_d217_71f0,
        0xe8ea_e2ab_1b0f_3784_39e7_b98a_72db_5e45,
        0x90c5_eb3e_cefe_2c0c_f474_1701_0316_8dca,
        0x1f3f_8e59_6163_d8f8_2825_45b3_8c25_dec8,
        0x36cc_6c8f_962a_53e6_aa83_3fdd_2636_5a88,
    ];
    assert!(digests.eq(expected));
}

proptest! {
    #[test]
    fn random_words_are_read_or_refused(words in prop::collection::vec(prop_oneof![0..8_u64, any::<u64>()], 0..12)) {
        // Never a panic; and what is read is what is written, since no value has two forms.
        if let Ok(value) = decode::<Data>(&words, vec![]) {
            prop_assert_eq!(encode(&value).0, words.clone());
        }
        if let Ok(value) = decode::<Bounded4>(&words, vec![]) {
            prop_assert_eq!(encode(&value).0, words.clone());
        }
        if let Ok(value) = decode::<Tuple>(&words, vec![]) {
            prop_assert_eq!(encode(&value).0, words);
        }
    }

    #[test]
    fn random_values_go_through(number in any::<u16>(), texts in prop::collection::vec("\\PC{0,20}", 0..10), wide in any::<u64>()) {
        round_trip(&Data::Nested(Inner::Number(number)));
        round_trip(&Data::Tuple(number as u8, vec![u32::from(number); texts.len()], wide));
        round_trip(&Data::Nested(Inner::Texts(texts)));
    }
}
