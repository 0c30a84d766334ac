//! Messages of an interface file: words to JSON, and JSON to words.

use std::fmt::Write;

use clap::Args;
use flounder::message::schema::Schema;
use flounder_idl::Unit;
use flounder_idl::model::{Interface, Message};

use crate::{Input, json};

/// Error of either command.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// Which message of which interface.
#[derive(Args)]
pub(crate) struct Which {
    #[command(flatten)]
    pub(crate) input: Input,
    /// The message: `NAME`, or `INTERFACE.NAME` if the file has several. The two messages of an rpc are `NAME_call` and
    /// `NAME_response`.
    #[arg(short, long, value_name = "NAME")]
    message: String,
}

/// Options of `flounder decode`.
#[derive(Args)]
pub(crate) struct Decode {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Number of capabilities of the message.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    caps: usize,
    /// The words of the message, in hexadecimal digits.
    #[arg(value_name = "WORD")]
    words: Vec<String>,
}

/// Options of `flounder encode`.
#[derive(Args)]
pub(crate) struct Encode {
    #[command(flatten)]
    pub(crate) which: Which,
    /// The arguments of the message, as an object.
    #[arg(value_name = "JSON")]
    json: String,
}

/// Returns the arguments of a message as JSON.
pub(crate) fn decode(unit: &Unit, options: &Decode) -> Result<String, Error> {
    let schema = options.which.schema(unit)?;
    let word = |text: &String| {
        let digits = text.trim_start_matches("0x");
        u64::from_str_radix(digits, 16)
            .map_err(|_| format!("`{text}` is no word: write hexadecimal digits, at most 16"))
    };
    let words = options.words.iter().map(word).collect::<Result<Vec<_>, _>>()?;
    let value = schema.decode(&words, options.caps)?;
    Ok(format!("{:#}\n", json::from_message(&schema, &value)))
}

/// Returns the words of a message, one in a line.
pub(crate) fn encode(unit: &Unit, options: &Encode) -> Result<String, Error> {
    let schema = options.which.schema(unit)?;
    let value = json::to_message(&schema, &serde_json::from_str(&options.json)?)?;
    let mut text = String::new();
    for word in schema.encode(&value)? {
        writeln!(text, "{word:016x}")?;
    }
    Ok(text)
}

impl Which {
    fn schema(&self, unit: &Unit) -> Result<Schema, Error> {
        let message = self.message(unit)?;
        if !message.externs.is_empty() {
            return Err("a type from Rust has no form in an interface file".into());
        }
        Ok(Schema::message(&message.canonical, &[])?)
    }

    fn message<'a>(&self, unit: &'a Unit) -> Result<&'a Message, Error> {
        let name = |interface: &Interface, message: &Message| {
            self.message == message.name.idl
                || self.message == format!("{}.{}", interface.name.idl, message.name.idl)
        };
        let all = || {
            unit.interfaces.iter().flat_map(|interface| {
                interface.messages.iter().map(move |message| (interface, message))
            })
        };
        let mut found = all().filter(|(interface, message)| name(interface, message));
        match (found.next(), found.next()) {
            (Some((_, message)), None) => Ok(message),
            (Some(_), Some(_)) => Err(format!(
                "several interfaces have a message `{}`: write INTERFACE.NAME",
                self.message
            )
            .into()),
            (None, _) => {
                let names: Vec<_> = all()
                    .map(|(interface, message)| {
                        format!("{}.{}", interface.name.idl, message.name.idl)
                    })
                    .collect();
                Err(format!(
                    "there is no message `{}`; there are {}",
                    self.message,
                    names.join(", ")
                )
                .into())
            }
        }
    }
}
