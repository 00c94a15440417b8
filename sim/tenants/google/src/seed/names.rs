//! Names of people, and a way to draw from lists.

use crate::text;

/// First names.
pub(super) const GIVEN: &[&str] = &[
    "Anna",
    "Ben",
    "Chiara",
    "David",
    "Elif",
    "Farid",
    "Grace",
    "Hiro",
    "Ines",
    "Jonas",
    "Katarzyna",
    "Liam",
    "Mei",
    "Noah",
    "Olga",
    "Pedro",
    "Quentin",
    "Rosa",
    "Søren",
    "Tamar",
    "Uwe",
    "Valérie",
    "Wanjiru",
    "Xavier",
    "Yara",
    "Zoë",
];

/// Last names.
pub(super) const FAMILY: &[&str] = &[
    "Abbott",
    "Bauer",
    "Costa",
    "Dubois",
    "Eriksson",
    "Fischer",
    "García",
    "Hansen",
    "Ivanova",
    "Jansen",
    "Kowalski",
    "Lindqvist",
    "Moreau",
    "Nakamura",
    "O'Brien",
    "Petrov",
    "Quispe",
    "Rossi",
    "Schäfer",
    "Tanaka",
    "Ueda",
    "Vargas",
    "Weber",
    "Xu",
    "Yılmaz",
    "Zimmermann",
];

/// Draws from a list.
pub(super) fn pick<T: Copy>(list: &[T], drawn: u64) -> T {
    list[(drawn % list.len() as u64) as usize]
}

/// Makes the part of a mail address before the at sign: letters a to z, and dots.
pub(super) fn local_part(given: &str, family: &str) -> String {
    let plain = |name: &str| -> String { name.to_lowercase().chars().filter_map(unaccented).collect() };
    format!("{}.{}", plain(given), plain(family))
}

fn unaccented(letter: char) -> Option<char> {
    Some(match letter {
        'ø' => 'o',
        'é' | 'ë' => 'e',
        'í' | 'ı' => 'i',
        'ä' => 'a',
        letter if letter.is_ascii_alphanumeric() => letter,
        _ => return None,
    })
}

/// Draws the nth number of a kind from a seed.
pub(super) const fn nth(seed: u64, kind: u64, number: u64) -> u64 {
    text::mixed(seed ^ text::mixed(kind ^ text::mixed(number)))
}
