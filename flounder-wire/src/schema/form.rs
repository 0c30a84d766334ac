//! Reading forms: a grammar of one character of look-ahead, and the layout of each type as soon as its parts are known.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{
    Layout, MAX_DEPTH, MAX_FIXED, Member, Record, Role, Root, Schema, SchemaError, Type, Variant,
};

/// Most values for each byte of an element of an array, and at first.
const VALUES_PER_BYTE: u64 = 8;

pub(super) fn message(form: &str, externs: &[&str]) -> Result<Schema, SchemaError> {
    let mut types = Vec::new();
    let mut roots = Vec::new();
    for text in externs {
        let mut parser = Parser { text, at: 0, types, externs: &[] };
        roots.push(parser.ty(0)?);
        parser.end()?;
        types = parser.types;
    }
    let mut parser = Parser { text: form, at: 0, types, externs: &roots };
    let role = match parser.word("the role of the message")? {
        "message" | "call" | "response" => Role::Message,
        "rpc-call" | "rpc-call-both" => Role::RpcCall,
        "rpc-response" | "rpc-response-both" => Role::RpcResponse,
        "rpc-error" | "rpc-error-both" => Role::RpcError,
        _ => return Err(SchemaError::Expected { what: "the role of the message", at: 0 }),
    };
    parser.expect(' ', "a space")?;
    let name = parser.word("the name of the message")?.into();
    parser.expect('(', "an opening parenthesis")?;
    let mut members = Vec::new();
    if role != Role::Message {
        let ty = parser.add(scalar(Layout::Unsigned, 4))?;
        members.push(Member { name: "id".into(), ty, at: 0 });
    }
    if !parser.eat(')') {
        loop {
            members.push(parser.argument()?);
            if parser.eat(')') {
                break;
            }
            parser.expect(',', "a comma or a closing parenthesis")?;
        }
    }
    parser.end()?;
    let record = parser.record(members)?;
    Ok(Schema { types: parser.types, root: Root::Message { role, name, record } })
}

pub(super) fn alone(form: &str) -> Result<Schema, SchemaError> {
    let mut parser = Parser { text: form, at: 0, types: Vec::new(), externs: &[] };
    let ty = parser.ty(0)?;
    parser.end()?;
    let record = parser.record(Vec::from([Member { name: "".into(), ty, at: 0 }]))?;
    Ok(Schema { types: parser.types, root: Root::Type(record) })
}

