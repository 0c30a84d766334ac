//! Correct input: every feature of the language, and the model it becomes.

use flounder_idl::model::{
    AnnotationValue, Builtin, DEFAULT_MAX, DeclaredIn, Direction, Interface, Role, Ty, TypeKind,
    Unit,
};
use flounder_idl::source::{FileSources, MemorySources, SourceFile};
use flounder_idl::{compile_text, compile_tokens, render};

fn compile(text: &str) -> Unit {
    compile_with(text, &MemorySources::new())
}

fn compile_with(text: &str, sources: &MemorySources) -> Unit {
    let result = compile_text(SourceFile::new("test.if", text), &[], sources);
    result.unwrap_or_else(|failure| panic!("\n{}", render::plain(&failure.diagnostics)))
}

fn interface(text: &str) -> Interface {
    compile(text).interfaces.remove(0)
}

fn compile_macro(text: &str) -> Unit {
    let tokens = text.parse().expect("the test is Rust tokens");
    compile_tokens(tokens, &MemorySources::new())
        .unwrap_or_else(|failure| panic!("\n{}", render::plain(&failure.diagnostics)))
}

fn canonical(interface: &Interface) -> Vec<&str> {
    interface.messages.iter().map(|message| message.canonical.as_str()).collect()
}

/// The interface of the tutorial.
const TUTORIAL: &str = r#"
    interface test "Test interface" {
        alias number uint32;
        typedef enum { FOO, BAR, BAZ } myenum;
        typedef struct { uint32 x; uint32 y; } point;
        message basic(number arg, myenum e);
        message str(number arg, string s);
        message caps(number arg, cap cap1, cap cap2);
        message buffy(uint8 buf[buflen]);
        rpc testrpc(in string s, out uint32 result);
    };
"#;

#[test]
fn the_tutorial_compiles_from_text_and_from_tokens() {
    for unit in [compile(TUTORIAL), compile_macro(TUTORIAL)] {
        let interface = &unit.interfaces[0];
        assert_eq!(interface.name.idl, "test");
        assert_eq!(interface.description, "Test interface");
        assert_eq!(
            canonical(interface),
            [
                "message basic(arg:uint32,e:enum{FOO,BAR,BAZ})",
                "message str(arg:uint32,s:string[65536])",
                "message caps(arg:uint32,cap1:cap,cap2:cap)",
                "message buffy(buf:uint8[;65536])",
                "rpc-call testrpc_call(s:string[65536])",
                "rpc-response testrpc_response(result:uint32)",
            ]
        );
        let numbers: Vec<u16> = interface.messages.iter().map(|message| message.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
        let rpc = &interface.rpcs[0];
        assert_eq!((rpc.call, rpc.response, rpc.camel.to_string().as_str()), (4, 5, "Testrpc"));
        assert_eq!(interface.messages[4].role, Role::RpcCall(0));
        assert_eq!(interface.types[0].name.rust.to_string(), "Myenum");
        assert_eq!(interface.types.len(), 2, "an alias is no type");
    }
}

#[test]
fn rpc_that_fails_has_a_third_message() {
    let declared = "interface t {
        typedef enum { MISSING } reason;
        typedef uint32 fails;
        rpc get(in string fails, out fails x) fails reason;
        rpc put(in fails error, out uint8 error) fails fails;
        message next(fails fails);
    };";
    for unit in [compile(declared), compile_macro(declared)] {
        let interface = &unit.interfaces[0];
        assert_eq!(
            canonical(interface),
            [
                "rpc-call get_call(fails:string[65536])",
                "rpc-response get_response(x:uint32)",
                "rpc-error get_error(error:enum{MISSING})",
                "rpc-call put_call(error:uint32)",
                "rpc-response put_response(error:uint8)",
                "rpc-error put_error(error:uint32)",
                "message next(fails:uint32)",
            ]
        );
        assert_eq!(interface.rpcs[1].error, Some(5));
        assert_eq!(interface.messages[5].role, Role::RpcError(1));
    }
}

#[test]
fn a_digest_is_the_head_of_sha256() {
    // printf 'message m(x:uint32)' | sha256sum
    let interface = interface("interface t { message m(uint32 x); };");
    assert_eq!(interface.messages[0].canonical, "message m(x:uint32)");
    assert_eq!(format!("{:032x}", interface.messages[0].digest), DIGEST);
}

