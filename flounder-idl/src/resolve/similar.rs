//! Suggestions for misspelled names.

use super::scope::{BUILTIN_NAMES, Scope};

/// How many declared names are looked at.
const MAX_CANDIDATES: usize = 2_000;

/// The name of a type that is most like `name`, if one is like it.
pub(super) fn similar(name: &str, scope: &Scope) -> Option<String> {
    let most = (name.len() / 3).clamp(1, 3);
    let declared = scope.order.iter().map(String::as_str).take(MAX_CANDIDATES);
    let candidates = BUILTIN_NAMES.iter().copied().chain(declared);
    let scored = candidates.filter_map(|known| Some((distance(name, known, most)?, known)));
    scored.min_by_key(|(score, _)| *score).map(|(_, known)| known.to_owned())
}

/// How many letters have to be changed, added, removed or swapped with their neighbour, if at most `most`.
fn distance(a: &str, b: &str, most: usize) -> Option<usize> {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len().abs_diff(b.len()) > most || a.len().max(b.len()) > 64 {
        return None;
    }
    let mut rows = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let same = usize::from(!a[i - 1].eq_ignore_ascii_case(&b[j - 1]));
                let mut best =
                    (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + same);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    Some(rows[a.len()][b.len()]).filter(|&score| score <= most)
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
