//! Module paths, relative to the scope of a macro call.

use proc_macro2::{Span, TokenStream};
use quote::quote;

use crate::ast::ModulePath;
use crate::{names, token};

/// A normalised module path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModPath {
    root: Root,
    segments: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Root {
    /// `::`
    Global,
    /// `crate`
    Crate,
    /// Number of `super` segments; 0 is `self`.
    Super(usize),
}

impl ModPath {
    /// Returns the path of the module `name` beside the interface modules.
    pub(crate) fn sibling(name: &str) -> Self {
        Self { root: Root::Super(0), segments: vec![name.to_owned()] }
    }

    /// Returns the path as written, or `None` if it names no module.
    pub(crate) fn new(path: &ModulePath) -> Option<Self> {
        let mut words = path.segments.iter().map(|name| name.text.as_str()).peekable();
        let root = match (path.global, words.peek().copied()) {
            (true, _) => Root::Global,
            (false, Some("crate")) => {
                words.next();
                Root::Crate
            }
            (false, _) => {
                let _ = words.next_if_eq(&"self");
                Root::Super(std::iter::from_fn(|| words.next_if_eq(&"super")).count())
            }
        };
        let segments: Vec<String> = words.map(str::to_owned).collect();
        let valid = !segments.is_empty() && segments.iter().all(|word| token::is_rust_name(word));
        valid.then_some(Self { root, segments })
    }

    /// Resolves `self`, written in the scope where the module `other` is generated.
    pub(crate) fn beside(&self, other: &ModPath) -> Self {
        let Root::Super(up) = self.root else { return self.clone() };
        let mut base = other.clone();
        for _ in 0..=up {
            if base.segments.pop().is_none()
                && let Root::Super(count) = &mut base.root
            {
                *count += 1;
            }
        }
        base.segments.extend(self.segments.iter().cloned());
        base
    }

    /// Returns the path relative to a module one level below the scope of the macro call.
    pub(crate) fn seen_below(&self) -> TokenStream {
        let segments = self.segments.iter().map(|name| names::ident(name, Span::call_site()));
        match self.root {
            Root::Global => quote! { #(::#segments)* },
            Root::Crate => quote! { crate #(::#segments)* },
            Root::Super(count) => {
                let supers = std::iter::repeat_n(quote! { super:: }, count + 1);
                quote! { #(#supers)* #(#segments)::* }
            }
        }
    }
}

/// Returns the name of the module for the file at `path`.
pub(crate) fn stem(path: &std::path::Path) -> Option<String> {
    let stem = path.file_stem()?.to_str()?;
    let mut name: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    token::is_rust_name(&name).then_some(name)
}