const DIGEST: &str = "d3cd2a0444199a378c3b3f4f74dcc56c";

#[test]
fn what_counts_for_the_digest_and_what_does_not() {
    let digest = |text: &str| interface(text).messages[0].digest;
    let base =
        digest("interface t { typedef struct { uint32 a; } s; message m(s x, uint8 b[n]); };");
    for same in [
        "interface t \"described\" { typedef struct { uint32 a; } other; message m(other x, uint8 b[count]); };",
        "interface t { typedef struct { u32 a; } s; typedef s t2; /** doc */ @a(b=1) message m(t2 x, uint8 b[n, 65536]); }",
        "interface t { #[rust_name = \"S\"] typedef struct { uint32 a; } s; message m(s x, #[rust_name = \"q\"] uint8 b[n]); };",
        "@symmetric interface t { typedef struct { uint32 a; } s; call m(s x, uint8 b[n]); };",
    ] {
        assert_eq!(digest(same), base, "{same}");
    }
    for other in [
        "interface t { typedef struct { uint32 b; } s; message m(s x, uint8 b[n]); };",
        "interface t { typedef struct { uint64 a; } s; message m(s x, uint8 b[n]); };",
        "interface t { typedef struct { uint32 a; } s; message m2(s x, uint8 b[n]); };",
        "interface t { typedef struct { uint32 a; } s; message m(s y, uint8 b[n]); };",
        "interface t { typedef struct { uint32 a; } s; message m(s x, uint8 b[n, 65535]); };",
        "interface t { typedef struct { uint32 a; } s; message m(uint8 b[n], s x); };",
        "interface t { message m(uint32 a, uint8 b[n]); };",
        "interface t { typedef struct { uint32 a; } s; call m(s x, uint8 b[n]); };",
        "interface t { typedef struct { uint32 a; } s; response m(s x, uint8 b[n]); };",
    ] {
        assert_ne!(digest(other), base, "{other}");
    }
}

#[test]
fn words_and_marks_give_messages_their_direction() {
    let directions = |text: &str| {
        let interface = interface(text);
        let messages = interface.messages.iter();
        messages.map(|message| (message.canonical.clone(), message.direction)).collect::<Vec<_>>()
    };
    let body =
        "{ message m(); call c(); response r(); rpc f(in uint32 x); @both rpc g(out bool b); };";
    let expected = [
        ("message m()", Direction::Both),
        ("call c()", Direction::ToService),
        ("response r()", Direction::ToClient),
        ("rpc-call f_call(x:uint32)", Direction::ToService),
        ("rpc-response f_response()", Direction::ToClient),
        ("rpc-call-both g_call()", Direction::Both),
        ("rpc-response-both g_response(b:bool)", Direction::Both),
    ];
    let expected = expected.map(|(form, direction)| (form.to_owned(), direction));
    assert_eq!(directions(&format!("interface t {body}")), expected);

    let symmetric = body.replace("@both ", "");
    let found = directions(&format!("@symmetric /** doc */ interface t {symmetric}"));
    assert!(found.iter().all(|(_, direction)| *direction == Direction::Both));
    let forms: Vec<_> = found.iter().map(|(form, _)| form.as_str()).collect();
    assert_eq!(forms[1..4], ["message c()", "message r()", "rpc-call-both f_call(x:uint32)"]);
}

