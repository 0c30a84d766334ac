//! The report, as tables for people and as JSON for programs.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use serde::Serialize;

use crate::error::Result;
use crate::limits::Limit;
use crate::log::warn;
use crate::machine::{Cores, Machine};
use crate::memory::{Held, PerBinding};
use crate::plan::{MemorySubject, Subject};
use crate::sample::{Baseline, Figure, Series};
use crate::work::{Between, Size, Work};

/// Format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Tables,
    Json,
}

/// All figures, with the settings and the machine.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Version of flounder.
    version: &'static str,
    /// `release` or `debug`. Figures of a debug build mean nothing.
    build: &'static str,
    machine: Machine,
    settings: Settings,
    /// Raw ping-pong beside the samples in use.
    baseline: Baseline,
    /// Number of samples taken.
    taken: usize,
    /// Number of samples during which other work held a core.
    busy: usize,
    /// Measurements left out for lack of time.
    not_measured: Vec<String>,
    pub(crate) limits: Vec<LimitRow>,
    pub(crate) figures: Vec<Row>,
    memory: Vec<MemoryRow>,
}

/// The samples of all measurements.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Samples in the order of the plan.
    pub(crate) series: Vec<(Subject, Series)>,
    /// Measurements that were not begun, because they would have taken too long.
    pub(crate) too_long: Vec<Subject>,
}

/// Settings of a run.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Settings {
    pub(crate) cores: Cores,
    /// Number of samples of each measurement, unless the budget is used up.
    pub(crate) rounds: u32,
    /// Time budget of the run. A sample that has begun is completed.
    #[serde(skip)]
    pub(crate) budget: Duration,
    /// Operations that take longer are not measured.
    #[serde(skip)]
    pub(crate) longest: Duration,
    pub(crate) sample_microseconds: u64,
    /// Maximum number of bindings to open for the memory of one.
    pub(crate) bindings: u64,
    /// Time that a waitset polls before it blocks, in nanoseconds.
    pub(crate) spin_nanoseconds: u64,
    /// Size of a ring in bytes, also of raw ones.
    pub(crate) ring_bytes: usize,
    /// Buffer of the bindings in bytes, if not the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) buffer_bytes: Option<usize>,
}

/// Figure of a limit.
#[derive(Debug, Serialize)]
pub(crate) struct LimitRow {
    #[serde(skip)]
    limit: Limit,
    pub(crate) name: String,
    unit: &'static str,
    #[serde(flatten)]
    pub(crate) figure: Figure,
}

/// Figure of a driver.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    name: String,
    #[serde(skip)]
    pub(crate) kind: Work,
    work: &'static str,
    /// Length of a message in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
    pub(crate) driver: &'static str,
    between: String,
    #[serde(skip)]
    pub(crate) place: Between,
    unit: &'static str,
    #[serde(flatten)]
    pub(crate) figure: Figure,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_second: Option<f64>,
    /// Name of the limit, the fastest of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<String>,
    /// Median of the limit, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit_median: Option<f64>,
    /// Ratio of the figure to its limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    /// Name of the fastest way to do the same by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    floor: Option<String>,
    /// Ratio of the figure to the floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    floor_ratio: Option<f64>,
}

/// Memory and descriptors of a binding.
#[derive(Debug, Serialize)]
pub(crate) struct MemoryRow {
    name: String,
    driver: &'static str,
    between: String,
    buffer: String,
    #[serde(flatten)]
    held: PerBinding,
}

impl MemoryRow {
    pub(crate) fn new(subject: MemorySubject, held: PerBinding) -> Self {
        Self {
            name: subject.to_string(),
            driver: subject.driver,
            between: subject.between.to_string(),
            buffer: subject.buffer.to_string(),
            held,
        }
    }
}

