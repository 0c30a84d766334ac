//! The root of the crate has few names, each module says what it is for, and nothing is hidden.

use std::path::{Path, PathBuf};

use syn::{Attribute, Item, UseTree, Visibility};

/// What a program of a user names. Everything else has a module.
const NAMES: [&str; 31] = [
    "Async",
    "BindError",
    "BindingError",
    "Call",
    "CallbackError",
    "Cap",
    "Control",
    "ControlError",
    "DispatchError",
    "Error",
    "Errval",
    "ExportError",
    "Exported",
    "FlounderMessage",
    "Inbox",
    "Iref",
    "Local",
    "Outcome",
    "Peer",
    "Priority",
    "RecvError",
    "Refusal",
    "Rejected",
    "RpcError",
    "Sent",
    "Shared",
    "SharedWaitset",
    "TxError",
    "Waitset",
    "flounder",
    "include_flounder",
];

const MODULES: [&str; 14] = [
    "__private",
    "binding",
    "bulk",
    "driver",
    "drivers",
    "error",
    "event",
    "limits",
    "message",
    "monitor",
    "nameservice",
    "policy",
    "service",
    "tokio",
];

#[test]
fn the_root_has_these_names_and_no_others() {
    let (mut names, mut modules) = (Vec::new(), Vec::new());
    for item in root().items {
        match item {
            Item::Use(item) if is_public(&item.vis) => leaves(&item.tree, &mut names),
            Item::Mod(item) if is_public(&item.vis) => modules.push(item.ident.to_string()),
            Item::Use(_) | Item::Mod(_) => {}
            // What the README has is compiled as documentation.
            Item::Struct(item) if !is_public(&item.vis) => {}
            _ => panic!("the root declares nothing itself"),
        }
    }
    modules.extend(names.extract_if(.., |name| MODULES.contains(&name.as_str())));
    names.sort();
    modules.sort();
    assert_eq!(names, NAMES);
    assert_eq!(modules, MODULES);
}

#[test]
fn modules_of_the_facade_have_a_first_sentence_and_an_example() {
    for item in root().items {
        let Item::Mod(module) = item else { continue };
        let name = module.ident.to_string();
        if name == "__private" || !is_public(&module.vis) {
            continue;
        }
        let attributes = match module.content {
            Some(_) => module.attrs,
            None => file(&format!("src/{name}.rs")).attrs,
        };
        let text = docs(&attributes);
        let first = text.lines().take_while(|line| !line.trim().is_empty()).last();
        assert!(first.is_some_and(|line| line.ends_with('.')), "{name} has no first sentence");
        assert!(text.contains("```"), "{name} has no example");
    }
}

/// What is not for users is private, or has a place of its own: `__private`, for generated code and tests.
#[test]
fn only_private_modules_and_macros_are_hidden_from_rustdoc() {
    let mut found = 0;
    for path in rust_files(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        let text = std::fs::read_to_string(&path).expect("a file of the workspace");
        let mut lines = text.lines().map(str::trim);
        while lines.any(|line| line == "#[doc(hidden)]") {
            let item = lines.find(|line| !line.starts_with("#["));
            let item = item.unwrap_or_else(|| panic!("{}: nothing is hidden", path.display()));
            let may_hide = ["pub mod __private", "macro_rules! __", "fn __"];
            let is_hidden = may_hide.iter().any(|start| item.starts_with(start));
            assert!(is_hidden, "{} hides `{item}`", path.display());
            found += 1;
        }
    }
    assert!(found >= 4, "only {found} attributes were found");
}

/// The sources of the crates, without those of tests.
fn rust_files(root: &Path) -> Vec<PathBuf> {
    let crates = std::fs::read_dir(root).expect("the workspace").flatten();
    let crates = crates.map(|entry| entry.path()).filter(|path| path.join("Cargo.toml").is_file());
    let mut folders: Vec<_> = crates.map(|path| path.join("src")).collect();
    folders.push(root.join("src"));
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files
}

fn root() -> syn::File {
    file("src/lib.rs")
}

fn file(path: &str) -> syn::File {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read_to_string(&path).expect("a file of the facade");
    syn::parse_file(&text).expect("Rust")
}

/// Appends the names that a `use` makes visible.
fn leaves(tree: &UseTree, names: &mut Vec<String>) {
    match tree {
        UseTree::Path(path) => leaves(&path.tree, names),
        UseTree::Name(name) => names.push(name.ident.to_string()),
        UseTree::Rename(name) => names.push(name.rename.to_string()),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, names)),
        _ => panic!("`*` is not a name"),
    }
}

/// Returns the documentation of an item, a line for each attribute.
fn docs(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(line), .. }) => {
                Some(line.value() + "\n")
            }
            _ => None,
        },
        _ => None,
    });
    lines.collect()
}

const fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}
