//! Loading of imports, and the modules that are generated from them.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use proc_macro2::Span;
use quote::quote;

use crate::ast::{self, Decl, Item};
use crate::diag::{Code, Diagnostic, Diagnostics, Place, TextRange};
use crate::model::{self, DeclaredIn, TypeModule};
use crate::source::{MAX_FILE_BYTES, SourceFile, Sources};
use crate::{names, parse, token};

use super::path::stem;
use super::{Interface, ModPath, Module, ModuleId, Resolved, Scope};

/// Maximum nesting depth of imports.
const MAX_IMPORT_DEPTH: usize = 64;

/// Maximum number of shared types and modules that are visible, summed over all interfaces and modules of a unit.
const MAX_VISIBLE: usize = 1_000_000;

/// Module number of the types that an interface declares itself.
pub(super) const OWN: ModuleId = ModuleId(usize::MAX);

/// Adds a file that no import names. Returns its index in the diagnostics, or `None` if the file is too large.
pub(crate) fn root_source(file: &Arc<SourceFile>, diagnostics: &mut Diagnostics) -> Option<usize> {
    let source = diagnostics.add_source(Arc::clone(file));
    if file.text().len() <= MAX_FILE_BYTES {
        return Some(source);
    }
    let text = Some(TextRange { source, start: 0, end: 0 });
    let place = Place { span: Span::call_site(), text };
    diagnostics.push(
        Diagnostic::new(
            Code::FileTooLarge,
            place,
            format!("a file of {} bytes", file.text().len()),
        )
        .help(format!("an interface file has at most {MAX_FILE_BYTES} bytes")),
    );
    None
}

/// Loads imports and resolves names.
pub(crate) struct Resolver<'a> {
    sources: &'a dyn Sources,
    pub(super) diagnostics: &'a mut Diagnostics,
    modules: Vec<Loaded>,
    by_key: HashMap<PathBuf, ModuleId>,
    /// Imports looked up so far, by the importer's key and the path as written; `None` if the lookup failed.
    by_path: HashMap<(Option<PathBuf>, String), Option<ModuleId>>,
    /// Modules being read, outermost first.
    loading: Vec<ModuleId>,
    /// Modules to generate, each after the modules that it refers to.
    generated: Vec<(ModuleId, Place)>,
    /// Files that were read.
    pub(crate) files: Vec<PathBuf>,
    /// Names reported as unknown so far, by interface or module.
    pub(super) unknown: HashSet<String>,
    /// Number of shared types and modules visible in all scopes so far.
    visible: usize,
    /// Number of suggestions that may still be searched for.
    pub(super) suggestions: u32,
}

/// A module that was read or is being read.
struct Loaded {
    name: model::Name,
    visibility: proc_macro2::TokenStream,
    scope: Scope,
    /// Imports without `as`: they are generated together with this module.
    needs: Vec<ModuleId>,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(sources: &'a dyn Sources, diagnostics: &'a mut Diagnostics) -> Self {
        let (modules, by_key, by_path, loading, generated, files, unknown) = Default::default();
        Self {
            sources,
            diagnostics,
            modules,
            by_key,
            by_path,
            loading,
            generated,
            files,
            unknown,
            visible: 0,
            suggestions: 100,
        }
    }

