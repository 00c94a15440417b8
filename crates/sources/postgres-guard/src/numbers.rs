//! The transactions that a suspect names, as text: `7610` or `7569-7600,7610`.

/// Numbers asked for, at most; the newest of a long list.
const NUMBERS_MAX: usize = 2000;

/// Reads the numbers, the last of them where there are too many; none of what names no transactions.
pub(crate) fn read(text: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    for part in text.rsplit(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Ok(first), Ok(last)) = (first.trim().parse::<u32>(), last.trim().parse::<u32>()) else {
            continue;
        };
        let room = NUMBERS_MAX - numbers.len();
        numbers.extend((first..=last).rev().take(room));
        if numbers.len() == NUMBERS_MAX {
            break;
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_ranges_and_single_numbers_are_read_newest_first() {
        assert_eq!(read("7610"), [7610]);
        assert_eq!(read("7-9,12"), [12, 9, 8, 7]);
        assert!(read("3 transactions").is_empty());
        let many = read("1-4294967295");
        assert_eq!((many.len(), many[0]), (NUMBERS_MAX, u32::MAX));
    }
}