#[test]
fn every_builtin_has_its_names() {
    let names = [
        ("bool", Builtin::Bool),
        ("char", Builtin::Char),
        ("int", Builtin::I32),
        ("int8", Builtin::I8),
        ("int16", Builtin::I16),
        ("int32", Builtin::I32),
        ("int64", Builtin::I64),
        ("uint8", Builtin::U8),
        ("uint16", Builtin::U16),
        ("uint32", Builtin::U32),
        ("uint64", Builtin::U64),
        ("intptr", Builtin::Isize),
        ("uintptr", Builtin::Usize),
        ("size", Builtin::Usize),
        ("float", Builtin::F32),
        ("double", Builtin::F64),
        ("iref", Builtin::Iref),
        ("errval", Builtin::Errval),
        ("cap", Builtin::Cap),
        ("give_away_cap", Builtin::GiveAwayCap),
        ("i8", Builtin::I8),
        ("i16", Builtin::I16),
        ("i32", Builtin::I32),
        ("i64", Builtin::I64),
        ("u8", Builtin::U8),
        ("u16", Builtin::U16),
        ("u32", Builtin::U32),
        ("u64", Builtin::U64),
        ("isize", Builtin::Isize),
        ("usize", Builtin::Usize),
        ("f32", Builtin::F32),
        ("f64", Builtin::F64),
    ];
    for (name, builtin) in names {
        let interface = interface(&format!("interface t {{ message m({name} x); }};"));
        assert_eq!(interface.messages[0].args[0].ty, Ty::Builtin(builtin), "{name}");
    }
    for name in ["string", "String"] {
        let interface = interface(&format!("interface t {{ message m({name} x); }};"));
        assert_eq!(interface.messages[0].args[0].ty, Ty::String { max: DEFAULT_MAX });
    }
}

#[test]
fn both_dialects_of_bounds() {
    let interface = interface(
        "interface t {
            alias text string;
            typedef struct { string s[16]; String t; } pair;
            message m(
                string a, String b[2048], text c[0x10], uint8 d[n], uint8 e[k, 0o20], pair p, string f[q, 16], pair g[r]
            );
         };",
    );
    assert_eq!(
        interface.messages[0].canonical,
        "message m(a:string[65536],b:string[2048],c:string[16],d:uint8[;65536],e:uint8[;16],p:{s:string[16],t:string[65536]},\
         f:string[65536][;16],g:{s:string[16],t:string[65536]}[;65536])"
    );
    assert_eq!(
        interface.messages[0].args[7].array.as_ref().map(|array| array.len_name.idl.as_str()),
        Some("r")
    );
}

#[test]
fn types_of_every_form() {
    let interface = interface(
        "interface t {
            /// A point.
            typedef struct { uint32 x; /** up */ uint32 y; } point;
            typedef point corners[4];
            typedef uint64 mask[0x4];
            typedef enum { UP, DOWN } dir;
            typedef corners again;
            typedef struct { again c; mask m; dir d; cap k; give_away_cap g; string s; float f; } all;
            message m(all a);
         };",
    );
    assert_eq!(
        canonical(&interface),
        [
            "message m(a:{c:[{x:uint32,y:uint32};4],m:[uint64;4],d:enum{UP,DOWN},k:cap,g:give_away_cap,s:string[65536],f:float})"
        ]
    );
    let point = &interface.types[0];
    assert_eq!(point.docs, [" A point."]);
    let TypeKind::Struct(fields) = &point.kind else { panic!("a struct") };
    assert_eq!(fields[1].docs, [" up"]);
    assert!(point.traits.copy && point.traits.eq && !point.traits.caps);
    let all = interface.types.last().expect("the last type").traits;
    assert!(!all.copy && !all.eq && all.caps && all.gives_away);
}

#[test]
fn constants_are_lengths_and_maxima() {
    let unit = compile(
        "types limits { typedef uint32 count; const count MOST = 0x10; };
         interface t {
            const i64 LEAST = -3;
            #[rust_name = \"CELLS\"] const uint8 cells = 4;
            typedef uint8 row[cells];
            typedef struct { string name[MOST]; row r; } s;
            message m(string a[cells], uint32 b[n, MOST], s c, uint8 MOST, bulk d[MOST]);
            message n(uint32 const, uint32 LEAST);
         };",
    );
    let interface = &unit.interfaces[0];
    assert_eq!(
        canonical(interface),
        [
            "message m(a:string[4],b:uint32[;16],c:{name:string[16],r:[uint8;4]},MOST:uint8,d:bulk[16])",
            "message n(const:uint32,LEAST:uint32)",
        ]
    );
    let constants: Vec<_> = interface
        .constants
        .iter()
        .map(|constant| (constant.name.rust.to_string(), constant.value))
        .collect();
    assert_eq!(constants, [("MOST".into(), 16), ("LEAST".into(), -3), ("CELLS".into(), 4)]);
    assert!(matches!(interface.constants[0].declared_in, DeclaredIn::Module(_)));
    assert!(matches!(interface.constants[1].declared_in, DeclaredIn::Here));
    assert_eq!(unit.modules[0].constants.len(), 1);
}

