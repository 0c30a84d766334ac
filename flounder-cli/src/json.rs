//! Values of messages as JSON, and back.
//!
//! | type | JSON |
//! |---|---|
//! | numbers, `iref`, `errval` | a number; one of more than 64 bits is a string of its decimal digits; `"NaN"`, `"inf"` and `"-inf"` for floating-point numbers that JSON has not |
//! | strings, `char` of Rust | a string |
//! | arrays of bytes, bulk data in the message | a string of hexadecimal digits, two for each byte |
//! | other arrays | an array; `{"repeated": VALUE, "length": N}` if there is one value only |
//! | structs, members of a message | an object |
//! | enumerations, unions | the name; `{"NAME": {FIELDS}}` if the variant has fields, `{"NAME": VALUE}` if it has one without a name |
//! | `Option` | `null` or `{"some": VALUE}` |
//! | `()` | `null` |
//! | capabilities | `{"capability": N}`, the position in the message |
//! | bulk data elsewhere | `{"pool": N, "slot": N, "length": N}`, `{"sealed": N, "length": N}` |

use std::fmt;

use flounder::message::schema::{BulkPlace, Kind, Schema, TypeRef, Value};
use flounder::{Errval, Iref};
use serde_json::{Map, Value as Json, json};

/// A piece of JSON that is no value of its type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// Names of the members on the way to it, with dots.
    place: String,
    expected: &'static str,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, expected } = self;
        let place = if place.is_empty() { "the value" } else { place };
        write!(f, "{place} is not {expected}")
    }
}

impl std::error::Error for Mismatch {}

type Read<T> = Result<T, Mismatch>;

fn not<T>(expected: &'static str) -> Read<T> {
    Err(Mismatch { place: String::new(), expected })
}

/// Returns the members of a message as JSON. `value` is what the schema has decoded.
pub(crate) fn from_message(schema: &Schema, value: &Value) -> Json {
    let Value::Struct(values) = value else { return Json::Null };
    members(schema.members(), values)
}

/// Returns the value of a message from JSON.
///
/// # Errors
/// [`Mismatch`] with the first member that has no value of its type.
pub(crate) fn to_message(schema: &Schema, json: &Json) -> Read<Value> {
    Ok(Value::Struct(read_members(schema.members(), json)?))
}

fn members<'a>(types: impl Iterator<Item = (&'a str, TypeRef<'a>)>, values: &[Value]) -> Json {
    let members = types.zip(values);
    Json::Object(members.map(|((name, ty), value)| (name.into(), write(ty, value))).collect())
}

fn read_members<'a>(
    types: impl Iterator<Item = (&'a str, TypeRef<'a>)>,
    json: &Json,
) -> Read<Vec<Value>> {
    let Some(object) = json.as_object() else { return not("an object") };
    let (mut values, mut known) = (Vec::new(), 0);
    for (name, ty) in types {
        let member = object.get(name);
        known += usize::from(member.is_some());
        let value = member.map_or_else(|| not("there"), |member| read(ty, member));
        values.push(value.map_err(|Mismatch { place, expected }| {
            let dot = if place.is_empty() { "" } else { "." };
            Mismatch { place: format!("{name}{dot}{place}"), expected }
        })?);
    }
    if known < object.len() { not("without members that its type has not") } else { Ok(values) }
}

