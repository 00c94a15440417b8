use super::*;

/// Bytes that are the same each time and have no pattern.
pub(super) fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut all = Vec::with_capacity(bytes + 8);
    while all.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        all.extend(state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes());
    }
    all.truncate(bytes);
    all
}

pub(super) fn sketch(bytes: &[u8]) -> Sketch {
    let mut sketcher = Sketcher::new();
    sketcher.push(bytes);
    sketcher.finish()
}

mod corpus;

use corpus::{Sample, machine, made};

fn judge(previous: &[u8], present: &[u8]) -> Verdict {
    let mut sketcher = Sketcher::new();
    sketcher.push(previous);
    let (first, none) = sketcher.judge(None);
    assert_eq!(none, None);
    sketcher.push(present);
    let (_, verdict) = sketcher.judge(Some((&first, Names { previous: "a", present: "a" })));
    verdict.unwrap()
}

/// The ways in which a file is encrypted, by name; noise stands for ciphertext, which looks the same.
fn attacks(plain: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    const STRETCH: usize = 16 << 10;
    let cipher = noise(plain.len(), plain.len() as u64 + 99);
    let mut mixed = plain.to_vec();
    for (part, secret) in mixed.chunks_mut(STRETCH).zip(cipher.chunks(STRETCH)).step_by(2) {
        part.copy_from_slice(secret);
    }
    let kept = plain.len().min(1024);
    let header = [&plain[..kept], &cipher[kept..]].concat();
    vec![("full", cipher), ("intermittent", mixed), ("header", header)]
}

fn share_found(samples: &[Sample], way: &str) -> (usize, Vec<String>) {
    let large = samples.iter().filter(|sample| sample.content.len() >= 4 << 10);
    let mut missed = Vec::new();
    let mut count = 0;
    for sample in large {
        for (name, encrypted) in attacks(&sample.content).into_iter().filter(|(name, _)| *name == way) {
            count += 1;
            let verdict = judge(&sample.content, &encrypted);
            if !verdict.flagged {
                missed.push(format!("{name} {}: {verdict:?}", sample.name));
            }
        }
    }
    (count, missed)
}

#[test]
fn encrypted_files_are_found_whatever_was_encrypted_of_them() {
    let mut samples = made();
    let (count, missed) = share_found(&samples, "full");
    assert!(count >= 12, "{count}");
    assert_eq!(missed, Vec::<String>::new());
    // What this machine has besides; on one that has nothing, what is made has to be enough.
    samples.extend(machine(120));
    for (way, percent) in [("full", 99), ("intermittent", 90), ("header", 90)] {
        let (count, missed) = share_found(&samples, way);
        assert!(
            (count - missed.len()) * 100 >= count * percent,
            "{way}: {} of {count}: {missed:#?}",
            missed.len()
        );
    }
}

#[test]
fn edits_are_not_taken_for_encryption() {
    let made = made();
    for sample in &made {
        for (number, edit) in sample.edits.iter().enumerate() {
            let verdict = judge(&sample.content, edit);
            assert!(!verdict.flagged, "{} {number}: {verdict:?}", sample.name);
        }
        assert!(!judge(&sample.content, &sample.content).flagged);
        assert!(!judge(&[], &sample.content).flagged && !judge(&sample.content, &[]).flagged);
    }
    let texts: Vec<Sample> =
        machine(200).into_iter().filter(|sample| sketch(&sample.content).kind == Kind::Text).collect();
    for (one, other) in texts.iter().zip(texts.iter().skip(1)) {
        let appended = [one.content.as_slice(), &other.content].concat();
        for edit in [&appended, &other.content] {
            let verdict = judge(&one.content, edit);
            assert!(!verdict.flagged, "{} {}: {verdict:?}", one.name, other.name);
        }
    }
}

#[test]
fn what_was_made_is_of_its_kind_and_sound() {
    for sample in made() {
        let sketch = sketch(&sample.content);
        assert_eq!((sketch.kind, sketch.structure), (sample.kind, sample.structure), "{}", sample.name);
    }
}

#[test]
fn the_beginning_alone_random_letters_and_other_programs_are_enough() {
    let text = made().into_iter().find(|sample| sample.name == "text").unwrap().content;
    let mut beginning = text.repeat(20);
    let plain = beginning.clone();
    beginning[..4096].copy_from_slice(&noise(4096, 1));
    assert_eq!(judge(&plain, &beginning).why, [Why::HeadEncrypted]);
    let letters: Vec<u8> =
        noise(text.len(), 2).iter().map(|byte| b"0123456789abcdef"[usize::from(byte & 15)]).collect();
    assert_eq!(judge(&text, &letters).why, [Why::BecameLetters]);
    let sealed =
        [b"age-encryption.org/v1\n-> X25519 abc\n--- mac\n".as_slice(), &noise(text.len(), 3)].concat();
    assert!(judge(&text, &sealed).why.contains(&Why::BecameCiphertext));
}

#[test]
fn a_new_extension_is_told() {
    let names = Names { previous: "a/b.docx", present: "a/b.docx.locked" };
    let (one, other) = (sketch(b"one"), sketch(b"another"));
    assert_eq!(compare(&one, &other, names).new_extension.as_deref(), Some("locked"));
}

#[test]
fn one_sketcher_makes_of_each_file_what_a_new_one_makes() {
    let mut sketcher = Sketcher::new();
    for sample in made() {
        for bytes in [sample.content.as_slice(), &noise(3000, 4), b""] {
            sketcher.push(bytes);
            assert_eq!(sketcher.finish(), sketch(bytes), "{}", sample.name);
        }
        sketcher.push(&sample.content);
        sketcher.clear();
    }
}