#[test]
fn optional_values_and_arrays_need_no_typedef() {
    let interface = interface(
        "interface t {
            const uint8 N = 2;
            typedef struct { optional string a[8]; uint8 b[n, 64]; uint16 c[N]; optional s8 optional; } s;
            message m(optional uint32 a, optional string b, optional s c, optional s d[N], optional string e[n, 3]);
            message n(uint8 id[16], s list[n], optional optional);
            rpc r(in optional cap a, out optional give_away_cap b);
         };"
            .replace("typedef struct", "typedef uint64 optional; typedef int8 s8; typedef struct")
            .as_str(),
    );
    let s = "{a:string[8]?,b:uint8[;64],c:[uint16;2],optional:int8?}";
    assert_eq!(
        canonical(&interface),
        [
            format!("message m(a:uint32?,b:string[65536]?,c:{s}?,d:[{s};2]?,e:string[65536][;3]?)"),
            format!("message n(id:[uint8;16],list:{s}[;65536],optional:uint64)"),
            "rpc-call r_call(a:cap?)".into(),
            "rpc-response r_response(b:give_away_cap?)".into(),
        ]
    );
    let made = interface.types.iter().filter(|def| matches!(def.declared_in, DeclaredIn::Use));
    assert!(made.clone().all(|def| def.name.idl.is_empty()) && made.count() > 8);
}

#[test]
fn unions_have_the_form_of_enumerations_with_data() {
    let interface = interface(
        "interface t {
            typedef uint8 union;
            typedef struct { union union; } s;
            typedef union { uint32 a; string b_c[9]; optional s d; uint8 e[n]; uint16 f[n, 2]; cap g; } u;
            message m(u x, optional u y);
         };",
    );
    let form = "enum{a{0:uint32},b_c{0:string[9]},d{0:{union:uint8}?},e{0:uint8[;65536]},f{0:uint16[;2]},g{0:cap}}";
    assert_eq!(canonical(&interface), [format!("message m(x:{form},y:{form}?)")]);
    let union = interface.types.iter().find(|def| def.name.idl == "u").expect("it is declared");
    let TypeKind::Union(fields) = &union.kind else { panic!("a union") };
    assert_eq!(fields[1].name.rust.to_string(), "BC");
    assert!(union.traits.caps && !union.traits.copy);
}

#[test]
fn capabilities_are_elements_of_arrays_and_optional() {
    let interface = interface(
        "interface t {
            typedef cap both[2];
            typedef struct { both a; give_away_cap b[n, 2]; optional cap c; } s;
            typedef union { s a; cap b[40]; } u;
            message m(cap a[n, 4], give_away_cap b[3], optional cap c[m, 2], both d, optional give_away_cap e);
            message n(u a, s b[n, 4], optional cap c[4]);
         };",
    );
    let s = "{a:[cap;2],b:give_away_cap[;2],c:cap?}";
    assert_eq!(
        canonical(&interface),
        [
            "message m(a:cap[;4],b:[give_away_cap;3],c:cap[;2]?,d:[cap;2],e:give_away_cap?)".into(),
            format!("message n(a:enum{{a{{0:{s}}},b{{0:[cap;40]}}}},b:{s}[;4],c:[cap;4]?)"),
        ]
    );
}

#[test]
fn words_of_the_language_and_of_rust_are_names() {
    let interface = interface(
        "interface type {
            typedef struct { uint32 alias; uint32 call; uint32 struct; uint32 match; uint32 import; uint32 types; } fn;
            typedef enum { alias, typedef, In, OUT } enum;
            typedef uint8 pub;
            typedef struct { pub a; pub b; } crates;
            typedef enum { pub, priv } vis;
            message call(fn typedef, enum use);
            message response(uint8 loop[len], pub x);
            rpc rpc2(in uint32 mut, out uint32 mut);
         };",
    );
    assert_eq!(interface.name.rust.to_string(), "r#type");
    assert_eq!(interface.messages[0].args[1].name.rust.to_string(), "r#use");
    let TypeKind::Struct(fields) = &interface.types[0].kind else { panic!("a struct") };
    assert_eq!(fields[3].name.rust.to_string(), "r#match");
    assert_eq!(interface.types[0].name.rust.to_string(), "Fn");
}

