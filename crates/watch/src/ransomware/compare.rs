//! Judges a new version of a file beside the one before.

use std::fmt;

use super::{kind::Kind, names::new_extension, sketch::Sketch, structure::Structure, uniform::is_uniform};

/// What a file was called, and is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names<'a> {
    /// Its name in the previous version, or its path.
    pub previous: &'a str,
    /// Its name now.
    pub present: &'a str,
}

/// One reason for which a version looks encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// It was of a known kind and is of none.
    FormGone,
    /// Its beginning became uniform, with which its kind is gone; the rest is as it was.
    HeadEncrypted,
    /// What is new of it is uniform, and what was there was not.
    BecameUniform,
    /// It begins like its kind and is not put together like it any more.
    StructureBroken,
    /// It became random bytes written as letters.
    BecameLetters,
    /// It became the output of a program that encrypts.
    BecameCiphertext,
}

/// What came of comparing two versions.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The share of its pieces that the previous version did not have, from 0 to 1; estimated for large files.
    pub novelty: f64,
    /// Whether it is of another kind.
    pub type_changed: bool,
    /// Whether what is new of it is uniform, and what was there was not.
    pub became_uniform: bool,
    /// Whether it looks encrypted.
    pub flagged: bool,
    /// For which reasons.
    pub why: Vec<Why>,
    /// The extension that it has now and had not before, in small letters.
    pub new_extension: Option<String>,
}

/// With less new content than this a file was edited.
const NOVELTY_MIN: f64 = 0.25;
/// What was encrypted at least in part has as large a share of uniform pieces among the new ones.
const UNIFORM_MIN: f64 = 0.3;
/// The share of uniform pieces has grown by as much.
const UNIFORM_GROWTH: f64 = 0.25;
/// Much compressed content, taken together, is more uneven than this; ciphertext is hardly ever as uneven as the next.
const UNEVEN_BODY: u16 = 1000;
const EVEN_BODY: u16 = 330;

/// Compares two versions of a file.
pub fn compare(previous: &Sketch, present: &Sketch, names: Names<'_>) -> Verdict {
    let new = New::of(previous, present);
    let type_changed = previous.kind != present.kind;
    let became_uniform = became_uniform(previous, present, &new);
    let why = if previous.length == 0 || present.length == 0 {
        Vec::new()
    } else {
        reasons(previous, present, &new, became_uniform)
    };
    Verdict {
        novelty: new.share,
        type_changed,
        became_uniform,
        flagged: !why.is_empty(),
        why,
        new_extension: new_extension(names.previous, names.present),
    }
}

/// Whether it may make a difference how the present version is put together: looking into it costs more than the rest.
pub(super) fn hangs_on_structure(previous: &Sketch, present: &Sketch) -> bool {
    let new = New::of(previous, present);
    if previous.length == 0 || present.length == 0 || new.share < NOVELTY_MIN {
        return false;
    }
    became_uniform(previous, present, &new) || may_be_broken(previous, present, &new)
}

/// Whether a version that is broken inside is told, where the one before was sound.
fn may_be_broken(previous: &Sketch, present: &Sketch, new: &New) -> bool {
    previous.kind == present.kind
        && previous.structure == Structure::Sound
        && (new.uniform_share >= UNIFORM_MIN || is_uniform(present.tail))
}

/// The pieces that the previous version did not have.
struct New {
    share: f64,
    uniform_share: f64,
}

impl New {
    /// Both samples hold all hashes up to a limit; below the lower of the two they can be compared.
    fn of(previous: &Sketch, present: &Sketch) -> Self {
        let limit = |sketch: &Sketch| match sketch.sample.last() {
            Some(last) if !sketch.is_whole() => *last,
            _ => u64::MAX,
        };
        let limit = limit(previous).min(limit(present));
        let (mut all, mut new, mut uniform) = (0_u32, 0_u32, 0_u32);
        for hash in present.sample.iter().take_while(|hash| **hash <= limit) {
            all += 1;
            if previous.sample.binary_search(hash).is_err() {
                new += 1;
                uniform += (hash & 1) as u32;
            }
        }
        Self {
            share: f64::from(new) / f64::from(all.max(1)),
            uniform_share: f64::from(uniform) / f64::from(new.max(1)),
        }
    }
}

/// Whether what is new is uniform, and what was there was not.
fn became_uniform(previous: &Sketch, present: &Sketch, new: &New) -> bool {
    // Compressed before and after: only all of it together tells, and only where there is enough.
    if is_packed(present.kind) {
        return previous.kind == present.kind
            && previous.body > UNEVEN_BODY
            && present.body < EVEN_BODY
            && new.uniform_share >= 0.9
            && previous.length / 2 < present.length;
    }
    let pieces =
        new.uniform_share >= UNIFORM_MIN && new.uniform_share - previous.uniform_share() >= UNIFORM_GROWTH;
    let tail = !is_uniform(previous.tail) && is_uniform(present.tail);
    let head = !is_uniform(previous.head) && is_uniform(present.head);
    // A file of one or two pieces has no share worth the name.
    pieces || tail && new.uniform_share >= UNIFORM_MIN || present.pieces <= 2 && (tail || head)
}

/// Whether content of this kind is compressed in a way that is not looked into.
const fn is_packed(kind: Kind) -> bool {
    matches!(kind, Kind::Packed | Kind::Riff | Kind::Mp4 | Kind::Ogg)
}

fn reasons(previous: &Sketch, present: &Sketch, new: &New, became_uniform: bool) -> Vec<Why> {
    let mut why = Vec::new();
    let head_uniform = is_uniform(present.head);
    let form_gone = present.kind == Kind::Unknown && previous.kind != Kind::Unknown;
    if new.share < NOVELTY_MIN {
        // Some encrypt the beginning alone: it is enough to make a large file useless.
        if form_gone && head_uniform && new.share > 0.0 {
            why.push(Why::HeadEncrypted);
        }
        return why;
    }
    if form_gone {
        why.push(Why::FormGone);
    }
    // What is put together as its kind asks for may be as uniform as it likes, if that was looked into.
    if became_uniform && (present.structure != Structure::Sound || is_packed(present.kind)) {
        why.push(Why::BecameUniform);
    }
    if present.structure == Structure::Broken && may_be_broken(previous, present, new) {
        why.push(Why::StructureBroken);
    }
    if present.armoured && !previous.armoured {
        why.push(Why::BecameLetters);
    }
    if present.kind == Kind::Ciphertext && previous.kind != Kind::Ciphertext {
        why.push(Why::BecameCiphertext);
    }
    why
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FormGone => "it is of no known form any more",
            Self::HeadEncrypted => "its beginning became uniform",
            Self::BecameUniform => "its new content is uniform",
            Self::StructureBroken => "it begins like before and is broken inside",
            Self::BecameLetters => "it became random letters",
            Self::BecameCiphertext => "it became the output of a program that encrypts",
        })
    }
}
