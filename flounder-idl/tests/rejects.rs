//! Every diagnostic code: text in, carets out.

use std::collections::BTreeSet;

use flounder_idl::source::{MAX_FILE_BYTES, MemorySources, SourceFile};
use flounder_idl::{Code, Failure, compile_text, compile_tokens, render};

fn fail(text: &str, sources: &MemorySources) -> Failure {
    match compile_text(SourceFile::new("t.if", text), &[], sources) {
        Ok(_) => panic!("this compiles, and should not:\n{text}"),
        Err(failure) => failure,
    }
}

fn sources() -> MemorySources {
    MemorySources::new()
        .with("types.if", "typedef uint32 id;\n")
        .with("a.if", "import \"b.if\";\n")
        .with("b.if", "import \"a.if\";\ntypedef uint8 b;\n")
        .with("bad.if", "typedef uint8 fine;\nmessage m();\n")
        .with("other/types.if", "typedef uint64 big;\n")
        .with("self.if", "typedef uint64 big;\n")
        .with("aliases.if", "alias word uint32;\n")
        .with("huge.if", " ".repeat(MAX_FILE_BYTES + 1))
}

/// The first code, the input and what is rendered.
const CASES: &[(&str, &str, &str)] = &[
    (
        "unterminated-comment",
        r"interface t { /* never /* */
message m(); };",
        r"
error[unterminated-comment]: a comment that never ends
  --> t.if:1:15
  |
1 | interface t { /* never /* */
  |               ^^
  = help: comments nest: each `/*` needs its own `*/`
",
    ),
    (
        "unterminated-string",
        r#"interface t "never {
 message m(); };"#,
        r#"
error[unterminated-string]: a string that never ends
  --> t.if:1:13
  |
1 | interface t "never {
  |             ^
  = help: close it with `"` on the same line
"#,
    ),
    (
        "bad-escape",
        r#"interface t "a\q" { message m(); };"#,
        r#"
error[bad-escape]: an unknown escape in a string
  --> t.if:1:15
  |
1 | interface t "a\q" { message m(); };
  |               ^^
  = help: use \n, \r, \t, \\, \", \0, \x41 or \u{41}
"#,
    ),
    (
        "bad-character",
        r"interface t { message m(uint32 §x); };",
        r"
error[bad-character]: unexpected character '§'
  --> t.if:1:32
  |
1 | interface t { message m(uint32 §x); };
  |                                ^
  = help: remove it
",
    ),
    (
        "apostrophe",
        r"interface t { message m'(uint32 x); };",
        r"
error[apostrophe]: an apostrophe in the name `m'`
  --> t.if:1:24
  |
1 | interface t { message m'(uint32 x); };
  |                        ^
  = help: remove it: the original allowed apostrophes, Rust has no such names
",
    ),
    (
        "non-ascii-name",
        r"interface t { message größe(); };",
        r"
error[non-ascii-name]: the name `größe` has letters other than `a` to `z`
  --> t.if:1:23
  |
1 | interface t { message größe(); };
  |                       ^^^^^
  = help: names of an interface are made of ASCII letters, digits and `_`
",
    ),
    (
        "unclosed-delimiter",
        r"interface t { message m(uint32 x; message n(); };",
        r"
error[unclosed-delimiter]: `(` is never closed
  --> t.if:1:24
  |
1 | interface t { message m(uint32 x; message n(); };
  |                        ^
  = help: add the missing `)`
",
    ),
    (
        "unclosed-delimiter",
        r"interface t { message m();",
        r"
error[unclosed-delimiter]: `{` is never closed
  --> t.if:1:13
  |
1 | interface t { message m();
  |             ^
  = help: add the missing `}`
",
    ),
    (
        "unexpected-closing",
        r"interface t { message m(uint32 x)); message n(); };",
        r"
error[unexpected-closing]: `)` closes nothing
  --> t.if:1:34
  |
1 | interface t { message m(uint32 x)); message n(); };
  |                                  ^
  = help: remove it, or open the bracket that it was meant to close
",
    ),
    (
        "literal-suffix",
        r"interface t { message m(string s[16u32]); };",
        r"
error[literal-suffix]: a literal with the suffix `u32`
  --> t.if:1:34
  |
1 | interface t { message m(string s[16u32]); };
  |                                  ^^^^^
  = help: remove the suffix: literals of an interface have no type
",
    ),
    (
        "bad-number",
        r"interface t { message m(string s[0o9]); };",
        r"
error[bad-number]: `0o9` is not a number
  --> t.if:1:34
  |
1 | interface t { message m(string s[0o9]); };
  |                                  ^^^
  = help: write a natural number below 2^64: `16`, `0x10` or `0o20`
",
    ),
    (
        "bad-number",
        r"interface t { message m(string s[18446744073709551616]); };",
        r"
error[bad-number]: `18446744073709551616` is not a number
  --> t.if:1:34
  |
1 | interface t { message m(string s[18446744073709551616]); };
  |                                  ^^^^^^^^^^^^^^^^^^^^
  = help: write a natural number below 2^64: `16`, `0x10` or `0o20`
",
    ),
    (
        "expected",
        r"service t { message m(); };",
        r"
error[expected]: expected `interface`, found `service`
  --> t.if:1:1
  |
1 | service t { message m(); };
  | ^^^^^^^ expected `interface`, `types` or `import`
  = help: an interface is `interface name { message hello(); };`
",
    ),
    (
        "expected",
        r"interface t { message m(uint32); };",
        r"
error[expected]: expected a name, found `)`
  --> t.if:1:31
  |
1 | interface t { message m(uint32); };
  |                               ^ expected a name
",
    ),
    (
        "expected",
        r"interface t { message m(uint32 x,); };",
        r"
error[expected]: expected an argument after `,`, found `)`
  --> t.if:1:33
  |
1 | interface t { message m(uint32 x,); };
  |                                 ^
  = help: remove the last `,`
",
    ),
    (
        "expected",
        r"interface t { typedef enum { A = 1 } e; message m(); };",
        r"
error[expected]: expected `,` or `}`, found `=`
  --> t.if:1:32
  |
1 | interface t { typedef enum { A = 1 } e; message m(); };
  |                                ^
  = help: elements have no explicit values: they count from 0
",
    ),
    (
        "expected",
        r"interface t { message (uint32 x); };",
        r"
error[expected]: expected the name of the message, found `(`
  --> t.if:1:23
  |
1 | interface t { message (uint32 x); };
  |                       ^ expected the name of the message
",
    ),
    (
        "missing-semicolon",
        r"interface t { message m()
 message n(); };",
        r"
error[missing-semicolon]: missing `;` after the message
  --> t.if:1:25
  |
1 | interface t { message m()
  |                         ^ expected `;` after this
  = help: end the message with `;`
",
    ),
    (
        "missing-semicolon",
        r"interface t { typedef struct { uint32 x } s; message m(); };",
        r"
error[missing-semicolon]: missing `;` after the field
  --> t.if:1:39
  |
1 | interface t { typedef struct { uint32 x } s; message m(); };
  |                                       ^ expected `;` after this
  = help: end the field with `;`
",
    ),
    (
        "keyword-case",
        r"Interface t { Message m(); RPC r(IN uint32 x, Out uint32 y); };",
        r"
error[keyword-case]: the keyword `interface` is written `Interface`
  --> t.if:1:1
  |
1 | Interface t { Message m(); RPC r(IN uint32 x, Out uint32 y); };
  | ^^^^^^^^^ keywords are in lower case
  = help: write `interface`

error[keyword-case]: the keyword `message` is written `Message`
  --> t.if:1:15
  |
1 | Interface t { Message m(); RPC r(IN uint32 x, Out uint32 y); };
  |               ^^^^^^^ keywords are in lower case
  = help: write `message`

error[keyword-case]: the keyword `rpc` is written `RPC`
  --> t.if:1:28
  |
1 | Interface t { Message m(); RPC r(IN uint32 x, Out uint32 y); };
  |                            ^^^ keywords are in lower case
  = help: write `rpc`

error[keyword-case]: the keyword `in` is written `IN`
  --> t.if:1:34
  |
1 | Interface t { Message m(); RPC r(IN uint32 x, Out uint32 y); };
  |                                  ^^ keywords are in lower case
  = help: write `in`

error[keyword-case]: the keyword `out` is written `Out`
  --> t.if:1:47
  |
1 | Interface t { Message m(); RPC r(IN uint32 x, Out uint32 y); };
  |                                               ^^^ keywords are in lower case
  = help: write `out`
",
    ),
    (
        "keyword-case",
        r"interface t { typedef Struct { uint32 x; } s; message m(); };",
        r"
error[keyword-case]: the keyword `struct` is written `Struct`
  --> t.if:1:23
  |
1 | interface t { typedef Struct { uint32 x; } s; message m(); };
  |                       ^^^^^^ keywords are in lower case
  = help: write `struct`
",
    ),
    (
        "unknown-declaration",
        r"interface t { event m(); message n(); };",
        r"
error[unknown-declaration]: expected a declaration, found `event`
  --> t.if:1:15
  |
1 | interface t { event m(); message n(); };
  |               ^^^^^
  = help: a declaration begins with `import`, `alias`, `typedef`, `const`, `message`, `call`, `response` or `rpc`
",
    ),
    (
        "trailing-input",
        r"interface t { message m(); }; message n();",
        r"
error[trailing-input]: `message` outside of an interface
  --> t.if:1:31
  |
1 | interface t { message m(); }; message n();
  |                               ^^^^^^^ expected `interface`, `types`, `import` or the end
  = help: move it into the braces of an interface, or remove it
",
    ),
    (
        "empty-unit",
        r"// nothing",
        r"
error[empty-unit]: nothing is declared here
  --> t.if:1:1
  |
1 | // nothing
  | ^
  = help: declare an interface: `interface name { message hello(); };`
",
    ),
    (
        "bad-annotation",
        r"interface t { @ata(command:1) message m(); };",
        r"
error[bad-annotation]: expected `=` in an annotation, found `:`
  --> t.if:1:27
  |
1 | interface t { @ata(command:1) message m(); };
  |                           ^
  = help: an annotation is `@context(name=value, ..)`, with numbers or names as values
",
    ),
    (
        "bad-mark",
        r"interface t { @ata message m(); };",
        r"
error[bad-mark]: a message has no mark `@ata`
  --> t.if:1:16
  |
1 | interface t { @ata message m(); };
  |                ^^^
  = help: an rpc can have `@both`: the service may call it as well, and `@idempotent`: it may run twice; an annotation with parameters is `@context(name=value, ..)`
",
    ),
    (
        "bad-mark",
        r"interface t { @idempotent message m(); };",
        r"
error[bad-mark]: `@idempotent` before a message
  --> t.if:1:16
  |
1 | interface t { @idempotent message m(); };
  |                ^^^^^^^^^^
  = help: remove it; only an rpc is ever repeated
",
    ),
    (
        "bad-mark",
        r"interface t { @both message m(); };",
        r"
error[bad-mark]: `@both` before a message
  --> t.if:1:16
  |
1 | interface t { @both message m(); };
  |                ^^^^
  = help: remove it; a `message` goes both ways
",
    ),
    (
        "bad-mark",
        r"interface t { @both @both rpc f(); };",
        r"
error[bad-mark]: `@both` stands here twice
  --> t.if:1:22
  |
1 | interface t { @both @both rpc f(); };
  |                      ^^^^
note: the first one
  --> t.if:1:16
  |
1 | interface t { @both @both rpc f(); };
  |                ----
  = help: remove one of them
",
    ),
    (
        "bad-mark",
        r"@symmetric interface t { @both rpc f(); };",
        r"
error[bad-mark]: `@both` in an interface with `@symmetric`
  --> t.if:1:27
  |
1 | @symmetric interface t { @both rpc f(); };
  |                           ^^^^
  = help: remove it: either end may call every rpc
",
    ),
    (
        "bad-mark",
        r"@symetric interface t { rpc f(); };",
        r"
error[bad-mark]: an interface has no mark `@symetric`
  --> t.if:1:2
  |
1 | @symetric interface t { rpc f(); };
  |  ^^^^^^^^
  = help: an interface can have `@symmetric`: either end may send every message
",
    ),
    (
        "bad-mark",
        r"@symmetric types t { alias a int; };",
        r"
error[bad-mark]: `@symmetric` before something else than an interface
  --> t.if:1:2
  |
1 | @symmetric types t { alias a int; };
  |  ^^^^^^^^^
  = help: remove it
",
    ),
    (
        "bad-annotation",
        r"@a(b=1) interface t { rpc f(); };",
        r"
error[bad-annotation]: an annotation with parameters before an interface
  --> t.if:1:2
  |
1 | @a(b=1) interface t { rpc f(); };
  |  ^
  = help: move it before a message or an rpc
",
    ),
    (
        "bad-annotation",
        r"interface t { @(a=1) message m(); };",
        r"
error[bad-annotation]: expected a context in an annotation, found `(`
  --> t.if:1:16
  |
1 | interface t { @(a=1) message m(); };
  |                ^
  = help: an annotation is `@context(name=value, ..)`, with numbers or names as values
",
    ),
    (
        "bad-attribute",
        r"interface t { #[derive(Hash)] typedef uint8 x; message m(); };",
        r#"
error[bad-attribute]: an attribute inside of an interface
  --> t.if:1:17
  |
1 | interface t { #[derive(Hash)] typedef uint8 x; message m(); };
  |                 ^^^^^^
  = help: only doc comments and `#[rust_name = ".."]` can stand here
"#,
    ),
    (
        "bad-attribute",
        r"interface t { #[rust_name = x] message m(); };",
        r#"
error[bad-attribute]: a malformed `rust_name`
  --> t.if:1:17
  |
1 | interface t { #[rust_name = x] message m(); };
  |                 ^^^^^^^^^
  = help: write `#[rust_name = "name"]`
"#,
    ),
    (
        "bad-rust-name",
        r#"interface t { #[rust_name = "a b"] message m(); };"#,
        r#"
error[bad-rust-name]: `rust_name` wants an identifier of Rust
  --> t.if:1:29
  |
1 | interface t { #[rust_name = "a b"] message m(); };
  |                             ^^^^^
  = help: use ASCII letters, digits and `_`; names that start with `__` belong to generated code
"#,
    ),
    (
        "bad-visibility",
        r"interface t { pub message m(); };",
        r"
error[bad-visibility]: a visibility inside of an interface
  --> t.if:1:15
  |
1 | interface t { pub message m(); };
  |               ^^^
  = help: remove it: everything in an interface is public in its module
",
    ),
    (
        "reserved-name",
        r"interface t { message __m(uint32 self, uint32 in); };",
        r"
error[reserved-name]: `__m` cannot be a name
  --> t.if:1:23
  |
1 | interface t { message __m(uint32 self, uint32 in); };
  |                       ^^^
  = note: names that start with `__` belong to generated code
  = help: choose another name

error[reserved-name]: `self` cannot be a name
  --> t.if:1:34
  |
1 | interface t { message __m(uint32 self, uint32 in); };
  |                                  ^^^^
  = note: Rust has no identifier for it
  = help: choose another name

error[reserved-name]: `in` cannot be a name
  --> t.if:1:47
  |
1 | interface t { message __m(uint32 self, uint32 in); };
  |                                               ^^
  = note: it is a keyword of interfaces
  = help: choose another name
",
    ),
    (
        "missing-direction",
        r"interface t { rpc r(uint32 x); };",
        r"
error[missing-direction]: `x` has no direction
  --> t.if:1:21
  |
1 | interface t { rpc r(uint32 x); };
  |                     ^^^^^^ expected `in` or `out` before this
  = help: write `in` for what goes with the call, `out` for what comes back
",
    ),
    (
        "stray-direction",
        r"interface t { message m(in uint32 x); };",
        r"
error[stray-direction]: a direction outside of an rpc
  --> t.if:1:25
  |
1 | interface t { message m(in uint32 x); };
  |                         ^^
  = help: remove it, or declare an `rpc`
",
    ),
    (
        "use-in-text",
        r"interface t { use crate::Pose as pose; message m(pose p); };",
        r"
error[use-in-text]: `use` in an interface file
  --> t.if:1:15
  |
1 | interface t { use crate::Pose as pose; message m(pose p); };
  |               ^^^
  = note: a path of Rust means something in Rust source only
  = help: declare the type here, or write the interface in `flounder!`
",
    ),
    (
        "bad-import-path",
        r#"import "types.if" as super; interface t { message m(id x); };"#,
        r#"
error[bad-import-path]: not the path of a module
  --> t.if:1:22
  |
1 | import "types.if" as super; interface t { message m(id x); };
  |                      ^^^^^
  = help: name the module that holds the types: `import "types.if" as crate::types;`
"#,
    ),
    (
        "not-a-type",
        r#"import "bad.if"; interface t { message m(fine x); };"#,
        r"
error[not-a-type]: expected the declaration of a type, found `message`
  --> bad.if:2:1
  |
2 | message m();
  | ^^^^^^^
  = help: shared types are declared with `alias`, `typedef`, `const` and `import` only
",
    ),
    (
        "not-a-type",
        r"types x { message m(); }; interface t { message m(); };",
        r"
error[not-a-type]: expected the declaration of a type, found `message`
  --> t.if:1:11
  |
1 | types x { message m(); }; interface t { message m(); };
  |           ^^^^^^^
  = help: shared types are declared with `alias`, `typedef`, `const` and `import` only
",
    ),
    (
        "empty-struct",
        r"interface t { typedef struct { } s; message m(s x); };",
        r"
error[empty-struct]: a struct without fields
  --> t.if:1:23
  |
1 | interface t { typedef struct { } s; message m(s x); };
  |                       ^^^^^^
  = help: declare at least one field: `uint32 x;`
",
    ),
    (
        "empty-enum",
        r"interface t { typedef enum { } e; message m(e x); };",
        r"
error[empty-enum]: an enumeration without elements
  --> t.if:1:23
  |
1 | interface t { typedef enum { } e; message m(e x); };
  |                       ^^^^
  = help: declare at least one element
",
    ),
    (
        "import-failed",
        r#"import "missing.if"; interface t { message m(id x); };"#,
        r#"
error[import-failed]: cannot import "missing.if": no such file
  --> t.if:1:8
  |
1 | import "missing.if"; interface t { message m(id x); };
  |        ^^^^^^^^^^^^
  = help: the path is relative to the file that imports it; of a macro call, to the folder of the package
"#,
    ),
    (
        "import-failed",
        r#"import "self.if"; interface t { message m(); };"#,
        r#"
error[import-failed]: no module can be called as `self.if`
  --> t.if:1:8
  |
1 | import "self.if"; interface t { message m(); };
  |        ^^^^^^^^^
  = help: rename the file: its name becomes the name of a module
"#,
    ),
    (
        "import-failed",
        r#"import "huge.if"; interface t { message m(); };"#,
        r#"
error[import-failed]: cannot import "huge.if": it is larger than 4194304 bytes
  --> t.if:1:8
  |
1 | import "huge.if"; interface t { message m(); };
  |        ^^^^^^^^^
  = help: the path is relative to the file that imports it; of a macro call, to the folder of the package
"#,
    ),
    (
        "import-cycle",
        r#"import "a.if"; interface t { message m(b x); };"#,
        r#"
error[import-cycle]: "a.if" imports itself
  --> b.if:1:8
  |
1 | import "a.if";
  |        ^^^^^^
  = note: by way of `a`, `b`
  = help: move the types that both need into a third file
"#,
    ),
    (
        "import-conflict",
        r#"import "types.if";
interface t { import "types.if" as crate::types; message m(id x); };"#,
        r#"
error[import-conflict]: one file is imported as two modules
  --> t.if:2:22
  |
2 | interface t { import "types.if" as crate::types; message m(id x); };
  |                      ^^^^^^^^^^ imported again
note: first imported here
  --> t.if:1:8
  |
1 | import "types.if";
  |        ----------
  = help: import it with the same `as` everywhere, or without it everywhere
"#,
    ),
    (
        "duplicate-module",
        r#"import "types.if"; import "other/types.if"; interface t { message m(id x); };"#,
        r#"
error[duplicate-module]: a second module `types`
  --> t.if:1:27
  |
1 | import "types.if"; import "other/types.if"; interface t { message m(id x); };
  |                           ^^^^^^^^^^^^^^^^
note: the first one
  --> t.if:1:8
  |
1 | import "types.if"; import "other/types.if"; interface t { message m(id x); };
  |        ----------
  = help: rename one of them; an import can also be given a module with `as`
"#,
    ),
    (
        "duplicate-module",
        r"interface t { message m(); };
interface t { message m(); };",
        r"
error[duplicate-module]: a second module `t`
  --> t.if:2:11
  |
2 | interface t { message m(); };
  |           ^
note: the first one
  --> t.if:1:11
  |
1 | interface t { message m(); };
  |           -
  = help: rename one of them; an import can also be given a module with `as`
",
    ),
    (
        "duplicate-type",
        r"interface t { typedef uint8 x;
 alias x uint16; message m(x y); };",
        r"
error[duplicate-type]: the type `x` is declared twice
  --> t.if:2:8
  |
2 |  alias x uint16; message m(x y); };
  |        ^ declared again
note: first declared here
  --> t.if:1:29
  |
1 | interface t { typedef uint8 x;
  |                             -
  = help: rename one of them
",
    ),
    (
        "duplicate-type",
        r#"import "types.if"; interface t { typedef uint8 id; message m(id y); };"#,
        r#"
error[duplicate-type]: the type `id` is declared twice
  --> t.if:1:48
  |
1 | import "types.if"; interface t { typedef uint8 id; message m(id y); };
  |                                                ^^ declared again
note: first declared here
  --> types.if:1:16
  |
1 | typedef uint32 id;
  |                --
  = help: rename one of them
"#,
    ),
    (
        "duplicate-type",
        r#"import "aliases.if"; interface t { alias word uint64; message m(word y); };"#,
        r#"
error[duplicate-type]: the type `word` is declared twice
  --> t.if:1:42
  |
1 | import "aliases.if"; interface t { alias word uint64; message m(word y); };
  |                                          ^^^^ declared again
note: first declared here
  --> aliases.if:1:7
  |
1 | alias word uint32;
  |       ----
  = note: an alias may be repeated if it stands for the same type
  = help: rename one of them
"#,
    ),
    (
        "duplicate-type",
        r"interface t { alias x uint8; alias x uint8; message m(x y); };",
        r"
error[duplicate-type]: the type `x` is declared twice
  --> t.if:1:36
  |
1 | interface t { alias x uint8; alias x uint8; message m(x y); };
  |                                    ^ declared again
note: first declared here
  --> t.if:1:21
  |
1 | interface t { alias x uint8; alias x uint8; message m(x y); };
  |                     -
  = note: an alias may be repeated where an import has declared it, not in one place
  = help: rename one of them
",
    ),
    (
        "duplicate-type",
        r"interface t { typedef uint8 uint32; message m(); };",
        r"
error[duplicate-type]: `uint32` is a builtin type
  --> t.if:1:29
  |
1 | interface t { typedef uint8 uint32; message m(); };
  |                             ^^^^^^ declared again
  = help: remove the declaration, or choose another name
",
    ),
    (
        "duplicate-field",
        r"interface t { typedef struct { uint8 a; uint16 a; } s; message m(s x); };",
        r"
error[duplicate-field]: the field `a` is declared twice
  --> t.if:1:48
  |
1 | interface t { typedef struct { uint8 a; uint16 a; } s; message m(s x); };
  |                                                ^ declared again
note: first declared here
  --> t.if:1:38
  |
1 | interface t { typedef struct { uint8 a; uint16 a; } s; message m(s x); };
  |                                      -
  = help: rename one of them
",
    ),
    (
        "duplicate-element",
        r"interface t { typedef enum { A, A } e; message m(e x); };",
        r"
error[duplicate-element]: the element `A` is declared twice
  --> t.if:1:33
  |
1 | interface t { typedef enum { A, A } e; message m(e x); };
  |                                 ^ declared again
note: first declared here
  --> t.if:1:30
  |
1 | interface t { typedef enum { A, A } e; message m(e x); };
  |                              -
  = help: rename one of them
",
    ),
    (
        "duplicate-message",
        r"interface t { message m();
 call m(); };",
        r"
error[duplicate-message]: the message `m` is declared twice
  --> t.if:2:7
  |
2 |  call m(); };
  |       ^ declared again
note: first declared here
  --> t.if:1:23
  |
1 | interface t { message m();
  |                       -
  = help: rename one of them
",
    ),
    (
        "duplicate-message",
        r"interface t { message f_call();
 rpc f(); };",
        r"
error[duplicate-message]: the message `f_call` is declared twice
  --> t.if:2:6
  |
2 |  rpc f(); };
  |      ^ declared again
note: first declared here
  --> t.if:1:23
  |
1 | interface t { message f_call();
  |                       ------
  = note: an rpc `f` is a handler `f` and two messages, `f_call` and `f_response`
  = help: rename one of them
",
    ),
    (
        "duplicate-message",
        r"interface t { rpc f();
 message f(); };",
        r"
error[duplicate-message]: the message `f` is declared twice
  --> t.if:2:10
  |
2 |  message f(); };
  |          ^ declared again
note: first declared here
  --> t.if:1:19
  |
1 | interface t { rpc f();
  |                   -
  = help: rename one of them
",
    ),
    (
        "duplicate-argument",
        r"interface t { message m(uint32 a, uint8 a[n]); };",
        r"
error[duplicate-argument]: the argument `a` is declared twice
  --> t.if:1:41
  |
1 | interface t { message m(uint32 a, uint8 a[n]); };
  |                                         ^ declared again
note: first declared here
  --> t.if:1:32
  |
1 | interface t { message m(uint32 a, uint8 a[n]); };
  |                                -
  = help: rename one of them
",
    ),
    (
        "duplicate-argument",
        r"interface t { message m(uint8 a[n], uint32 n); };",
        r"
error[duplicate-argument]: the argument `n` is declared twice
  --> t.if:1:44
  |
1 | interface t { message m(uint8 a[n], uint32 n); };
  |                                            ^ declared again
note: first declared here
  --> t.if:1:33
  |
1 | interface t { message m(uint8 a[n], uint32 n); };
  |                                 -
  = help: rename one of them
",
    ),
    (
        "name-collision",
        r"interface t { typedef enum { FOO, foo } e; message m(e x); };",
        r#"
error[name-collision]: `FOO` and `foo` are both `Foo` in Rust
  --> t.if:1:35
  |
1 | interface t { typedef enum { FOO, foo } e; message m(e x); };
  |                                   ^^^
note: `FOO` is declared here
  --> t.if:1:30
  |
1 | interface t { typedef enum { FOO, foo } e; message m(e x); };
  |                              ---
  = help: write `#[rust_name = ".."]` before one of them
"#,
    ),
    (
        "name-collision",
        r"interface t { typedef uint8 my_type; typedef uint8 MyType; message m(my_type x); };",
        r#"
error[name-collision]: `my_type` and `MyType` are both `MyType` in Rust
  --> t.if:1:52
  |
1 | interface t { typedef uint8 my_type; typedef uint8 MyType; message m(my_type x); };
  |                                                    ^^^^^^
note: `my_type` is declared here
  --> t.if:1:29
  |
1 | interface t { typedef uint8 my_type; typedef uint8 MyType; message m(my_type x); };
  |                             -------
  = help: write `#[rust_name = ".."]` before one of them
"#,
    ),
    (
        "name-collision",
        r"interface t { message do_it(); message doIt(); };",
        r#"
error[name-collision]: `do_it` and `doIt` are both `DoIt` in Rust
  --> t.if:1:40
  |
1 | interface t { message do_it(); message doIt(); };
  |                                        ^^^^
note: `do_it` is declared here
  --> t.if:1:23
  |
1 | interface t { message do_it(); message doIt(); };
  |                       -----
  = help: write `#[rust_name = ".."]` before one of them
"#,
    ),
    (
        "name-collision",
        r"interface t { rpc f(); rpc f_async(); };",
        r#"
error[name-collision]: `f` and `f_async` both declare the function `f_async` of the client
  --> t.if:1:28
  |
1 | interface t { rpc f(); rpc f_async(); };
  |                            ^^^^^^^
note: `f` is declared here
  --> t.if:1:19
  |
1 | interface t { rpc f(); rpc f_async(); };
  |                   -
  = help: write `#[rust_name = ".."]` before one of them
"#,
    ),
    (
        "name-collision",
        r#"interface t { typedef struct { uint8 a; #[rust_name = "a"] uint8 b; } s; message m(s x); };"#,
        r#"
error[name-collision]: `a` and `b` are both `a` in Rust
  --> t.if:1:66
  |
1 | face t { typedef struct { uint8 a; #[rust_name = "a"] uint8 b; } s; message m(s x); };
  |                                                             ^
note: `a` is declared here
  --> t.if:1:38
  |
1 | interface t { typedef struct { uint8 a; #[rust_name = "a"] uint8 b; } s; message m(s x); };
  |                                      -
  = help: write `#[rust_name = ".."]` before one of them
"#,
    ),
    (
        "generated-name",
        r"interface t { typedef uint8 binding; message m(binding x); };",
        r#"
error[generated-name]: `binding` would be `Binding` in Rust, which is a type of the generated module
  --> t.if:1:29
  |
1 | interface t { typedef uint8 binding; message m(binding x); };
  |                             ^^^^^^^
  = help: write `#[rust_name = ".."]` before it, or rename it
"#,
    ),
    (
        "generated-name",
        r"interface t { typedef uint8 handlers; message m(handlers x); };",
        r#"
error[generated-name]: `handlers` would be `Handlers` in Rust, which is a type of the generated module
  --> t.if:1:29
  |
1 | interface t { typedef uint8 handlers; message m(handlers x); };
  |                             ^^^^^^^^
  = help: write `#[rust_name = ".."]` before it, or rename it
"#,
    ),
    (
        "generated-name",
        r"interface t { typedef uint8 ask_reply; rpc ask(in ask_reply x); };",
        r#"
error[generated-name]: `ask_reply` would be `AskReply` in Rust, which is a type of the generated module
  --> t.if:1:29
  |
1 | interface t { typedef uint8 ask_reply; rpc ask(in ask_reply x); };
  |                             ^^^^^^^^^
note: the reply of this rpc
  --> t.if:1:44
  |
1 | interface t { typedef uint8 ask_reply; rpc ask(in ask_reply x); };
  |                                            ---
  = help: write `#[rust_name = ".."]` before it, or rename it
"#,
    ),
    (
        "generated-name",
        r"interface t { message error(); };",
        r#"
error[generated-name]: `error` would be `error` in Rust, which is a handler of the generated module
  --> t.if:1:23
  |
1 | interface t { message error(); };
  |                       ^^^^^
  = help: write `#[rust_name = ".."]` before it, or rename it
"#,
    ),
    (
        "generated-name",
        r"interface t { rpc new(); };",
        r#"
error[generated-name]: `new` would be `new` in Rust, which is a function of the rpc client of the generated module
  --> t.if:1:19
  |
1 | interface t { rpc new(); };
  |                   ^^^
  = help: write `#[rust_name = ".."]` before it, or rename it
"#,
    ),
    (
        "unknown-type",
        r"interface t { message m(uint33 x, uint33 y); message n(nothing z); };",
        r"
error[unknown-type]: unknown type `uint33`
  --> t.if:1:25
  |
1 | interface t { message m(uint33 x, uint33 y); message n(nothing z); };
  |                         ^^^^^^ not declared
  = help: did you mean `uint32`?

error[unknown-type]: unknown type `nothing`
  --> t.if:1:56
  |
1 | interface t { message m(uint33 x, uint33 y); message n(nothing z); };
  |                                                        ^^^^^^^ not declared
  = help: declare it above, or import the file that declares it
",
    ),
    (
        "unknown-type",
        r"interface t { typedef mytype uint32; message m(mytype x); };",
        r"
error[unknown-type]: unknown type `mytype`
  --> t.if:1:23
  |
1 | interface t { typedef mytype uint32; message m(mytype x); };
  |                       ^^^^^^
  = help: the existing type comes first: `typedef uint32 mytype;`
",
    ),
    (
        "use-before-declaration",
        r"interface t { typedef struct { b x; } a; typedef struct { uint8 y; } b; message m(a z); };",
        r"
error[use-before-declaration]: `b` is used before its declaration
  --> t.if:1:32
  |
1 | interface t { typedef struct { b x; } a; typedef struct { uint8 y; } b; message m(a z); };
  |                                ^
note: declared here
  --> t.if:1:70
  |
1 |  t { typedef struct { b x; } a; typedef struct { uint8 y; } b; message m(a z); };
  |                                                             -
  = help: move the declaration of `b` up
",
    ),
    (
        "recursive-type",
        r"interface t { typedef struct { node next; } node; message m(node n); };",
        r"
error[recursive-type]: `node` contains itself
  --> t.if:1:32
  |
1 | interface t { typedef struct { node next; } node; message m(node n); };
  |                                ^^^^
  = note: a value of it would have no end
  = help: send the parts in messages of their own, or as a dynamic array
",
    ),
    (
        "recursive-type",
        r"interface t { typedef struct { b x; } a; typedef struct { a y; } b; message m(a z); };",
        r"
error[recursive-type]: `b` contains itself
  --> t.if:1:32
  |
1 | interface t { typedef struct { b x; } a; typedef struct { a y; } b; message m(a z); };
  |                                ^
  = note: a value of it would have no end
  = help: send the parts in messages of their own, or as a dynamic array
",
    ),
    (
        "alias-of-type",
        r"interface t { alias a uint8; alias b a; message m(b x); };",
        r"
error[alias-of-type]: `a` is not a builtin type
  --> t.if:1:38
  |
1 | interface t { alias a uint8; alias b a; message m(b x); };
  |                                      ^
  = note: `alias` renames builtin types only
  = help: write `typedef a b;`
",
    ),
    (
        "misplaced-bulk",
        r"interface t { typedef struct { optional bulk data[8]; } s; message m(s x); };",
        r"
error[misplaced-bulk]: `bulk` in a type
  --> t.if:1:41
  |
1 | interface t { typedef struct { optional bulk data[8]; } s; message m(s x); };
  |                                         ^^^^
  = note: only arguments of messages can be bulk data
  = help: pass it as an argument of its own: `bulk name[1048576]`
",
    ),
    (
        "misplaced-bulk",
        r"interface t { message m(optional bulk data[8]); };",
        r"
error[misplaced-bulk]: `bulk` cannot be optional
  --> t.if:1:34
  |
1 | interface t { message m(optional bulk data[8]); };
  |                                  ^^^^
  = help: remove `optional`: bulk data may be empty
",
    ),
    (
        "keyword-case",
        r"interface t { message m(OPTIONAL uint8 x); };",
        r"
error[keyword-case]: the keyword `optional` is written `OPTIONAL`
  --> t.if:1:25
  |
1 | interface t { message m(OPTIONAL uint8 x); };
  |                         ^^^^^^^^ keywords are in lower case
  = help: write `optional`
",
    ),
    (
        "bad-length",
        r"interface t { message m(uint8 x[0]); };",
        r"
error[bad-length]: the length of a fixed array is out of range
  --> t.if:1:33
  |
1 | interface t { message m(uint8 x[0]); };
  |                                 ^
  = help: choose a number from 1 to 65536
",
    ),
    (
        "type-too-large",
        r"interface t { message m(optional uint64 x[65536]); };",
        r"
error[type-too-large]: the type `x` has 524296 bytes
  --> t.if:1:41
  |
1 | interface t { message m(optional uint64 x[65536]); };
  |                                         ^
  = help: a type has at most 65536 bytes; pass more as a dynamic array
",
    ),
    (
        "duplicate-field",
        r"interface t { typedef struct { uint8 x[n]; uint8 n; } s; message m(s y); };",
        r"
error[duplicate-field]: the field `n` is declared twice
  --> t.if:1:50
  |
1 | interface t { typedef struct { uint8 x[n]; uint8 n; } s; message m(s y); };
  |                                                  ^ declared again
note: first declared here
  --> t.if:1:40
  |
1 | interface t { typedef struct { uint8 x[n]; uint8 n; } s; message m(s y); };
  |                                        -
  = help: rename one of them
",
    ),
    (
        "bad-bound",
        r"interface t { typedef struct { uint8 x[n, 0]; } s; message m(s y); };",
        r"
error[bad-bound]: the maximum number of elements of a dynamic array is out of range
  --> t.if:1:43
  |
1 | interface t { typedef struct { uint8 x[n, 0]; } s; message m(s y); };
  |                                           ^
  = help: choose a number from 1 to 16777216
",
    ),
    (
        "recursive-type",
        r"interface t { typedef struct { s x[n]; } s; message m(s y); };",
        r"
error[recursive-type]: `s` contains itself
  --> t.if:1:32
  |
1 | interface t { typedef struct { s x[n]; } s; message m(s y); };
  |                                ^
  = note: a value of it would have no end
  = help: send the parts in messages of their own, or as a dynamic array
",
    ),
    (
        "empty-union",
        r"interface t { typedef union { } u; message m(); };",
        r"
error[empty-union]: a union without fields
  --> t.if:1:23
  |
1 | interface t { typedef union { } u; message m(); };
  |                       ^^^^^
  = help: declare at least one field: `uint32 x;`
",
    ),
    (
        "name-collision",
        r"interface t { typedef union { uint8 a_b; uint8 aB; } u; message m(u x); };",
        r#"
error[name-collision]: `a_b` and `aB` are both `AB` in Rust
  --> t.if:1:48
  |
1 | interface t { typedef union { uint8 a_b; uint8 aB; } u; message m(u x); };
  |                                                ^^
note: `a_b` is declared here
  --> t.if:1:37
  |
1 | interface t { typedef union { uint8 a_b; uint8 aB; } u; message m(u x); };
  |                                     ---
  = help: write `#[rust_name = ".."]` before one of them
"#,
    ),
    (
        "type-too-large",
        r"interface t { typedef union { uint8 a; uint8 b[n]; } u; typedef u all[65536]; message m(all x); };",
        r"
error[type-too-large]: the type `all` has 262144 bytes
  --> t.if:1:67
  |
1 | ace t { typedef union { uint8 a; uint8 b[n]; } u; typedef u all[65536]; message m(all x); };
  |                                                             ^^^
  = help: a type has at most 65536 bytes; pass more as a dynamic array
",
    ),
    (
        "type-too-large",
        r"interface t { typedef union { uint8 a; uint8 b[1025]; } u; message m(u x); };",
        r"
error[type-too-large]: the field `b` of a union has 1025 bytes
  --> t.if:1:46
  |
1 | interface t { typedef union { uint8 a; uint8 b[1025]; } u; message m(u x); };
  |                                              ^
  = help: a field of a union has at most 1024 bytes; pass more as a dynamic array
",
    ),
    (
        "constant-type",
        r"interface t { const double HALF = 1; message m(); };",
        r"
error[constant-type]: a constant of the type `double`
  --> t.if:1:21
  |
1 | interface t { const double HALF = 1; message m(); };
  |                     ^^^^^^
  = help: constants are integers: `uint8`, `int32`, `size`, ..

",
    ),
    (
        "constant-range",
        r"interface t { const uint8 MANY = 256; message m(); };",
        r"
error[constant-range]: 256 does not fit into `uint8`
  --> t.if:1:34
  |
1 | interface t { const uint8 MANY = 256; message m(); };
  |                                  ^^^
  = help: choose a number from 0 to 255, or another type

",
    ),
    (
        "constant-range",
        r"interface t { const int8 FEW = -129; message m(); };",
        r"
error[constant-range]: -129 does not fit into `int8`
  --> t.if:1:33
  |
1 | interface t { const int8 FEW = -129; message m(); };
  |                                 ^^^
  = help: choose a number from -128 to 127, or another type

",
    ),
    (
        "constant-name",
        r"interface t { const uint8 many = 3; message m(uint8 x[n, many]); };",
        r"
error[constant-name]: the constant `many` is not in capitals
  --> t.if:1:27
  |
1 | interface t { const uint8 many = 3; message m(uint8 x[n, many]); };
  |                           ^^^^
  = help: call it `MANY`

",
    ),
    (
        "unknown-constant",
        r"interface t { message m(uint8 x[n, MOST]); };",
        r"
error[unknown-constant]: `MOST` is no constant
  --> t.if:1:36
  |
1 | interface t { message m(uint8 x[n, MOST]); };
  |                                    ^^^^
  = help: write a number, or declare `const uint32 MOST = ..;` above

",
    ),
    (
        "length-is-constant",
        r"interface t { const size MOST = 3; message m(uint8 x[MOST, 9]); };",
        r"
error[length-is-constant]: the length `MOST` is called as a constant
  --> t.if:1:54
  |
1 | interface t { const size MOST = 3; message m(uint8 x[MOST, 9]); };
  |                                                      ^^^^ expected a name for the length
  = help: a dynamic array of at most `MOST` elements is `[n, MOST]`

",
    ),
    (
        "unknown-type",
        r"interface t { const size MOST = 3; message m(MOST x); };",
        r"
error[unknown-type]: `MOST` is a constant, not a type
  --> t.if:1:46
  |
1 | interface t { const size MOST = 3; message m(MOST x); };
  |                                              ^^^^
  = help: name a type

",
    ),
    (
        "bad-bound",
        r"interface t { const size MOST = 0; message m(string x[MOST]); };",
        r"
error[bad-bound]: the maximum number of bytes of a string is out of range
  --> t.if:1:55
  |
1 | interface t { const size MOST = 0; message m(string x[MOST]); };
  |                                                       ^^^^
  = help: choose a number from 1 to 16777216

",
    ),
    (
        "generated-name",
        r"interface t { const size INTERFACE = 0; message m(); };",
        r#"
error[generated-name]: `INTERFACE` would be `INTERFACE` in Rust, which is a constant of the generated module
  --> t.if:1:26
  |
1 | interface t { const size INTERFACE = 0; message m(); };
  |                          ^^^^^^^^^
  = help: write `#[rust_name = ".."]` before it, or rename it

"#,
    ),
    (
        "duplicate-type",
        r"interface t { typedef uint8 MOST; const size MOST = 1; message m(); };",
        r"
error[duplicate-type]: `MOST` is declared twice
  --> t.if:1:46
  |
1 | interface t { typedef uint8 MOST; const size MOST = 1; message m(); };
  |                                              ^^^^ declared again
note: first declared here
  --> t.if:1:29
  |
1 | interface t { typedef uint8 MOST; const size MOST = 1; message m(); };
  |                             ----
  = help: rename one of them

",
    ),
    (
        "name-collision",
        r#"interface t { const size A = 1; #[rust_name = "A"] const size B = 1; message m(); };"#,
        r#"
error[name-collision]: `A` and `B` are both `A` in Rust
  --> t.if:1:63
  |
1 | terface t { const size A = 1; #[rust_name = "A"] const size B = 1; message m(); };
  |                                                             ^
  = help: write `#[rust_name = ".."]` before one of them

"#,
    ),
    (
        "type-after-message",
        r"interface t { message m(); const size MOST = 1; };",
        r"
error[type-after-message]: a constant after a message
  --> t.if:1:39
  |
1 | interface t { message m(); const size MOST = 1; };
  |                                       ^^^^
note: the first message
  --> t.if:1:23
  |
1 | interface t { message m(); const size MOST = 1; };
  |                       -
  = help: move it above the first message

",
    ),
    (
        "bulk-without-max",
        r"interface t { message m(bulk x); };",
        r"
error[bulk-without-max]: `x` has no maximum
  --> t.if:1:30
  |
1 | interface t { message m(bulk x); };
  |                              ^
  = note: a bulk argument names the most bytes that it may have, at most 1 GiB
  = help: write `bulk x[1048576]`
",
    ),
    (
        "bulk-without-max",
        r"interface t { message m(bulk x[n, 4096]); };",
        r"
error[bulk-without-max]: `x` has no maximum
  --> t.if:1:32
  |
1 | interface t { message m(bulk x[n, 4096]); };
  |                                ^
  = note: a bulk argument names the most bytes that it may have, at most 1 GiB
  = help: write `bulk x[1048576]`: what is received knows its length
",
    ),
    (
        "misplaced-bulk",
        r"interface t { typedef struct { bulk x[16]; } s; message m(s x); };",
        r"
error[misplaced-bulk]: `bulk` in a type
  --> t.if:1:32
  |
1 | interface t { typedef struct { bulk x[16]; } s; message m(s x); };
  |                                ^^^^
  = note: only arguments of messages can be bulk data
  = help: pass it as an argument of its own: `bulk name[1048576]`
",
    ),
    (
        "misplaced-bulk",
        r"interface t { typedef bulk b[16]; message m(b x); };",
        r"
error[misplaced-bulk]: `bulk` in a type
  --> t.if:1:23
  |
1 | interface t { typedef bulk b[16]; message m(b x); };
  |                       ^^^^
  = note: only arguments of messages can be bulk data
  = help: pass it as an argument of its own: `bulk name[1048576]`
",
    ),
    (
        "misplaced-bulk",
        r"interface t { alias b bulk; message m(b x); };",
        r"
error[misplaced-bulk]: `bulk` in a type
  --> t.if:1:23
  |
1 | interface t { alias b bulk; message m(b x); };
  |                       ^^^^
  = note: only arguments of messages can be bulk data
  = help: pass it as an argument of its own: `bulk name[1048576]`
",
    ),
    (
        "bad-bound",
        r"interface t { message m(bulk x[1073741825]); };",
        r"
error[bad-bound]: the maximum number of bytes of a bulk argument is out of range
  --> t.if:1:32
  |
1 | interface t { message m(bulk x[1073741825]); };
  |                                ^^^^^^^^^^
  = help: choose a number from 1 to 1073741824
",
    ),
    (
        "too-many-bulks",
        r"interface t { message m(bulk a[1], bulk b[1], bulk c[1], bulk d[1], bulk e[1], bulk f[1], bulk g[1], bulk h[1], bulk i[1]); };",
        r"
error[too-many-bulks]: `m` has 9 bulk arguments
  --> t.if:1:23
  |
1 | interface t { message m(bulk a[1], bulk b[1], bulk c[1], bulk d[1], bulk e[1], bulk f[1], bulk g[1], bulk h[1], bulk i[1
  |                       ^
  = help: a message has at most 8
",
    ),
    (
        "bad-length",
        r"interface t { typedef uint8 a[0]; typedef uint8 b[-3]; typedef uint8 c[65537]; message m(a x, b y, c z); };",
        r"
error[bad-length]: the length of a fixed array is out of range
  --> t.if:1:31
  |
1 | interface t { typedef uint8 a[0]; typedef uint8 b[-3]; typedef uint8 c[65537]; message m(a x, b y, c z); };
  |                               ^
  = help: choose a number from 1 to 65536

error[bad-length]: the length of a fixed array is out of range
  --> t.if:1:52
  |
1 | interface t { typedef uint8 a[0]; typedef uint8 b[-3]; typedef uint8 c[65537]; message m(a x, b y, c z); };
  |                                                    ^
  = help: choose a number from 1 to 65536

error[bad-length]: the length of a fixed array is out of range
  --> t.if:1:72
  |
1 |  { typedef uint8 a[0]; typedef uint8 b[-3]; typedef uint8 c[65537]; message m(a x, b y, c z); };
  |                                                             ^^^^^
  = help: choose a number from 1 to 65536
",
    ),
    (
        "bad-bound",
        r"interface t { message m(string s[0], uint8 b[n, 16777217]); };",
        r"
error[bad-bound]: the maximum number of bytes of a string is out of range
  --> t.if:1:34
  |
1 | interface t { message m(string s[0], uint8 b[n, 16777217]); };
  |                                  ^
  = help: choose a number from 1 to 16777216

error[bad-bound]: the maximum number of elements of a dynamic array is out of range
  --> t.if:1:49
  |
1 | interface t { message m(string s[0], uint8 b[n, 16777217]); };
  |                                                 ^^^^^^^^
  = help: choose a number from 1 to 16777216
",
    ),
    (
        "type-too-large",
        r"interface t { typedef uint64 a[8193]; message m(a x); };",
        r"
error[type-too-large]: the type `a` has 65544 bytes
  --> t.if:1:30
  |
1 | interface t { typedef uint64 a[8193]; message m(a x); };
  |                              ^
  = help: a type has at most 65536 bytes; pass more as a dynamic array
",
    ),
    (
        "type-after-message",
        r"interface t { message m();
 typedef uint8 late; message n(late x); };",
        r"
error[type-after-message]: a type after a message
  --> t.if:2:16
  |
2 |  typedef uint8 late; message n(late x); };
  |                ^^^^
note: the first message
  --> t.if:1:23
  |
1 | interface t { message m();
  |                       -
  = help: move it above the first message
",
    ),
    (
        "no-message",
        r"interface t { typedef uint8 x; };",
        r"
error[no-message]: the interface `t` has no message
  --> t.if:1:11
  |
1 | interface t { typedef uint8 x; };
  |           ^
  = help: declare at least one `message` or `rpc`
",
    ),
    (
        "too-many-caps",
        r"interface t { alias c cap; message m(c x[n]); };",
        r"
error[too-many-caps]: `m` carries up to 65536 capabilities
  --> t.if:1:36
  |
1 | interface t { alias c cap; message m(c x[n]); };
  |                                    ^
  = help: a message carries at most 64; the maximum of an array counts
",
    ),
    (
        "too-many-caps",
        r"interface t { typedef struct { cap c[n, 3]; } s; typedef s all[22]; message m(all x); };",
        r"
error[too-many-caps]: `m` carries up to 66 capabilities
  --> t.if:1:77
  |
1 | pedef struct { cap c[n, 3]; } s; typedef s all[22]; message m(all x); };
  |                                                             ^
  = help: a message carries at most 64; the maximum of an array counts
",
    ),
    (
        "too-many-caps",
        r"interface t { typedef union { cap a[60]; cap b; } u; message m(u x, optional cap y[n, 5]); };",
        r"
error[too-many-caps]: `m` carries up to 65 capabilities
  --> t.if:1:62
  |
1 | nterface t { typedef union { cap a[60]; cap b; } u; message m(u x, optional cap y[n, 5]); };
  |                                                             ^
  = help: a message carries at most 64; the maximum of an array counts
",
    ),
    (
        "too-many-caps",
        r"interface t { typedef struct { cap c0; cap c1; cap c2; cap c3; cap c4; cap c5; cap c6; cap c7; cap c8; cap c9; cap c10; cap c11; cap c12; cap c13; cap c14; cap c15; cap c16; cap c17; cap c18; cap c19; cap c20; cap c21; cap c22; cap c23; cap c24; cap c25; cap c26; cap c27; cap c28; cap c29; cap c30; cap c31; cap c32; } s; message m(s a, s b); };",
        r"
error[too-many-caps]: `m` carries up to 66 capabilities
  --> t.if:1:332
  |
1 | ; cap c28; cap c29; cap c30; cap c31; cap c32; } s; message m(s a, s b); };
  |                                                             ^
  = help: a message carries at most 64; the maximum of an array counts
",
    ),
    (
        "ata-not-rpc",
        r"interface t { @ata(command=0xE7) message flush(); };",
        r"
error[ata-not-rpc]: `flush` is no rpc
  --> t.if:1:16
  |
1 | interface t { @ata(command=0xE7) message flush(); };
  |                ^^^
  = note: a command ends with a response, which only an rpc has
  = help: declare an `rpc`, or remove the annotation
",
    ),
    (
        "ata-unknown-param",
        r"interface t { @ata(command=0xE7, sectors=1) rpc flush(out errval status); };",
        r"
error[ata-unknown-param]: `ata` has no parameter `sectors`
  --> t.if:1:34
  |
1 | interface t { @ata(command=0xE7, sectors=1) rpc flush(out errval status); };
  |                                  ^^^^^^^
  = help: its parameters are `command`, `feature`, `count`, `lba`, `lba48`, `dma_arg`, `dma_size`, `is_write`
",
    ),
    (
        "ata-duplicate-param",
        r"interface t { @ata(command=0xE7, command=0xEA) rpc flush(out errval status); };",
        r"
error[ata-duplicate-param]: the parameter `command` is given twice
  --> t.if:1:34
  |
1 | interface t { @ata(command=0xE7, command=0xEA) rpc flush(out errval status); };
  |                                  ^^^^^^^
note: first given here
  --> t.if:1:20
  |
1 | interface t { @ata(command=0xE7, command=0xEA) rpc flush(out errval status); };
  |                    -------
  = help: remove one of them
",
    ),
    (
        "ata-missing-command",
        r"interface t { @ata(lba=start) rpc verify(in uint32 start, out errval status); };",
        r"
error[ata-missing-command]: `verify` has no `command`
  --> t.if:1:16
  |
1 | interface t { @ata(lba=start) rpc verify(in uint32 start, out errval status); };
  |                ^^^
  = help: add `command=0xC8`, or the number of another command
",
    ),
    (
        "ata-bad-value",
        r"interface t { @ata(command=0x100) rpc flush(out errval status); };",
        r"
error[ata-bad-value]: `command` has more than 8 bits
  --> t.if:1:28
  |
1 | interface t { @ata(command=0x100) rpc flush(out errval status); };
  |                            ^^^^^
  = help: choose a smaller one
",
    ),
    (
        "ata-unknown-argument",
        r"interface t { @ata(command=0x40, lba=start) rpc verify(in uint32 begin, out errval status); };",
        r"
error[ata-unknown-argument]: `verify` has no argument `start`
  --> t.if:1:38
  |
1 | interface t { @ata(command=0x40, lba=start) rpc verify(in uint32 begin, out errval status); };
  |                                      ^^^^^
note: the rpc
  --> t.if:1:49
  |
1 | interface t { @ata(command=0x40, lba=start) rpc verify(in uint32 begin, out errval status); };
  |                                                 ------
  = help: name one of its arguments, or declare this one
",
    ),
    (
        "ata-ambiguous-argument",
        r"interface t { @ata(command=0xC8, dma_arg=data, dma_size=512) rpc read(in uint8 data[n, 512], out uint8 data[n, 512]); };",
        r"
error[ata-ambiguous-argument]: `data` is an `in` and an `out` argument
  --> t.if:1:42
  |
1 | interface t { @ata(command=0xC8, dma_arg=data, dma_size=512) rpc read(in uint8 data[n, 512], out uint8 data[n, 512]); };
  |                                          ^^^^
note: one of them
  --> t.if:1:80
  |
1 | command=0xC8, dma_arg=data, dma_size=512) rpc read(in uint8 data[n, 512], out uint8 data[n, 512]); };
  |                                                             ----
note: the other
  --> t.if:1:104
  |
1 | ta, dma_size=512) rpc read(in uint8 data[n, 512], out uint8 data[n, 512]); };
  |                                                             ----
  = help: rename the one that is not the data
",
    ),
    (
        "ata-out-argument",
        r"interface t { @ata(command=0x40, lba=next) rpc verify(out uint32 next); };",
        r"
error[ata-out-argument]: `next` is known only when the command has ended
  --> t.if:1:38
  |
1 | interface t { @ata(command=0x40, lba=next) rpc verify(out uint32 next); };
  |                                      ^^^^
note: an `out` argument
  --> t.if:1:66
  |
1 | face t { @ata(command=0x40, lba=next) rpc verify(out uint32 next); };
  |                                                             ----
  = help: name an `in` argument as `lba`
",
    ),
    (
        "ata-not-a-number",
        r"interface t { @ata(command=0x40, lba=start) rpc verify(in string start, out errval status); };",
        r"
error[ata-not-a-number]: `start` is no natural number
  --> t.if:1:38
  |
1 | interface t { @ata(command=0x40, lba=start) rpc verify(in string start, out errval status); };
  |                                      ^^^^^
note: its type
  --> t.if:1:59
  |
1 | interface t { @ata(command=0x40, lba=start) rpc verify(in string start, out errval status); };
  |                                                           ------
  = help: declare it as `uint8`, `uint16`, `uint32` or `uint64`
",
    ),
    (
        "ata-not-bytes",
        r"interface t { @ata(command=0xCA, dma_arg=data) rpc write(in uint16 data[size, 256]); };",
        r"
error[ata-not-bytes]: `data` has another type than bytes
  --> t.if:1:42
  |
1 | interface t { @ata(command=0xCA, dma_arg=data) rpc write(in uint16 data[size, 256]); };
  |                                          ^^^^
note: its type
  --> t.if:1:61
  |
1 | interface t { @ata(command=0xCA, dma_arg=data) rpc write(in uint16 data[size, 256]); };
  |                                                             ------
  = help: declare `uint8 data[data_size, 4096]`, or a type `uint8 block[512]`
",
    ),
    (
        "ata-missing-size",
        r"interface t { @ata(command=0xC8, dma_arg=data) rpc read(out uint8 data[size, 512]); };",
        r"
error[ata-missing-size]: nothing says how many bytes `data` gets
  --> t.if:1:42
  |
1 | interface t { @ata(command=0xC8, dma_arg=data) rpc read(out uint8 data[size, 512]); };
  |                                          ^^^^
  = help: add `dma_size`, with a number or an `in` argument, or declare a fixed array
",
    ),
    (
        "ata-ambiguous-size",
        r"interface t { typedef uint8 block[512]; @ata(command=0xC8, dma_arg=data, dma_size=512) rpc read(out block data); };",
        r"
error[ata-ambiguous-size]: `data` has a size of its own
  --> t.if:1:74
  |
1 |  typedef uint8 block[512]; @ata(command=0xC8, dma_arg=data, dma_size=512) rpc read(out block data); };
  |                                                             ^^^^^^^^
note: the data
  --> t.if:1:68
  |
1 | ce t { typedef uint8 block[512]; @ata(command=0xC8, dma_arg=data, dma_size=512) rpc read(out block data); };
  |                                                             ----
  = help: remove `dma_size`
",
    ),
    (
        "ata-without-data",
        r"interface t { @ata(command=0xE7, dma_size=512) rpc flush(out errval status); };",
        r"
error[ata-without-data]: `dma_size` without data
  --> t.if:1:34
  |
1 | interface t { @ata(command=0xE7, dma_size=512) rpc flush(out errval status); };
  |                                  ^^^^^^^^
  = help: name the data, as in `dma_arg=buffer`, or remove the parameter
",
    ),
    (
        "ata-direction",
        r"interface t { @ata(command=0xCA, dma_arg=data, dma_size=512, is_write=1) rpc write(out uint8 data[size, 512]); };",
        r"
error[ata-direction]: the command writes, and its data is an `out` argument
  --> t.if:1:71
  |
1 | t { @ata(command=0xCA, dma_arg=data, dma_size=512, is_write=1) rpc write(out uint8 data[size, 512]); };
  |                                                             ^
note: the data
  --> t.if:1:42
  |
1 | interface t { @ata(command=0xCA, dma_arg=data, dma_size=512, is_write=1) rpc write(out uint8 data[size, 512]); };
  |                                          ----
  = help: correct the direction of the argument, or remove `is_write`
",
    ),
    (
        "ata-bad-result",
        r"interface t { @ata(command=0xE7) rpc flush(out uint32 seconds); };",
        r"
error[ata-bad-result]: a command has no result `seconds`
  --> t.if:1:55
  |
1 | interface t { @ata(command=0xE7) rpc flush(out uint32 seconds); };
  |                                                       ^^^^^^^
  = note: its results are the data, if it reads, and `errval status`
  = help: name it as `dma_arg`, or remove it
",
    ),
    (
        "ata-bad-result",
        r"interface t { @ata(command=0xE7) rpc flush() fails errval; };",
        r"
error[ata-bad-result]: a command has no error of its own
  --> t.if:1:52
  |
1 | interface t { @ata(command=0xE7) rpc flush() fails errval; };
  |                                                    ^^^^^^
  = note: its results are the data, if it reads, and `errval status`
  = help: remove `fails`, and declare `out errval status`
",
    ),
    (
        "misplaced-bulk",
        r"interface t { rpc f() fails bulk; };",
        r"
error[misplaced-bulk]: `bulk` in a type
  --> t.if:1:29
  |
1 | interface t { rpc f() fails bulk; };
  |                             ^^^^
  = note: only arguments of messages can be bulk data
  = help: pass it as an argument of its own: `bulk name[1048576]`
",
    ),
    (
        "unknown-type",
        r"interface t { rpc f() fails nothing; };",
        r"
error[unknown-type]: unknown type `nothing`
  --> t.if:1:29
  |
1 | interface t { rpc f() fails nothing; };
  |                             ^^^^^^^ not declared
  = help: declare it above, or import the file that declares it
",
    ),
    (
        "duplicate-message",
        r"interface t { message f_error(); rpc f() fails errval; };",
        r"
error[duplicate-message]: the message `f_error` is declared twice
  --> t.if:1:38
  |
1 | interface t { message f_error(); rpc f() fails errval; };
  |                                      ^ declared again
note: first declared here
  --> t.if:1:23
  |
1 | interface t { message f_error(); rpc f() fails errval; };
  |                       -------
  = note: an rpc `f` is a handler `f` and three messages, `f_call`, `f_response` and `f_error`
  = help: rename one of them
",
    ),
    (
        "keyword-case",
        r"interface t { rpc f() FAILS errval; };",
        r"
error[keyword-case]: the keyword `fails` is written `FAILS`
  --> t.if:1:23
  |
1 | interface t { rpc f() FAILS errval; };
  |                       ^^^^^ keywords are in lower case
  = help: write `fails`
",
    ),
    (
        "missing-semicolon",
        r"interface t { message m() fails errval; };",
        r"
error[missing-semicolon]: missing `;` after the message
  --> t.if:1:25
  |
1 | interface t { message m() fails errval; };
  |                         ^ expected `;` after this
  = help: end the message with `;`
",
    ),
    (
        "ata-unused-argument",
        r"interface t { @ata(command=0x40, lba=start) rpc verify(in uint32 start, in uint8 count, out errval status); };",
        r"
error[ata-unused-argument]: `count` is no part of the command
  --> t.if:1:82
  |
1 | mmand=0x40, lba=start) rpc verify(in uint32 start, in uint8 count, out errval status); };
  |                                                             ^^^^^
