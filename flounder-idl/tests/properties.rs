//! Properties: what is printed reads back; whatever is read, reading ends and does not panic.

use flounder_idl::source::{MemorySources, SourceFile};
use flounder_idl::{Unit, compile_text, compile_tokens, parse_text, print, render};
use proptest::prelude::*;
use proptest::sample::select;

mod interface_writer;

use interface_writer::{Choices, Writer};

fn interfaces() -> impl Strategy<Value = String> {
    (proptest::collection::vec(any::<u32>(), 16..256), 1..4_usize).prop_map(|(list, count)| {
        let mut writer = Writer::new(Choices::new(list));
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
    "optional",
    "const uint8 N = 3;",
    "typedef union {",
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