#[test]
fn rust_names_are_a_matter_of_choice() {
    let interface = interface(
        r#"#[rust_name = "other"] interface t {
            #[rust_name = "Kind"] typedef enum { #[rust_name = "Yes"] TRUE_T, no } kind_t;
            typedef struct { #[rust_name = "ex"] uint32 x; } s;
            #[rust_name = "send"] message m(#[rust_name = "kind"] kind_t k, s x);
            #[rust_name = "ask"] rpc r(in uint32 x);
        }"#,
    );
    assert_eq!(interface.name.rust.to_string(), "other");
    assert_eq!(interface.types[0].name.rust.to_string(), "Kind");
    let TypeKind::Enum(elements) = &interface.types[0].kind else { panic!("an enumeration") };
    assert_eq!(elements[0].name.rust.to_string(), "Yes");
    assert_eq!(elements[1].name.rust.to_string(), "No");
    let names: Vec<String> =
        interface.messages.iter().map(|message| message.name.rust.to_string()).collect();
    assert_eq!(names, ["send", "ask_call", "ask_response"]);
    assert_eq!(interface.messages[0].camel.to_string(), "Send");
    assert_eq!(interface.messages[1].name.idl, "r_call");
}

#[test]
fn doc_comments_stay_on_items_and_vanish_elsewhere() {
    let unit = compile(
        "/// The service.
         /** On two
          * lines. */
         interface /// nowhere
         t /** nor here */ {
             //// no doc
             /*** no doc */
             typedef enum { /// first
                 A, /// second
                 B } e;
             /// Says it.
             @a(b=c) /// Twice.
             message m(/// what
                 uint32 /// lost
                 x);
             /* /* nested */ */
             /// Asks.
             rpc r();
             /// At the end.
         };
         //! inner",
    );
    let interface = &unit.interfaces[0];
    assert_eq!(interface.docs, [" The service.", " On two", " lines."]);
    assert_eq!(interface.messages[0].docs, [" Says it.", " Twice."]);
    assert_eq!(interface.messages[0].args[0].docs, [" what"]);
    assert_eq!(interface.rpcs[0].docs, [" Asks."]);
}

#[test]
fn annotations_are_kept_for_both_halves_of_an_rpc() {
    let interface = interface(
        "interface ata {
            @ata(is_write=0, command=0xC8, dma_arg=buffer, dma_size=size2) @other()
            rpc read_dma(in uint32 size2, out uint8 buffer[len]);
         };",
    );
    for message in &interface.messages {
        assert_eq!(message.annotations.len(), 2);
        let params = &message.annotations[0].params;
        assert_eq!(params[1].1, AnnotationValue::Number(0xC8));
        assert_eq!(params[2].1, AnnotationValue::Ident("buffer".into()));
    }
}

#[test]
fn visibility_and_attributes_pass_through() {
    for unit in [
        compile("#[allow(dead_code)] #[rust_name = \"x\"] pub(crate) interface t { message m(); }"),
        compile_macro(
            "#[allow(dead_code)] #[rust_name = \"x\"] pub(crate) interface t { message m(); }",
        ),
    ] {
        let interface = &unit.interfaces[0];
        assert_eq!(interface.visibility.to_string().replace(' ', ""), "pub(crate)");
        assert_eq!(interface.attributes.len(), 1);
        assert_eq!(interface.attributes[0].to_string().replace(' ', ""), "#[allow(dead_code)]");
    }
    assert_eq!(interface("interface t { message m(); }").visibility.to_string(), "pub");
}

