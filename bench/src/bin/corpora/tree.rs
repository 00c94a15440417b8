//! A tree as it lies on a file server: texts, programs, pictures, copies of copies, and a few large files.

use crate::{Folder, random::Random, text::Language};

const FILES: u64 = 60_000;

pub(crate) struct Tree {
    language: Language,
    seed: u64,
}

impl Tree {
    pub(crate) fn new(seed: u64) -> Self {
        Self { language: Language::new(seed ^ 0x8), seed }
    }

    pub(crate) fn write(&self, folder: &Folder, scale: f64) -> std::io::Result<()> {
        let count = (FILES as f64 * scale) as u64;
        (0..count).try_for_each(|number| folder.create(&path(number), &self.file(number, 0)))
    }

    pub(crate) fn change(&self, folder: &Folder, scale: f64, round: u64) -> std::io::Result<()> {
        let count = (FILES as f64 * scale) as u64;
        let mut random = Random::of(self.seed, 1 << 40 | round);
        for _ in 0..count / 100 {
            let number = random.below(count);
            folder.replace(&path(number), &self.file(number, round))?;
        }
        Ok(())
    }

    fn file(&self, number: u64, edition: u64) -> Vec<u8> {
        let mut choice = Random::of(self.seed ^ 0x21, number);
        // One in eight is a copy of another one.
        let origin = if choice.chance(0.125) { choice.below(number + 1) } else { number };
        let mut random = Random::of(self.seed, origin);
        let mut content = Vec::new();
        match origin % 100 {
            0..60 => {
                let size = random.log_normal(5000.0, 1.3).min(400_000.0) as usize;
                self.language.write(&mut random, size, 90, "\n", &mut content);
            }
            60..85 => {
                content.resize(random.log_normal(50_000.0, 1.2).min(3_000_000.0) as usize, 0);
                random.fill(&mut content);
            }
            85..99 => {
                for row in 0..random.log_normal(400.0, 1.4).min(60_000.0) as u64 {
                    content.extend_from_slice(&(row * 64).to_le_bytes());
                    content.extend_from_slice(&random.below(1 << 20).to_le_bytes());
                    content.extend_from_slice(&[0; 12]);
                }
            }
            _ => {
                content.resize(random.between(1_500_000, 9_000_000) as usize, 0);
                let half = content.len() / 2;
                random.fill(&mut content[..half]);
            }
        }
        if edition > 0 {
            content.extend_from_slice(format!("edition {edition}\n").as_bytes());
        }
        content
    }
}

fn path(number: u64) -> String {
    format!("{:02}/{:02}/{:02}/file-{number}.dat", number % 17, number / 17 % 23, number / 391 % 19)
}
