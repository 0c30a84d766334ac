//! Texts that are shortened to what a message has room for.

/// Returns the longest beginning of `text` that has at most `max` bytes and ends between two
/// characters.
pub(crate) fn prefix(text: &str, max: usize) -> &str {
    // `str::floor_char_boundary` needs Rust 1.91.
    let end = (0..=max.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::prefix;

    #[test]
    fn prefix_does_not_split_a_character() {
        assert_eq!(prefix("aé", 3), "aé");
        assert_eq!(prefix("aé", 2), "a");
        assert_eq!(prefix("é", 1), "");
        assert_eq!(prefix("ab", 2), "ab");
        assert_eq!(prefix("", 8), "");
    }
}
