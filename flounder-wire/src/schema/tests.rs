use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::*;

fn message(form: &str) -> Schema {
    Schema::message(form, &[]).unwrap_or_else(|error| panic!("{form}: {error}"))
}

/// Reads what it should be, writes it again, and refuses it with one more word or capability.
fn reads(schema: &Schema, words: &[u64], caps: usize, value: &Value) {
    assert_eq!(schema.decode(words, caps).as_ref(), Ok(value));
    assert_eq!(schema.validate(words, caps), Ok(()));
    assert_eq!(schema.encode(value).as_deref(), Ok(words));
    let longer = [words, &[0]].concat();
    assert_eq!(schema.decode(&longer, caps), Err(DecodeError::Leftover { words: 1 }));
    assert_eq!(schema.decode(words, caps + 1), Err(DecodeError::ExtraCaps));
}

#[test]
fn examples_of_the_documentation_are_read_and_written() {
    let scalars =
        message("message m(a:uint8,b:uint16,c:uint32,d:uint64,e:uintptr,f:uintptr,g:char,h:bool)");
    let words = [4, 5, 6, 0x7711_2222_3333_3333, 1];
    let mut value: Vec<Value> =
        [0x11, 0x2222, 0x3333_3333, 4, 5, 6, 0x77].map(Value::Unsigned).into();
    value.push(Value::Bool(true));
    reads(&scalars, &words, 0, &Value::Struct(value));

    let arrays = message("message m(a:uint8[;65536],b:int16[;65536],c:double[;65536])");
    let words = [0x0000_0001_0000_0003, 0, 0x03_0201, 0xffff];
    let value = vec![
        Value::Bytes(vec![1, 2, 3]),
        Value::List(vec![Value::Signed(-1)]),
        Value::List(vec![]),
    ];
    reads(&arrays, &words, 0, &Value::Struct(value));

    let call = message("rpc-call hello_call(version:uint32,domain:uint64)");
    assert_eq!((call.name(), call.role()), ("hello_call", Some(Role::RpcCall)));
    let names: Vec<&str> = call.members().map(|(name, _)| name).collect();
    assert_eq!(names, ["id", "version", "domain"]);
    let value = Value::Struct([7, 4, 9].map(Value::Unsigned).into());
    reads(&call, &[9, 4 << 32 | 7], 0, &value);
}

#[test]
fn parts_of_types_from_rust_lie_where_the_documentation_says() {
    let data = "enum{Empty,Tuple{0:uint8,1:uint32[;65536],2:uint64}}";
    let variant = vec![
        Value::Unsigned(7),
        Value::List([1, 2, 3].map(Value::Unsigned).into()),
        Value::Unsigned(5),
    ];
    let schema = Schema::of_type(data).unwrap();
    reads(&schema, &[1, 5, 7 << 32 | 3, 2 << 32 | 1, 3], 0, &Value::Variant(1, variant));
    reads(&schema, &[0], 0, &Value::Variant(0, vec![]));

    let option = Schema::of_type("uint16?[;3]").unwrap();
    let some = Value::Optional(Some(Box::new(Value::Unsigned(0xabcd))));
    let value = Value::List(vec![some, Value::Optional(None)]);
    reads(&option, &[2, 0xabcd_0001], 0, &value);
    assert_eq!(option.decode(&[1, 0x0100_0001], 0), Ok(one_option(0x0100)));
    assert_eq!(option.decode(&[1, 0x0101], 0), Err(DecodeError::Padding));
    assert_eq!(option.decode(&[1, 0x1_0000], 0), Err(DecodeError::Padding));
    assert_eq!(option.decode(&[1, 2], 0), Err(DecodeError::Bool(2)));

    let units = Schema::of_type("unit[;65536]").unwrap();
    reads(&units, &[65_536], 0, &Value::Repeated(Box::new(Value::Unit), 65_536));
    let padded = Schema::of_type("struct{a:uint32,b:uint8}").unwrap();
    assert_eq!(padded.decode(&[1 << 40], 0), Err(DecodeError::Padding));
}

fn one_option(number: u128) -> Value {
    Value::List(vec![Value::Optional(Some(Box::new(Value::Unsigned(number))))])
}

