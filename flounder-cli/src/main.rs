//! The `flounder` command: checks interface files, shows the generated Rust, reads and writes messages, measures the drivers,
//! runs the root monitor, and lists what it knows.

#![forbid(unsafe_code)]

mod expand;
mod json;
mod log;
mod ls;
mod message;
mod monitor;
mod output;
mod ping;
mod report;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use flounder::error::Chain;
use flounder_idl::source::FileSources;
use flounder_idl::{Failure, SourceFile, Unit};

#[derive(Parser)]
#[command(
    name = "flounder",
    version,
    about = "Checks interface files, shows the Rust that they become, reads and writes messages, measures \
             the drivers, and runs and shows the root monitor"
)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Reports every mistake of an interface file; exit status 1 if there is one.
    Check(Input),
    /// Prints the Rust that `flounder!` generates from an interface file, formatted.
    Expand {
        #[command(flatten)]
        input: Input,
        /// Write to this file instead of standard output.
        #[arg(short, long, value_name = "OUT.rs")]
        output: Option<PathBuf>,
    },
    /// Prints the arguments of a message as JSON, from its words.
    Decode(message::Decode),
    /// Prints the words of a message, from its arguments as JSON.
    Encode(message::Encode),
    /// Measures the cost of messages over every driver on this machine, and the least cost that its hardware permits.
    #[cfg(feature = "bench")]
    Bench(flounder_bench::Options),
    /// Runs the root monitor as a daemon, in the foreground, until SIGINT or SIGTERM.
    ///
    /// Without a daemon, one of the processes that use a runtime directory is its root monitor. It hands over when a daemon
    /// starts, and a process takes over when the daemon ends. Bindings are not affected.
    Monitor(monitor::Options),
    /// Lists the names, processes and bindings of a runtime directory; exit status 1 if no monitor is running there.
    Ls(ls::Options),
    /// Asks a service for a sign of life, and prints how long it took; exit status 1 if it does not answer.
    ///
    /// The waitset of the service answers: a service that is stuck does not, though its process lives. The runtime directory is
    /// that of the environment, as for any program (see `flounder monitor --help`).
    Ping(ping::Options),
    /// Runs one of the other processes of `bench`.
    #[cfg(feature = "bench")]
    #[command(hide = true)]
    BenchProcess(flounder_bench::worker::Options),
}

#[derive(Args)]
struct Input {
    /// The interface file.
    #[arg(value_name = "FILE.if")]
    file: PathBuf,
    /// A file of types for the files after it; may be given several times.
    #[arg(short, long = "import", value_name = "TYPES.if")]
    import: Vec<PathBuf>,
}

/// Reason why the command ends early.
enum Stop {
    /// The interface has mistakes.
    Wrong(Failure),
    /// A file cannot be read or written.
    File(PathBuf, io::Error),
    /// A command failed: its name and the error.
    Failed(&'static str, Box<dyn std::error::Error + Send + Sync>),
}

fn main() -> ExitCode {
    let stop = match Options::parse().command {
        Command::Check(input) => compile(&input).map(drop),
        Command::Expand { input, output } => {
            compile(&input).and_then(|unit| write(output.as_deref(), &expand::formatted(&unit)))
        }
        Command::Decode(options) => compile(&options.which.input).and_then(|unit| {
            let text = message::decode(&unit, &options).map_err(failed("decode"))?;
            write(None, &text)
        }),
        Command::Encode(options) => compile(&options.which.input).and_then(|unit| {
            let text = message::encode(&unit, &options).map_err(failed("encode"))?;
            write(None, &text)
        }),
        #[cfg(feature = "bench")]
        Command::Bench(options) => flounder_bench::run(&options)
            .and_then(|report| Ok(output::print(&report)?))
            .map_err(failed("bench")),
        #[cfg(feature = "bench")]
        Command::BenchProcess(options) => {
            flounder_bench::worker::run(options).map_err(failed("bench"))
        }
        Command::Monitor(options) => {
            monitor::run(options).map_err(failed("monitor")).map(|never| match never {})
        }
        Command::Ls(options) => ls::run(&options).map_err(failed("ls")),
        Command::Ping(options) => ping::run(&options).map_err(failed("ping")),
    };
    match stop {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Wrong(failure)) => {
            output::tell(report::render(&failure.diagnostics).trim_end_matches('\n'));
            failure.diagnostics.discard();
            ExitCode::FAILURE
        }
        Err(Stop::File(path, error)) => {
            output::tell(format_args!("flounder: {}: {error}", path.display()));
            ExitCode::FAILURE
        }
        Err(Stop::Failed(command, error)) => {
            output::tell(format_args!("flounder: {command}: {}", Chain(&*error)));
            ExitCode::FAILURE
        }
    }
}

fn failed<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    command: &'static str,
) -> impl Fn(E) -> Stop {
    move |error| Stop::Failed(command, error.into())
}

fn compile(input: &Input) -> Result<Unit, Stop> {
    let imports: Vec<_> = input.import.iter().map(|path| open(path)).collect::<Result<_, _>>()?;
    let main = open(&input.file)?;
    // Imports are found beside the file that names them. A file without a folder is in the current one.
    flounder_idl::compile_text(main, &imports, &FileSources::new("")).map_err(Stop::Wrong)
}

fn open(path: &Path) -> Result<SourceFile, Stop> {
    FileSources::open(path).map_err(|error| Stop::File(path.to_owned(), error))
}

/// Writes the whole text, or leaves the file unchanged.
fn write(output: Option<&Path>, text: &str) -> Result<(), Stop> {
    let Some(path) = output else {
        return output::print(text).map_err(|error| Stop::File("standard output".into(), error));
    };
    let failed = |error| Stop::File(path.to_owned(), error);
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.persist(path).map(drop).map_err(|error| failed(error.error))
}
