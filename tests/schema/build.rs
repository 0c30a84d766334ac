//! Writes the interfaces.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

#[path = "../../flounder-idl/tests/interface_writer/mod.rs"]
mod interface_writer;

use interface_writer::{Choices, RustType, Writer};

/// Random interfaces.
const COUNT: u64 = 200;

fn main() {
    let out = env::var("OUT_DIR").expect("cargo sets it");
    let write = |name: &str, text: String| {
        fs::write(Path::new(&out).join(name), text).expect("the folder can be written");
    };
    write("random.rs", random());
    write("golden.rs", golden());
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../../flounder-idl/tests/interface_writer/mod.rs");
    println!("cargo::rerun-if-changed={GOLDEN}");
}

fn random() -> String {
    let (mut text, mut names) = (String::new(), Vec::new());
    for seed in 0..COUNT {
        let mut types = RustTypes { choices: choices(seed), out: String::new(), types: Vec::new() };
        types.declare(&format!("Plain{seed}"), false);
        types.declare(&format!("Holder{seed}"), true);
        let used = types.types.iter().map(|(name, caps)| RustType {
            path: format!("crate::random::{name}"),
            has_caps: *caps > 0,
        });
        let mut writer = Writer::new(choices(COUNT + seed)).with_everything(used.collect());
        writer.interface(&format!("interface_{seed}"));
        names.push((format!("interface_{seed}"), writer.is_directed));
        let (types, interface) = (types.out, writer.out);
        write!(text, "{types}flounder::flounder! {{\n{interface}\n}}\n").expect("strings take it");
    }
    cases(&mut text, names);
    text
}

const GOLDEN: &str = "../../flounder-codegen/tests/golden";

fn golden() -> String {
    // The types from Rust that these interfaces use.
    let mut text = String::from(
        "#[derive(flounder::FlounderMessage, Debug)]\n\
         pub struct Pose { pub at: [f64; 3], pub name: Option<String> }\n\
         #[derive(flounder::FlounderMessage, Debug)]\n\
         pub enum Thing { Nothing, Letter(char), Many { bytes: Vec<u8>, pose: Box<Pose> } }\n",
    );
    let mut files: Vec<_> = fs::read_dir(GOLDEN)
        .expect("the folder is there")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "if"))
        .collect();
    files.sort();
    let mut names = Vec::new();
    for file in files {
        let interfaces = fs::read_to_string(&file).expect("the file can be read");
        let interfaces = interfaces
            .replace("crate::geometry::Pose", "crate::golden::Pose")
            .replace("nearby::Thing", "crate::golden::Thing");
        let lines =
            interfaces.lines().map(|line| line.trim_start().trim_start_matches("pub(crate) "));
        for line in lines {
            if let Some(declared) = line.strip_prefix("interface ") {
                let name = declared.split([' ', '{']).next().unwrap_or(declared);
                names.push((name.to_owned(), false));
            } else if ["call ", "response ", "rpc "].iter().any(|word| line.starts_with(word)) {
                names.last_mut().expect("it is in an interface").1 = true;
            }
        }
        write!(text, "flounder::flounder! {{\n{interfaces}\n}}\n").expect("strings take it");
    }
    cases(&mut text, names);
    text
}

/// The names of interfaces, and whether their ends differ.
fn cases(text: &mut String, names: Vec<(String, bool)>) {
    let cases = names.into_iter().map(|(name, is_directed)| {
        let client = if is_directed { "ClientRxVtbl" } else { "RxVtbl" };
        format!("case!({name}, {client})")
    });
    let cases: Vec<_> = cases.collect();
    let cases = cases.join(",\n");
    write!(text, "pub(crate) fn cases() -> Vec<crate::Case> {{\nvec![{cases}]\n}}\n")
        .expect("strings take it");
}

fn choices(seed: u64) -> Choices {
    // SplitMix64.
    let mut state = seed.wrapping_mul(0xd1b5_4a32_d192_ed03);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) as u32
    };
    Choices::new((0..256).map(|_| next()).collect())
}

/// Random types with `#[derive(FlounderMessage)]`.
struct RustTypes {
    choices: Choices,
    out: String,
    /// Names, and the most capabilities of a value.
    types: Vec<(String, usize)>,
}

const BUILTINS: [&str; 18] = [
    "bool",
    "u8",
    "i8",
    "u16",
    "i16",
    "u32",
    "i32",
    "u64",
    "i64",
    "u128",
    "i128",
    "usize",
    "isize",
    "f32",
    "f64",
    "char",
    "()",
    "flounder::Errval",
];

impl RustTypes {
    fn declare(&mut self, name: &str, has_caps: bool) {
        let mut caps = 0;
        let body = if self.choices.below(2) == 0 {
            let mut fields = self.fields(&mut caps, has_caps);
            if has_caps && caps == 0 {
                fields.push_str("last: flounder::Cap, ");
                caps = 1;
            }
            format!("struct {name} {{ {fields} }}")
        } else {
            let mut variants = String::new();
            for i in 0..=self.choices.below(3) {
                let fields = match self.choices.below(3) {
                    0 => String::new(),
                    1 => format!("({})", self.ty(2, &mut 0, false)),
                    _ => format!("{{ {} }}", self.fields(&mut caps, has_caps)),
                };
                write!(variants, "V{i}{fields}, ").expect("strings take it");
            }
            if has_caps && caps == 0 {
                variants.push_str("Last(Option<flounder::Cap>)");
                caps = 1;
            }
            format!("enum {name} {{ {variants} }}")
        };
        writeln!(self.out, "#[derive(flounder::FlounderMessage, Debug)]\npub {body}")
            .expect("strings take it");
        self.types.push((name.to_owned(), caps));
    }

    fn fields(&mut self, caps: &mut usize, may_have_caps: bool) -> String {
        let mut fields = String::new();
        for i in 0..=self.choices.below(4) {
            let ty = self.ty(3, caps, may_have_caps);
            let has_max = ty == "String" || ty.starts_with("Vec<");
            let max = if has_max && self.choices.one_in(2) { "#[flounder(max = 3)] " } else { "" };
            write!(fields, "{max}f{i}: {ty}, ").expect("strings take it");
        }
        fields
    }

    /// A type. At most four capabilities are in one that may have any.
    fn ty(&mut self, depth: usize, caps: &mut usize, may_have_caps: bool) -> String {
        let may_have_caps = may_have_caps && *caps < 4;
        if depth == 0 {
            return BUILTINS[self.choices.below(BUILTINS.len())].into();
        }
        match self.choices.below(16) {
            0 | 1 => "String".into(),
            2 => format!("Vec<{}>", self.ty(depth - 1, &mut 0, false)),
            3 => format!("[{}; {}]", self.ty(depth - 1, &mut 0, false), self.choices.below(4)),
            4 | 5 => format!("Option<{}>", self.ty(depth - 1, caps, may_have_caps)),
            6 => format!("Box<{}>", self.ty(depth - 1, caps, may_have_caps)),
            7 if !self.types.is_empty() => self.types[0].0.clone(),
            8 => "flounder::Iref".into(),
            9 | 10 if may_have_caps => {
                *caps += 1;
                "flounder::Cap".into()
            }
            _ => BUILTINS[self.choices.below(BUILTINS.len())].into(),
        }
    }
}