impl Report {
    pub(crate) fn new(
        machine: Machine,
        settings: Settings,
        Measured { series, too_long }: &Measured,
        memory: Vec<MemoryRow>,
    ) -> Self {
        let baseline = Baseline::of(series.iter().map(|(_, series)| series));
        let taken = series.iter().map(|(_, series)| series.len()).sum();
        let busy = series.iter().map(|(_, series)| series.busy()).sum();
        let never = series.iter().filter(|(_, series)| series.len() == 0);
        let not_measured = too_long.iter().chain(never.map(|(subject, _)| subject));
        let not_measured = not_measured.map(ToString::to_string).collect();
        let (mut limits, mut figures) = (Vec::new(), Vec::new());
        // Limits come before the figures that are compared with them.
        for (subject, series) in series {
            let Some(figure) = series.figure(&baseline) else { continue };
            match *subject {
                Subject::Limit(limit) => {
                    let name = limit.to_string();
                    limits.push(LimitRow { limit, name, unit: UNIT, figure });
                }
                Subject::Figure { work, driver, between, .. } => {
                    let limit = fastest(&limits, &subject.limits());
                    let limit = limit.map(|row| (row.name.clone(), row.figure.median));
                    let limit = limit.or_else(|| few_clients(&figures, work, driver, between));
                    let limit_median = limit.as_ref().map(|(_, median)| *median);
                    let floor = fastest(&limits, &subject.floor());
                    let floor_median = floor.map(|row| row.figure.median);
                    figures.push(Row {
                        name: subject.to_string(),
                        kind: work,
                        work: work.name(),
                        size: work.size(),
                        driver,
                        between: between.to_string(),
                        place: between,
                        unit: UNIT,
                        bytes_per_second: rate(work, figure.median),
                        limit: limit.map(|(name, _)| name),
                        limit_median,
                        ratio: limit_median.map(|median| figure.median / median),
                        floor: floor.map(|row| row.name.clone()),
                        floor_ratio: floor_median.map(|median| figure.median / median),
                        figure,
                    });
                }
            }
        }
        let build = if cfg!(debug_assertions) { "debug" } else { "release" };
        let version = env!("CARGO_PKG_VERSION");
        Self {
            version,
            build,
            machine,
            settings,
            baseline,
            taken,
            busy,
            not_measured,
            limits,
            figures,
            memory,
        }
    }

    /// Returns warnings about the figures.
    fn warnings(&self) -> Vec<String> {
        let Self { taken, busy, not_measured, .. } = self;
        let mut warnings = Vec::new();
        if *busy as f64 > DISTURBED * *taken as f64 {
            warnings.push(format!(
                "other work held the cores: {busy} of {taken} samples were left out; figures are not to be trusted"
            ));
        }
        if !not_measured.is_empty() {
            let (first, others) = not_measured.split_at(not_measured.len().min(LISTED));
            let more = if others.is_empty() {
                String::new()
            } else {
                format!("; and {} more", others.len())
            };
            let names = first.join("; ");
            warnings.push(format!("not measured, it would have taken too long: {names}{more}"));
        }
        for row in &self.figures {
            if let (Some(ratio), Some(floor)) = (row.floor_ratio, &row.floor)
                && ratio < BELOW_FLOOR
            {
                warnings.push(format!(
                    "{} takes {ratio:.2} of {floor}: that way to do it by hand is no limit",
                    row.name
                ));
            }
        }
        warnings
    }

    /// Returns the report as text and writes its warnings to standard error.
    pub(crate) fn render(&self, form: Form) -> Result<String> {
        for warning in self.warnings() {
            warn(format_args!("flounder: bench: {warning}"));
        }
        let text = match form {
            Form::Json => serde_json::to_string_pretty(self)?,
            Form::Tables => self.tables(),
        };
        Ok(text + "\n")
    }

    /// Returns the machine in one line.
    pub(crate) fn headline(&self) -> String {
        let Machine { cpu, processors, kernel, governor, virtual_machine, date } = &self.machine;
        let guest = if *virtual_machine { ", a virtual machine" } else { "" };
        let governor = governor.as_ref().map_or(String::new(), |name| format!(", governor {name}"));
        let debug = if self.build == "debug" { ", DEBUG BUILD" } else { "" };
        format!(
            "{cpu}, {processors} processors{guest}, Linux {kernel}{governor}; flounder {}{debug}; {date}",
            self.version
        )
    }