    /// Resolves a unit. `main` is its source text, `before` are the imports of the command line.
    pub(crate) fn unit<'u>(
        mut self,
        unit: &'u ast::Unit,
        main: Option<&SourceFile>,
        before: &[(Arc<SourceFile>, usize)],
    ) -> (Resolved<'u>, Vec<PathBuf>) {
        let mut scope = Scope::default();
        for (file, source) in before {
            let place = Place {
                span: Span::call_site(),
                text: Some(TextRange { source: *source, start: 0, end: 0 }),
            };
            let known = self.by_key.get(file.key()).copied();
            let module = known.or_else(|| self.read_module(file, *source, scope.clone(), place));
            self.enter(&mut scope, module, None, place);
        }
        let mut interfaces = Vec::new();
        for item in &unit.items {
            match item {
                Item::Import(import) => self.import(&mut scope, import, main),
                Item::Types(types) => self.types(&mut scope, types, main),
                Item::Interface(interface) => {
                    if !self.affordable(&scope, interface.name.place) {
                        break;
                    }
                    let mut inner = scope.clone();
                    inner.damaged |= interface.damaged;
                    self.declarations(&mut inner, OWN, &interface.body, main);
                    let messages = self.messages(&mut inner, &interface.body);
                    interfaces.push(Interface { ast: interface, scope: inner, messages });
                }
            }
        }
        let modules = std::mem::take(&mut self.generated);
        let mut modules =
            modules.into_iter().map(|(id, place)| self.finish(id, place)).collect::<Vec<_>>();
        drop_empty_duplicates(&mut modules, &interfaces);
        (Resolved { modules, interfaces }, self.files)
    }

    /// Counts the types and constants that are about to be copied from `scope`; reports a sum over the maximum.
    fn affordable(&mut self, scope: &Scope, place: Place) -> bool {
        let before = self.visible;
        self.visible += scope.types.len() + scope.constants.len() + scope.visible_modules.len();
        if before <= MAX_VISIBLE && self.visible > MAX_VISIBLE {
            self.diagnostics.push(
                Diagnostic::new(
                    Code::TooComplex,
                    place,
                    "too many interfaces or modules share too many types",
                )
                .help("split the unit, or the file of types"),
            );
        }
        self.visible <= MAX_VISIBLE
    }

    /// `import ..;` in `scope`.
    pub(super) fn import(
        &mut self,
        scope: &mut Scope,
        import: &ast::Import,
        importer: Option<&SourceFile>,
    ) {
        let path = match &import.module {
            None => None,
            Some(written) => match ModPath::new(written) {
                Some(path) => Some(path),
                None => {
                    let place = written.segments.last().map_or(import.place, |name| name.place);
                    self.diagnostics.push(
                        Diagnostic::new(Code::BadImportPath, place, "not the path of a module")
                            .help("name the module that holds the types: `import \"types.if\" as crate::types;`"),
                    );
                    scope.damaged = true;
                    return;
                }
            },
        };
        let module = self.find(import, importer);
        self.enter(scope, module, path, import.place);
    }

    /// Adds the types of a module to `scope`.
    fn enter(
        &mut self,
        scope: &mut Scope,
        module: Option<ModuleId>,
        path: Option<ModPath>,
        place: Place,
    ) {
        let Some(module) = module else {
            scope.damaged = true;
            return;
        };
        if path.is_none() {
            match self.loading.last() {
                None => self.generate(module, place),
                Some(&importer) => self.modules[importer.0].needs.push(module),
            }
        }
        let other = std::mem::take(&mut self.modules[module.0].scope);
        if self.affordable(&other, place) {
            let path =
                path.unwrap_or_else(|| ModPath::sibling(&plain(&self.modules[module.0].name)));
            scope.import(module, &other, &path, place, self.diagnostics);
        } else {
            scope.damaged = true;
        }
        self.modules[module.0].scope = other;
    }

    /// Returns the module that an import names. A path that has failed is not reported again.
    fn find(&mut self, import: &ast::Import, importer: Option<&SourceFile>) -> Option<ModuleId> {
        let written = (importer.map(|file| file.key().to_owned()), import.path.clone());
        let module = match self.by_path.get(&written) {
            Some(known) => *known,
            None => {
                let module = self.load(import, importer);
                self.by_path.insert(written, module);
                module
            }
        }?;
        let Some(start) = self.loading.iter().position(|&loading| loading == module) else {
            return Some(module);
        };
        let chain: Vec<String> = self.loading[start..]
            .iter()
            .map(|id| format!("`{}`", self.modules[id.0].name.idl))
            .collect();
        self.diagnostics.push(
            Diagnostic::new(
                Code::ImportCycle,
                import.place,
                format!("{:?} imports itself", import.path),
            )
            .note(format!("by way of {}", chain.join(", ")))
            .help("move the types that both need into a third file"),
        );
        None
    }

    /// Reads the file that an import names, unless an import with another path has read it.
    fn load(&mut self, import: &ast::Import, importer: Option<&SourceFile>) -> Option<ModuleId> {
        let failed = |reason: String| {
            Diagnostic::new(Code::ImportFailed, import.place, format!("cannot import {:?}: {reason}", import.path))
                .help("the path is relative to the file that imports it; of a macro call, to the folder of the package")
        };
        if self.loading.len() >= MAX_IMPORT_DEPTH {
            self.diagnostics
                .push(failed(format!("imports are nested more than {MAX_IMPORT_DEPTH} deep")));
            return None;
        }
        let file = match self.sources.read(importer, &import.path) {
            Ok(file) => Arc::new(file),
            Err(error) => {
                self.diagnostics.push(failed(error.to_string()));
                return None;
            }
        };
        if file.text().len() > MAX_FILE_BYTES {
            self.diagnostics.push(failed(format!("it is larger than {MAX_FILE_BYTES} bytes")));
            return None;
        }
        if let Some(&known) = self.by_key.get(file.key()) {
            return Some(known);
        }
        self.files.push(file.key().to_owned());
        let source = self.diagnostics.add_source(Arc::clone(&file));
        self.read_module(&file, source, Scope::default(), import.place)
    }

    /// Reads an import file; `scope` has the types that are visible in the file besides its own.
    fn read_module(
        &mut self,
        file: &SourceFile,
        source: usize,
        mut scope: Scope,
        place: Place,
    ) -> Option<ModuleId> {
        let Some(name) = stem(file.path()) else {
            self.diagnostics.push(
                Diagnostic::new(
                    Code::ImportFailed,
                    place,
                    format!("no module can be called as `{}`", file.path().display()),
                )
                .help("rename the file: its name becomes the name of a module"),
            );
            return None;
        };
        let tokens = token::from_text(source, file.text(), place.span, self.diagnostics);
        let (body, damaged) = parse::types_file(&tokens, Some(file.text()), self.diagnostics);
        let name = model::Name {
            idl: name.clone(),
            rust: names::ident(&name, place.span),
            span: place.span,
        };
        scope.damaged |= damaged;
        let module = self.module(
            name,
            quote! { pub },
            scope,
            &body,
            Some(file),
            Some(file.key().to_owned()),
        );
        Some(module)
    }

    /// `types name { .. }` in `scope`.
    fn types(&mut self, scope: &mut Scope, types: &ast::Types, main: Option<&SourceFile>) {
        if !self.affordable(scope, types.name.place) {
            scope.damaged = true;
            return;
        }
        let name = names::value(&types.name, &types.attrs);
        let visibility = names::visibility(&types.attrs);
        let module = self.module(name, visibility, scope.clone(), &types.body, main, None);
        self.enter(scope, Some(module), None, types.name.place);
    }

    fn module(
        &mut self,
        name: model::Name,
        visibility: proc_macro2::TokenStream,
        mut scope: Scope,
        body: &[Decl],
        file: Option<&SourceFile>,
        key: Option<PathBuf>,
    ) -> ModuleId {
        let id = ModuleId(self.modules.len());
        self.modules.push(Loaded { name, visibility, scope: Scope::default(), needs: Vec::new() });
        if let Some(key) = key {
            self.by_key.insert(key, id);
        }
        self.loading.push(id);
        self.declarations(&mut scope, id, body, file);
        self.loading.pop();
        self.modules[id.0].scope = scope;
        id
    }

    /// Adds a module to the generated ones, after the modules that it refers to.
    fn generate(&mut self, module: ModuleId, place: Place) {
        if self.generated.iter().any(|&(known, _)| known == module) {
            return;
        }
        // Recursion ends: cycles have been refused, and the depth of imports is bounded.
        for needed in self.modules[module.0].needs.clone() {
            self.generate(needed, place);
        }
        self.generated.push((module, place));
    }

    fn finish(&mut self, id: ModuleId, place: Place) -> Module {
        let loaded = &mut self.modules[id.0];
        let types = std::mem::take(&mut loaded.scope.types);
        let constants = std::mem::take(&mut loaded.scope.constants);
        let constants = constants.into_iter().map(|(_, constant)| constant).collect();
        debug_assert!(
            types.iter().all(
                |def| !matches!(&def.declared_in, DeclaredIn::Module(path) if path.is_empty())
            )
        );
        let model = TypeModule {
            name: loaded.name.clone(),
            visibility: loaded.visibility.clone(),
            types,
            constants,
        };
        Module { model, place }
    }
}

/// Removes modules without types and constants whose name another module or interface has. No code refers to them, and files with one
/// stem in several folders often declare aliases only.
fn drop_empty_duplicates(modules: &mut Vec<Module>, interfaces: &[Interface<'_>]) {
    let is_empty = |module: &Module| {
        let TypeModule { types, constants, .. } = &module.model;
        let mut places = types.iter().map(|def| &def.declared_in);
        places.all(|place| matches!(place, DeclaredIn::Module(_) | DeclaredIn::Use))
            && constants.iter().all(|it| matches!(it.declared_in, DeclaredIn::Module(_)))
    };
    let mut taken: HashSet<String> = interfaces
        .iter()
        .map(|interface| names::value_text(&interface.ast.name, &interface.ast.attrs).to_owned())
        .collect();
    let with_types = modules.iter().filter(|module| !is_empty(module));
    taken.extend(with_types.map(|module| plain(&module.model.name)));
    modules.retain(|module| !is_empty(module) || taken.insert(plain(&module.model.name)));
}

/// Returns the name of a module without `r#`.
fn plain(name: &model::Name) -> String {
    let text = name.rust.to_string();
    text.strip_prefix("r#").map_or(text.clone(), str::to_owned)
}
