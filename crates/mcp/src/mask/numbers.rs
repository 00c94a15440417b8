//! Numbers that check themselves: payment cards (Luhn, and how numbers of cards begin) and bank accounts (ISO 13616).

use super::{Found, Secret};

const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
const IBAN_CHARACTERS: std::ops::RangeInclusive<usize> = 15..=34;

/// Masks numbers of cards: digits in one run, or in groups with one space or hyphen between them.
pub(super) fn cards(text: &str, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let begins = bytes[at].is_ascii_digit() && (at == 0 || !is_part(bytes[at - 1]));
        if !begins {
            at += 1;
            continue;
        }
        let (digits, ends) = run(bytes, at);
        let longest = ends.iter().rev().find(|(count, end)| {
            CARD_DIGITS.contains(count)
                && bytes.get(*end).is_none_or(|byte| !is_part(*byte))
                && is_card(&digits[..*count])
        });
        match longest {
            Some((_, end)) => {
                found.push(Found { range: at..*end, secret: Secret::Card });
                at = *end;
            }
            None => at += bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count().max(1),
        }
    }
}

const fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Returns digits from a place on, and where each number of them ends.
fn run(bytes: &[u8], start: usize) -> (Vec<u8>, Vec<(usize, usize)>) {
    let (mut digits, mut ends, mut at) = (Vec::new(), Vec::new(), start);
    while digits.len() < *CARD_DIGITS.end() {
        match bytes.get(at) {
            Some(byte) if byte.is_ascii_digit() => {
                digits.push(byte - b'0');
                at += 1;
                ends.push((digits.len(), at));
            }
            Some(b' ' | b'-') if bytes.get(at + 1).is_some_and(u8::is_ascii_digit) => at += 1,
            _ => break,
        }
    }
    (digits, ends)
}

fn is_card(digits: &[u8]) -> bool {
    let beginning = digits.iter().take(4).fold(0_u32, |sum, digit| sum * 10 + u32::from(*digit));
    let fits = match beginning {
        4000..=4999 => matches!(digits.len(), 13 | 16 | 19),
        5100..=5599 | 2221..=2720 => digits.len() == 16,
        3400..=3499 | 3700..=3799 => digits.len() == 15,
        3000..=3059 | 3600..=3699 | 3800..=3999 => matches!(digits.len(), 14 | 16),
        3528..=3589 | 6011 | 6440..=6599 | 6200..=6299 => matches!(digits.len(), 16..=19),
        5000..=5099 | 5600..=5899 | 6000..=6999 => matches!(digits.len(), 13..=19),
        _ => false,
    };
    fits && luhn(digits)
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(*digit);
            if place % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }
        })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != 0)
}

/// Masks numbers of bank accounts: two letters, two digits, and what belongs to them, with single spaces or without.
pub(super) fn ibans(text: &str, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at + 4 <= bytes.len() {
        let begins = (at == 0 || !is_part(bytes[at - 1]))
            && bytes[at..at + 2].iter().all(u8::is_ascii_alphabetic)
            && bytes[at + 2..at + 4].iter().all(u8::is_ascii_digit);
        let end = begins.then(|| iban_end(bytes, at)).flatten();
        match end {
            Some(end) => {
                found.push(Found { range: at..end, secret: Secret::Iban });
                at = end;
            }
            None => at += 1,
        }
    }
}

/// Returns where the longest number ends whose check digits fit.
fn iban_end(bytes: &[u8], start: usize) -> Option<usize> {
    let (mut characters, mut at, mut end) = (Vec::new(), start, None);
    while characters.len() < *IBAN_CHARACTERS.end() {
        match bytes.get(at) {
            Some(byte) if byte.is_ascii_alphanumeric() => {
                characters.push(byte.to_ascii_uppercase());
                at += 1;
                let is_whole = bytes.get(at).is_none_or(|byte| !is_part(*byte));
                if is_whole && IBAN_CHARACTERS.contains(&characters.len()) && mod_97(&characters) == 1 {
                    end = Some(at);
                }
            }
            Some(b' ') if bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric) => at += 1,
            _ => break,
        }
    }
    end
}

fn mod_97(characters: &[u8]) -> u32 {
    characters[4..].iter().chain(&characters[..4]).fold(0, |rest, byte| {
        if byte.is_ascii_digit() {
            (rest * 10 + u32::from(byte - b'0')) % 97
        } else {
            (rest * 100 + u32::from(byte - b'A') + 10) % 97
        }
    })
}