#[test]
fn capabilities_are_positions_in_the_order_of_declaration() {
    let externs = ["struct{first:cap,maybe:cap?,rest:cap[;4]}"];
    let schema =
        Schema::message("message m(b:bulk[8],a:extern#0,c:give_away_cap)", &externs).unwrap();
    let words = [2 << 32 | 8, 1 << 32 | 2];
    let value = Value::Struct(vec![
        Value::Bulk(BulkPlace::Sealed { cap: 0, len: 8 }),
        Value::Struct(vec![
            Value::Capability(1),
            Value::Optional(Some(Box::new(Value::Capability(2)))),
            Value::List(vec![Value::Capability(3), Value::Capability(4)]),
        ]),
        Value::Capability(5),
    ]);
    reads(&schema, &words, 6, &value);
    assert_eq!(schema.decode(&words, 5), Err(DecodeError::MissingCap));
    let slot = BulkPlace::Slot { pool: 255, slot: 65_535, len: 8 };
    let head = message("message m(b:bulk[8])");
    reads(&head, &[0x03ff_fffd << 32 | 8], 0, &Value::Struct(vec![Value::Bulk(slot)]));
    assert_eq!(head.decode(&[1 << 34], 0), Err(DecodeError::Padding));
    assert!(matches!(head.decode(&[3 << 32], 0), Err(DecodeError::Bulk(_))));
    assert_eq!(head.decode(&[9], 0), Err(DecodeError::TooLong { len: 9, max: 8 }));
}

#[test]
fn values_of_another_type_are_not_written() {
    let schema = message("message m(n:int8,s:string[2],e:enum{A},c:cap,l:[uint16;2])");
    let value = |n, s: &str, e, c, l: usize| {
        let list = Value::List(vec![Value::Unsigned(0); l]);
        let text = Value::Text(s.into());
        Value::Struct(vec![
            Value::Signed(n),
            text,
            Value::Variant(e, vec![]),
            Value::Capability(c),
            list,
        ])
    };
    assert!(schema.encode(&value(-128, "ab", 0, 0, 2)).is_ok());
    let cases = [
        (value(128, "", 0, 0, 2), "argument n: number does not fit into 8 bits"),
        (value(-129, "", 0, 0, 2), "argument n: number does not fit into 8 bits"),
        (value(0, "abc", 0, 0, 2), "argument s: length 3 is over the maximum of 2"),
        (value(0, "", 1, 0, 2), "argument e: enumeration has no element 1"),
        (value(0, "", 0, 1, 2), "argument c: capability has position 1 in place of 0"),
        (value(0, "", 0, 0, 3), "argument l: 3 elements or fields in place of 2"),
        (Value::Struct(vec![]), "0 elements or fields in place of 5"),
        (Value::Unit, "value is not the members of the message"),
    ];
    for (value, text) in cases {
        assert_eq!(schema.encode(&value).unwrap_err().to_string(), text);
    }
}

#[test]
fn texts_that_are_no_form_are_refused() {
    let texts = [
        "",
        "message",
        "message ",
        "message m",
        "message m(",
        "message m()x",
        "calls m()",
        "message  m()",
        "message m(a)",
        "message m(a:)",
        "message m(a:uint9)",
        "message m(a:uint8,)",
        "message m(a:string)",
        "message m(a:string[])",
        "message m(a:string[01])",
        "message m(a:string[+1])",
        "message m(a:string[4294967296])",
        "message m(a:{})",
        "message m(a:enum{})",
        "message m(a:enum{A,})",
        "message m(a:[uint8])",
        "message m(a:[uint8;])",
        "message m(a:uint8[;1)",
        "message m(a:extern#0)",
        "message m(a:{b:bulk[1]})",
        "message m(a:enum{A{}})",
        "message m(é:uint8, b:bool)",
    ];
    for text in texts {
        assert!(Schema::message(text, &[]).is_err(), "{text}");
    }
}

#[test]
fn forms_beyond_the_limits_are_refused() {
    let nested = |n: usize| format!("{}uint8{}", "{a:".repeat(n), "}".repeat(n));
    assert!(Schema::of_type(&nested(MAX_DEPTH - 1)).is_ok());
    let refused = |form: &str| Schema::of_type(form).map(drop).expect_err("it is over a limit");
    assert_eq!(refused(&nested(MAX_DEPTH)), SchemaError::TooDeep);
    assert_eq!(refused(&nested(1 << 20)), SchemaError::TooDeep);
    assert_eq!(refused(&"[".repeat(1 << 20)), SchemaError::TooDeep);
    assert_eq!(refused(&format!("uint8{}", "?".repeat(MAX_DEPTH))), SchemaError::TooDeep);
    assert_eq!(refused(&format!("uint8{}", "[;1]".repeat(1 << 16))), SchemaError::TooDeep);
    assert!(Schema::of_type("[uint8;1048576]").is_ok());
    assert_eq!(refused("[uint8;1048577]"), SchemaError::TooLarge);
    assert_eq!(refused("[uint64;18446744073709551615]"), SchemaError::TooLarge);
    assert_eq!(refused("struct{a:[uint8;1048576],b:bool}"), SchemaError::TooLarge);
    let units: Vec<String> = (0..100).map(|i| format!("f{i}:unit")).collect();
    let sparse = format!("{{n:uint8,{}}}", units.join(","));
    assert!(Schema::of_type(&sparse).is_ok());
    assert_eq!(refused(&format!("{sparse}[;9]")), SchemaError::TooSparse);
    assert_eq!(refused(&format!("enum{{A{{a:{sparse},b:{sparse}}}}}[;9]")), SchemaError::TooSparse);
}