#[test]
fn several_interfaces_share_an_import() {
    let sources = MemorySources::new()
        .with("types.if", "import \"base.if\"; alias coreid uint8; typedef struct { id who; coreid on; } place_t;")
        .with("base.if", "typedef uint32 id;");
    let unit = compile_with(
        "import \"types.if\";
         interface a { message m(place_t p, coreid c); };
         interface b { import \"./types.if\"; typedef place_t mine; message m(mine p, id i); };",
        &sources,
    );
    let modules: Vec<&str> = unit.modules.iter().map(|module| module.name.idl.as_str()).collect();
    assert_eq!(modules, ["base", "types"], "each once, after what it needs");
    assert_eq!(unit.files.len(), 2);
    let place = |declared: &DeclaredIn| match declared {
        DeclaredIn::Here => "here".to_owned(),
        DeclaredIn::Module(path) => path.to_string().replace(' ', ""),
        DeclaredIn::Rust(_) => "rust".to_owned(),
        DeclaredIn::Use => "use".to_owned(),
    };
    let places = |types: &[flounder_idl::model::TypeDef]| {
        types
            .iter()
            .map(|def| format!("{}@{}", def.name.rust, place(&def.declared_in)))
            .collect::<Vec<_>>()
    };
    assert_eq!(places(&unit.modules[1].types), ["Id@super::base", "PlaceT@here"]);
    assert_eq!(places(&unit.interfaces[0].types), ["Id@super::base", "PlaceT@super::types"]);
    assert_eq!(
        places(&unit.interfaces[1].types),
        ["Id@super::base", "PlaceT@super::types", "Mine@here"]
    );
    assert_eq!(canonical(&unit.interfaces[0]), ["message m(p:{who:uint32,on:uint8},c:uint8)"]);
}

#[test]
fn imports_with_a_module_generate_nothing() {
    let sources = MemorySources::new()
        .with("types.if", "import \"base.if\"; typedef struct { id who; } place_t;")
        .with("base.if", "typedef uint32 id;");
    let cases = [
        ("crate::shared::types", "crate::shared::types", "crate::shared::base"),
        ("::lib::types", "::lib::types", "::lib::base"),
        ("types", "super::types", "super::base"),
        ("self::shared::types", "super::shared::types", "super::shared::base"),
        ("super::super::types", "super::super::super::types", "super::super::super::base"),
    ];
    for (written, types, base) in cases {
        let text =
            format!("import \"types.if\" as {written}; interface t {{ message m(place_t p); }};");
        let unit = compile_with(&text, &sources);
        assert!(unit.modules.is_empty());
        let paths: Vec<String> = unit.interfaces[0]
            .types
            .iter()
            .map(|def| match &def.declared_in {
                DeclaredIn::Module(path) => path.to_string().replace(' ', ""),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(paths, [base, types], "{written}");
    }
}

#[test]
fn modules_of_types_are_imports_written_inline() {
    let unit = compile_macro(
        "pub(crate) types common { typedef uint32 id; use crate::Pose as pose; }
         types more { typedef id ids[4]; };
         interface t { use super::Other<u8> as other; message m(ids a, pose p, other o, pose q); }",
    );
    assert_eq!(unit.modules.len(), 2);
    assert_eq!(unit.modules[0].visibility.to_string().replace(' ', ""), "pub(crate)");
    let message = &unit.interfaces[0].messages[0];
    assert_eq!(message.canonical, "message m(a:[uint32;4],p:extern#0,o:extern#1,q:extern#0)");
    assert_eq!(message.externs.len(), 2);
    let pose = &unit.interfaces[0].types[message.externs[0].0];
    assert!(
        matches!(&pose.declared_in, DeclaredIn::Rust(path) if path.segments.len() == 2),
        "{pose:?}"
    );
}

#[test]
fn imports_alone_are_a_unit() {
    let unit =
        compile_with("import \"a.if\";", &MemorySources::new().with("a.if", "typedef uint8 byte;"));
    assert_eq!((unit.modules.len(), unit.interfaces.len()), (1, 0));
}

#[test]
fn files_of_the_command_line_come_first_and_see_each_other() {
    let imports = [
        SourceFile::new("if/platform/x.if", "alias genpaddr uint64; alias iref uint32;"),
        SourceFile::new("if/types.if", "typedef struct { genpaddr base; iref who; } region;"),
    ];
    let main = SourceFile::new("t.if", "interface t { message m(region r, genpaddr p); };");
    let unit = compile_text(main, &imports, &MemorySources::new())
        .unwrap_or_else(|failure| panic!("\n{}", render::plain(&failure.diagnostics)));
    assert_eq!(unit.modules.len(), 2);
    assert_eq!(canonical(&unit.interfaces[0]), ["message m(r:{base:uint64,who:iref},p:uint64)"]);
}

fn with_imports(imports: &[SourceFile], main: &str) -> Unit {
    compile_text(SourceFile::new("t.if", main), imports, &MemorySources::new())
        .unwrap_or_else(|failure| panic!("\n{}", render::plain(&failure.diagnostics)))
}

fn module_names(unit: &Unit) -> Vec<&str> {
    unit.modules.iter().map(|module| module.name.idl.as_str()).collect()
}

#[test]
fn files_of_aliases_may_have_one_stem() {
    let platform = SourceFile::new("platform/x86_64.if", "alias genpaddr uint64;");
    let arch = SourceFile::new("arch/x86_64.if", "alias genvaddr uint64; alias genpaddr uint64;");
    let main = "interface t { message m(genpaddr p, genvaddr v); };";
    let unit = with_imports(&[platform.clone(), arch.clone()], main);
    assert_eq!(module_names(&unit), ["x86_64"]);
    assert_eq!(canonical(&unit.interfaces[0]), ["message m(p:uint64,v:uint64)"]);
    let sources = MemorySources::new()
        .with("platform/x86_64.if", platform.text())
        .with("arch/x86_64.if", arch.text());
    let imports = "import \"platform/x86_64.if\"; import \"arch/x86_64.if\";";
    let unit = compile_with(&format!("{imports} {main}"), &sources);
    assert_eq!(module_names(&unit), ["x86_64"]);
}

#[test]
fn the_module_of_a_stem_is_the_file_with_types() {
    let aliases = SourceFile::new("platform/x86_64.if", "alias genpaddr uint64;");
    let types = SourceFile::new("arch/x86_64.if", "typedef struct { genpaddr base; } region;");
    let main = "interface t { message m(region r, genpaddr p); };";
    let unit = with_imports(&[aliases.clone(), types], main);
    assert_eq!(module_names(&unit), ["x86_64"]);
    assert!(unit.modules[0].types.iter().any(|def| def.name.idl == "region"));
    // An interface may have the name of such a file, too.
    let unit = with_imports(&[aliases], "interface x86_64 { message m(genpaddr p); };");
    assert_eq!((unit.modules.len(), unit.interfaces.len()), (0, 1));
}

#[test]
fn an_interface_may_repeat_an_imported_alias() {
    let imports = [SourceFile::new("base.if", "alias coreid uint8; alias id int;")];
    let main = "interface t { alias coreid uint8; alias id int32; message m(coreid c, id i); };";
    let unit = with_imports(&imports, main);
    assert_eq!(canonical(&unit.interfaces[0]), ["message m(c:uint8,i:int32)"]);
}

#[test]
fn groups_without_delimiters_are_transparent() {
    use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
    let wrap = |text: &str| {
        TokenTree::from(Group::new(Delimiter::None, text.parse::<TokenStream>().expect("tokens")))
    };
    let mut tokens: TokenStream = "interface".parse().expect("tokens");
    tokens.extend([wrap("t"), wrap("{ message m(uint32 x[n, 3]); }")]);
    let unit = compile_tokens(tokens, &MemorySources::new()).expect("correct");
    assert_eq!(canonical(&unit.interfaces[0]), ["message m(x:uint32[;3])"]);
}

#[test]
fn the_corpus_compiles_and_prints_as_it_reads() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the corpus")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "if"))
        .collect();
    files.sort();
    assert!(files.len() >= 12, "{files:?}");
    let (mut interfaces, mut messages) = (0, 0);
    for path in files {
        let file = FileSources::open(&path).expect("readable");
        if path.file_name().is_some_and(|name| name == "types.if" || name == "platform.if") {
            continue;
        }
        let unit = compile_text(file.clone(), &[], &FileSources::new(&folder))
            .unwrap_or_else(|failure| panic!("{path:?}\n{}", render::plain(&failure.diagnostics)));
        interfaces += unit.interfaces.len();
        messages += unit.interfaces.iter().map(|interface| interface.messages.len()).sum::<usize>();

        let tree = flounder_idl::parse_text(file).expect("it compiled");
        let printed = flounder_idl::print::unit(&tree);
        let again = flounder_idl::parse_text(SourceFile::new(&path, printed.as_str()))
            .unwrap_or_else(|diagnostics| panic!("{printed}\n{}", render::plain(&diagnostics)));
        assert_eq!(again, tree, "{printed}");
    }
    assert!(interfaces >= 12 && messages >= 150, "{interfaces} interfaces, {messages} messages");
}

#[test]
fn files_are_found_beside_those_that_import_them() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let unit = compile_tokens(
        "import \"monitor.if\" ;".parse().expect("tokens"),
        &FileSources::new(&folder),
    );
    // An interface cannot be imported, but it was found.
    let failure = unit.expect_err("monitor.if declares an interface");
    assert!(render::plain(&failure.diagnostics).contains("monitor.if"));
    assert!(
        failure.salvage.files.iter().any(|path| path.ends_with("tests/corpus/types.if"))
            || failure.salvage.files.len() == 1
    );
}

#[test]
fn the_largest_shapes_of_the_original_fit() {
    let list = |count: usize, of: &dyn Fn(usize) -> String| {
        (0..count).map(of).collect::<Vec<_>>().join(", ")
    };
    let sixteen = list(16, &|number| format!("uint64 a{number}"));
    let seven = list(7, &|number| format!("cap c{number}"));
    let messages: String =
        (0..72).map(|number| format!("message m{number}(uint32 x, bool last); ")).collect();
    let interface = interface(&format!(
        "interface t {{
            message many({sixteen});
            message caps({seven}, string name[65536], uint8 data[n, 4096]);
            message none();
            {messages}
         }};"
    ));
    assert_eq!(interface.messages.len(), 75);
    assert_eq!(interface.messages[0].args.len(), 16);
    assert_eq!(interface.messages[1].args.len(), 9);
    assert_eq!(interface.messages[2].canonical, "message none()");
}

