//! How long an interface of 1,000 messages takes to compile and to generate.
//!
//! A macro runs in every build of its users: it has to stay well under a second.

use std::fmt::Write;
use std::time::{Duration, Instant};

use flounder_idl::source::{MemorySources, SourceFile};

const MESSAGES: usize = 1000;
const ROUNDS: usize = 5;

fn main() {
    let text = interface(MESSAGES);
    let (mut front, mut back, mut tokens) = (Duration::MAX, Duration::MAX, 0);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let file = SourceFile::new("large.if", text.as_str());
        let unit = flounder_idl::compile_text(file, &[], &MemorySources::new())
            .expect("the interface is correct");
        front = front.min(start.elapsed());
        assert_eq!(unit.interfaces[0].messages.len(), MESSAGES);

        let start = Instant::now();
        let generated = flounder_codegen::unit(&unit, &flounder_codegen::Options::default());
        back = back.min(start.elapsed());
        tokens = count(generated);
    }
    println!(
        "{MESSAGES} messages, {} bytes of text, {tokens} tokens of Rust, best of {ROUNDS}:",
        text.len()
    );
    println!("  compile  {front:>10.1?}");
    println!("  generate {back:>10.1?}");
    println!("  total    {:>10.1?}", front + back);
}

/// Messages of every shape, half of them halves of rpcs.
fn interface(messages: usize) -> String {
    let mut text = String::from(
        "interface large {\n\
         typedef enum { FOO, BAR, BAZ } choice;\n\
         typedef struct { uint32 x; uint64 y; choice c; string name[64]; } item;\n",
    );
    for i in (0..messages).step_by(4) {
        let declared = [
            format!("message plain{i}(uint32 a, uint64 b, choice c);"),
            format!("message large{i}(string s[2048], uint8 buf[len, 4096], item it, cap c);"),
            format!(
                "rpc ask{i}(in string name, in item it, out uint32 code, out item back[n, 16]);"
            ),
        ];
        for line in declared {
            writeln!(text, "  {line}").expect("a string takes what is written");
        }
    }
    text + "};\n"
}

fn count(tokens: proc_macro2::TokenStream) -> usize {
    let one = |token| match token {
        proc_macro2::TokenTree::Group(group) => 1 + count(group.stream()),
        _ => 1,
    };
    tokens.into_iter().map(one).sum()
}
