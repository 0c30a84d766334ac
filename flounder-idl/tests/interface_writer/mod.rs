//! Random interfaces without mistakes.

/// A declared type and what later declarations may do with it.
#[derive(Debug, Clone)]
struct Declared {
    name: String,
    caps: bool,
    /// Layouts nested in layouts must stay below the limit of a type's size.
    weight: u32,
}

/// A choice for each decision that [`Writer`] makes.
#[derive(Debug, Clone)]
pub(crate) struct Choices {
    list: Vec<u32>,
    at: usize,
}

impl Choices {
    /// Choices that repeat this list, which is not empty, with variations.
    pub(crate) fn new(list: Vec<u32>) -> Self {
        Self { list, at: 0 }
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let choice = self.list[self.at % self.list.len()].wrapping_add(self.at as u32);
        self.at += 1;
        choice as usize % bound
    }

    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// Writes a correct interface, in a layout of its own.
pub(crate) struct Writer {
    choices: Choices,
    pub(crate) out: String,
    types: Vec<Declared>,
    /// Names of constants whose values are from 1 to 8.
    constants: Vec<String>,
    names: usize,
    rust_types: Vec<RustType>,
    /// Messages have capabilities and bulk data, too.
    has_caps_and_bulk: bool,
    /// True in an interface with `@symmetric`.
    symmetric: bool,
    /// True if a message of the last interface goes in one direction only.
    pub(crate) is_directed: bool,
    /// Most types and messages of an interface.
    most: usize,
}

/// A type from Rust that an interface uses.
#[derive(Debug, Clone)]
pub(crate) struct RustType {
    pub(crate) path: String,
    pub(crate) has_caps: bool,
}

const BUILTINS: &[&str] = &[
    "bool", "char", "int8", "uint16", "int", "uint64", "float", "double", "size", "iref", "errval",
    "u8", "i64", "string", "uint128", "i128",
];
const SPACES: &[&str] = &[" ", "\n", "\t", "  ", " // note\n", " /* /* */ */ ", "\r\n"];
const DOCS: &[&str] = &["/// says\n", "/** block */", "/** two\n * lines\n */", ""];

impl Writer {
    pub(crate) fn new(choices: Choices) -> Self {
        Self {
            choices,
            out: String::new(),
            types: Vec::new(),
            constants: Vec::new(),
            names: 0,
            rust_types: Vec::new(),
            has_caps_and_bulk: false,
            symmetric: false,
            is_directed: false,
            most: 8,
        }
    }

    /// Has the next interfaces use these types, capabilities and bulk data, and be small.
    #[allow(dead_code, reason = "properties.rs reads interfaces as text, where `use` is not known")]
    pub(crate) fn with_everything(self, rust_types: Vec<RustType>) -> Self {
        Self { rust_types, has_caps_and_bulk: true, most: 3, ..self }
    }

    fn put(&mut self, text: &str) {
        self.out.push_str(text);
        let space = SPACES[self.choices.below(SPACES.len())];
        self.out.push_str(space);
    }

    fn fresh(&mut self) -> String {
        self.names += 1;
        let stem = ["value", "type", "fn", "X", "camelCase", "snake_case_t"][self.choices.below(6)];
        format!("{stem}{}", self.names)
    }

    fn doc(&mut self) {
        let doc = DOCS[self.choices.below(DOCS.len())];
        self.out.push_str(doc);
    }

    fn rust_name(&mut self) {
        if self.choices.one_in(6) {
            let name = self.fresh();
            self.put(&format!("#[rust_name = \"Chosen{name}\"]"));
        }
    }

