use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{VaultReader, assemble::Assembler};
use crate::{Content, Extent, LeafHash, VaultError, content::ContentDigest};

/// Where a content is restored to. Calls come from several threads, in any order between `begin` and `finish`.
pub trait Sink: Send + Sync {
    /// Prepares a place of so many zero bytes. Called once, before any write.
    fn begin(&self, length: u64) -> io::Result<()>;

    /// Takes bytes; runs of zeros are not handed over.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Called once, after the last write, when the digest was found right.
    fn finish(&self) -> io::Result<()>;
}

/// One content and where it goes.
pub struct RestoreJob {
    /// The content.
    pub content: Content,
    /// Where it goes.
    pub sink: Box<dyn Sink>,
}

/// Why a content was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It cannot be read from the vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// It cannot be written.
    #[error("cannot write what is restored")]
    Sink(#[source] io::Error),
    /// A thread died.
    #[error("a restoring thread died")]
    Thread,
}

/// Is told how many bytes came back since the last call.
pub type RestoreProgress<'a> = dyn Fn(u64) + Sync + 'a;

/// How to restore.
#[derive(Debug, Clone, Copy)]
pub struct RestoreOptions {
    /// How many threads read, open and write.
    pub threads: usize,
}

impl Default for RestoreOptions {
    fn default() -> Self {
        Self { threads: 2 }
    }
}

/// A new file.
pub struct FileSink {
    path: PathBuf,
    mode: u32,
    file: Mutex<Option<Arc<File>>>,
}

/// A multiple of every leaf size.
const UNIT_BYTES: u64 = 4 << 20;

impl FileSink {
    /// Will create the file with this mode; it must not exist.
    pub fn new(path: &Path, mode: u32) -> Self {
        Self { path: path.to_owned(), mode, file: Mutex::new(None) }
    }

    fn file(&self) -> io::Result<Arc<File>> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.clone().ok_or_else(|| io::Error::other("the file is not open"))
    }
}

impl Sink for FileSink {
    fn begin(&self, length: u64) -> io::Result<()> {
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(self.mode).open(&self.path)?;
        file.set_len(length)?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(file));
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file()?.write_all_at(bytes, offset)
    }

    fn finish(&self) -> io::Result<()> {
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }
}

/// A stretch of one content; the work is shared out in these.
#[derive(Clone, Copy)]
struct Unit {
    job: usize,
    number: u64,
}

/// All stretches of all jobs, one after the other, without a list of them: a content may claim to be endless.
struct Units {
    /// The number of the first stretch after each job.
    ends: Vec<u64>,
}

impl Units {
    fn of(jobs: &[RestoreJob]) -> Self {
        let mut end = 0_u64;
        let ends = jobs.iter().map(|job| {
            end = end.saturating_add(unit_count(&job.content));
            end
        });
        Self { ends: ends.collect() }
    }

    fn get(&self, number: u64) -> Option<Unit> {
        let job = self.ends.partition_point(|end| *end <= number);
        let start = job.checked_sub(1).map_or(0, |before| self.ends[before]);
        (job < self.ends.len()).then_some(Unit { job, number: number - start })
    }
}

struct JobState {
    begun: bool,
    units_left: u64,
    next_leaves: u64,
    early_leaves: BTreeMap<u64, Vec<LeafHash>>,
    digest: Option<ContentDigest>,
    result: Result<(), RestoreError>,
}

impl VaultReader {
    /// Restores many contents with several threads; one that fails does not stop the others.
    ///
    /// The results are in the order of the jobs.
    pub fn restore(
        &self,
        jobs: &[RestoreJob],
        options: RestoreOptions,
        progress: &RestoreProgress<'_>,
    ) -> Vec<Result<(), RestoreError>> {
        let units = Units::of(jobs);
        let states: Vec<Mutex<JobState>> =
            jobs.iter().map(|job| Mutex::new(JobState::new(self, &job.content))).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut assembler = Assembler::new(self);
            let mut buffer = Vec::new();
            while let Some(unit) = units.get(next.fetch_add(1, Ordering::SeqCst) as u64) {
                let (job, state) = (&jobs[unit.job], &states[unit.job]);
                let outcome = self.restore_unit(job, state, unit.number, &mut assembler, &mut buffer);
                progress(buffer.len() as u64);
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                state.unit_done(job, unit.number, outcome);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..options.threads.max(1) {
                scope.spawn(work);
            }
        });
        states
            .into_iter()
            .map(|state| {
                let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
                if state.units_left == 0 { state.result } else { Err(RestoreError::Thread) }
            })
            .collect()
    }

    fn restore_unit(
        &self,
        job: &RestoreJob,
        state: &Mutex<JobState>,
        number: u64,
        assembler: &mut Assembler<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<Vec<LeafHash>, RestoreError> {
        buffer.clear();
        {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.result.is_err() {
                return Ok(Vec::new());
            }
            if !state.begun {
                state.begun = true;
                job.sink.begin(job.content.length).map_err(RestoreError::Sink)?;
            }
        }
        let start = number * UNIT_BYTES;
        let extents = job.content.range(start, UNIT_BYTES);
        assembler.append_portion(&extents, buffer)?;
        let mut position = 0_usize;
        for run in extents.chunk_by(|a, b| is_zero(a) == is_zero(b)) {
            let length = run.iter().map(Extent::length).sum::<u64>() as usize;
            if !run.iter().all(is_zero) {
                let bytes = &buffer[position..position + length];
                job.sink.write_at(start + position as u64, bytes).map_err(RestoreError::Sink)?;
            }
            position += length;
        }
        Ok(buffer.chunks(job.content.leaf_bytes as usize).map(|leaf| self.hasher.leaf(leaf)).collect())
    }
}

impl JobState {
    fn new(reader: &VaultReader, content: &Content) -> Self {
        Self {
            begun: false,
            units_left: unit_count(content),
            next_leaves: 0,
            early_leaves: BTreeMap::new(),
            digest: Some(reader.hasher.begin()),
            result: Ok(()),
        }
    }

    fn unit_done(&mut self, job: &RestoreJob, number: u64, outcome: Result<Vec<LeafHash>, RestoreError>) {
        self.units_left -= 1;
        match outcome {
            Ok(leaves) => {
                self.early_leaves.insert(number, leaves);
            }
            Err(error) if self.result.is_ok() => self.result = Err(error),
            Err(_) => {}
        }
        // Leaves go into the digest in order, whatever order the threads finish in.
        while let Some(leaves) = self.early_leaves.remove(&self.next_leaves) {
            self.next_leaves += 1;
            if let Some(digest) = &mut self.digest {
                for leaf in &leaves {
                    digest.leaf(leaf);
                }
            }
        }
        if self.units_left == 0 && self.result.is_ok() {
            let right = self.digest.take().map(|digest| digest.finish(job.content.length));
            self.result = if right == Some(job.content.digest) {
                job.sink.finish().map_err(RestoreError::Sink)
            } else {
                Err(VaultError::Digest.into())
            };
        }
    }
}

/// An empty content has one unit too, so that its file is made.
fn unit_count(content: &Content) -> u64 {
    content.length.div_ceil(UNIT_BYTES).max(1)
}

fn is_zero(extent: &Extent) -> bool {
    matches!(extent, Extent::Zero { .. })
}