/// Counts that a form or words announce cost neither time nor memory.
#[test]
fn announced_counts_cost_nothing() {
    let huge = Schema::of_type("[[unit;18446744073709551615];18446744073709551615]").unwrap();
    assert!(matches!(huge.decode(&[], 0), Ok(Value::Repeated(..))));
    let caps = Schema::of_type("[cap;18446744073709551615]").unwrap();
    assert_eq!(caps.decode(&[], 3), Err(DecodeError::MissingCap));
    // No value without a capability of the message.
    let lists = Schema::of_type("[cap;4000000000][;9]").unwrap();
    assert_eq!(lists.decode(&[9], 3), Err(DecodeError::MissingCap));
    let list = Schema::of_type("[uint8;1048576][;4294967295]").unwrap();
    assert!(matches!(list.decode(&[0xffff_ffff], 0), Err(DecodeError::Short { .. })));
    let list = Schema::of_type("cap[;4294967295]").unwrap();
    assert_eq!(list.decode(&[0xffff_ffff], 2), Err(DecodeError::MissingCap));
}

/// Xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 16) as usize % bound
    }
}

const PIECES: &[&str] = &[
    "uint8",
    "uint64",
    "bool",
    "string[3]",
    "cap",
    "unit",
    "rust-char",
    "iref",
    "float",
    "{a:",
    "struct{",
    "enum{A,B",
    "enum{A{x:",
    "[",
    ";2]",
    ";70000]",
    "[;5]",
    "[;4294967295]",
    "?",
    "}",
    ",b:",
    ",",
    "]",
    ":",
    "extern#0",
    "é",
];

fn random_form(random: &mut Random) -> String {
    match random.below(3) {
        0 => (0..random.below(12)).map(|_| PIECES[random.below(PIECES.len())]).collect(),
        _ => random_type(random, 4),
    }
}

fn random_type(random: &mut Random, depth: usize) -> String {
    let inner = |random: &mut Random| random_type(random, depth.saturating_sub(1));
    match random.below(if depth == 0 { 4 } else { 9 }) {
        0..4 => PIECES[random.below(9)].into(),
        4 => format!("{}?", inner(random)),
        5 => format!("{}[;{}]", inner(random), [3, 70_000][random.below(2)]),
        6 => format!("[{};{}]", inner(random), random.below(4)),
        7 => format!("enum{{A,B{{x:{},y:{}}}}}", inner(random), inner(random)),
        _ => format!("struct{{x:{},y:{},z:{}}}", inner(random), inner(random), inner(random)),
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::List(values) | Value::Struct(values) | Value::Variant(_, values) => {
            values.iter().map(count).sum()
        }
        Value::Optional(Some(value)) | Value::Repeated(value, _) => count(value),
        Value::Text(text) => text.len() / 8,
        Value::Bytes(bytes) => bytes.len() / 8,
        _ => 0,
    }
}

#[test]
fn random_forms_and_words_are_read_or_refused() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut forms, mut accepted) = (0, 0);
    for _ in 0..20_000 {
        let form = random_form(&mut random);
        let Ok(schema) = Schema::of_type(&form) else { continue };
        forms += 1;
        for _ in 0..20 {
            let word = |random: &mut Random| match random.below(4) {
                0 => random.next(),
                1 => random.next() & 0x0001_0001_0001_0001,
                _ => random.next() & 3,
            };
            let words: Vec<u64> = (0..random.below(6)).map(|_| word(&mut random)).collect();
            let caps = [0, 0, 1, 2][random.below(4)];
            let read = schema.decode(&words, caps);
            assert_eq!(schema.validate(&words, caps), read.clone().map(drop), "{form} {words:x?}");
            let Ok(value) = read else { continue };
            accepted += 1;
            // At most as many as the bytes justify, and those of the form once.
            let most = 64 * words.len() + 16 * caps + form.len();
            assert!(count(&value) <= most, "{form} {words:x?}: {value:?}");
            assert_eq!(schema.encode(&value), Ok(words), "{form} {value:?}");
        }
    }
    assert!(forms > 10_000 && accepted > 5_000, "{forms} forms, {accepted} messages");
}
