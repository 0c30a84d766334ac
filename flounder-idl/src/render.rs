//! Rendering of diagnostics.
//!
//! [`plain`] renders text with carets; [`views`] is for programs with a renderer of their own (a terminal, an editor);
//! [`Diagnostics::into_compile_error`] leaves the rendering to rustc.

use std::fmt::Write as _;
use std::path::Path;

use crate::diag::{Code, Diagnostics, Place};
use crate::source::SourceFile;

/// Maximum part of a source line that [`plain`] shows, in characters.
const WIDTH: usize = 120;

/// A diagnostic with its places looked up.
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// Kind of the mistake.
    pub code: Code,
    /// Message.
    pub message: &'a str,
    /// The place of the mistake, then related places.
    pub labels: Vec<Label<'a>>,
    /// Notes that explain the mistake.
    pub notes: &'a [String],
    /// Ways to fix the mistake.
    pub help: &'a [String],
}

/// A place with its label.
#[derive(Debug, Clone)]
pub struct Label<'a> {
    /// The file, when the place is in interface text.
    pub source: Option<&'a SourceFile>,
    /// Byte range in the file; empty for places in Rust source.
    pub range: std::ops::Range<usize>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Label; may be empty.
    pub text: &'a str,
}

/// Returns the diagnostics in order, with their places looked up.
pub fn views(diagnostics: &Diagnostics) -> impl Iterator<Item = View<'_>> {
    diagnostics.iter().map(|diagnostic| {
        let others =
            diagnostic.secondary.iter().map(|(place, text)| label(diagnostics, *place, text));
        let first = label(diagnostics, diagnostic.span, &diagnostic.label);
        View {
            code: diagnostic.code,
            message: &diagnostic.message,
            labels: std::iter::once(first).chain(others).collect(),
            notes: &diagnostic.notes,
            help: &diagnostic.help,
        }
    })
}

/// Renders the diagnostics as plain text with carets.
pub fn plain(diagnostics: &Diagnostics) -> String {
    let mut out = String::new();
    for view in views(diagnostics) {
        line(&mut out, format_args!("error[{}]: {}", view.code, view.message));
        for (index, label) in view.labels.iter().enumerate() {
            if index > 0 {
                line(&mut out, format_args!("note: {}", label.text));
            }
            snippet(&mut out, label, index == 0);
        }
        for note in view.notes {
            line(&mut out, format_args!("  = note: {note}"));
        }
        for help in view.help {
            line(&mut out, format_args!("  = help: {help}"));
        }
        out.push('\n');
    }
    if diagnostics.omitted() > 0 {
        line(&mut out, format_args!("{} more errors are not shown", diagnostics.omitted()));
    }
    out
}

fn label<'a>(diagnostics: &'a Diagnostics, place: Place, text: &'a str) -> Label<'a> {
    match place.text.and_then(|range| Some((range, diagnostics.source(range.source)?))) {
        Some((range, source)) => {
            let (line, column) = source.line_column(range.start);
            Label { source: Some(source), range: range.start..range.end, line, column, text }
        }
        None => {
            let start = place.span.start();
            Label { source: None, range: 0..0, line: start.line, column: start.column + 1, text }
        }
    }
}

fn snippet(out: &mut String, label: &Label<'_>, primary: bool) {
    let name = label.source.map_or(Path::new("<macro>"), SourceFile::path);
    line(out, format_args!("  --> {}:{}:{}", name.display(), label.line, label.column));
    let Some(source) = label.source else {
        if primary && !label.text.is_empty() {
            line(out, format_args!("  = {}", label.text));
        }
        return;
    };
    // Show a window around the token: a line may have any length and any characters.
    let skip = label.column.saturating_sub(1).saturating_sub(WIDTH / 2);
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    let shown: String =
        source.line(label.line).chars().skip(skip).take(WIDTH).map(printable).collect();
    let indent = label.column - 1 - skip;
    let length = source.text().get(label.range.clone()).map_or(1, |text| {
        let first_line = text.lines().next().unwrap_or("");
        first_line.chars().count().clamp(1, WIDTH.saturating_sub(indent).max(1))
    });
    let mark = if primary { "^" } else { "-" }.repeat(length);
    let says = if primary { label.text } else { "" };
    let gutter = label.line.to_string();
    line(out, format_args!("{:width$} |", "", width = gutter.len()));
    line(out, format_args!("{gutter} | {shown}"));
    line(out, format_args!("{:width$} | {:indent$}{mark} {says}", "", "", width = gutter.len()));
}

/// Appends a line without trailing spaces.
fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{text}");
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
}
