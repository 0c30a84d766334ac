//! The report as text, Markdown or JSON.

use std::fmt::Write;

use serde::Serialize;

use crate::comparison::{Cell, Comparison, Figure};
use crate::load::loads;
use crate::machine::{Cores, Machine};
use crate::subject::{Candidate, Kind};

/// Lines of a README before and after the report.
const BEGIN: &str = "<!-- figures -->";
const END: &str = "<!-- /figures -->";

/// A comparison with its machine and settings.
pub(crate) struct Report<'a> {
    pub(crate) machine: Machine,
    pub(crate) cores: Cores,
    pub(crate) rounds: u32,
    pub(crate) candidates: &'a [Candidate],
    pub(crate) comparison: Comparison,
}

impl Report<'_> {
    /// Returns the report for a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n", self.preface());
        for kind in Kind::ALL {
            let rows = self.rows(kind);
            if rows.len() > 1 {
                let _ = write!(text, "\nBetween {}\n{}", kind.name(), grid(&rows, Style::Text));
            }
        }
        text + &self.notes("")
    }

    /// Returns the report for a README.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for kind in Kind::ALL {
            let mut rows = self.rows(kind);
            if rows.len() > 1 {
                rows[0][0] = format!("between {}", kind.name());
                text += &grid(&rows, Style::Markdown);
                text.push('\n');
            }
        }
        text + &self.preface() + "\n" + &self.notes("\n")
    }

    /// Returns a README with this report in it.
    pub(crate) fn put_into(&self, readme: &Readme) -> String {
        readme.with(&self.markdown())
    }

    /// Returns the report as JSON.
    ///
    /// # Errors
    /// None are known: the report has only numbers and strings.
    pub(crate) fn json(&self) -> serde_json::Result<String> {
        let rows = self.comparison.figures.iter().map(|(cell, figure)| {
            let candidate = &self.candidates[cell.candidate];
            JsonRow {
                name: candidate.name,
                between: candidate.kind.name(),
                pattern: cell.pattern.name(),
                size: cell.size,
                nanoseconds: figure.median,
                samples: figure.kept,
                disturbed: figure.doubtful,
            }
        });
        let failed = self.comparison.failed.iter().map(|(place, error)| JsonFailure {
            name: self.candidates[*place].name,
            between: self.candidates[*place].kind.name(),
            reason: error.to_string(),
        });
        serde_json::to_string_pretty(&Json {
            machine: &self.machine,
            cores: self.cores.to_string(),
            rounds: self.rounds,
            raw_line_nanoseconds: self.comparison.raw_line,
            samples: self.comparison.samples,
            samples_left_out: self.comparison.disturbed,
            figures: rows.collect(),
            failed: failed.collect(),
        })
    }

    /// Returns the machine, and the time of a bare cache line.
    fn preface(&self) -> String {
        let Comparison { raw_line, samples, disturbed, .. } = &self.comparison;
        format!(
            "Measured on {}; pinned to cores {}. A cache line alone goes there and back in {}. Medians of {} interleaved \
             rounds, without the samples during which something else had a core or the cores moved ({disturbed} of \
             {samples}). A round trip is one message there and one back; a stream is the time for each message one way.",
            self.machine,
            self.cores,
            time(*raw_line),
            self.rounds,
        )
    }

    /// Returns the notes about single rows.
    fn notes(&self, separator: &str) -> String {
        let mut text = String::new();
        if self.comparison.figures.values().any(|figure| figure.doubtful) {
            let _ = writeln!(text, "{separator}~ every sample was disturbed");
        }
        for (place, error) in &self.comparison.failed {
            let _ = writeln!(text, "{separator}not run: {}: {error}", self.candidates[*place].id());
        }
        text
    }

    fn rows(&self, kind: Kind) -> Vec<Vec<String>> {
        let heads = loads().map(|(pattern, size)| format!("{} {}", pattern.name(), bytes(size)));
        let mut rows = vec![[String::new()].into_iter().chain(heads).collect()];
        for (place, candidate) in self.candidates.iter().enumerate() {
            if candidate.kind != kind || self.comparison.failed.contains_key(&place) {
                continue;
            }
            let figures = loads().map(|(pattern, size)| {
                let cell = Cell { candidate: place, pattern, size };
                self.comparison.figures.get(&cell).map_or_else(|| "-".to_owned(), shown)
            });
            rows.push([candidate.name.to_owned()].into_iter().chain(figures).collect());
        }
        rows
    }
}