    /// A type: its name, whether it holds capabilities, whether it is a string and how heavy it is.
    fn ty(&mut self, caps: bool) -> (String, bool, bool, u32) {
        if !self.types.is_empty() && self.choices.one_in(2) {
            let at = self.choices.below(self.types.len());
            let declared = self.types[at].clone();
            if (caps || !declared.caps) && declared.weight < 256 {
                return (declared.name, declared.caps, false, declared.weight);
            }
        }
        if caps && self.choices.one_in(8) {
            let name = ["cap", "give_away_cap"][self.choices.below(2)];
            return (name.into(), true, false, 8);
        }
        let name = BUILTINS[self.choices.below(BUILTINS.len())];
        (name.into(), false, name == "string", 8)
    }

    fn constant(&mut self) {
        self.names += 1;
        let name = format!("LIMIT_{}", self.names);
        let (ty, value) = [
            ("uint8", "7"),
            ("size", "0x3"),
            ("int", "1"),
            ("i64", "-9"),
            ("uint128", "18446744073709551615"),
        ][self.choices.below(5)];
        self.doc();
        self.put("const");
        self.put(ty);
        self.put(&name);
        self.put("=");
        self.put(value);
        self.put(";");
        if value.len() < 4 && !value.starts_with('-') {
            self.constants.push(name);
        }
    }

    /// A number for brackets: `number`, or the name of a constant.
    fn size(&mut self, number: &str) -> String {
        if self.constants.is_empty() || self.choices.one_in(2) {
            return number.to_owned();
        }
        let at = self.choices.below(self.constants.len());
        self.constants[at].clone()
    }

    fn type_decl(&mut self) {
        if self.choices.one_in(6) {
            return self.constant();
        }
        let name = self.fresh();
        let (mut caps, mut weight) = (false, 4);
        self.doc();
        match self.choices.below(5) {
            0 => {
                self.put("alias");
                self.put(&name);
                self.put("uint32");
            }
            1 => {
                self.rust_name();
                self.put("typedef");
                let word = if self.choices.one_in(3) { "union" } else { "struct" };
                self.put(word);
                self.put("{");
                weight = 0;
                for _ in 0..=self.choices.below(4) {
                    weight += self.typed(true, true, &mut caps);
                    self.put(";");
                }
                self.put("}");
                self.put(&name);
            }
            2 => {
                self.put("typedef");
                self.put("enum");
                self.put("{");
                for index in 0..=self.choices.below(4) {
                    if index > 0 {
                        self.put(",");
                    }
                    let element = self.fresh();
                    self.put(&element);
                }
                self.put("}");
                self.put(&name);
            }
            3 => {
                let (elem, _, _, each) = self.ty(false);
                let length = 1 + self.choices.below(8);
                weight = each * 8;
                self.put("typedef");
                self.put(&elem);
                let length =
                    [format!("{length}"), format!("0x{length:x}"), format!(" 0o{length:o} ")]
                        [self.choices.below(3)]
                    .clone();
                let length = self.size(&length);
                self.put(&format!("{name}[{length}]"));
            }
            _ => {
                let (old, has_caps, _, each) = self.ty(true);
                (caps, weight) = (has_caps, each);
                self.put("typedef");
                self.put(&old);
                self.put(&name);
            }
        }
        self.put(";");
        self.types.push(Declared { name, caps, weight });
    }

    /// `type name` with what may stand around it; answers the weight of the type.
    fn typed(&mut self, caps: bool, arrays: bool, has_caps: &mut bool) -> u32 {
        let array = arrays && self.choices.one_in(3);
        let (ty, cap, string, weight) = self.ty(caps && !array);
        *has_caps |= cap;
        self.doc();
        if self.choices.one_in(4) {
            self.put("optional");
        }
        self.put(&ty);
        let name = self.fresh();
        self.put(&name);
        if array {
            let length = self.fresh();
            let max = ["7", "0x1000"][self.choices.below(2)];
            let max = self.size(max);
            let max = if self.choices.one_in(3) { String::new() } else { format!(", {max}") };
            self.put(&format!("[{length}{max}]"));
        } else if !string && !cap && weight <= 32 && self.choices.one_in(6) {
            let length = self.size("0x5");
            self.put(&format!("[{length}]"));
            return weight * 16;
        } else if string && self.choices.one_in(2) {
            let max = self.size("16");
            self.put(&format!("[{max}]"));
        }
        weight * 2
    }

