//! Measures the detection of encrypted files: reads what to try from standard input and prints counts as JSON.
//!
//! A line is `attack CORPUS FILE` (the file is encrypted in several ways and each is compared with it), `edit CLASS OLD
//! NEW` (two versions, none of which is encrypted) or `speed FILE`; its parts are separated by tabs.

use std::{
    collections::BTreeMap,
    fs,
    hint::black_box,
    io::{self, BufRead, Write},
    time::Duration,
};

use ports::{Clock, SystemClock};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use serde_json::{Value, json};
use watch::ransomware::{Names, Sketch, Sketcher, Verdict, compare};

/// Stretches that are encrypted and left in turn.
const STRETCH: usize = 16 << 10;
const EXAMPLES_MAX: usize = 12;

#[derive(Default)]
struct Class {
    count: u64,
    flagged: u64,
    examples: Vec<String>,
}

#[derive(Default)]
struct Bench {
    classes: BTreeMap<String, Class>,
    read: u64,
    took: Duration,
}

impl Bench {
    fn note(&mut self, class: &str, name: &str, verdict: &Verdict, expected: bool) {
        let class = self.classes.entry(class.to_owned()).or_default();
        class.count += 1;
        class.flagged += u64::from(verdict.flagged);
        if verdict.flagged != expected && class.examples.len() < EXAMPLES_MAX {
            class.examples.push(format!("{name}: {:.2} {:?}", verdict.novelty, verdict.why));
        }
    }

    fn attack(&mut self, corpus: &str, path: &str) -> io::Result<()> {
        let plain = fs::read(path)?;
        let before = sketch(&plain);
        let names = Names { previous: path, present: path };
        for (class, bytes) in attacks(&plain, path) {
            let verdict = compared(&before, &bytes, names).1;
            self.note(&format!("{class}\t{corpus}"), path, &verdict, true);
        }
        Ok(())
    }

    fn edit(&mut self, class: &str, old: &str, new: &str) -> io::Result<()> {
        let before = sketch(&fs::read(old)?);
        let names = Names { previous: old, present: new };
        let (after, verdict) = compared(&before, &fs::read(new)?, names);
        let kinds = format!("{old} {new} {:?}/{:?}", before.kind, after.kind);
        self.note(&format!("edit\t{class}"), &kinds, &verdict, false);
        Ok(())
    }

    fn speed(&mut self, path: &str, clock: &dyn Clock) -> io::Result<()> {
        let bytes = fs::read(path)?;
        // The shortest of a few: other programs run as well.
        let once = || {
            let start = clock.elapsed();
            black_box(sketch(black_box(&bytes)));
            clock.elapsed().saturating_sub(start)
        };
        self.took += (0..3).map(|_| once()).min().unwrap_or_default();
        self.read += bytes.len() as u64;
        Ok(())
    }

    fn report(&self) -> Value {
        let classes: Vec<Value> = self
            .classes
            .iter()
            .map(|(name, class)| {
                let (what, of) = name.split_once('\t').unwrap_or((name, ""));
                json!({
                    "class": what, "of": of, "count": class.count, "flagged": class.flagged,
                    "examples": class.examples,
                })
            })
            .collect();
        let seconds = self.took.as_secs_f64();
        json!({
            "classes": classes, "bytes": self.read, "seconds": seconds,
            "mb_per_second": if seconds > 0.0 { self.read as f64 / 1e6 / seconds } else { 0.0 },
        })
    }
}

/// Sketches a first version.
fn sketch(bytes: &[u8]) -> Sketch {
    sketcher(bytes).judge(None).0
}

/// Sketches a later version, and compares it.
fn compared(before: &Sketch, bytes: &[u8], names: Names<'_>) -> (Sketch, Verdict) {
    let (sketch, verdict) = sketcher(bytes).judge(Some((before, names)));
    let verdict = verdict.unwrap_or_else(|| compare(before, &sketch, names));
    (sketch, verdict)
}

fn sketcher(bytes: &[u8]) -> Sketcher {
    let mut sketcher = Sketcher::new();
    // As content comes: in portions.
    bytes.chunks(128 << 10).for_each(|part| sketcher.push(part));
    sketcher
}

/// What ransomware makes of a file, by the names of the ways.
fn attacks(plain: &[u8], path: &str) -> Vec<(&'static str, Vec<u8>)> {
    let cipher = encrypted(plain, path);
    let alternating = |first: bool| {
        let mut mixed = plain.to_vec();
        for (number, part) in mixed.chunks_mut(STRETCH).enumerate() {
            if number.is_multiple_of(2) == first {
                let start = number * STRETCH;
                part.copy_from_slice(&cipher[start..start + part.len()]);
            }
        }
        mixed
    };
    let kept = |bytes: usize| [&plain[..bytes], &cipher[bytes..]].concat();
    let mut all = vec![("full", cipher.clone()), ("letters", letters(&cipher))];
    all.push(("intermittent, beginning first", alternating(true)));
    if plain.len() >= 2 * STRETCH {
        all.push(("intermittent, beginning left", alternating(false)));
    }
    all.push(("header kept, 256 B", kept(256)));
    if plain.len() >= 16 << 10 {
        all.push(("header kept, 4 KiB", kept(4 << 10)));
    }
    if plain.len() >= 256 << 10 {
        all.push(("first 64 KiB alone", [&cipher[..64 << 10], &plain[64 << 10..]].concat()));
    }
    let shifted: Vec<u8> = plain.iter().zip(b"key of 13 byt".iter().cycle()).map(|(a, b)| a ^ b).collect();
    all.push(("short key, not uniform", shifted));
    all
}

fn encrypted(plain: &[u8], path: &str) -> Vec<u8> {
    let mut secret = [0; 32];
    for (index, byte) in path.bytes().enumerate() {
        secret[index % 32] ^= byte.rotate_left((index / 32) as u32);
    }
    let mut bytes = plain.to_vec();
    if let Ok(key) = UnboundKey::new(&CHACHA20_POLY1305, &secret) {
        let key = LessSafeKey::new(key);
        key.seal_in_place_separate_tag(Nonce::assume_unique_for_key([7; 12]), Aad::empty(), &mut bytes).ok();
    }
    bytes
}

fn letters(bytes: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::with_capacity(bytes.len() / 3 * 4 + 4);
    for (number, three) in bytes.chunks_exact(3).enumerate() {
        let word = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        text.extend([18, 12, 6, 0].map(|shift| LETTERS[(word >> shift & 63) as usize]));
        if number % 19 == 18 {
            text.push(b'\n');
        }
    }
    text
}

fn main() -> io::Result<()> {
    let clock = SystemClock::new();
    let mut bench = Bench::default();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let parts: Vec<&str> = line.split('\t').collect();
        match parts[..] {
            ["attack", corpus, path] => bench.attack(corpus, path)?,
            ["edit", class, old, new] => bench.edit(class, old, new)?,
            ["speed", path] => bench.speed(path, &clock)?,
            _ => return Err(io::Error::other(format!("not understood: {line}"))),
        }
    }
    writeln!(io::stdout(), "{}", bench.report())
}