/// A README without the text between its marks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Readme {
    head: String,
    tail: String,
}

impl Readme {
    /// Finds the marks.
    ///
    /// # Errors
    /// Fails if there are none.
    pub(crate) fn new(text: &str) -> Result<Self, NoMarks> {
        let (head, rest) = text.split_once(BEGIN).ok_or(NoMarks)?;
        let (_, tail) = rest.split_once(END).ok_or(NoMarks)?;
        Ok(Self { head: head.to_owned(), tail: tail.to_owned() })
    }

    fn with(&self, figures: &str) -> String {
        format!("{}{BEGIN}\n{}\n{END}{}", self.head, figures.trim_end(), self.tail)
    }
}

/// Error for a README without the two marks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoMarks;

impl std::fmt::Display for NoMarks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "there is no line {BEGIN} with a line {END} behind it")
    }
}

impl std::error::Error for NoMarks {}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Text,
    Markdown,
}

/// Aligns columns: the first to the left, the others to the right.
fn grid(rows: &[Vec<String>], style: Style) -> String {
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..rows[0].len()).map(width).collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        let cells: Vec<_> = cells.collect();
        match style {
            Style::Text => text += cells.join("  ").trim_end(),
            Style::Markdown => {
                let _ = write!(text, "| {} |", cells.join(" | "));
                if number == 0 {
                    text += "\n|---|";
                    text += &"---:|".repeat(widths.len() - 1);
                }
            }
        }
        text.push('\n');
    }
    text
}

fn shown(figure: &Figure) -> String {
    format!("{}{}", if figure.doubtful { "~" } else { "" }, time(figure.median))
}

/// Formats nanoseconds with three digits.
fn time(nanos: f64) -> String {
    let (number, unit) = match nanos {
        n if n < 999.5 => (n, "ns"),
        n if n < 999_500.0 => (n / 1e3, "µs"),
        n => (n / 1e6, "ms"),
    };
    let digits = match number {
        n if n < 9.995 => 2,
        n if n < 99.95 => 1,
        _ => 0,
    };
    format!("{number:.digits$} {unit}")
}

fn bytes(size: usize) -> String {
    match size {
        size if size < 1 << 10 => format!("{size} B"),
        size if size < 1 << 20 => format!("{} KiB", size >> 10),
        size => format!("{} MiB", size >> 20),
    }
}

#[derive(Serialize)]
struct Json<'a> {
    machine: &'a Machine,
    cores: String,
    rounds: u32,
    raw_line_nanoseconds: f64,
    samples: usize,
    samples_left_out: usize,
    figures: Vec<JsonRow>,
    failed: Vec<JsonFailure>,
}

#[derive(Serialize)]
struct JsonRow {
    name: &'static str,
    between: &'static str,
    pattern: &'static str,
    size: usize,
    nanoseconds: f64,
    /// Undisturbed samples; none if all were disturbed.
    samples: usize,
    disturbed: bool,
}

#[derive(Serialize)]
struct JsonFailure {
    name: &'static str,
    between: &'static str,
    reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits() {
        let shown = [7.0, 18.04, 225.4, 999.6, 1_620.0, 90_040.0, 999_600.0].map(time);
        assert_eq!(
            shown,
            ["7.00 ns", "18.0 ns", "225 ns", "1.00 µs", "1.62 µs", "90.0 µs", "1.00 ms"]
        );
    }

    #[test]
    fn figures_replace_those_between_the_marks() {
        let before = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let after = Readme::new(&before).expect("both marks are there").with("new\n\n");
        assert_eq!(after, format!("a\n{BEGIN}\nnew\n{END}\nb\n"));
        assert_eq!(Readme::new(&after).map(|readme| readme.with("new")), Ok(after));
        for unmarked in ["", BEGIN, END, &format!("{END}{BEGIN}")] {
            assert_eq!(Readme::new(unmarked), Err(NoMarks));
        }
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [["", "8 B"], ["µs", "1"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(grid(&rows, Style::Text), "    8 B\nµs    1\n");
        assert_eq!(grid(&rows, Style::Markdown), "|    | 8 B |\n|---|---:|\n| µs |   1 |\n");
    }
}
