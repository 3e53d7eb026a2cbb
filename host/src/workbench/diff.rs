//! Two lists of lines against each other.

/// A line of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Same(String),
    /// Expected and not found.
    Missing(String),
    /// Found and not expected.
    Extra(String),
}

/// The shortest way from `expected` to `found`.
pub fn diff(expected: &[String], found: &[String]) -> Vec<Line> {
    let common = common_lengths(expected, found);
    let (mut row, mut column) = (0, 0);
    let mut lines = Vec::new();
    while row < expected.len() || column < found.len() {
        let both = row < expected.len() && column < found.len();
        if both && expected[row] == found[column] {
            lines.push(Line::Same(expected[row].clone()));
            row += 1;
            column += 1;
        } else if row < expected.len()
            && (column == found.len() || common[row + 1][column] >= common[row][column + 1])
        {
            lines.push(Line::Missing(expected[row].clone()));
            row += 1;
        } else {
            lines.push(Line::Extra(found[column].clone()));
            column += 1;
        }
    }
    lines
}

/// For each pair of positions, how many lines the rests have in common.
fn common_lengths(expected: &[String], found: &[String]) -> Vec<Vec<usize>> {
    let mut common = vec![vec![0; found.len() + 1]; expected.len() + 1];
    for row in (0..expected.len()).rev() {
        for column in (0..found.len()).rev() {
            common[row][column] = if expected[row] == found[column] {
                common[row + 1][column + 1] + 1
            } else {
                common[row + 1][column].max(common[row][column + 1])
            };
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(expected: &[&str], found: &[&str]) -> String {
        let owned = |lines: &[&str]| -> Vec<String> { lines.iter().map(|&l| l.into()).collect() };
        let shown = diff(&owned(expected), &owned(found));
        let shown = shown.iter().map(|line| match line {
            Line::Same(text) => format!(" {text}"),
            Line::Missing(text) => format!("-{text}"),
            Line::Extra(text) => format!("+{text}"),
        });
        shown.collect()
    }

    #[test]
    fn what_is_common_stays_in_place() {
        assert_eq!(shown(&["a", "b", "c"], &["a", "x", "c"]), " a-b+x c");
        assert_eq!(shown(&["a"], &[]), "-a");
        assert_eq!(shown(&[], &["a", "b"]), "+a+b");
        assert_eq!(shown(&["a", "b"], &["b", "a"]), "-a b+a");
        assert_eq!(shown(&["a", "b"], &["a", "b"]), " a b");
    }
}
