//! The path under which generated code finds the runtime.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

/// Interpolates as `__rt`, which its imports make the name of the runtime's `__private` module.
#[derive(Debug, Clone)]
pub(crate) struct Rt {
    import: TokenStream,
}

impl Rt {
    /// For code in the scope that `krate` was written for.
    pub(crate) fn here(krate: &syn::Path) -> Self {
        Self { import: quote!(use #krate::__private as __rt;) }
    }

    /// For code in a module of that scope.
    pub(crate) fn in_module(krate: &syn::Path) -> Self {
        let first = krate.segments.first().map(|segment| segment.ident.to_string());
        match first.as_deref() {
            Some("self" | "super") => Self::here(&from_module(krate)),
            Some("crate" | "$crate") => Self::here(krate),
            _ => {
                let segments = &krate.segments;
                Self { import: quote!(use ::#segments::__private as __rt;) }
            }
        }
    }

    /// The item that gives the name its meaning.
    pub(crate) fn import(&self) -> &TokenStream {
        &self.import
    }
}

impl ToTokens for Rt {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(quote!(__rt));
    }
}

/// A path written for some scope, as seen from a module of that scope.
pub(crate) fn from_module(path: &syn::Path) -> syn::Path {
    let absolute =
        |segment: &syn::PathSegment| segment.ident == "crate" || segment.ident == "$crate";
    if path.leading_colon.is_some() || path.segments.first().is_some_and(absolute) {
        return path.clone();
    }
    let mut segments = path.segments.iter().peekable();
    segments.next_if(|segment| segment.ident == "self");
    let segments: Vec<_> = segments.collect();
    syn::parse_quote!(super #(::#segments)*)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_keep_their_meaning_one_level_down() {
        let seen =
            |path: syn::Path| from_module(&path).to_token_stream().to_string().replace(' ', "");
        assert_eq!(seen(syn::parse_quote!(::geometry::Pose)), "::geometry::Pose");
        assert_eq!(seen(syn::parse_quote!(crate::geometry::Pose)), "crate::geometry::Pose");
        assert_eq!(seen(syn::parse_quote!(Pose)), "super::Pose");
        assert_eq!(seen(syn::parse_quote!(self::a::Pose)), "super::a::Pose");
        assert_eq!(seen(syn::parse_quote!(super::a::Pose)), "super::super::a::Pose");
        let import = |path: syn::Path| Rt::in_module(&path).import.to_string().replace(' ', "");
        assert_eq!(import(syn::parse_quote!(::flounder)), "use::flounder::__privateas__rt;");
        assert_eq!(import(syn::parse_quote!(fl)), "use::fl::__privateas__rt;");
        assert_eq!(import(syn::parse_quote!(crate::fl)), "usecrate::fl::__privateas__rt;");
        assert_eq!(import(syn::parse_quote!(super)), "usesuper::super::__privateas__rt;");
    }
}
