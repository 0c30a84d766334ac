//! Interface files: reading ends without a panic, and what is printed reads back.

#![no_main]

use flounder_idl::source::{MemorySources, SourceFile};
use flounder_idl::{compile_text, parse_text, print, render};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let sources =
        MemorySources::new().with("a.if", text).with("b.if", "import \"a.if\"; alias x uint8;");
    let imports = [SourceFile::new("i.if", text)];
    if let Err(failure) = compile_text(SourceFile::new("t.if", text), &imports, &sources) {
        assert!(!failure.diagnostics.is_empty(), "a failure has a reason");
        render::plain(&failure.diagnostics);
        failure.diagnostics.into_compile_error();
    }
    match parse_text(SourceFile::new("t.if", text)) {
        Ok(tree) => {
            let printed = print::unit(&tree);
            let Ok(again) = parse_text(SourceFile::new("t.if", printed.as_str())) else {
                panic!("what is printed does not read back: {printed}")
            };
            assert_eq!(again, tree, "{printed}");
        }
        Err(diagnostics) => diagnostics.discard(),
    }
    // Nothing holds spans any more. The map of all texts would grow without end.
    proc_macro2::extra::invalidate_current_thread_spans();
});
