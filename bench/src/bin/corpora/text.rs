//! Text that looks and compresses like what people write.

use crate::random::Random;

/// A language: words by frequency, and which words tend to follow each other.
pub(crate) struct Language {
    words: Vec<String>,
}

const WORDS: usize = 12_000;
const ONSETS: [&str; 24] = [
    "b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "v", "w", "st", "tr", "pl", "ch", "sh",
    "br", "th", "qu", "gr",
];
const VOWELS: [&str; 12] = ["a", "e", "i", "o", "u", "ea", "ou", "ai", "io", "ee", "y", "au"];
const CODAS: [&str; 16] =
    ["", "", "n", "r", "s", "t", "l", "d", "ng", "m", "nt", "st", "ck", "ll", "rd", "sh"];

impl Language {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let word = |rank: usize| {
            let syllables = match rank {
                0..60 => 1,
                60..1200 => 1 + random.below(2),
                _ => 2 + random.below(3),
            };
            (0..syllables)
                .map(|_| format!("{}{}{}", random.pick(&ONSETS), random.pick(&VOWELS), random.pick(&CODAS)))
                .collect()
        };
        Self { words: (0..WORDS).map(word).collect() }
    }

    /// Picks a word as often as people use it: by Zipf's law, and often one that follows the last one.
    fn word(&self, random: &mut Random, last: &mut u64) -> &str {
        let rank = if random.chance(0.45) {
            // Word pairs repeat: each word has a few favourites.
            let favourite = random.below(4).min(random.below(4));
            Random::of(last.wrapping_mul(31), favourite).below(900)
        } else {
            ((WORDS as f64).powf(random.fraction()) - 1.0) as u64
        };
        *last = rank;
        &self.words[(rank as usize).min(WORDS - 1)]
    }

    /// Writes sentences of about so many bytes, with lines of at most `width` bytes.
    pub(crate) fn write(&self, random: &mut Random, bytes: usize, width: usize, end: &str, to: &mut Vec<u8>) {
        let (stop, mut column, mut last) = (to.len() + bytes, 0, random.below(900));
        while to.len() < stop {
            let words = random.between(5, 19);
            for number in 0..words {
                let word = self.word(random, &mut last);
                if column + word.len() + 2 > width {
                    to.extend_from_slice(end.as_bytes());
                    column = 0;
                } else if column > 0 {
                    to.push(b' ');
                    column += 1;
                }
                let start = to.len();
                to.extend_from_slice(word.as_bytes());
                if number == 0 {
                    to[start] = to[start].to_ascii_uppercase();
                }
                column += word.len();
            }
            to.extend_from_slice(random.pick(&[".", ".", ".", "?", ", and so on.", "!"]).as_bytes());
            column += 1;
            if random.chance(0.14) {
                to.extend_from_slice(end.as_bytes());
                to.extend_from_slice(end.as_bytes());
                column = 0;
            }
        }
        to.extend_from_slice(end.as_bytes());
    }

    /// Returns a few words as a title.
    pub(crate) fn title(&self, random: &mut Random, words: u64) -> String {
        let mut last = random.below(900);
        (0..words).map(|_| self.word(random, &mut last).to_owned()).collect::<Vec<_>>().join(" ")
    }
}