note: its annotation
  --> t.if:1:16
  |
1 | interface t { @ata(command=0x40, lba=start) rpc verify(in uint32 start, in uint8 count, out errval status); };
  |                ---
  = help: give it to a parameter, as in `lba=start`, or remove it
",
    ),
];

#[test]
fn every_mistake_is_shown_at_its_token() {
    let mut wrong = String::new();
    for (code, text, expected) in CASES {
        let failure = fail(text, &sources());
        let rendered = render::plain(&failure.diagnostics);
        let first = failure.diagnostics.iter().next().expect("a failure has a mistake").code;
        if rendered.trim() != expected.trim() || first.as_str() != *code {
            wrong.push_str(&format!("---- {code}, got {first}: {text}\n{rendered}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_code_is_tested_and_documented() {
    let tested: BTreeSet<&str> = CASES
        .iter()
        .map(|(code, ..)| *code)
        .chain(LARGE.iter().map(|code| code.as_str()))
        .collect();
    let all: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(tested, all);
    let reference = include_str!("../../docs/idl.md");
    for code in all {
        assert!(
            reference.contains(&format!("| `{code}` |")),
            "docs/idl.md does not explain `{code}`"
        );
    }
}

#[test]
fn messages_keep_to_the_style() {
    for (_, text, _) in CASES {
        let failure = fail(text, &sources());
        for diagnostic in failure.diagnostics.iter() {
            let message = &diagnostic.message;
            assert!(
                !message.ends_with('.') && !message.starts_with(|c: char| c.is_uppercase()),
                "{message}"
            );
        }
    }
}

/// Codes whose inputs are too long to be written down above.
const LARGE: &[Code] = &[
    Code::NameTooLong,
    Code::FileTooLarge,
    Code::TooManyMessages,
    Code::TypeTooDeep,
    Code::TooComplex,
];

fn only_code(text: &str) -> Code {
    let failure = fail(text, &MemorySources::new());
    let codes: BTreeSet<Code> =
        failure.diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    assert_eq!(codes.len(), 1, "{}", render::plain(&failure.diagnostics));
    *codes.first().expect("one code")
}

#[test]
fn a_file_can_be_too_large() {
    let failure = fail(&" ".repeat(MAX_FILE_BYTES + 1), &MemorySources::new());
    assert!(failure.diagnostics.iter().any(|diagnostic| diagnostic.code == Code::FileTooLarge));
}

#[test]
fn names_can_be_too_long() {
    let named =
        |length: usize| format!("interface t {{ message m(uint32 {}); }};", "x".repeat(length));
    compile_text(SourceFile::new("t.if", named(255)), &[], &MemorySources::new())
        .expect("the longest");
    assert_eq!(only_code(&named(256)), Code::NameTooLong);
    let tokens = named(256).parse().expect("tokens");
    let failure = compile_tokens(tokens, &MemorySources::new()).expect_err("as in text");
    assert!(failure.diagnostics.iter().all(|diagnostic| diagnostic.code == Code::NameTooLong));
}

#[test]
fn messages_can_be_too_many() {
    let declared = |count: usize| {
        let messages: String = (0..count).map(|number| format!("rpc m{number}x(); ")).collect();
        format!("interface t {{ {messages} }};")
    };
    let unit = compile_text(SourceFile::new("t.if", declared(8_000)), &[], &MemorySources::new())
        .expect("the most");
    assert_eq!(unit.interfaces[0].messages.last().map(|message| message.number), Some(16_000));
    assert_eq!(only_code(&declared(8_001)), Code::TooManyMessages);
}

#[test]
fn types_can_be_too_deep() {
    let nested = |count: usize| {
        let types: String =
            (1..count).map(|number| format!("typedef t{} t{number}; ", number - 1)).collect();
        format!("interface t {{ typedef uint8 t0; {types} message m(t0 x); }};")
    };
    compile_text(SourceFile::new("t.if", nested(64)), &[], &MemorySources::new())
        .expect("the deepest");
    assert_eq!(only_code(&nested(65)), Code::TypeTooDeep);
    // Far deeper than a stack: what is built on a refused type is not looked at.
    assert_eq!(only_code(&nested(50_000)), Code::TypeTooDeep);
}

#[test]
fn types_can_be_too_complex() {
    let elements: Vec<String> = (0..1_000).map(|number| format!("element_{number}")).collect();
    let fields: String = (0..100).map(|number| format!("e f{number}; ")).collect();
    let messages: String = (0..20).map(|number| format!("message m{number}(s x); ")).collect();
    let types =
        format!("typedef enum {{ {} }} e; typedef struct {{ {fields} }} s;", elements.join(","));
    assert_eq!(only_code(&format!("interface t {{ {types} {messages} }};")), Code::TooComplex);
}

#[test]
fn rust_tokens_can_be_too_deep() {
    let (open, close) = ("(".repeat(200_000), ")".repeat(200_000));
    let attribute = format!("#[a{open}{close}] interface t {{ message m(); }};");
    assert_eq!(only_code(&attribute), Code::BadAttribute);
    let visibility = format!("pub(in {open}{close}) interface t {{ message m(); }};");
    assert_eq!(only_code(&visibility), Code::BadVisibility);
}

#[test]
fn sharing_is_bounded() {
    let types: String = (0..2_000).map(|number| format!("typedef uint8 t{number}x; ")).collect();
    let interfaces: String =
        (0..1_000).map(|number| format!("interface i{number} {{ message m(); }}; ")).collect();
    assert_eq!(only_code(&format!("types shared {{ {types} }}; {interfaces}")), Code::TooComplex);
    let modules: String = (0..5_000).map(|number| format!("types m{number} {{ }}; ")).collect();
    assert_eq!(only_code(&modules), Code::TooComplex);
}

#[test]
fn too_many_mistakes_are_counted() {
    let messages = "message m(nothing1 x, nothing1 x);".repeat(600);
    let failure = fail(&format!("interface t {{ {messages} }};"), &MemorySources::new());
    assert_eq!(failure.diagnostics.iter().count(), flounder_idl::diag::MAX_SHOWN);
    assert!(failure.diagnostics.len() > 1_000);
    assert!(render::plain(&failure.diagnostics).ends_with("more errors are not shown\n"));
}

#[test]
fn all_mistakes_of_a_unit_are_shown_at_once() {
    let failure = fail(
        "interface a {
            typedef struct { uint33 x; } s;
            typedef enum { A, a } e;
            message m(s x, s x);
            message m(e y)
            rpc r(uint32 z);
         };
         interface b { };",
        &MemorySources::new(),
    );
    let codes: Vec<&str> =
        failure.diagnostics.iter().map(|diagnostic| diagnostic.code.as_str()).collect();
    assert_eq!(
        codes,
        [
            "unknown-type",
            "name-collision",
            "duplicate-argument",
            "duplicate-message",
            "missing-semicolon",
            "missing-direction",
            "no-message"
        ]
    );
}

#[test]
fn an_unknown_type_is_one_mistake_in_each_interface() {
    let text = "interface a { typedef struct { nope x; } s; message m(nope x, s y, nope z); };";
    let failure = fail(
        &format!("{text} {}", text.replace("interface a", "interface b")),
        &MemorySources::new(),
    );
    let lines: Vec<Code> = failure.diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    assert_eq!(lines, [Code::UnknownType, Code::UnknownType]);
}

#[test]
fn what_was_readable_is_salvaged() {
    let failure = fail(
        "pub(super) interface a {
            typedef enum { ONE, TWO, 3 } e;
            typedef struct { e x; } s;
            message m(s x, uint8 b[n], oops);
            rpc ask(in e what, out s answer, out uint32 more);
            message m();
            message self();
         };
         types t { typedef uint8 x; };
         interface broken",
        &MemorySources::new(),
    );
    failure.diagnostics.iter().count();
    let salvage = &failure.salvage;
    assert_eq!(salvage.interfaces.len(), 2);
    let interface = &salvage.interfaces[0];
    assert_eq!(interface.visibility.to_string().replace(' ', ""), "pub(super)");
    let types: Vec<String> = interface.types.iter().map(|ty| ty.name.rust.to_string()).collect();
    assert_eq!(types, ["E", "S"]);
    assert_eq!(interface.types[0].elements.len(), 2);
    let messages: Vec<String> =
        interface.messages.iter().map(|message| message.name.rust.to_string()).collect();
    assert_eq!(messages, ["m", "ask"]);
    assert!(interface.messages[0].inputs.is_none());
    assert_eq!(interface.messages[1].inputs.as_ref().map(Vec::len), Some(1));
    assert_eq!(interface.messages[1].outputs.as_ref().map(Vec::len), Some(2));
    assert_eq!(salvage.modules[0].types.len(), 1);
    assert_eq!(salvage.interfaces[1].name.idl, "broken");
}

#[test]
fn mistakes_become_compile_errors() {
    let tokens = "interface t { message m(uint33 x); message m(); }".parse().expect("tokens");
    let failure = compile_tokens(tokens, &MemorySources::new()).expect_err("two mistakes");
    let errors = failure.diagnostics.into_compile_error().to_string();
    assert!(errors.find("uint33") < errors.find("declared twice"), "{errors}");
    assert_eq!(errors.matches(":: core :: compile_error !").count(), 2, "{errors}");
    assert!(errors.contains(r"unknown type `uint33`\n= help: did you mean `uint32`?"), "{errors}");
    assert!(errors.contains(r"\n= note: first declared here (line 1, column 23)"), "{errors}");
}

#[test]
fn mistakes_in_imported_text_say_where() {
    let tokens = "import \"bad.if\"; interface t { message m(); }".parse().expect("tokens");
    let failure = compile_tokens(tokens, &sources()).expect_err("a mistake in the file");
    let errors = failure.diagnostics.into_compile_error().to_string();
    assert!(errors.contains("(bad.if:2:1)"), "{errors}");
}

#[test]
fn rust_tokens_have_mistakes_of_their_own() {
    for (text, code) in [
        ("interface t { message m(uint32 x[16u8]); }", Code::LiteralSuffix),
        ("interface t { message m(uint32 x[1.5]); }", Code::BadNumber),
        ("interface t { message m(uint32 x['a']); }", Code::Expected),
        ("interface t \"x\"suffix { message m(); }", Code::LiteralSuffix),
        ("interface größe { message m(); }", Code::NonAsciiName),
        ("interface t { use crate::Pose; message m(); }", Code::Expected),
        ("interface t { use 3 as pose; message m(); }", Code::Expected),
        ("interface r#in { message m(); }", Code::ReservedName),
        ("pub(in) interface t { message m(); }", Code::BadVisibility),
        ("", Code::EmptyUnit),
    ] {
        let tokens = text.parse().expect("tokens");
        let failure = compile_tokens(tokens, &MemorySources::new()).expect_err(text);
        let first = failure.diagnostics.iter().next().map(|diagnostic| diagnostic.code);
        assert_eq!(first, Some(code), "{text}");
    }
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "diagnostics were dropped unread")]
fn mistakes_cannot_be_forgotten() {
    drop(fail("interface t { };", &MemorySources::new()));
}
