//! Suggestions for misspelled names.

use super::scope::{BUILTIN_NAMES, Scope};

/// Number of declared names that are compared.
const MAX_CANDIDATES: usize = 2_000;

/// Longest name that is compared, in bytes: the comparison takes time in the square of it.
const MAX_LENGTH: usize = 64;

/// Returns the name of a type that is most like `name`, if one is like it.
pub(super) fn similar(name: &str, scope: &Scope) -> Option<String> {
    let most = (name.len() / 3).clamp(1, 3);
    let declared = scope.order.iter().map(String::as_str).take(MAX_CANDIDATES);
    let candidates = BUILTIN_NAMES.iter().copied().chain(declared);
    let scored = candidates.filter_map(|known| Some((distance(name, known, most)?, known)));
    scored.min_by_key(|(score, _)| *score).map(|(_, known)| known.to_owned())
}

/// Number of letters to change, add, remove, or swap with their neighbour, if it is at most `most`. Case does not count.
fn distance(a: &str, b: &str, most: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > most || a.len().max(b.len()) > MAX_LENGTH {
        return None;
    }
    let score = strsim::osa_distance(&a.to_ascii_lowercase(), &b.to_ascii_lowercase());
    (score <= most).then_some(score)
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distances_count_changes() {
        assert_eq!(distance("uint33", "uint32", 3), Some(1));
        assert_eq!(distance("unit32", "uint32", 3), Some(1), "neighbours are swapped");
        assert_eq!(distance("uint", "uint32", 3), Some(2));
        assert_eq!(distance("UINT32", "uint32", 3), Some(0), "case is no difference");
        assert_eq!(distance("point", "uint32", 2), None);
    }
}