fn write(ty: TypeRef<'_>, value: &Value) -> Json {
    match (ty.kind(), value) {
        (_, Value::Bool(value)) => json!(value),
        (_, Value::Unsigned(value)) => whole(u64::try_from(*value), value),
        (_, Value::Signed(value)) => whole(i64::try_from(*value), value),
        (_, Value::Float(value)) => float(f64::from(*value)),
        (_, Value::Double(value)) => float(*value),
        (_, Value::Char(value)) => json!(value),
        (_, Value::InterfaceRef(value)) => json!(value.to_bits()),
        (_, Value::ErrorValue(value)) => json!(value.0),
        (_, Value::Text(value)) => json!(value),
        (_, Value::Bytes(value) | Value::Bulk(BulkPlace::Inline(value))) => json!(hex(value)),
        (Kind::Array(element, _) | Kind::List(element, _), Value::List(values)) => {
            values.iter().map(|value| write(element, value)).collect()
        }
        (Kind::Array(element, _) | Kind::List(element, _), Value::Repeated(value, length)) => {
            json!({ "repeated": write(element, value), "length": length })
        }
        (Kind::Optional(ty), Value::Optional(Some(value))) => json!({ "some": write(ty, value) }),
        (Kind::Struct(types), Value::Struct(values)) => members(types.into_iter(), values),
        (Kind::Enum(variants), Value::Variant(index, values)) => {
            let (name, types) = &variants[*index as usize];
            if types.is_empty() {
                return json!(name);
            }
            let fields = match (&types[..], &values[..]) {
                ([("0", ty)], [value]) => write(*ty, value),
                _ => members(types.iter().copied(), values),
            };
            Json::Object(Map::from_iter([((*name).to_owned(), fields)]))
        }
        (_, Value::Capability(position)) => json!({ "capability": position }),
        (_, Value::Bulk(BulkPlace::Slot { pool, slot, len })) => {
            json!({ "pool": pool, "slot": slot, "length": len })
        }
        (_, Value::Bulk(BulkPlace::Sealed { cap, len })) => json!({ "sealed": cap, "length": len }),
        // `()`, and an option without a value.
        _ => Json::Null,
    }
}

fn read(ty: TypeRef<'_>, json: &Json) -> Read<Value> {
    Ok(match ty.kind() {
        Kind::Unit if json.is_null() => Value::Unit,
        Kind::Unit => return not("null"),
        Kind::Bool => Value::Bool(some(json.as_bool(), "true or false")?),
        Kind::Unsigned(16) => Value::Unsigned(digits(json, "a whole number that is not negative")?),
        Kind::Unsigned(_) => Value::Unsigned(unsigned(json)?.into()),
        Kind::Signed(16) => Value::Signed(digits(json, "a whole number")?),
        Kind::Signed(_) => Value::Signed(some(json.as_i64(), "a whole number")?.into()),
        Kind::Float => Value::Float(read_float(json)? as f32),
        Kind::Double => Value::Double(read_float(json)?),
        Kind::Char => {
            let mut characters = some(json.as_str(), "a string of one character")?.chars();
            match (characters.next(), characters.next()) {
                (Some(one), None) => Value::Char(one),
                _ => return not("a string of one character"),
            }
        }
        Kind::InterfaceRef => {
            let iref = Iref::from_bits(unsigned(json)?);
            Value::InterfaceRef(some(iref, "an interface reference, which is not zero")?)
        }
        Kind::ErrorValue => Value::ErrorValue(Errval(unsigned(json)?)),
        Kind::Text(_) => Value::Text(some(json.as_str(), "a string")?.to_owned()),
        Kind::Capability => Value::Capability(position(json, "capability")?),
        Kind::Bulk(_) => Value::Bulk(read_bulk(json)?),
        Kind::Array(element, _) | Kind::List(element, _) => read_elements(element, json)?,
        Kind::Optional(_) if json.is_null() => Value::Optional(None),
        Kind::Optional(ty) => match json.get("some") {
            Some(value) => Value::Optional(Some(Box::new(read(ty, value)?))),
            None => return not("null or {\"some\": VALUE}"),
        },
        Kind::Struct(types) => Value::Struct(read_members(types.into_iter(), json)?),
        Kind::Enum(variants) => {
            let named = json.as_object().and_then(|object| object.iter().next());
            let (name, fields) = match named {
                Some((name, fields)) => (name.as_str(), fields),
                None => (some(json.as_str(), "the name of an element")?, &json!({})),
            };
            let index = variants.iter().position(|(variant, _)| *variant == name);
            let index = some(index, "the name of an element")?;
            let fields = match &variants[index].1[..] {
                [("0", ty)] => vec![read(*ty, fields)?],
                types => read_members(types.iter().copied(), fields)?,
            };
            Value::Variant(index as u32, fields)
        }
        _ => return not("of a type that this command knows"),
    })
}

fn some<T>(value: Option<T>, expected: &'static str) -> Read<T> {
    value.map_or_else(|| not(expected), Ok)
}

fn unsigned(json: &Json) -> Read<u64> {
    some(json.as_u64(), "a whole number that is not negative")
}