struct Parser<'a> {
    text: &'a str,
    /// Byte offset of the next character.
    at: usize,
    types: Vec<Type>,
    /// Places of the types from Rust.
    externs: &'a [usize],
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn error<T>(&self, what: &'static str) -> Result<T, SchemaError> {
        Err(SchemaError::Expected { what, at: self.at })
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.rest().starts_with(c);
        self.at += if found { c.len_utf8() } else { 0 };
        found
    }

    fn expect(&mut self, c: char, what: &'static str) -> Result<(), SchemaError> {
        if self.eat(c) { Ok(()) } else { self.error(what) }
    }

    fn end(&self) -> Result<(), SchemaError> {
        if self.rest().is_empty() { Ok(()) } else { self.error("the end") }
    }

    /// Reads a name or a keyword: everything up to the next punctuation.
    fn word(&mut self, what: &'static str) -> Result<&'a str, SchemaError> {
        let is_punctuation =
            |c: char| c.is_whitespace() || c.is_control() || ":,;(){}[]#?".contains(c);
        let rest = self.rest();
        let word = &rest[..rest.find(is_punctuation).unwrap_or(rest.len())];
        if word.is_empty() {
            return self.error(what);
        }
        self.at += word.len();
        Ok(word)
    }

    fn number<N: core::str::FromStr>(&mut self) -> Result<N, SchemaError> {
        const WHAT: &str = "a decimal number in its range";
        let before = self.at;
        let digits = self.word(WHAT)?;
        let canonical = digits.bytes().all(|c| c.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'));
        match digits.parse() {
            Ok(number) if canonical => Ok(number),
            _ => Err(SchemaError::Expected { what: WHAT, at: before }),
        }
    }

    /// Reads `[maximum]`.
    fn maximum(&mut self) -> Result<u32, SchemaError> {
        self.expect('[', "an opening bracket")?;
        let max = self.number()?;
        self.expect(']', "a closing bracket")?;
        Ok(max)
    }

    fn argument(&mut self) -> Result<Member, SchemaError> {
        let name = self.word("the name of an argument")?.into();
        self.expect(':', "a colon")?;
        let ty = if self.rest().starts_with("bulk[") {
            self.at += "bulk".len();
            let max = self.maximum()?;
            self.add(scalar(Layout::Bulk(max), 8))?
        } else {
            self.ty(0)?
        };
        Ok(Member { name, ty, at: 0 })
    }

    /// Reads `name:type,..` up to the closing brace, with at least one field.
    fn fields(&mut self, depth: usize) -> Result<Vec<Member>, SchemaError> {
        let mut members = Vec::new();
        loop {
            let name: Box<str> = self.word("the name of a field")?.into();
            self.expect(':', "a colon")?;
            members.push(Member { name, ty: self.ty(depth + 1)?, at: 0 });
            if self.eat('}') {
                return Ok(members);
            }
            self.expect(',', "a comma or a closing brace")?;
        }
    }

    /// Reads a type inside of `depth` others, with what stands behind it: `?` and `[;maximum]`.
    fn ty(&mut self, depth: usize) -> Result<usize, SchemaError> {
        if depth >= MAX_DEPTH {
            return Err(SchemaError::TooDeep);
        }
        let mut ty = self.stem(depth)?;
        loop {
            if self.eat('?') {
                ty = self.option(ty)?;
            } else if self.rest().starts_with("[;") {
                self.at += "[;".len();
                let max = self.number()?;
                self.expect(']', "a closing bracket")?;
                ty = self.list(ty, max)?;
            } else {
                return Ok(ty);
            }
        }
    }

    fn stem(&mut self, depth: usize) -> Result<usize, SchemaError> {
        if self.eat('{') {
            let members = self.fields(depth)?;
            return self.structure(members);
        }
        if self.eat('[') {
            let element = self.ty(depth + 1)?;
            self.expect(';', "a semicolon")?;
            let len = self.number()?;
            self.expect(']', "a closing bracket")?;
            return self.array(element, len);
        }
        let before = self.at;
        let word = self.word("a type")?;
        let ty = match word {
            "struct" if self.eat('{') => {
                let members = if self.eat('}') { Vec::new() } else { self.fields(depth)? };
                return self.structure(members);
            }
            "enum" if self.eat('{') => return self.enumeration(depth),
            "extern" if self.eat('#') => {
                let index = self.number()?;
                let known = usize::try_from(index).ok().and_then(|index| self.externs.get(index));
                return known.copied().ok_or(SchemaError::NoExtern(index));
            }
            "string" => {
                let max = self.maximum()?;
                scalar(Layout::Text(max), 4)
            }
            "unit" => Type { size: 0, align: 1, is_empty: true, ..scalar(Layout::Unit, 1) },
            "cap" | "give_away_cap" => {
                Type { size: 0, align: 1, values: 0, ..scalar(Layout::Cap, 1) }
            }
            "bool" => scalar(Layout::Bool, 1),
            "char" | "uint8" => scalar(Layout::Unsigned, 1),
            "uint16" => scalar(Layout::Unsigned, 2),
            "uint32" => scalar(Layout::Unsigned, 4),
            "uint64" | "uintptr" | "size" => scalar(Layout::Unsigned, 8),
            "uint128" => scalar(Layout::Unsigned, 16),
            "int8" => scalar(Layout::Signed, 1),
            "int16" => scalar(Layout::Signed, 2),
            "int32" => scalar(Layout::Signed, 4),
            "int64" | "intptr" => scalar(Layout::Signed, 8),
            "int128" => scalar(Layout::Signed, 16),
            "float" => scalar(Layout::Float, 4),
            "double" => scalar(Layout::Double, 8),
            "rust-char" => scalar(Layout::Char, 4),
            "iref" => scalar(Layout::Iref, 8),
            "errval" => scalar(Layout::Errval, 8),
            _ => return Err(SchemaError::Expected { what: "a type", at: before }),
        };
        self.add(ty)
    }

    fn add(&mut self, ty: Type) -> Result<usize, SchemaError> {
        if ty.depth > MAX_DEPTH {
            return Err(SchemaError::TooDeep);
        }
        if ty.size > MAX_FIXED {
            return Err(SchemaError::TooLarge);
        }
        self.types.push(ty);
        Ok(self.types.len() - 1)
    }

    /// Requires that a value of an element costs no more than its bytes justify.
    fn check_element(&self, element: usize) -> Result<&Type, SchemaError> {
        let ty = &self.types[element];
        let is_dense = ty.is_empty || ty.values <= VALUES_PER_BYTE * (ty.size + 1);
        if is_dense { Ok(ty) } else { Err(SchemaError::TooSparse) }
    }

    fn option(&mut self, value: usize) -> Result<usize, SchemaError> {
        let ty = &self.types[value];
        self.add(Type {
            layout: Layout::Option(value),
            size: ty.align + ty.size,
            align: ty.align,
            depth: ty.depth + 1,
            values: ty.values.saturating_add(1),
            is_empty: false,
        })
    }

    fn list(&mut self, element: usize, max: u32) -> Result<usize, SchemaError> {
        let depth = self.check_element(element)?.depth + 1;
        self.add(Type { depth, ..scalar(Layout::List(element, max), 4) })
    }

    fn array(&mut self, element: usize, len: u64) -> Result<usize, SchemaError> {
        let ty = self.check_element(element)?;
        let is_compact = ty.is_empty || ty.is_byte();
        let array = Type {
            layout: Layout::Array(element, len),
            size: ty.size.checked_mul(len).ok_or(SchemaError::TooLarge)?,
            align: ty.align,
            depth: ty.depth + 1,
            values: if is_compact { ty.values } else { ty.values.saturating_mul(len) }
                .saturating_add(1),
            is_empty: ty.is_empty || len == 0,
        };
        self.add(array)
    }

    fn structure(&mut self, members: Vec<Member>) -> Result<usize, SchemaError> {
        let record = self.record(members)?;
        let structure = Type {
            size: record.used.next_multiple_of(record.align),
            align: record.align,
            depth: 1 + self.depth(&record),
            values: self.values(&record).saturating_add(1),
            is_empty: record.members.iter().all(|member| self.types[member.ty].is_empty),
            layout: Layout::Struct(record),
        };
        self.add(structure)
    }

    fn enumeration(&mut self, depth: usize) -> Result<usize, SchemaError> {
        let mut variants = Vec::new();
        loop {
            let name = self.word("the name of a variant")?.into();
            let members = if self.eat('{') { self.fields(depth)? } else { Vec::new() };
            variants.push(Variant { name, record: self.record(members)? });
            if self.eat('}') {
                break;
            }
            self.expect(',', "a comma or a closing brace")?;
        }
        // The words of its record account for the values of a variant.
        let excess =
            |record| self.values(record).saturating_sub(VALUES_PER_BYTE * 8 * record.words());
        let values = variants.iter().map(|variant| excess(&variant.record)).max().unwrap_or(0);
        let depth = variants.iter().map(|variant| self.depth(&variant.record)).max().unwrap_or(0);
        self.add(Type {
            depth: depth + 1,
            values: values.saturating_add(1),
            ..scalar(Layout::Enum(variants), 4)
        })
    }

    /// Places the members in the order of falling alignment, those of equal alignment in the order of declaration.
    fn record(&self, mut members: Vec<Member>) -> Result<Record, SchemaError> {
        let mut used: u64 = 0;
        for align in [8, 4, 2, 1] {
            for member in &mut members {
                let ty = &self.types[member.ty];
                if ty.align == align {
                    member.at = used;
                    used = used.saturating_add(ty.size);
                }
            }
        }
        if used > MAX_FIXED {
            return Err(SchemaError::TooLarge);
        }
        let align = members.iter().map(|member| self.types[member.ty].align).max().unwrap_or(1);
        Ok(Record { members, used, align })
    }

    fn depth(&self, record: &Record) -> usize {
        record.members.iter().map(|member| self.types[member.ty].depth).max().unwrap_or(0)
    }

    fn values(&self, record: &Record) -> u64 {
        let values = record.members.iter().map(|member| self.types[member.ty].values);
        values.fold(0, u64::saturating_add)
    }
}

/// A type without parts.
fn scalar(layout: Layout, size: u64) -> Type {
    Type { layout, size, align: size.min(8), depth: 1, values: 1, is_empty: false }
}
