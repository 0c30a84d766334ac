//! The content of a runtime directory, as tables for people and as JSON for programs.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Args;
use comfy_table::{Table, presets::NOTHING};
use flounder::error::Escaped;
use flounder::limits::{Resource, UNLIMITED};
use flounder::monitor::snapshot::{self, Binding, Process, Snapshot};
use flounder::nameservice::Entry;
use serde::Serialize;

use crate::output;

#[derive(Args)]
pub(crate) struct Options {
    /// Runtime directory. Default: see `flounder monitor --help`.
    #[arg(long, value_name = "DIR")]
    runtime_dir: Option<PathBuf>,
    /// Print one JSON object: `runtime_dir`, `root`, `names`, `domains`, `bindings`, `accounts` (what a process, the `holder`,
    /// holds for another one, the `peer`, and its limits: `null` is none) and `unresponsive`, the
    /// processes that did
    /// not report their bindings. References and fingerprints are hexadecimal; `since` is in
    /// seconds after 1970 began.
    #[arg(long)]
    json: bool,
}

/// Prints the snapshot.
pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error + Send + Sync>> {
    let snapshot = snapshot::take(options.runtime_dir.as_deref())?;
    let report = Report::new(&snapshot);
    let text = match options.json {
        true => ascii(&serde_json::to_string_pretty(&report)?) + "\n",
        false => report.tables(SystemTime::now()),
    };
    Ok(output::print(&text)?)
}

#[derive(Serialize)]
struct Report {
    runtime_dir: String,
    root: ProcessRow,
    names: Vec<Name>,
    domains: Vec<ProcessRow>,
    bindings: Vec<Bound>,
    accounts: Vec<Account>,
    unresponsive: Vec<ProcessRow>,
}

#[derive(Serialize)]
struct Account {
    holder: ProcessRow,
    peer: ProcessRow,
    used: Amounts,
    limit: Amounts,
    limit_of_all: Amounts,
}

/// Amounts by name of the resource. `None` stands for no limit.
type Amounts = BTreeMap<String, Option<u64>>;

#[derive(Serialize, Clone, Copy)]
struct ProcessRow {
    pid: Option<u32>,
    uid: Option<u32>,
}

#[derive(Serialize)]
struct Name {
    name: String,
    iref: String,
    interface: String,
    fingerprint: String,
    pid: Option<u32>,
    uid: Option<u32>,
}

#[derive(Serialize)]
struct Bound {
    client: ProcessRow,
    /// `None` if the process has left.
    service: Option<ProcessRow>,
    iref: String,
    interface: String,
    driver: String,
    since: f64,
}

impl Report {
    fn new(snapshot: &Snapshot) -> Self {
        Self {
            runtime_dir: snapshot.directory.display().to_string(),
            root: ProcessRow::new(snapshot.root),
            names: snapshot.names.iter().map(Name::new).collect(),
            domains: snapshot.domains.iter().copied().map(ProcessRow::new).collect(),
            bindings: snapshot.bindings.iter().map(Bound::new).collect(),
            accounts: snapshot.accounts.iter().map(Account::new).collect(),
            unresponsive: snapshot.unresponsive.iter().copied().map(ProcessRow::new).collect(),
        }
    }

    fn tables(&self, now: SystemTime) -> String {
        let mut text = format!(
            "root monitor: process {}, in {}\nprocesses: {}, names: {}, bindings: {}\n",
            self.root,
            printable(&self.runtime_dir),
            self.domains.len(),
            self.names.len(),
            self.bindings.len()
        );
        let names = self.names.iter().map(|name| {
            let interface = printable(&name.interface);
            let (pid, uid) = (number(name.pid), number(name.uid));
            [
                printable(&name.name),
                name.iref.clone(),
                pid,
                uid,
                interface,
                name.fingerprint.clone(),
            ]
        });
        let head = ["name", "iref", "pid", "uid", "interface", "fingerprint"];
        text.push_str(&table(head, names));
        let bindings = self.bindings.iter().map(|bound| {
            let service = bound.service.map_or_else(|| "gone".to_owned(), |of| of.to_string());
            let since = SystemTime::UNIX_EPOCH + Duration::from_secs_f64(bound.since);
            let (interface, driver) = (printable(&bound.interface), printable(&bound.driver));
            let age = age(now.duration_since(since).unwrap_or_default());
            [bound.client.to_string(), service, bound.iref.clone(), interface, driver, age]
        });
        let head = ["client", "service", "iref", "interface", "driver", "for"];
        text.push_str(&table(head, bindings));
        let accounts = self.accounts.iter().flat_map(|account| {
            let Account { holder, peer, used, limit, .. } = account;
            let held = used.iter().filter(|(_, amount)| **amount != Some(0));
            held.map(move |(resource, amount)| {
                let limit = limit.get(resource).copied().flatten();
                let limit = limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
                let amount = amount.unwrap_or_default().to_string();
                [holder.to_string(), peer.to_string(), resource.replace('_', " "), amount, limit]
            })
        });
        let head = ["holder", "peer", "holds", "amount", "limit"];
        text.push_str(&table(head, accounts));
        if !self.unresponsive.is_empty() {
            let unresponsive: Vec<_> =
                self.unresponsive.iter().map(|process| number(process.pid)).collect();
            let unresponsive = unresponsive.join(", ");
            text.push_str(&format!(
                "\nunresponsive, without their bindings: processes {unresponsive}\n"
            ));
        }
        text
    }
}

