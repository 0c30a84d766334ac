//! Properties: what is printed reads back; whatever is read, reading ends and does not panic.

use flounder_idl::source::{MemorySources, SourceFile};
use flounder_idl::{Unit, compile_text, compile_tokens, parse_text, print, render};
use proptest::prelude::*;
use proptest::sample::select;

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
struct Choices {
    list: Vec<u32>,
    at: usize,
}

impl Choices {
    fn below(&mut self, bound: usize) -> usize {
        let choice = self.list[self.at % self.list.len()].wrapping_add(self.at as u32);
        self.at += 1;
        choice as usize % bound
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// Writes a correct interface, in a layout of its own.
struct Writer {
    choices: Choices,
    out: String,
    types: Vec<Declared>,
    names: usize,
}

const BUILTINS: &[&str] = &[
    "bool", "char", "int8", "uint16", "int", "uint64", "float", "double", "size", "iref", "errval",
    "u8", "i64", "string",
];
const SPACES: &[&str] = &[" ", "\n", "\t", "  ", " // note\n", " /* /* */ */ ", "\r\n"];
const DOCS: &[&str] = &["/// says\n", "/** block */", "/** two\n * lines\n */", ""];

impl Writer {
    fn new(choices: Choices) -> Self {
        Self { choices, out: String::new(), types: Vec::new(), names: 0 }
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

    fn type_decl(&mut self) {
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
                self.put("struct");
                self.put("{");
                weight = 0;
                for _ in 0..=self.choices.below(4) {
                    weight += self.typed(true, false, &mut caps);
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
                weight = each * length as u32;
                self.put("typedef");
                self.put(&elem);
                let length =
                    [format!("[{length}]"), format!("[0x{length:x}]"), format!("[ 0o{length:o} ]")]
                        [self.choices.below(3)]
                    .clone();
                self.put(&format!("{name}{length}"));
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

    /// `type name` with what may stand behind it; answers the weight of the type.
    fn typed(&mut self, caps: bool, arrays: bool, has_caps: &mut bool) -> u32 {
        let array = arrays && self.choices.one_in(3);
        let (ty, cap, string, weight) = self.ty(caps && !array);
        *has_caps |= cap;
        self.doc();
        self.put(&ty);
        let name = self.fresh();
        self.put(&name);
        if array {
            let length = self.fresh();
            let max = ["", ", 7", ", 0x1000"][self.choices.below(3)];
            self.put(&format!("[{length}{max}]"));
        } else if string && self.choices.one_in(2) {
            self.put("[16]");
        }
        weight
    }

    fn message(&mut self) {
        self.doc();
        if self.choices.one_in(5) {
            self.put("@stats(a=1, b = 0xff,c=x) @trace()");
        }
        self.rust_name();
        let word = ["message", "call", "response", "rpc"][self.choices.below(4)];
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
            self.typed(false, true, &mut false);
        }
        self.put(")");
        self.put(";");
    }

    fn interface(&mut self, name: &str) {
        self.types.clear();
        self.doc();
        if self.choices.one_in(3) {
            self.put(["#[allow(dead_code)]", "pub", "pub(crate)"][self.names % 3]);
        }
        self.put("interface");
        self.put(name);
        if self.choices.one_in(2) {
            self.put(r#""a \"description\" with \\ \t\u{e9}é""#);
        }
        self.put("{");
        for _ in 0..self.choices.below(8) {
            self.type_decl();
        }
        for _ in 0..=self.choices.below(8) {
            self.message();
        }
        self.put("}");
        if self.choices.one_in(2) {
            self.put(";");
        }
    }
}

fn interfaces() -> impl Strategy<Value = String> {
    (proptest::collection::vec(any::<u32>(), 16..256), 1..4_usize).prop_map(|(list, count)| {
        let mut writer = Writer::new(Choices { list, at: 0 });
        for index in 0..count {
            writer.interface(&format!("interface_{index}"));
        }
        writer.out
    })
}

fn compile(text: &str) -> Unit {
    compile_text(SourceFile::new("t.if", text), &[], &MemorySources::new())
        .unwrap_or_else(|failure| panic!("{text}\n{}", render::plain(&failure.diagnostics)))
}

fn forms(unit: &Unit) -> Vec<(String, u128)> {
    let messages = unit.interfaces.iter().flat_map(|interface| &interface.messages);
    messages.map(|message| (message.canonical.clone(), message.digest)).collect()
}

/// Reads anything by both doors and renders what is wrong with it.
fn survives(text: &str) {
    let sources =
        MemorySources::new().with("a.if", text).with("b.if", "import \"a.if\"; alias x uint8;");
    if let Err(failure) =
        compile_text(SourceFile::new("t.if", text), &[SourceFile::new("i.if", text)], &sources)
    {
        assert!(!failure.diagnostics.is_empty(), "a failure says why");
        render::plain(&failure.diagnostics);
        failure.diagnostics.into_compile_error();
    }
    if let Ok(tokens) = text.parse()
        && let Err(failure) = compile_tokens(tokens, &sources)
    {
        failure.diagnostics.into_compile_error();
    }
    match parse_text(SourceFile::new("t.if", text)) {
        Ok(tree) => {
            drop(parse_text(SourceFile::new("t.if", print::unit(&tree))).map_err(|it| it.discard()))
        }
        Err(diagnostics) => diagnostics.discard(),
    }
}

const SOUP: &[&str] = &[
    "interface",
    "message",
    "call",
    "response",
    "rpc",
    "in",
    "out",
    "alias",
    "typedef",
    "struct",
    "enum",
    "import",
    "use",
    "types",
    "as",
    "pub",
    "uint8",
    "string",
    "cap",
    "x",
    "y",
    "self",
    "__z",
    "Message",
    "IN",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ";",
    ",",
    "=",
    "@",
    "#",
    "#[rust_name = \"q\"]",
    "#[doc = \"d\"]",
    ":",
    "::",
    "-",
    "0",
    "1",
    "0x10",
    "99999999999999999999",
    "3u8",
    "1.5",
    "\"a.if\"",
    "\"b.if\"",
    "\"",
    "'",
    "/*",
    "*/",
    "//",
    "\n",
    "/// d\n",
    "/** e */",
    "\\",
    "é",
    "§",
    "r#in",
    "interface t {",
    "message m(",
    "typedef struct {",
    "typedef enum {",
    "rpc r(in uint32 a);",
    "import \"a.if\";",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_reads_back(text in interfaces()) {
        let unit = compile(&text);
        let tree = parse_text(SourceFile::new("t.if", text.as_str())).expect("it compiles");
        let printed = print::unit(&tree);
        let again = parse_text(SourceFile::new("t.if", printed.as_str())).expect("what is printed is correct");
        prop_assert_eq!(&again, &tree, "{}", printed);
        prop_assert_eq!(print::unit(&again), printed.clone(), "the layout is canonical");
        prop_assert_eq!(forms(&compile(&printed)), forms(&unit));
    }

    #[test]
    fn tokens_and_text_are_one_language(text in interfaces()) {
        let tokens = text.parse().expect("a correct interface is Rust tokens");
        let from_tokens = compile_tokens(tokens, &MemorySources::new()).expect("it compiles");
        prop_assert_eq!(forms(&from_tokens), forms(&compile(&text)));
    }

    #[test]
    fn a_cut_interface_is_no_panic(text in interfaces(), at in any::<prop::sample::Index>(), length in 0..40_usize) {
        let bytes = text.as_bytes();
        let from = at.index(bytes.len());
        let rest = (from + length).min(bytes.len());
        let cut = [&bytes[..from], &bytes[rest..]].concat();
        survives(&String::from_utf8_lossy(&cut));
    }

    #[test]
    fn token_soup_is_no_panic(words in proptest::collection::vec(select(SOUP), 0..120)) {
        survives(&words.join(" "));
        survives(&format!("interface t {{ {} }};", words.join(" ")));
    }

    #[test]
    fn random_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        survives(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn random_punctuation_is_no_panic(text in r#"[ \n{}()\[\];,@#="'/*\\x0-9é:-]{0,200}"#) {
        survives(&text);
        survives(&format!("interface t {{ message m({text}"));
    }
}
