//! From a configuration to files and instructions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flounder_codegen::Options;
use flounder_idl::source::FileSources;
use flounder_idl::{Failure, render};
use syn::parse::Parser;

use crate::cargo::{Cargo, Instruction};
use crate::imports::Imports;
use crate::{Config, Error};

/// Compiles all files. Adds to `instructions` what Cargo is to do, also for a file with mistakes.
pub(crate) fn run(
    config: &Config,
    cargo: &Cargo,
    instructions: &mut BTreeSet<Instruction>,
) -> Result<(), Error> {
    // Without any, Cargo would look at every file of the package.
    instructions.insert(Instruction::Watch(PathBuf::from("build.rs")));
    let options = Options { runtime: runtime(config)? };
    let folders = config.dependencies.iter().map(|links| cargo.exported_by(links));
    let imports = Imports::new(&cargo.package, folders.collect::<Result<_, _>>()?);
    export(config, cargo, instructions)?;
    let output = cargo.output.join("flounder");
    fs::create_dir_all(&output).map_err(failed(&output))?;
    for (name, file) in names(&config.files)? {
        let path = cargo.package.join(file);
        let code = compile(&path, &imports, &options, instructions)?;
        write(&output.join(format!("{name}.rs")), &code)?;
    }
    Ok(())
}

fn runtime(config: &Config) -> Result<syn::Path, Error> {
    let Some(path) = &config.runtime else { return Ok(Options::default().runtime) };
    let parsed = syn::Path::parse_mod_style.parse_str(path);
    parsed.map_err(|_| Error::Runtime { path: path.clone() })
}

/// Exports the folder, and has Cargo watch it.
fn export(
    config: &Config,
    cargo: &Cargo,
    instructions: &mut BTreeSet<Instruction>,
) -> Result<(), Error> {
    let Some(folder) = &config.exported else { return Ok(()) };
    if !cargo.has_links {
        return Err(Error::NoLinks);
    }
    let path = cargo.package.join(folder);
    let path = path.canonicalize().map_err(failed(&path))?;
    if !path.is_dir() {
        return Err(failed(&path)(io::ErrorKind::NotADirectory.into()));
    }
    let path = Instruction::path(&path)?;
    instructions.insert(Instruction::Export(path));
    Ok(())
}

/// Returns the files by the names by which they are included.
fn names(files: &[PathBuf]) -> Result<BTreeMap<&str, &Path>, Error> {
    let mut names = BTreeMap::new();
    for file in files {
        let name = file.file_stem().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Error::Path { path: file.to_owned() })?;
        if names.insert(name, file.as_path()).is_some() {
            return Err(Error::SameName { name: name.to_owned() });
        }
    }
    Ok(names)
}

/// Returns the code of an interface file.
fn compile(
    path: &Path,
    imports: &Imports,
    options: &Options,
    instructions: &mut BTreeSet<Instruction>,
) -> Result<String, Error> {
    instructions.insert(Instruction::Watch(Instruction::path(path)?));
    let file = FileSources::open(path).map_err(failed(path))?;
    let result = flounder_idl::compile_text(file, &[], imports);
    let read = match &result {
        Ok(unit) => &unit.files,
        Err(failure) => &failure.salvage.files,
    };
    for file in read {
        instructions.insert(Instruction::Watch(Instruction::path(file)?));
    }
    let unit = result.map_err(report)?;
    let tokens = flounder_codegen::unit(&unit, options);
    let file = syn::parse2(tokens).expect("the generator writes Rust that parses");
    Ok(prettyplease::unparse(&file))
}

fn report(failure: Failure) -> Error {
    let Failure { diagnostics, .. } = failure;
    let mistakes = diagnostics.len() + diagnostics.omitted();
    let report = render::plain(&diagnostics);
    Error::Interface { mistakes, report }
}