impl Account {
    fn new(account: &snapshot::Account) -> Self {
        Self {
            holder: ProcessRow::new(account.holder),
            peer: ProcessRow::new(account.peer),
            used: amounts(account.used),
            limit: amounts(account.limit),
            limit_of_all: amounts(account.limit_of_all),
        }
    }
}

fn amounts(amounts: snapshot::Amounts) -> Amounts {
    let of = |resource: Resource| {
        let amount = Some(amounts.get(resource)).filter(|amount| *amount != UNLIMITED);
        (resource.name().replace(' ', "_"), amount)
    };
    Resource::ALL.into_iter().map(of).collect()
}

impl ProcessRow {
    fn new(process: Process) -> Self {
        Self { pid: process.pid, uid: process.uid }
    }
}

impl core::fmt::Display for ProcessRow {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} of user {}", number(self.pid), number(self.uid))
    }
}

impl Name {
    fn new(entry: &Entry) -> Self {
        Self {
            name: entry.name.clone(),
            iref: entry.iref.to_string(),
            interface: entry.interface.clone(),
            fingerprint: format!("{:032x}", entry.fingerprint),
            pid: entry.pid,
            uid: entry.uid,
        }
    }
}

impl Bound {
    fn new(binding: &Binding) -> Self {
        let since = binding.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            client: ProcessRow::new(binding.client),
            service: binding.service.map(ProcessRow::new),
            iref: binding.iref.to_string(),
            interface: binding.interface.clone(),
            driver: binding.driver.clone(),
            since: since.as_secs_f64(),
        }
    }
}

/// Returns aligned columns under their heads, after an empty line; nothing if there are no rows.
fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(head);
    table.add_rows(rows);
    if table.row_count() == 0 {
        return String::new();
    }
    let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    format!("\n{}\n", lines.join("\n"))
}

/// Returns `text` with control characters escaped: other processes choose these texts.
fn printable(text: &str) -> String {
    Escaped(text).to_string()
}

/// Escapes the characters of JSON that a terminal would interpret or not show. They occur in strings
/// only.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{20}'..='\u{7e}' | '\n' => text.push(c),
            c if printable(c.encode_utf8(&mut [0; 4])).starts_with(c) => text.push(c),
            c => {
                let units = c
                    .encode_utf16(&mut [0; 2])
                    .iter()
                    .map(|unit| format!("\\u{unit:04x}"))
                    .collect::<String>();
                text.push_str(&units);
            }
        }
    }
    text
}

/// Returns the id of a process or user, or a mark if it is unknown here.
fn number(number: Option<u32>) -> String {
    number.map_or_else(|| "unknown".to_owned(), |number| number.to_string())
}

/// Returns a duration in its largest unit.
fn age(age: Duration) -> String {
    match age.as_secs() {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3_600 => format!("{} min", s / 60),
        s @ 3_600..86_400 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("a\u{1b}[2Jb\n\u{9b}é"), "a\\u{1b}[2Jb\\n\\u{9b}é");
        assert_eq!(printable("\u{202e}a\u{200b}\u{feff}"), "\\u{202e}a\\u{200b}\\u{feff}");
    }

    #[test]
    fn json_is_printable_and_equal() {
        let name = "a\u{9b}\u{202e}\u{7f}\u{e0001}\"\\é\n";
        let json = ascii(&serde_json::to_string(name).expect("a string"));
        assert_eq!(json, r#""a\u009b\u202e\u007f\udb40\udc01\"\\é\n""#);
        assert_eq!(serde_json::from_str::<String>(&json).expect("it is JSON"), name);
    }

    #[test]
    fn ages_have_one_unit() {
        let ages = [0, 59, 60, 3_599, 3_600, 86_399, 86_400, 864_000];
        let told = ages.map(|seconds| age(Duration::from_secs(seconds)));
        assert_eq!(told, ["0 s", "59 s", "1 min", "59 min", "1 h", "23 h", "1 d", "10 d"]);
    }
}
