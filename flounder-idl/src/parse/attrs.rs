//! Parsing of doc comments, attributes and visibilities.

use proc_macro2::TokenStream;
use quote::quote;

use crate::ast::{Attrs, Name, Tokens};
use crate::diag::{Code, Diagnostic};
use crate::token::{self, Kind, Token};

use super::Parser;

impl Parser<'_> {
    pub(super) fn attrs(&mut self, outside: bool) -> Attrs {
        let mut attrs = Attrs::default();
        loop {
            attrs.docs.extend(self.token().docs.iter().cloned());
            if *self.kind() == Kind::Punct('#') && *self.kind_after(1) == Kind::Open('[') {
                self.attribute(&mut attrs, outside);
            } else if self.word() == Some("pub") && self.is_visibility(outside) {
                let visibility = self.visibility();
                if outside {
                    attrs.visibility = Some(visibility);
                } else {
                    self.report(
                        Diagnostic::new(
                            Code::BadVisibility,
                            visibility.place,
                            "a visibility inside of an interface",
                        )
                        .help("remove it: everything in an interface is public in its module"),
                    );
                }
            } else {
                return attrs;
            }
        }
    }

    /// Returns true if `pub` is a visibility here, not the name of a type or an element.
    fn is_visibility(&self, outside: bool) -> bool {
        match self.kind_after(1) {
            Kind::Open('(') => true,
            // `pub @symmetric interface`
            Kind::Punct('@') => outside,
            Kind::Ident(_) => outside || matches!(self.kind_after(2), Kind::Ident(_)),
            _ => false,
        }
    }

    fn visibility(&mut self) -> Tokens {
        let start = self.at;
        let place = self.next().place;
        if *self.kind() == Kind::Open('(') {
            self.next();
            self.skip_to(&[Kind::Close(')')]);
            self.eat(&Kind::Close(')'));
        }
        let written = token::rust_between(&self.tokens[start..self.at], self.text);
        match written.and_then(|written| syn::parse2::<syn::Visibility>(written).ok()) {
            Some(visibility) => Tokens { stream: quote! { #visibility }, place },
            None => {
                self.report(
                    Diagnostic::new(Code::BadVisibility, place, "not a visibility of Rust")
                        .help("write `pub`, `pub(crate)` or `pub(super)`"),
                );
                Tokens { stream: quote! { pub }, place }
            }
        }
    }

    fn attribute(&mut self, attrs: &mut Attrs, outside: bool) {
        let start = self.at;
        self.next();
        let place = self.next().place;
        let inner = self.at;
        self.skip_to(&[Kind::Close(']')]);
        let content = &self.tokens[inner..self.at];
        self.eat(&Kind::Close(']'));
        let at = content.first().map_or(place, |token| token.place);
        if matches!(content.first(), Some(token) if token.kind == Kind::Ident("rust_name".into())) {
            return match content {
                [_, equals, Token { kind: Kind::Str(name), place, .. }]
                    if equals.kind == Kind::Punct('=') =>
                {
                    self.rust_name(attrs, Name { text: name.clone(), place: *place });
                }
                _ => {
                    self.report(
                        Diagnostic::new(Code::BadAttribute, at, "a malformed `rust_name`")
                            .help("write `#[rust_name = \"name\"]`"),
                    );
                }
            };
        }
        if !outside {
            self.report(
                Diagnostic::new(Code::BadAttribute, at, "an attribute inside of an interface")
                    .help("only doc comments and `#[rust_name = \"..\"]` can stand here"),
            );
            return;
        }
        let stream =
            token::rust_between(&self.tokens[start..self.at], self.text).filter(is_attribute);
        match stream {
            Some(stream) => attrs.others.push(Tokens { stream, place: at }),
            None => {
                self.report(
                    Diagnostic::new(Code::BadAttribute, at, "not an attribute of Rust")
                        .help("an attribute is `#[path]`, `#[path(..)]` or `#[path = ..]`"),
                );
            }
        }
    }

    fn rust_name(&mut self, attrs: &mut Attrs, name: Name) {
        if let Some(first) = &attrs.rust_name {
            let first = first.place;
            self.report(
                Diagnostic::new(Code::BadAttribute, name.place, "a second `rust_name`")
                    .also(first, "the first one")
                    .help("keep one of them"),
            );
        } else if !token::is_rust_name(&name.text) || name.text.starts_with("__") {
            self.report(
                Diagnostic::new(Code::BadRustName, name.place, "`rust_name` wants an identifier of Rust")
                    .help("use ASCII letters, digits and `_`; names that start with `__` belong to generated code"),
            );
        } else {
            attrs.rust_name = Some(name);
        }
    }

    /// Reports attributes on a declaration without generated code. Doc comments are ignored there.
    pub(super) fn no_attrs(&mut self, attrs: &Attrs, what: &str) {
        let tokens = attrs.others.iter().chain(&attrs.visibility).map(|tokens| tokens.place);
        for place in tokens.chain(attrs.rust_name.iter().map(|name| name.place)) {
            self.report(
                Diagnostic::new(Code::BadAttribute, place, format!("{what} has no attributes"))
                    .help("remove it: nothing of that name is generated"),
            );
        }
    }
}

fn is_attribute(stream: &TokenStream) -> bool {
    syn::parse::Parser::parse2(syn::Attribute::parse_outer, stream.clone())
        .is_ok_and(|list| list.len() == 1)
}