/// Returns a number of up to 128 bits as JSON: its decimal digits, if it does not fit into 64 bits.
fn whole<N: Into<Json>, E>(narrow: Result<N, E>, wide: &impl fmt::Display) -> Json {
    narrow.map_or_else(|_| json!(wide.to_string()), N::into)
}

/// Reads what [`whole`] writes.
fn digits<N: std::str::FromStr>(json: &Json, expected: &'static str) -> Read<N> {
    let number = match json {
        Json::Number(number) => number.to_string(),
        _ => some(json.as_str(), expected)?.to_owned(),
    };
    some(number.parse().ok(), expected)
}

fn position(json: &Json, name: &str) -> Read<usize> {
    let number = json.get(name).and_then(Json::as_u64);
    some(number.and_then(|number| usize::try_from(number).ok()), "an object with a position")
}

fn float(value: f64) -> Json {
    serde_json::Number::from_f64(value).map_or_else(|| json!(value.to_string()), Json::Number)
}

fn read_float(json: &Json) -> Read<f64> {
    match json.as_str() {
        Some("NaN") => Ok(f64::NAN),
        Some("inf") => Ok(f64::INFINITY),
        Some("-inf") => Ok(f64::NEG_INFINITY),
        _ => some(json.as_f64(), "a number, \"NaN\", \"inf\" or \"-inf\""),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_hex(json: &Json) -> Read<Vec<u8>> {
    let expected = "a string of hexadecimal digits, two for each byte";
    let text = some(json.as_str(), expected)?;
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    match some(digits, expected)?.as_chunks::<2>() {
        (bytes, []) => Ok(bytes.iter().map(|[high, low]| (high << 4 | low) as u8).collect()),
        _ => not(expected),
    }
}

fn read_elements(element: TypeRef<'_>, json: &Json) -> Read<Value> {
    if matches!(element.kind(), Kind::Unsigned(1)) {
        return Ok(Value::Bytes(read_hex(json)?));
    }
    if let Some(value) = json.get("repeated") {
        let length = some(json.get("length").and_then(Json::as_u64), "an object with a length")?;
        return Ok(Value::Repeated(Box::new(read(element, value)?), length));
    }
    let elements = some(json.as_array(), "an array")?;
    Ok(Value::List(elements.iter().map(|json| read(element, json)).collect::<Read<_>>()?))
}

fn read_bulk(json: &Json) -> Read<BulkPlace> {
    if json.is_string() {
        return Ok(BulkPlace::Inline(read_hex(json)?));
    }
    let expected = "hexadecimal digits, or an object with the place and the length";
    let number = |name: &str| json.get(name).and_then(Json::as_u64);
    let len = number("length").and_then(|length| u32::try_from(length).ok());
    let len = some(len, expected)?;
    if json.get("sealed").is_some() {
        return Ok(BulkPlace::Sealed { cap: position(json, "sealed")?, len });
    }
    let pool = number("pool").and_then(|pool| u8::try_from(pool).ok());
    let slot = number("slot").and_then(|slot| u16::try_from(slot).ok());
    Ok(BulkPlace::Slot { pool: some(pool, expected)?, slot: some(slot, expected)?, len })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes, writes JSON, reads it, and encodes: the words must be the same.
    fn round_trip(form: &str, value: Value, json: Json) {
        let schema = Schema::message(form, &[]).expect("it is a form");
        let words = schema.encode(&value).expect("it is a value");
        let caps = form.matches(":cap").count();
        let decoded = schema.decode(&words, caps).expect("it was encoded");
        assert_eq!(from_message(&schema, &decoded), json, "{form}");
        let read = to_message(&schema, &json).expect("it was written");
        assert_eq!(schema.encode(&read).expect("it is a value"), words, "{form}");
    }

    fn one(value: Value) -> Value {
        Value::Struct(vec![value])
    }

    #[test]
    fn every_kind_of_value_comes_back() {
        let bytes = Value::Bytes(vec![0, 0xAB]);
        round_trip("message m(a:uint8[;9])", one(bytes), json!({ "a": "00ab" }));
        let text = Value::Text("hé".into());
        round_trip("message m(s:string[64])", one(text), json!({ "s": "hé" }));
        round_trip("message m(n:int8)", one(Value::Signed(-3)), json!({ "n": -3 }));
        round_trip(
            "message m(n:uint64)",
            one(Value::Unsigned(u64::MAX.into())),
            json!({ "n": u64::MAX }),
        );
        let (least, most) = (i128::MIN.to_string(), u128::MAX.to_string());
        round_trip("message m(n:int128)", one(Value::Signed(i128::MIN)), json!({ "n": least }));
        round_trip("message m(n:int128)", one(Value::Signed(-3)), json!({ "n": -3 }));
        round_trip("message m(n:uint128)", one(Value::Unsigned(u128::MAX)), json!({ "n": most }));
        round_trip("message m(b:bool)", one(Value::Bool(true)), json!({ "b": true }));
        round_trip("message m(d:double)", one(Value::Double(0.5)), json!({ "d": 0.5 }));
        let infinite = Value::Double(f64::NEG_INFINITY);
        round_trip("message m(d:double)", one(infinite), json!({ "d": "-inf" }));
        let numbers = Value::List(vec![Value::Unsigned(1), Value::Unsigned(500)]);
        round_trip("message m(a:uint16[;9])", one(numbers), json!({ "a": [1, 500] }));
        let pair = Value::Struct(vec![Value::Unsigned(1), Value::Bool(true)]);
        let object = json!({ "p": { "n": 1, "b": true } });
        round_trip("message m(p:struct{n:uint32,b:bool})", one(pair), object);
        round_trip(
            "message m(c:cap)",
            one(Value::Capability(0)),
            json!({ "c": { "capability": 0 } }),
        );
        let inline = Value::Bulk(BulkPlace::Inline(vec![1, 2]));
        round_trip("message m(b:bulk[8])", one(inline), json!({ "b": "0102" }));
        let slot = Value::Bulk(BulkPlace::Slot { pool: 1, slot: 2, len: 3 });
        let object = json!({ "b": { "pool": 1, "slot": 2, "length": 3 } });
        round_trip("message m(b:bulk[8])", one(slot), object);
        let variant = Value::Variant(1, vec![]);
        round_trip("message m(e:enum{A,B})", one(variant), json!({ "e": "B" }));
    }

    #[test]
    fn types_from_rust_come_back() {
        let form = "enum{Nothing,Some{at:double?}}";
        let schema = Schema::message("message m(e:extern#0)", &[form]).expect("they are forms");
        for (value, json) in [
            (Value::Variant(0, vec![]), json!({ "e": "Nothing" })),
            (
                Value::Variant(1, vec![Value::Optional(Some(Box::new(Value::Double(2.5))))]),
                json!({ "e": { "Some": { "at": { "some": 2.5 } } } }),
            ),
            (
                Value::Variant(1, vec![Value::Optional(None)]),
                json!({ "e": { "Some": { "at": null } } }),
            ),
        ] {
            assert_eq!(from_message(&schema, &one(value.clone())), json);
            assert_eq!(to_message(&schema, &json), Ok(one(value)));
        }
    }

    #[test]
    fn unions_are_objects_of_one_member() {
        let form = "message m(u:enum{number{0:uint8},text{0:string[9]}})";
        let number = Value::Variant(0, vec![Value::Unsigned(3)]);
        round_trip(form, one(number), json!({ "u": { "number": 3 } }));
        let text = Value::Variant(1, vec![Value::Text("x".into())]);
        round_trip(form, one(text), json!({ "u": { "text": "x" } }));
        let schema = Schema::message(form, &[]).expect("it is a form");
        let wrong = to_message(&schema, &json!({ "u": "number" })).expect_err("it has no value");
        assert_eq!(wrong.to_string(), "u is not a whole number that is not negative");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let form = "message m(n:uint32,e:enum{A,B})";
        let schema = Schema::message(form, &[]).expect("it is a form");
        let wrong = |json: Json| to_message(&schema, &json).expect_err("it is wrong").to_string();
        assert_eq!(wrong(json!([])), "the value is not an object");
        assert_eq!(wrong(json!({ "n": 1 })), "e is not there");
        assert_eq!(
            wrong(json!({ "n": -1, "e": "A" })),
            "n is not a whole number that is not negative"
        );
        assert_eq!(wrong(json!({ "n": 1, "e": "C" })), "e is not the name of an element");
        let more = wrong(json!({ "n": 1, "e": "A", "x": 0 }));
        assert_eq!(more, "the value is not without members that its type has not");
    }
}