    fn message(&mut self) {
        self.doc();
        if self.choices.one_in(5) {
            self.put("@stats(a=1, b = 0xff,c=x) @trace()");
        }
        let word = ["message", "call", "response", "rpc"][self.choices.below(4)];
        if word == "rpc" && !self.symmetric && self.choices.one_in(4) {
            self.put("@both");
        } else if word != "message" && !self.symmetric {
            self.is_directed = true;
        }
        self.rust_name();
        self.put(word);
        let name = self.fresh();
        self.put(&name);
        self.put("(");
        // Capabilities stay out: sixteen structs of them would be too many for one message.
        for index in 0..self.choices.below(6) {
            if index > 0 {
                self.put(",");
            }
            if word == "rpc" {
                let direction = ["in", "out"][self.choices.below(2)];
                self.put(direction);
            }
            if !(self.has_caps_and_bulk && self.cap_or_bulk()) {
                self.typed(false, true, &mut false);
            }
        }
        self.put(")");
        if word == "rpc" && self.choices.one_in(3) {
            let (ty, ..) = self.ty(self.has_caps_and_bulk);
            self.put("fails");
            self.put(&ty);
        }
        self.put(";");
    }

    /// Writes an argument that cannot be an element of an array; or none, and returns false.
    fn cap_or_bulk(&mut self) -> bool {
        let caps = self.rust_types.iter().find(|ty| ty.has_caps).map(|ty| short(&ty.path));
        let ty = match self.choices.below(14) {
            0 => "cap".into(),
            1 => "give_away_cap".into(),
            12 | 13 => return self.caps(),
            2 => "bulk".into(),
            3 if caps.is_some() => caps.unwrap_or_default(),
            _ => return false,
        };
        let name = self.fresh();
        let bound = if ty == "bulk" { "[100]" } else { "" };
        self.put(&format!("{ty} {name}{bound}"));
        true
    }

    /// Writes an argument of up to four capabilities.
    fn caps(&mut self) -> bool {
        let ty = ["cap", "give_away_cap"][self.choices.below(2)];
        let (name, length) = (self.fresh(), self.fresh());
        let brackets = ["".into(), "[2]".into(), format!("[{length}, 4]")];
        let optional = if self.choices.one_in(2) { "optional " } else { "" };
        let brackets = &brackets[self.choices.below(3)];
        self.put(&format!("{optional}{ty} {name}{brackets}"));
        true
    }

    pub(crate) fn interface(&mut self, name: &str) {
        self.types.clear();
        self.constants.clear();
        self.doc();
        if self.choices.one_in(3) {
            self.put(["#[allow(dead_code)]", "pub", "pub(crate)"][self.names % 3]);
        }
        self.symmetric = self.choices.one_in(4);
        self.is_directed = false;
        if self.symmetric {
            self.put("@symmetric");
        }
        self.put("interface");
        self.put(name);
        if self.choices.one_in(2) {
            self.put(r#""a \"description\" with \\ \t\u{e9}é""#);
        }
        self.put("{");
        for RustType { path, has_caps } in self.rust_types.clone() {
            let name = short(&path);
            self.put(&format!("use {path} as {name};"));
            if !has_caps {
                self.types.push(Declared { name, caps: false, weight: 8 });
            }
        }
        for _ in 0..self.choices.below(self.most) {
            self.type_decl();
        }
        for _ in 0..=self.choices.below(self.most) {
            self.message();
        }
        self.put("}");
        if self.choices.one_in(2) {
            self.put(";");
        }
    }
}

/// The name that an interface has for a type from Rust.
fn short(path: &str) -> String {
    format!("from_{}", path.rsplit("::").next().unwrap_or(path).to_lowercase())
}
