//! A parser of the part of the language that the tests need, canonical forms and digests (`docs/idl.md`, "Canonical form
//! and digest"; `docs/wire.md`, "Digests").

use std::collections::HashMap;

use sha2::{Digest, Sha256};

/// A type of the language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// A value of 1, 2, 4 or 8 bytes, under its canonical name.
    Scalar {
        /// Name in the canonical form.
        name: &'static str,
        /// Size and alignment in bytes.
        size: usize,
    },
    /// An enumeration with these elements.
    Enum(Vec<String>),
    /// A string of at most this many bytes.
    Text(u32),
    /// A dynamic array of at most this many elements.
    Array(Box<Type>, u32),
    /// A struct: names and types of its fields.
    Struct(Vec<(String, Type)>),
    /// Bulk data of at most this many bytes.
    Bulk(u32),
    /// `cap` or `give_away_cap`.
    Cap(&'static str),
}

/// A message, or one of the two of an rpc.
#[derive(Debug, Clone)]
pub struct Message {
    /// Number on the wire, from 1.
    pub number: u16,
    /// `message`, `rpc-call` or `rpc-response`.
    pub role: &'static str,
    /// Name in the canonical form.
    pub name: String,
    /// Names and types of the arguments.
    pub args: Vec<(String, Type)>,
}

/// An interface.
#[derive(Debug, Clone)]
pub struct Interface {
    /// Name of the interface.
    pub name: String,
    /// Messages in the order of their numbers.
    pub messages: Vec<Message>,
}

/// Default maximum of strings and arrays.
const DEFAULT_MAX: u32 = 65_536;

impl Interface {
    /// Parses the text of one interface.
    ///
    /// # Panics
    /// If the text is not of the part of the language that this parser reads.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut parser = Parser { tokens: tokens(text), at: 0, types: HashMap::new() };
        parser.interface()
    }

    /// Returns the message of this name (`f_call` and `f_response` for an rpc `f`).
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn message(&self, name: &str) -> &Message {
        let found = self.messages.iter().find(|message| message.name == name);
        found.unwrap_or_else(|| panic!("interface {} has no message {name}", self.name))
    }

    /// Digest of the interface: those of its messages mixed into the one of its name.
    #[must_use]
    pub fn digest(&self) -> u128 {
        let name = fnv1a(FNV_BASIS, self.name.as_bytes());
        self.messages.iter().fold(name, |digest, message| {
            let digest = fnv1a(FNV_BASIS_OF_MIX, &digest.to_be_bytes());
            fnv1a(digest, &message.digest().to_be_bytes())
        })
    }
}

impl Message {
    /// Canonical form.
    #[must_use]
    pub fn form(&self) -> String {
        let args: Vec<_> = self
            .args
            .iter()
            .map(|(name, ty)| match ty {
                Type::Array(element, max) => format!("{name}:{}[;{max}]", form(element)),
                ty => format!("{name}:{}", form(ty)),
            })
            .collect();
        format!("{} {}({})", self.role, self.name, args.join(","))
    }

    /// The first 16 bytes of the SHA-256 of the canonical form.
    ///
    /// # Panics
    /// Never: a SHA-256 has 32 bytes.
    #[must_use]
    pub fn digest(&self) -> u128 {
        let hash = Sha256::digest(self.form().as_bytes());
        u128::from_be_bytes(hash[..16].try_into().expect("16 of 32 bytes"))
    }
}

fn form(ty: &Type) -> String {
    match ty {
        Type::Scalar { name, .. } | Type::Cap(name) => (*name).to_owned(),
        Type::Enum(elements) => format!("enum{{{}}}", elements.join(",")),
        Type::Text(max) => format!("string[{max}]"),
        Type::Bulk(max) => format!("bulk[{max}]"),
        Type::Struct(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|(name, ty)| format!("{name}:{}", form(ty))).collect();
            format!("{{{}}}", fields.join(","))
        }
        Type::Array(..) => unreachable!("arrays are arguments only"),
    }
}

const FNV_BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_BASIS_OF_MIX: u128 = FNV_BASIS;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

fn fnv1a(basis: u128, bytes: &[u8]) -> u128 {
    bytes.iter().fold(basis, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(FNV_PRIME))
}

/// Splits a text into words and punctuation; comments are left out.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == '"' {
            rest[1..].find('"').map_or(rest.len(), |end| end + 2)
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(rest[..end].to_owned());
            end
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

struct Parser {
    tokens: Vec<String>,
    at: usize,
    types: HashMap<String, Type>,
}

impl Parser {
    fn next(&mut self) -> String {
        self.at += 1;
        self.tokens.get(self.at - 1).expect("the text ends too early").clone()
    }

    fn eat(&mut self, token: &str) -> bool {
        let is_next = self.tokens.get(self.at).is_some_and(|next| next == token);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, token: &str) {
        let next = self.next();
        assert_eq!(next, token, "token {}", self.at);
    }