#[test]
fn the_limits_themselves_are_allowed() {
    let caps: String = (0..32).map(|number| format!("cap c{number}; ")).collect();
    let interface = interface(&format!(
        "interface t {{
            typedef uint8 most[65536];
            typedef uint8 least[1];
            typedef struct {{ {caps} }} caps;
            message m(most a, least b, string c[1], string d[16777216], uint64 e[n, 16777216], caps f, caps g);
         }};"
    ));
    assert_eq!(interface.messages[0].args[3].ty, Ty::String { max: 16_777_216 });
}

#[test]
fn a_thousand_messages_keep_their_order() {
    let messages: String =
        (0..1_000).map(|number| format!("rpc m{number}x(in uint32 a, out string b); ")).collect();
    let interface = interface(&format!("interface t {{ {messages} }};"));
    assert_eq!(interface.messages.len(), 2_000);
    for (index, rpc) in interface.rpcs.iter().enumerate() {
        assert_eq!((rpc.call, rpc.response), (2 * index, 2 * index + 1));
        assert_eq!(interface.messages[rpc.call].name.idl, format!("m{index}x_call"));
        assert_eq!(usize::from(interface.messages[rpc.response].number), 2 * index + 2);
    }
}

#[test]
fn printed_interfaces_look_like_this() {
    let text = "#[allow(dead_code)]
/// Says things.
pub(crate) interface t \"a \\\"thing\\\"\" {
    import \"types.if\" as crate::types;
    alias number uint32;
    typedef struct {
        /// Across.
        number x;
        string s[16];
    } point;
    typedef enum {
        A,
        B
    } e;
    typedef point points[4];
    @trace(level=200, arg=x)
    call m(point p, uint8 b[n], e all[k, 7]);
    rpc r(
        /// What.
        in string s,
        out number n
    );
};
";
    let tree = flounder_idl::parse_text(SourceFile::new("t.if", text)).expect("correct");
    let flounder_idl::ast::Item::Interface(interface) = &tree.items[0] else {
        panic!("an interface")
    };
    let printed = flounder_idl::print::interface(interface);
    let expected = text.replace(
        "#[allow(dead_code)]\n/// Says things.\n",
        "/// Says things.\n#[allow(dead_code)]\n",
    );
    assert_eq!(printed.replace("# [allow (dead_code)]", "#[allow(dead_code)]"), expected);
}
