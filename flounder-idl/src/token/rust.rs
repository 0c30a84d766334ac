//! Tokens of a macro call.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};

use crate::diag::{Diagnostics, Place};

use super::{Kind, Token, Tokens, finish, number, push_docs, suffix, word};

/// Returns the tokens of a macro call.
pub(crate) fn from_stream(stream: TokenStream, diagnostics: &mut Diagnostics) -> Tokens {
    let mut list = Vec::new();
    let mut docs = Vec::new();
    // An explicit stack of groups: the input decides how deep they are nested.
    let mut stack =
        vec![(stream.into_iter().collect::<Vec<_>>().into_iter(), None::<(char, Span)>)];
    while let Some((trees, close)) = stack.last_mut() {
        let Some(tree) = trees.next() else {
            if let Some((c, span)) = *close {
                let docs = std::mem::take(&mut docs);
                list.push(Token {
                    kind: Kind::Close(c),
                    place: Place::of_span(span),
                    docs,
                    tree: None,
                });
            }
            stack.pop();
            continue;
        };
        if let Some(skip) = doc_attribute(&tree, trees.as_slice(), &mut docs) {
            trees.by_ref().take(skip).for_each(drop);
            continue;
        }
        let place = Place::of_span(tree.span());
        let (kind, place) = match &tree {
            TokenTree::Ident(ident) => {
                let text = ident.to_string();
                let name = text.strip_prefix("r#").unwrap_or(&text);
                (Kind::Ident(word(name, place, diagnostics)), place)
            }
            TokenTree::Punct(punct) => (Kind::Punct(punct.as_char()), place),
            TokenTree::Literal(literal) => (literal_kind(literal, place, diagnostics), place),
            TokenTree::Group(group) => {
                let inner = group.stream().into_iter().collect::<Vec<_>>().into_iter();
                let (open, close) = match group.delimiter() {
                    Delimiter::Brace => ('{', '}'),
                    Delimiter::Bracket => ('[', ']'),
                    Delimiter::Parenthesis => ('(', ')'),
                    // What `macro_rules!` wraps around a fragment is not there for us.
                    Delimiter::None => {
                        stack.push((inner, None));
                        continue;
                    }
                };
                stack.push((inner, Some((close, group.span_close()))));
                (Kind::Open(open), Place::of_span(group.span_open()))
            }
        };
        list.push(Token { kind, place, docs: std::mem::take(&mut docs), tree: Some(tree) });
    }
    finish(list, false, Place::of_span(Span::call_site()))
}

/// When `tree` begins `#[doc = ".."]` or `#![doc = ".."]`: how many trees follow that belong to it.
fn doc_attribute(tree: &TokenTree, rest: &[TokenTree], docs: &mut Vec<String>) -> Option<usize> {
    let is_punct =
        |tree: &TokenTree, c| matches!(tree, TokenTree::Punct(punct) if punct.as_char() == c);
    if !is_punct(tree, '#') {
        return None;
    }
    let inner = rest.first().is_some_and(|tree| is_punct(tree, '!'));
    let TokenTree::Group(group) = rest.get(usize::from(inner))? else { return None };
    let mut trees = group.stream().into_iter();
    let (Some(TokenTree::Ident(word)), Some(equals), Some(value)) =
        (trees.next(), trees.next(), trees.next())
    else {
        return None;
    };
    if word != "doc" || !is_punct(&equals, '=') || group.delimiter() != Delimiter::Bracket {
        return None;
    }
    let text: syn::LitStr = syn::parse2(value.into()).ok()?;
    if !inner {
        push_docs(docs, &text.value());
    }
    Some(1 + usize::from(inner))
}

fn literal_kind(
    literal: &proc_macro2::Literal,
    place: Place,
    diagnostics: &mut Diagnostics,
) -> Kind {
    let text = literal.to_string();
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return Kind::Int(number(&text, place, diagnostics));
    }
    match syn::parse2::<syn::LitStr>(TokenTree::from(literal.clone()).into()) {
        Ok(string) if !string.suffix().is_empty() => {
            diagnostics.push(suffix(place, string.suffix()));
            Kind::Str(string.value())
        }
        Ok(string) => Kind::Str(string.value()),
        Err(_) => Kind::Literal,
    }
}