    fn tables(&self) -> String {
        let Settings {
            cores,
            rounds,
            sample_microseconds,
            ring_bytes,
            buffer_bytes,
            spin_nanoseconds,
            ..
        } = self.settings;
        let mut text = format!(
            "{}\nclient on core {}, service on core {}; {rounds} samples of {sample_microseconds} us, in turn; \
             rings of {}, spinning for {}{}\n",
            self.headline(),
            cores.client.0,
            cores.service.0,
            Size(ring_bytes),
            time(spin_nanoseconds as f64),
            buffer_bytes.map_or(String::new(), |bytes| format!(
                "; bindings ask for buffers of {}",
                Size(bytes)
            )),
        );
        for warning in self.warnings() {
            text.push_str(&format!("WARNING: {warning}\n"));
        }
        if !self.limits.is_empty() {
            text.push_str(&self.baseline.to_string());
            text.push_str("medians are of batches, percentiles of operations timed one by one where there are any\n");
        }
        section(&mut text, "Limits", &["limit", "median", "p99", "samples"], &[0], {
            self.limits.iter().map(|row| {
                let Figure { median, p99, .. } = row.figure;
                vec![row.name.clone(), time(median), time(p99), samples(&row.figure)]
            })
        });
        for title in [THERE_AND_BACK, ONE_WAY, FAN_IN, SHARED, OTHER] {
            let rows = self.figures.iter().filter(|row| table_of(row.kind) == title);
            let header = [
                "what", "driver", "between", "median", "p99", "ratio", "to", "floor", "besides",
                "samples",
            ];
            section(&mut text, title, &header, &[0, 1, 2, 6, 8], rows.map(Row::cells));
        }
        let header = ["driver", "between", "buffer", "end", "private", "shared", "descriptors"];
        let rows = self.memory.iter().flat_map(MemoryRow::cells);
        let title = format!("Memory of an idle binding (of {})", self.settings.bindings);
        section(&mut text, &title, &header, &[0, 1, 2, 3], rows);
        let limits = self.limits.iter().map(|row| &row.figure);
        if limits.chain(self.figures.iter().map(|row| &row.figure)).any(|figure| figure.noisy) {
            text.push_str(
                "\n~ The machine was busy with other things: figures so marked had to be taken from samples that would \
                 have been left out.\n",
            );
        }
        text
    }
}

const UNIT: &str = "ns";

/// Ratio to the floor below which a figure is reported: less than any difference between two runs.
const BELOW_FLOOR: f64 = 0.95;

/// Number of measurements left out that are listed by name.
const LISTED: usize = 4;

/// Part of samples with other work on a core, above which the figures are not to be trusted.
const DISTURBED: f64 = 0.1;

const THERE_AND_BACK: &str = "There and back";
const ONE_WAY: &str = "One way";
const FAN_IN: &str = "Many clients of one service, 4 calls each; p99 of single calls";
const SHARED: &str = "Through a binding that threads share, which has a thread of its own";
const OTHER: &str = "Asleep, with capabilities, from nothing";

/// Returns the fastest of these limits.
fn fastest<'a>(rows: &'a [LimitRow], limits: &[Limit]) -> Option<&'a LimitRow> {
    let rows = rows.iter().filter(|row| limits.contains(&row.limit));
    rows.min_by(|one, other| one.figure.median.total_cmp(&other.figure.median))
}

/// Returns name and median of the row that work with many clients is compared with: that of a few, if it is measured.
fn few_clients(rows: &[Row], work: Work, driver: &str, between: Between) -> Option<(String, f64)> {
    let few = work.with_few_clients()?;
    let is_it = |row: &&Row| (row.kind, row.driver, row.place) == (few, driver, between);
    rows.iter().find(is_it).map(|row| (few.to_string(), row.figure.median))
}