    fn interface(&mut self) -> Interface {
        self.expect("interface");
        let name = self.next();
        self.expect("{");
        let mut messages = Vec::new();
        while !self.eat("}") {
            match self.next().as_str() {
                "typedef" => self.typedef(),
                "rpc" => self.rpc(&mut messages),
                other => {
                    let words = ["message", "call", "response"];
                    let role = words.into_iter().find(|word| *word == other);
                    let role = role.unwrap_or_else(|| panic!("unknown declaration {other}"));
                    let name = self.next();
                    let args = self.args().into_iter().map(|(_, name, ty)| (name, ty)).collect();
                    add(&mut messages, role, name, args);
                }
            }
            self.expect(";");
        }
        Interface { name, messages }
    }

    fn typedef(&mut self) {
        let ty = match self.next().as_str() {
            "enum" => {
                self.expect("{");
                let mut elements = Vec::new();
                while !self.eat("}") {
                    elements.push(self.next());
                    let _ = self.eat(",");
                }
                Type::Enum(elements)
            }
            "struct" => {
                self.expect("{");
                let mut fields = Vec::new();
                while !self.eat("}") {
                    let (name, ty) = self.declaration();
                    fields.push((name, ty));
                    self.expect(";");
                }
                Type::Struct(fields)
            }
            other => panic!("unknown typedef {other}"),
        };
        let name = self.next();
        self.types.insert(name, ty);
    }

    fn rpc(&mut self, messages: &mut Vec<Message>) {
        let name = self.next();
        let (mut call, mut response) = (Vec::new(), Vec::new());
        for (direction, name, ty) in self.args() {
            match direction.as_deref() {
                Some("in") => call.push((name, ty)),
                Some("out") => response.push((name, ty)),
                _ => panic!("an argument of an rpc has no direction"),
            }
        }
        add(messages, "rpc-call", format!("{name}_call"), call);
        add(messages, "rpc-response", format!("{name}_response"), response);
    }

    fn args(&mut self) -> Vec<(Option<String>, String, Type)> {
        self.expect("(");
        let mut args = Vec::new();
        while !self.eat(")") {
            let direction = ["in", "out"].into_iter().find(|word| self.eat(word));
            let (name, ty) = self.declaration();
            args.push((direction.map(str::to_owned), name, ty));
            let _ = self.eat(",");
        }
        args
    }

    /// `type name`, `string name[max]`, `type name[length, max]`.
    fn declaration(&mut self) -> (String, Type) {
        let base = self.next();
        let mut ty = builtin(&base)
            .or_else(|| self.types.get(&base).cloned())
            .unwrap_or_else(|| panic!("unknown type {base}"));
        let name = self.next();
        if self.eat("[") {
            if base == "string" {
                ty = Type::Text(self.number());
            } else if base == "bulk" {
                ty = Type::Bulk(self.number());
            } else {
                let _length = self.next();
                let max = if self.eat(",") { self.number() } else { DEFAULT_MAX };
                ty = Type::Array(Box::new(ty), max);
            }
            self.expect("]");
        }
        (name, ty)
    }

    fn number(&mut self) -> u32 {
        self.next().replace('_', "").parse().expect("a decimal number")
    }
}

fn add(messages: &mut Vec<Message>, role: &'static str, name: String, args: Vec<(String, Type)>) {
    let number = u16::try_from(messages.len() + 1).expect("few messages");
    messages.push(Message { number, role, name, args });
}

fn builtin(name: &str) -> Option<Type> {
    let scalar = |name, size| Some(Type::Scalar { name, size });
    match name {
        "bool" => scalar("bool", 1),
        "uint8" => scalar("uint8", 1),
        "uint16" => scalar("uint16", 2),
        "uint32" => scalar("uint32", 4),
        "uint64" => scalar("uint64", 8),
        "uint128" => scalar("uint128", 16),
        "int32" | "int" => scalar("int32", 4),
        "int64" => scalar("int64", 8),
        "uintptr" | "size" => scalar("uintptr", 8),
        "iref" => scalar("iref", 8),
        "errval" => scalar("errval", 8),
        "string" => Some(Type::Text(DEFAULT_MAX)),
        "bulk" => Some(Type::Bulk(0)),
        "cap" => Some(Type::Cap("cap")),
        "give_away_cap" => Some(Type::Cap("give_away_cap")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_those_of_the_language_reference() {
        let text = r#"interface basic "x" { typedef enum { FOO, BAR } e;
            message basic(uint32 arg, e e); message buffy(uint8 buf[len]);
            rpc testrpc(in string s, out uint32 result); };"#;
        let interface = Interface::parse(text);
        let forms: Vec<_> = interface.messages.iter().map(Message::form).collect();
        assert_eq!(
            forms,
            [
                "message basic(arg:uint32,e:enum{FOO,BAR})",
                "message buffy(buf:uint8[;65536])",
                "rpc-call testrpc_call(s:string[65536])",
                "rpc-response testrpc_response(result:uint32)",
            ]
        );
    }

    #[test]
    fn digest_of_a_message_is_the_documented_one() {
        let interface = Interface::parse("interface i \"\" { message m(uint32 x); };");
        assert_eq!(interface.message("m").digest() >> 64, 0xd3cd_2a04_4419_9a37);
    }
}
