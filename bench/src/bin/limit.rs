//! The bare pipeline: reads a tree, hashes, decodes base64, compresses, seals and writes at unwipe's settings, and does
//! nothing else: no index, no catalog, no names, no fsync. What a capture costs beyond this is unwipe's own overhead.
//!
//! `limit FOLDER OUTPUT`

use std::{
    collections::HashSet,
    fs::File,
    io::{Error, Result, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, sync_channel},
    },
};

use vault::{
    VaultId, WriterOptions, base64_text,
    content::ContentHasher,
    seal::{BlockKey, Label},
};

const LARGE_BLOCK_BYTES: usize = 128 << 10;
const SMALL_BYTES_MAX: usize = 1 << 20;

struct Pipeline {
    hasher: ContentHasher,
    options: WriterOptions,
    known: HashSet<[u8; 16]>,
    frame: Vec<u8>,
    frames: std::sync::mpsc::SyncSender<(Vec<u8>, i32)>,
}

impl Pipeline {
    fn add(&mut self, bytes: &[u8], level: i32) -> Result<()> {
        if bytes.is_empty() || !self.known.insert(self.hasher.leaf(bytes).chunk_id().0) {
            return Ok(());
        }
        self.frame.extend_from_slice(bytes);
        if self.frame.len() < self.options.frame_bytes {
            return Ok(());
        }
        let frame = std::mem::replace(&mut self.frame, Vec::with_capacity(self.options.frame_bytes * 2));
        self.frames.send((frame, level)).map_err(Error::other)
    }

    fn file(&mut self, content: &[u8]) -> Result<()> {
        if content.len() > SMALL_BYTES_MAX {
            let level = self.options.compression_level;
            return content.chunks(LARGE_BLOCK_BYTES).try_for_each(|block| self.add(block, level));
        }
        let level = self.options.small_compression_level;
        let (mut position, mut decoder) = (0, base64_text::RunDecoder::default());
        for run in base64_text::find_runs(content) {
            if let Some(decoded) = decoder.decode(content, &run) {
                self.add(&content[position..run.start], level)?;
                self.add(decoded, level)?;
                position = run.start + run.length;
            }
        }
        self.add(&content[position..], level)
    }

    fn walk(&mut self, folder: &Path) -> Result<()> {
        let mut entries: Vec<PathBuf> =
            folder.read_dir()?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_>>()?;
        entries.sort();
        for path in entries {
            let kind = path.symlink_metadata()?.file_type();
            if kind.is_dir() {
                self.walk(&path)?;
            } else if kind.is_file() {
                self.file(&std::fs::read(&path)?)?;
            }
        }
        Ok(())
    }
}

fn seal_and_write(frames: &Mutex<Receiver<(Vec<u8>, i32)>>, output: &Mutex<File>) -> Result<()> {
    let key = BlockKey::new(VaultId([1; 16]), &[2; 32]).map_err(Error::other)?;
    for number in 0.. {
        let next = frames.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((frame, level)) = next else { break };
        let sealed = key.seal(Label::Frame, number, &frame, level).map_err(Error::other)?;
        output.lock().unwrap_or_else(PoisonError::into_inner).write_all(&sealed)?;
    }
    Ok(())
}

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(folder), Some(output)) = (arguments.next(), arguments.next()) else {
        return Err(Error::other("limit FOLDER OUTPUT"));
    };
    let output = Mutex::new(File::create_new(output)?);
    let options = WriterOptions::default();
    let (sender, frames) = sync_channel(4);
    let frames = Arc::new(Mutex::new(frames));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..options.threads)
            .map(|_| {
                let frames = Arc::clone(&frames);
                let output = &output;
                scope.spawn(move || seal_and_write(&frames, output))
            })
            .collect();
        drop(frames);
        let mut pipeline = Pipeline {
            hasher: ContentHasher::new(&[3; 32]),
            options,
            known: HashSet::new(),
            frame: Vec::new(),
            frames: sender,
        };
        pipeline.walk(Path::new(&folder))?;
        let last = std::mem::take(&mut pipeline.frame);
        if !last.is_empty() {
            pipeline.frames.send((last, options.small_compression_level)).map_err(Error::other)?;
        }
        drop(pipeline);
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(Error::other("a thread died"))))
    })
}
