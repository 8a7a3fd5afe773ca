//! Two transcripts side by side.

use std::fmt::Write as _;

use super::run::HANGS;

/// Lines of two transcripts, aligned. `None`: the other side has a line of its own here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    rows: Vec<(Option<String>, Option<String>)>,
}

/// Aligns the transcripts of the reference and of Dunlin.
pub fn compare(reference: &[String], dunlin: &[String]) -> Comparison {
    // The longest common subsequence, by its usual table: transcripts have hundreds of lines at most.
    let width = dunlin.len() + 1;
    let mut table = vec![0_usize; (reference.len() + 1) * width];
    let cell = |table: &[usize], i: usize, j: usize| table.get(i * width + j).copied().unwrap_or_default();
    for (i, left) in reference.iter().enumerate().rev() {
        for (j, right) in dunlin.iter().enumerate().rev() {
            let length = if left == right {
                cell(&table, i + 1, j + 1) + 1
            } else {
                cell(&table, i + 1, j).max(cell(&table, i, j + 1))
            };
            if let Some(slot) = table.get_mut(i * width + j) {
                *slot = length;
            }
        }
    }
    let mut rows = Vec::new();
    let (mut i, mut j) = (0, 0);
    loop {
        match (reference.get(i), dunlin.get(j)) {
            (None, None) => return Comparison { rows },
            (Some(left), Some(right)) if left == right => {
                rows.push((Some(left.clone()), Some(right.clone())));
                (i, j) = (i + 1, j + 1);
            }
            (Some(left), right) if right.is_none() || cell(&table, i + 1, j) >= cell(&table, i, j + 1) => {
                rows.push((Some(left.clone()), None));
                i += 1;
            }
            (_, right) => {
                rows.push((None, right.cloned()));
                j += 1;
            }
        }
    }
}

impl Comparison {
    /// Whether both are the same.
    pub fn is_equal(&self) -> bool {
        self.rows.iter().all(|(left, right)| left == right)
    }

    /// Whether the script waited in vain for the reference: then the script is wrong.
    pub fn reference_hangs(&self) -> bool {
        self.rows
            .iter()
            .any(|(left, _)| left.as_ref().is_some_and(|line| line.starts_with(HANGS)))
    }

    /// Both beside each other, the reference on the left, in `columns` characters a line. Lines that differ are marked
    /// with `|` and shown whole, over several rows if need be; of others a row must do.
    pub fn side_by_side(&self, columns: usize) -> String {
        let half = (columns.saturating_sub(3) / 2).max(20);
        let mut text = format!("{:half$}   {}\n", "REFERENCE", "DUNLIN");
        for (left, right) in &self.rows {
            let mark = if left == right { ' ' } else { '|' };
            let rows = if mark == ' ' { 1 } else { usize::MAX };
            let left = cut(left.as_deref().unwrap_or_default(), half, rows);
            let right = cut(right.as_deref().unwrap_or_default(), half, rows);
            for row in 0..left.len().max(right.len()) {
                let part = |side: &[String]| side.get(row).cloned().unwrap_or_default();
                let line = format!("{:half$} {mark} {}", part(&left), part(&right));
                let _ = writeln!(text, "{}", line.trim_end());
            }
        }
        text
    }
}

/// A line in at most `rows` pieces of at most `width` characters; one piece if it is empty.
fn cut(line: &str, width: usize, rows: usize) -> Vec<String> {
    let characters: Vec<char> = line.chars().collect();
    if characters.is_empty() {
        return vec![String::new()];
    }
    characters
        .chunks(width)
        .take(rows)
        .map(|chunk| chunk.iter().collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn difference_is_shown_where_it_is() {
        let comparison = compare(&lines("open a\n  a: +OK\na sync"), &lines("open a\na sync"));
        assert!(!comparison.is_equal());
        assert_eq!(
            comparison.side_by_side(43),
            "REFERENCE              DUNLIN\n\
             open a                 open a\n  \
               a: +OK             |\n\
             a sync                 a sync\n"
        );
    }

    #[test]
    fn long_lines_go_on_where_they_differ() {
        let same = compare(&lines(&"x".repeat(25)), &lines(&"x".repeat(25)));
        assert!(same.is_equal());
        assert_eq!(same.side_by_side(43).lines().count(), 2);
        let longer = compare(&lines(&"x".repeat(25)), &[]);
        assert!(longer.side_by_side(43).ends_with("\nxxxxx                |\n"));
    }

    #[test]
    fn hanging_reference_is_told() {
        assert!(compare(&lines("!! a waits"), &[]).reference_hangs());
        assert!(!compare(&[], &lines("!! a waits")).reference_hangs());
    }
}