/// Returns the table for one kind of work.
const fn table_of(work: Work) -> &'static str {
    match work {
        Work::RoundTrip(_) | Work::Blocking | Work::Rpc | Work::RpcAsync => THERE_AND_BACK,
        Work::Glance(_) | Work::FrameRoundTrip(_) => THERE_AND_BACK,
        Work::CopiedOut(_) | Work::CopiedOutInline(_) => THERE_AND_BACK,
        Work::Stream(_) | Work::Frames(_) | Work::FramesInline(_) | Work::Blob(_) => ONE_WAY,
        Work::Untouched(_) => ONE_WAY,
        Work::FanIn(_) => FAN_IN,
        Work::SharedRpc | Work::SharedTasks(_) => SHARED,
        Work::Wake | Work::Paced | Work::Cap | Work::Bind => OTHER,
    }
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let besides = match (&self.figure.cpu, self.bytes_per_second) {
            (Some(cpu), _) => format!(
                "processor: client {:.1} %, service {:.1} %",
                cpu.client * 100.0,
                cpu.service * 100.0
            ),
            (None, Some(rate)) => format!("{:.2} GB/s", rate / 1e9),
            (None, None) if matches!(self.kind, Work::FanIn(_)) => {
                format!("{:.0} calls a second", 1e9 / self.figure.median)
            }
            (None, None) => String::new(),
        };
        vec![
            self.kind.to_string(),
            self.driver.to_owned(),
            self.between.clone(),
            time(self.figure.median),
            time(self.figure.p99),
            self.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")),
            self.limit.clone().unwrap_or_default(),
            self.floor_ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")),
            besides,
            samples(&self.figure),
        ]
    }
}

impl MemoryRow {
    fn cells(&self) -> Vec<Vec<String>> {
        let row = |end: &str, held: &Held| {
            vec![
                self.driver.to_owned(),
                self.between.clone(),
                self.buffer.clone(),
                end.to_owned(),
                format!("{:.0} B", held.private_bytes),
                format!("{:.0} B", held.shared_bytes),
                format!("{:.2}", held.descriptors),
            ]
        };
        match &self.held.service {
            None => vec![row("both", &self.held.client)],
            Some(service) => vec![row("client", &self.held.client), row("service", service)],
        }
    }
}

/// Returns the throughput in bytes a second, for long messages.
fn rate(work: Work, nanoseconds: f64) -> Option<f64> {
    match work {
        Work::Stream(size) | Work::Frames(size) | Work::FramesInline(size) => {
            Some(size as f64 / nanoseconds * 1e9)
        }
        _ => None,
    }
}

