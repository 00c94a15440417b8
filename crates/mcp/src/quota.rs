//! How often an identity may use a tool. It is remembered in files: who connects anew does not begin anew.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use access::ServiceName;
use ports::{Clock, files};

use crate::Tool;

/// The window in which uses are counted: an hour.
const WINDOW_MICROS: i64 = 3_600_000_000;
/// How often and how long a quota is waited for that another process counts at the moment.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// How often a tool may be used within an hour, for each identity. What only reads catalogs is not counted.
pub const QUOTAS: [(Tool, usize); 4] =
    [(Tool::CaptureNow, 6), (Tool::DeclareIntent, 20), (Tool::QueryBackup, 60), (Tool::RequestRestore, 20)];

/// Uses that were counted.
pub(crate) struct Quotas {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    alone: Mutex<()>,
}

/// Why a tool may not be used now.
#[derive(Debug)]
pub(crate) enum NotNow {
    /// Too often; in so many seconds there is room.
    Wait(u64),
    /// It cannot be counted.
    Uncounted,
}

type Uses = BTreeMap<String, Vec<i64>>;

impl Quotas {
    pub(crate) fn new(folder: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self { folder, clock, alone: Mutex::new(()) }
    }

    /// Counts one use, or says when there is room for one.
    pub(crate) fn take(&self, who: &ServiceName, tool: Tool) -> Result<(), NotNow> {
        let Some((_, most)) = QUOTAS.iter().find(|(limited, _)| *limited == tool) else { return Ok(()) };
        let _alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        files::create_folder(&self.folder).map_err(|_| NotNow::Uncounted)?;
        let _claim = self.claim(who)?;
        let path = self.folder.join(format!("{who}.quota.json"));
        let mut uses = Uses::new();
        if path.exists() {
            let bytes = files::read(&path).map_err(|_| NotNow::Uncounted)?;
            // A file that was damaged counts as full windows would: nobody gains by damaging it.
            uses = serde_json::from_slice(&bytes).map_err(|_| NotNow::Wait(3600))?;
        }
        let now = self.clock.now().as_micros();
        let counted = uses.entry(tool.name().to_owned()).or_default();
        // A clock that went back does not make room: what lies ahead stays counted.
        counted.retain(|at| now - at < WINDOW_MICROS);
        if counted.len() >= *most {
            let oldest = counted.iter().min().copied().unwrap_or(now);
            let wait = (oldest + WINDOW_MICROS - now).max(1_000_000) / 1_000_000;
            return Err(NotNow::Wait(wait as u64));
        }
        counted.push(now);
        let text = serde_json::to_vec(&uses).unwrap_or_default();
        files::replace(&path, &text).map_err(|_| NotNow::Uncounted)
    }

    fn claim(&self, who: &ServiceName) -> Result<std::fs::File, NotNow> {
        let path = self.folder.join(format!("{who}.claim"));
        for _ in 0..TRIES {
            if let Some(claim) = files::claim(&path).map_err(|_| NotNow::Uncounted)? {
                return Ok(claim);
            }
            self.clock.sleep(PAUSE);
        }
        Err(NotNow::Wait(1))
    }
}
