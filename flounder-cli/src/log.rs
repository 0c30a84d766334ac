//! The log of `flounder monitor`: warnings and errors of the library, on standard error.
//!
//! Unlike the subscriber of `tracing-subscriber`, this one drops a line that cannot be written, so that the daemon does not end,
//! and escapes text of other processes.

use core::fmt::{self, Write as _};

use flounder::error::Escaped;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::output::tell;

/// Prints events up to a level.
struct Log(LevelFilter);

/// Prints warnings and errors from now on.
pub(crate) fn start() {
    // An error means that there is a subscriber already.
    let _ = tracing::subscriber::set_global_default(Log(LevelFilter::WARN));
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.0
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        tell(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// One event: its message, and its fields in parentheses.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a `String` does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => {
                let separator = if self.fields.is_empty() { "" } else { ", " };
                write!(self.fields, "{separator}{name}: {value:?}")
            }
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flounder: monitor: {}", Escaped(&self.message))?;
        if !self.fields.is_empty() {
            write!(f, " ({})", Escaped(&self.fields))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_has_message_and_fields_and_nothing_unprintable() {
        let mut line = Line::default();
        for (text, expected) in [("plain", "plain"), ("a\u{202e}b\n", "a\\u{202e}b\\n")] {
            line.message = text.to_owned();
            assert_eq!(line.to_string(), format!("flounder: monitor: {expected}"));
        }
        line.fields = "peer: process 7, name: \u{1b}[2J".to_owned();
        line.message = "it broke the protocol".to_owned();
        assert_eq!(
            line.to_string(),
            "flounder: monitor: it broke the protocol (peer: process 7, name: \\u{1b}[2J)"
        );
    }
}