/// Adds a table, unless it has no rows. Columns are aligned to the right, except those in `left`.
fn section(
    text: &mut String,
    title: &str,
    header: &[&str],
    left: &[usize],
    rows: impl Iterator<Item = Vec<String>>,
) {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(header.to_vec());
    table.add_rows(rows);
    if table.is_empty() {
        return;
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        if !left.contains(&at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    text.push_str(&format!("\n{title}\n\n{table}\n"));
}

/// Formats the number of samples, and how many were left out.
fn samples(figure: &Figure) -> String {
    match figure {
        Figure { noisy: true, samples, .. } => format!("~{samples}"),
        Figure { samples, left_out: 0, .. } => samples.to_string(),
        Figure { samples, left_out, .. } => format!("{samples} (-{left_out})"),
    }
}

/// Formats nanoseconds with three significant digits.
pub(crate) fn time(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        ns if ns < 999.5 => (ns, "ns"),
        ns if ns < 999_500.0 => (ns / 1e3, "us"),
        ns if ns < 999_500_000.0 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    match value {
        value if value < 9.995 => format!("{value:.2} {unit}"),
        value if value < 99.95 => format!("{value:.1} {unit}"),
        value => format!("{value:.0} {unit}"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::machine::Core;
    use crate::sample::{Guard, Sample};

    fn series(mean: f64) -> Series {
        let mut series = Series::default();
        series.add(
            Sample { batches: vec![mean], singles: vec![mean as u64], cpu: None },
            [Guard::Free(1.0); 2],
        );
        series
    }

    pub(crate) fn report() -> Report {
        let cores = Cores { client: Core(0), service: Core(1) };
        let settings = Settings {
            cores,
            rounds: 1,
            budget: Duration::ZERO,
            longest: Duration::ZERO,
            sample_microseconds: 1,
            bindings: 1,
            spin_nanoseconds: 20_000,
            ring_bytes: 65_536,
            buffer_bytes: None,
        };
        let figure = |work| Subject::Figure {
            work,
            driver: "ump",
            between: Between::Threads,
            one_core: false,
        };
        let series = vec![
            (Subject::Limit(Limit::Line), series(200.0)),
            (figure(Work::RoundTrip(8)), series(250.0)),
            (figure(Work::Stream(1 << 10)), series(100.0)),
            (figure(Work::FanIn(8)), series(300.0)),
            (figure(Work::FanIn(128)), series(600.0)),
        ];
        let measured = Measured { series, too_long: Vec::new() };
        Report::new(Machine::describe(cores), settings, &measured, Vec::new())
    }

    #[test]
    fn times_have_three_figures() {
        let cases = [
            (5.1234, "5.12 ns"),
            (225.4, "225 ns"),
            (999.6, "1.00 us"),
            (19_940.0, "19.9 us"),
            (1_000_000.0, "1.00 ms"),
            (2e9, "2.00 s"),
        ];
        for (nanoseconds, expected) in cases {
            assert_eq!(time(nanoseconds), expected);
        }
    }

    #[test]
    fn a_figure_is_divided_by_its_limit() {
        let report = report();
        assert_eq!(report.figures[0].ratio, Some(1.25));
        assert_eq!(report.figures[1].ratio, None);
        assert_eq!(report.figures[1].bytes_per_second, Some(1024.0 / 100.0 * 1e9));
    }

    #[test]
    fn many_clients_are_compared_with_few() {
        let report = report();
        assert_eq!(report.figures[2].ratio, None);
        assert_eq!(report.figures[3].ratio, Some(2.0));
        assert_eq!(report.figures[3].limit.as_deref(), Some("fan-in, 8 clients"));
    }

    #[test]
    fn a_figure_below_its_floor_is_reported() {
        let mut report = report();
        report.figures[0].floor_ratio = Some(0.5);
        let warnings = report.warnings();
        assert!(warnings[0].contains("round trip, 8 B takes 0.50 of raw line"), "{warnings:?}");
    }

    #[test]
    fn readers_are_warned_of_other_work_and_of_what_is_missing() {
        assert_eq!(report().warnings(), [""; 0]);
        let report = Report {
            taken: 100,
            busy: 11,
            not_measured: vec!["beehive, threads: one way, 1 MiB".into()],
            ..report()
        };
        let tables = report.tables();
        for words in [
            "other work held the cores: 11 of 100 samples were left out; figures are not to be trusted",
            "taken too long: beehive, threads: one way, 1 MiB",
        ] {
            assert!(tables.contains(words), "{words} is not in:\n{tables}");
        }
    }

    #[test]
    fn tables_say_what_json_says() {
        let report = report();
        let tables = report.tables();
        for words in ["raw line", "200 ns", "250 ns", "1.25", "10.24 GB/s", "Linux"] {
            assert!(tables.contains(words), "{words} is not in:\n{tables}");
        }
        let json = serde_json::to_value(&report).expect("it can be written");
        assert_eq!(json["figures"][0]["name"], "ump, threads: round trip, 8 B");
        assert_eq!(json["figures"][0]["median"], 250.0);
        assert_eq!(json["figures"][0]["ratio"], 1.25);
        assert_eq!(json["limits"][0]["unit"], "ns");
    }
}
