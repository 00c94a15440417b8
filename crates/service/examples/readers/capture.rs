//! A folder whose capture is measured: as many files are new each time.

use std::path::PathBuf;

use model::SourceName;
use ports::{Clock, SystemClock};
use serde_json::json;
use service::{
    Installation,
    config::{Config, SourceConfig},
};

use crate::{Options, pages::Numbers};

const SOURCE: &str = "papers";
const FILE_BYTES: usize = 16 << 10;
/// Ticks of the processor's time that a second has in `/proc`.
const TICKS: f64 = 100.0;

/// The folder.
pub(crate) struct Papers<'a> {
    options: &'a Options,
    folder: PathBuf,
}

/// What a capture took.
pub(crate) struct Captured {
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
}

impl<'a> Papers<'a> {
    /// Makes the folder anew and the source of it, with what else is to be configured.
    pub(crate) fn protect(
        installation: &mut Installation,
        options: &'a Options,
        configure: impl FnOnce(&mut Config),
    ) -> Self {
        let folder = options.home.with_file_name("papers");
        if folder.exists() {
            ports::files::remove_scratch(&folder).unwrap();
        }
        ports::files::create_scratch(&folder).unwrap();
        let settings = serde_json::from_value(json!({ "path": folder })).unwrap();
        let papers = SourceConfig { kind: "files".to_owned(), settings };
        installation
            .reconfigure(|config| {
                configure(config);
                config.sources.insert(SourceName::new(SOURCE).unwrap(), papers);
                Ok(())
            })
            .unwrap();
        Self { options, folder }
    }

    /// Adds files that were never there, with contents that do not compress.
    #[expect(
        clippy::disallowed_methods,
        reason = "these files are somebody's; what is measured is not their making"
    )]
    pub(crate) fn add(&self, round: usize) {
        let folder = self.folder.join(format!("{round:03}"));
        std::fs::create_dir(&folder).unwrap();
        let seed = u64::from(std::process::id());
        for number in 0..self.options.files {
            let mut numbers = Numbers(seed << 40 | (round as u64) << 32 | number as u64);
            let content: Vec<u8> =
                (0..FILE_BYTES / 8).flat_map(|_| numbers.below(u64::MAX).to_le_bytes()).collect();
            std::fs::write(folder.join(format!("{number:06}.bin")), content).unwrap();
        }
    }

    /// Captures what is new.
    pub(crate) fn capture(&self, clock: &SystemClock) -> Captured {
        let (began, used) = (clock.elapsed(), used_by_children());
        let status = self.options.command(&["capture", SOURCE, "--once"]).status().unwrap();
        assert!(status.success(), "the capture failed: {status}");
        Captured {
            seconds: clock.elapsed().saturating_sub(began).as_secs_f64(),
            cpu_seconds: used_by_children() - used,
        }
    }
}

/// Returns how many seconds of a processor the children that ended have used.
fn used_by_children() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // The fourteenth and fifteenth behind the name: user and system time of children that were waited for.
    (fields[13].parse::<f64>().unwrap() + fields[14].parse::<f64>().unwrap()) / TICKS
}
