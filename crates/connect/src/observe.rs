use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use model::{Event, SourceName, Stage};

/// Is told what readers see while they see it.
///
/// It is called on the reading thread and must not wait: whatever takes time belongs on a thread of its own.
pub trait Observer: Send + Sync {
    /// Takes one thing that was seen of a source.
    fn observe(&self, source: &SourceName, stage: Stage, event: &Event);
}

impl fmt::Debug for dyn Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

/// A request to read what is due later now, and to commit what waits: somebody seems to be destroying the source.
///
/// Any thread may make it; the reader takes it when it looks next.
#[derive(Debug, Clone, Default)]
pub struct Urge(Arc<AtomicBool>);

impl Urge {
    /// Asks the reader to make haste, once.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Returns whether somebody asked since the request was last taken.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Returns whether somebody asked since the last time, and takes the request.
    pub fn take(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}
