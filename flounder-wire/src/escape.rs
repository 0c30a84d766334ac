//! Displays text that another process has sent, with escapes where a terminal could be misled.

use core::fmt::{self, Write};

/// Displays a value with everything escaped that a terminal would obey or a reader would not see.
///
/// The form `\u{202e}` is used for control and format characters, separators other than the space, private and unassigned
/// characters, marks that change the character before them, and characters that look like a space. The forms `\n`, `\t` and
/// `\\` are used as in Rust; since the backslash is escaped, no text looks like the escaped form of another. Names, interfaces and reasons that
/// come from a peer are shown in this form in every error, log and table.
///
/// ```
/// use flounder_wire::escape::Escaped;
///
/// assert_eq!(Escaped("\u{202e}gnp.exe\n").to_string(), "\\u{202e}gnp.exe\\n");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Escaped<T>(pub T);

impl<T: fmt::Display> fmt::Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| self.write_char(c))
    }

    fn write_char(&mut self, c: char) -> fmt::Result {
        match c {
            '\'' | '"' => self.0.write_char(c),
            _ if is_blank(c) => write!(self.0, "{}", c.escape_unicode()),
            _ => write!(self.0, "{}", c.escape_debug()),
        }
    }
}

/// Characters that look like a space although `escape_debug` takes them for printable.
const fn is_blank(c: char) -> bool {
    matches!(c, '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}')
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::{String, ToString};

    use super::*;

    fn shown(text: &str) -> String {
        Escaped(text).to_string()
    }

    #[test]
    fn printable_text_is_shown_as_it_is() {
        let text = "echo \"a\" 'b' {c} é ß 漢字 Ω 🐟";
        assert_eq!(shown(text), text);
    }

    #[test]
    fn what_is_not_printable_is_escaped() {
        let kinds = [
            '\0',
            '\u{1b}',
            '\u{7f}',
            '\u{9b}', // control
            '\u{ad}',
            '\u{200b}',
            '\u{200d}',
            '\u{202e}',
            '\u{2066}',
            '\u{feff}',
            '\u{e0041}', // format
            '\u{2028}',
            '\u{2029}',
            '\u{a0}',
            '\u{3000}', // separators
            '\u{e000}',
            '\u{10ffff}',
            '\u{378}', // private and unassigned
            '\u{301}',
            '\u{fe0f}',
            '\u{e0100}', // marks
            '\u{3164}',
            '\u{2800}', // blanks
        ];
        for c in kinds {
            let text = format!("a{c}b");
            let escape = format!("a{}b", c.escape_unicode());
            let shown = shown(&text);
            assert!(shown == escape || (c == '\0' && shown == "a\\0b"), "{shown}");
        }
        assert_eq!(shown("a\tb\nc\\d"), "a\\tb\\nc\\\\d");
    }
}
