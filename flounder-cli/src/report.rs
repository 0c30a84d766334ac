//! Diagnostics for the terminal.

use flounder_idl::diag::Diagnostics;
use flounder_idl::render::{View, views};
use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report,
};
use std::io::IsTerminal;

/// Returns every diagnostic, with the lines at fault and carets under their tokens.
pub(crate) fn render(diagnostics: &Diagnostics) -> String {
    let theme = if std::io::stderr().is_terminal() {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::none()
    };
    let handler = GraphicalReportHandler::new_themed(theme);
    let mut out = String::new();
    for view in views(diagnostics) {
        let report = report(&view);
        if handler.render_report(&mut out, report.as_ref()).is_err() {
            // If the renderer cannot show the place, the message is shown without it.
            out.push_str(view.message);
        }
        out.push('\n');
    }
    let count = diagnostics.len() + diagnostics.omitted();
    out.push_str(&format!("{count} {}\n", if count == 1 { "error" } else { "errors" }));
    out
}

fn report(view: &View<'_>) -> Report {
    let first = view.labels.first().and_then(|label| label.source);
    let here = view.labels.iter().filter(|label| {
        label.source.map(|source| source.path()) == first.map(|source| source.path())
    });
    let labels = here.map(|label| {
        let text = (!label.text.is_empty()).then(|| label.text.to_owned());
        LabeledSpan::new(text, label.range.start, label.range.len())
    });
    let elsewhere = view.labels.iter().filter_map(|label| {
        let source = label
            .source
            .filter(|source| first.is_some_and(|first| first.path() != source.path()))?;
        Some(format!(
            "{} ({}:{}:{})",
            label.text,
            source.path().display(),
            label.line,
            label.column
        ))
    });
    let help: Vec<_> =
        view.notes.iter().cloned().chain(elsewhere).chain(view.help.iter().cloned()).collect();
    let mut diagnostic = MietteDiagnostic::new(view.message)
        .with_code(view.code.to_string())
        .with_labels(labels.collect::<Vec<_>>());
    if !help.is_empty() {
        diagnostic = diagnostic.with_help(help.join("\n"));
    }
    let report = Report::new(diagnostic);
    match first {
        Some(source) => report.with_source_code(NamedSource::new(
            source.path().display().to_string(),
            source.text().to_owned(),
        )),
        None => report,
    }
}