/// Writes a file unless it is the same.
fn write(path: &Path, code: &str) -> Result<(), Error> {
    if fs::read(path).is_ok_and(|old| old == code.as_bytes()) {
        return Ok(());
    }
    fs::write(path, code).map_err(failed(path))
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Error {
    move |error| Error::File { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::{Duration, SystemTime};

    use proc_macro2::{Delimiter, TokenStream, TokenTree};
    use tempfile::TempDir;

    use super::*;

    /// A package with a build script.
    struct Package {
        folder: TempDir,
        variables: HashMap<String, String>,
    }

    impl Package {
        fn new(files: &[(&str, &str)]) -> Self {
            let package =
                Self { folder: tempfile::tempdir().expect("a folder"), variables: HashMap::new() };
            for (name, text) in files {
                package.write(name, text);
            }
            let folder = package.path("");
            let output = package.path("out");
            package.with("CARGO_MANIFEST_DIR", &folder).with("OUT_DIR", &output)
        }

        fn with(mut self, variable: &str, value: &str) -> Self {
            self.variables.insert(variable.to_owned(), value.to_owned());
            self
        }

        fn path(&self, name: &str) -> String {
            let path = self.folder.path().join(name);
            path.to_str().expect("it is UTF-8").to_owned()
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.folder.path().join(name);
            let folder = path.parent().expect("it is in the package");
            fs::create_dir_all(folder).expect("the folder can be made");
            fs::write(path, text).expect("the file can be written");
        }

        fn run(&self, config: &Config) -> (Result<(), Error>, Vec<String>) {
            let variables = self.variables.iter().map(|(name, value)| (name.into(), value.into()));
            let mut instructions = BTreeSet::new();
            let cargo = Cargo::of(variables.collect()).expect("all variables are there");
            let result = run(config, &cargo, &mut instructions);
            (result, instructions.iter().map(ToString::to_string).collect())
        }

        fn generated(&self, name: &str) -> String {
            let path = self.folder.path().join("out/flounder").join(name);
            fs::read_to_string(path).expect("it is generated")
        }
    }

    const AREA: &str = "import \"shapes.if\" as ::shapes::shapes;\n\
                        interface area { rpc area(in rectangle r, out uint64 a); };\n";
    const NOTES: &str = "interface notes { message note(uint32 a); };\n";
    const SHAPES: &str = "typedef struct { uint32 width; uint32 height; } rectangle;\n";

    /// Returns the tokens one by one. Literals are their values: a doc comment is a raw string when it is read again.
    fn flat(tokens: TokenStream, into: &mut Vec<String>) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => {
                    let (open, close) = match group.delimiter() {
                        Delimiter::Parenthesis => ("(", ")"),
                        Delimiter::Brace => ("{", "}"),
                        Delimiter::Bracket => ("[", "]"),
                        Delimiter::None => ("", ""),
                    };
                    into.push(open.to_owned());
                    flat(group.stream(), into);
                    into.push(close.to_owned());
                }
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    let value = syn::parse_str::<syn::LitStr>(&text).map(|string| string.value());
                    into.push(value.unwrap_or(text));
                }
                other => into.push(other.to_string()),
            }
        }
    }

    /// Returns the tokens without what a formatter adds and removes: commas at the end of lists, and braces around the
    /// expression of an arm.
    fn plain(code: TokenStream) -> Vec<String> {
        let mut tokens = Vec::new();
        flat(code, &mut tokens);
        tokens.retain(|token| !matches!(token.as_str(), "," | "{" | "}" | ""));
        tokens
    }

    #[test]
    fn code_is_that_of_the_macro() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let files = ["tests/support/if/sketch.if", "flounder-monitor/src/if/monitor.if"];
        for file in files {
            let path = root.join(file);
            let package = Package::new(&[]);
            package.run(&Config::new().files([&path])).0.expect("the interface is correct");
            // As flounder-macros does.
            let source = FileSources::open(&path).expect("the file is there");
            let unit = flounder_idl::compile_text(source, &[], &FileSources::new(&root));
            let unit = unit.expect("the interface is correct");
            let tokens = flounder_codegen::unit(&unit, &Options::default());
            let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("it is UTF-8");
            let code = package.generated(&format!("{stem}.rs"));
            let expected = syn::parse2(tokens.clone()).expect("it is Rust");
            assert_eq!(code, prettyplease::unparse(&expected), "{file}");
            let code: TokenStream = code.parse().expect("it is Rust");
            assert_eq!(plain(code), plain(tokens), "{file}");
        }
    }

    #[test]
    fn mistake_has_the_place_that_the_macro_shows() {
        let package =
            Package::new(&[("if/wrong.if", "interface wrong {\n  message m(uint31 a);\n};\n")]);
        let (result, instructions) = package.run(&Config::new().files(["if/wrong.if"]));
        let Err(Error::Interface { mistakes: 1, report }) = result else {
            panic!("a mistake: {result:?}")
        };
        let path = package.path("if/wrong.if");
        assert!(report.contains(&format!("--> {path}:2:13\n")), "{report}");
        assert!(report.contains("2 |   message m(uint31 a);\n  |             ^^^^^^"), "{report}");
        let source = FileSources::open(&path).expect("the file is there");
        let failure = flounder_idl::compile_text(source, &[], &FileSources::new(""));
        let diagnostics = failure.expect_err("a mistake").diagnostics;
        let shown = diagnostics.into_compile_error().to_string();
        assert!(shown.contains(&format!("{path}:2:13")), "{shown}");
        assert!(instructions.contains(&format!("rerun-if-changed={path}")), "{instructions:?}");
        assert!(!Path::new(&package.path("out/flounder/wrong.rs")).exists());
    }

    #[test]
    fn imports_are_found_in_dependencies_and_watched() {
        let types =
            Package::new(&[("if/shapes.if", SHAPES)]).with("CARGO_MANIFEST_LINKS", "my-shapes");
        let (result, instructions) = types.run(&Config::new().export("if"));
        result.expect("the folder is there");
        let exported = types.folder.path().join("if").canonicalize().expect("the folder is there");
        let exported = exported.to_str().expect("it is UTF-8");
        assert!(
            instructions.contains(&format!("metadata=interfaces={exported}")),
            "{instructions:?}"
        );

        let service =
            Package::new(&[("if/area.if", AREA)]).with("DEP_MY_SHAPES_INTERFACES", exported);
        let config = Config::new().files(["if/area.if"]);
        let (result, _) = service.run(&config);
        assert!(matches!(result, Err(Error::Interface { .. })), "nothing names the folder");
        let (result, instructions) = service.run(&config.dependency("my-shapes"));
        result.expect("the import is found");
        let watched = [
            "rerun-if-changed=build.rs".to_owned(),
            format!("rerun-if-changed={}", service.path("if/area.if")),
            format!("rerun-if-changed={exported}/shapes.if"),
        ];
        assert_eq!(BTreeSet::from(watched), instructions.into_iter().collect());
        assert!(service.generated("area.rs").contains("::shapes::shapes"));
        // One beside the importing file comes first.
        service.write("if/shapes.if", "typedef uint31 rectangle;\n");
        let config = Config::new().files(["if/area.if"]).dependency("my-shapes");
        assert!(matches!(service.run(&config).0, Err(Error::Interface { .. })));
    }

    #[test]
    fn wrong_build_scripts_get_errors_that_say_what_to_do() {
        let package = Package::new(&[("a/x.if", NOTES), ("b/x.if", NOTES)]);
        let error = |config: Config| package.run(&config).0.expect_err("it is wrong").to_string();
        let files = |files: &[&str]| Config::new().files(files.iter().copied());
        assert!(error(files(&["a/x.if", "b/x.if"])).contains("two files are named `x`"));
        assert!(error(files(&["nowhere.if"])).contains("relative to the folder of the package"));
        assert!(error(files(&["/"])).contains("rename the file"));
        assert!(error(Config::new().dependency("shapes")).contains("in [dependencies]"));
        assert!(error(Config::new().export("a")).contains("add `links"));
        assert!(error(Config::new().runtime("a b")).contains("write `::name`"));
        let package = Package::new(&[("x.if", NOTES)]).with("CARGO_MANIFEST_LINKS", "x");
        let error = |config: Config| package.run(&config).0.expect_err("it is wrong").to_string();
        assert!(error(Config::new().export("nowhere")).contains("No such file"));
        assert!(error(Config::new().export("x.if")).contains("not a directory"));
        let missing = Cargo::of(HashMap::new()).expect_err("there is no package");
        assert!(missing.to_string().contains("call this in a build script"));
    }

    #[test]
    fn code_that_has_not_changed_is_not_written() {
        let package = Package::new(&[("x.if", NOTES)]);
        let config = Config::new().files(["x.if"]).runtime("::renamed");
        package.run(&config).0.expect("it is correct");
        assert!(package.generated("x.rs").contains("::renamed::__private"));
        let path = package.path("out/flounder/x.rs");
        let old = SystemTime::now() - Duration::from_secs(1000);
        let file = fs::File::options().write(true).open(&path).expect("the file is there");
        file.set_modified(old).expect("the time can be set");
        let written = || fs::metadata(&path).and_then(|it| it.modified()).expect("it has a time");
        let before = written();
        package.run(&config).0.expect("it is correct");
        assert_eq!(written(), before);
        package.write("x.if", &NOTES.replace("note(", "other("));
        package.run(&config).0.expect("it is correct");
        assert!(written() > before && package.generated("x.rs").contains("other"));
    }
}
