//! What differs within two lines, word by word.

use serde::{Deserialize, Serialize};
use similar::{Algorithm, DiffOp, capture_diff_slices};

use crate::difference::Piece;

/// Lines of more words are marked from the first word that differs to the last one.
const WORDS_MAX: usize = 250;
/// Less in common than this share, and two lines are two lines.
const SIMILAR_PERCENT: usize = 40;

/// How much of a difference is sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marked {
    /// Whether the two have enough in common to be shown as one that changed.
    pub(crate) is_similar: bool,
}

/// Cuts two texts into pieces that are the same in both, and pieces that are not.
pub(crate) fn pieces(old: &str, new: &str) -> (Vec<Piece>, Vec<Piece>, Marked) {
    let (old, new) = (split(old), split(new));
    let ends = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[ends..].iter().rev().zip(new[ends..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (old_middle, new_middle) = (&old[ends..old.len() - tail], &new[ends..new.len() - tail]);
    let mut sides = (Pieces::default(), Pieces::default());
    sides.0.push(&old[..ends], false);
    sides.1.push(&new[..ends], false);
    if old_middle.len().max(new_middle.len()) > WORDS_MAX {
        sides.0.push(old_middle, true);
        sides.1.push(new_middle, true);
    } else {
        for step in capture_diff_slices(Algorithm::Myers, old_middle, new_middle) {
            let is_changed = !matches!(step, DiffOp::Equal { .. });
            sides.0.push(&old_middle[step.old_range()], is_changed);
            sides.1.push(&new_middle[step.new_range()], is_changed);
        }
    }
    sides.0.push(&old[old.len() - tail..], false);
    sides.1.push(&new[new.len() - tail..], false);
    let (old_bytes, new_bytes) = (bytes(&old), bytes(&new));
    let same = sides.0.same;
    let is_similar = 200 * same >= SIMILAR_PERCENT * (old_bytes + new_bytes);
    (sides.0.pieces, sides.1.pieces, Marked { is_similar })
}

#[derive(Default)]
struct Pieces {
    pieces: Vec<Piece>,
    same: usize,
}

impl Pieces {
    fn push(&mut self, words: &[&str], is_changed: bool) {
        if words.is_empty() {
            return;
        }
        let text = words.concat();
        if !is_changed {
            self.same += text.len();
        }
        match self.pieces.last_mut() {
            Some(last) if last.is_changed == is_changed => last.text.push_str(&text),
            _ => self.pieces.push(Piece { text, is_changed }),
        }
    }
}

fn bytes(words: &[&str]) -> usize {
    words.iter().map(|word| word.len()).sum()
}

/// Cuts a text where words begin and end; everything else is a piece of one character.
fn split(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut in_word = false;
    for (position, character) in text.char_indices() {
        let is_word = character.is_alphanumeric() || character == '_';
        if position > start && !(in_word && is_word) {
            words.push(&text[start..position]);
            start = position;
        }
        in_word = is_word;
    }
    if start < text.len() {
        words.push(&text[start..]);
    }
    words
}
