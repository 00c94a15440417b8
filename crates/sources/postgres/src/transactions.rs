//! The transactions that one event stands for, as text: `7569-7600,7610`.
//!
//! A sum of many small transactions names every one of them, so that all of them can be undone, and nothing else.

use std::ops::RangeInclusive;

/// Writes numbers as ranges, ascending, each number once.
pub fn write(numbers: impl IntoIterator<Item = u32>) -> String {
    let mut sorted: Vec<u32> = numbers.into_iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut text = String::new();
    for run in sorted.chunk_by(|before, after| before.checked_add(1) == Some(*after)) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&first.to_string());
        if first != last {
            text.push_str(&format!("-{last}"));
        }
    }
    text
}

/// Reads what [`write()`] wrote, or a single number; none for what names no transactions.
pub fn read(text: &str) -> Option<Vec<RangeInclusive<u32>>> {
    text.split(',').map(range).collect()
}

fn range(text: &str) -> Option<RangeInclusive<u32>> {
    match text.split_once('-') {
        None => text.parse().ok().map(|number| number..=number),
        Some((first, last)) => {
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            (first < last).then_some(first..=last)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_ranges_and_nothing_else_does() {
        let text = write([7600, 7569, 7570, 7571, 7610, 7570]);
        assert_eq!(text, "7569-7571,7600,7610");
        assert_eq!(read(&text), Some(vec![7569..=7571, 7600..=7600, 7610..=7610]));
        assert_eq!(write([u32::MAX, 0]), "0,4294967295");
        assert_eq!(write([]), "");
    }

    #[test]
    fn what_names_no_transactions_is_not_read() {
        for text in ["", "10 transactions", "7-", "-7", "9-7", "7,,8", "7-8-9"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
