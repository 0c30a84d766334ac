//! The generated code itself, reviewed as code: `tests/golden/*.if` gives `tests/golden/*.rs`.
//!
//! `FLOUNDER_BLESS=1 cargo test -p flounder-codegen` rewrites the expected files.

use std::fs;
use std::path::{Path, PathBuf};

use flounder_codegen::Options;
use flounder_idl::source::FileSources;

/// Compiles as the macro does, so that types from Rust can be named.
fn expand(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("the interface is there");
    let tokens = text.parse().expect("the interface is made of tokens");
    let sources = FileSources::new(path.parent().expect("a file is in a folder"));
    let unit = match flounder_idl::compile_tokens(tokens, &sources) {
        Ok(unit) => unit,
        Err(failure) => {
            let messages: Vec<_> =
                failure.diagnostics.iter().map(|found| found.message.clone()).collect();
            panic!("{}: {messages:?}", path.display());
        }
    };
    let generated = flounder_codegen::unit(&unit, &Options::default());
    prettyplease::unparse(&syn::parse2(generated).expect("generated code is Rust"))
}

#[test]
fn generated_code_is_as_reviewed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let bless = std::env::var_os("FLOUNDER_BLESS").is_some();
    let mut interfaces: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "if"))
        .collect();
    interfaces.sort();
    assert!(interfaces.len() >= 5, "goldens are missing");

    let mut changed = Vec::new();
    for interface in interfaces {
        let (expected, actual) = (interface.with_extension("rs"), expand(&interface));
        if bless {
            fs::write(&expected, actual).expect("the folder can be written");
        } else if fs::read_to_string(&expected).unwrap_or_default() != actual {
            changed.push(expected);
        }
    }
    assert!(changed.is_empty(), "not as reviewed, see FLOUNDER_BLESS: {changed:?}");
}

#[test]
fn generating_twice_gives_the_same() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/types.if");
    assert_eq!(expand(&path), expand(&path));
}
