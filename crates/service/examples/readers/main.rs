//! How soon pages answer over HTTP, how large they are, what `unwipe serve` holds in memory, and what readers cost a
//! capture.
//!
//! `readers --keep FOLDER [--unwipe target/release/unwipe] [--asked 200] [--readers 200] [--pause 5] [--pairs 5]
//! [--files 2000]` writes JSON to standard output. FOLDER is what `browse --keep FOLDER` filled. The pages are those of the
//! real binary, asked by people who logged in; the capture is another process of it, of a folder beside. A reader opens a
//! page, looks at it for about `--pause` seconds, and opens the next; every fifth one watches the overview's events
//! instead. Captures with readers and captures without take turns, and what is first changes from pair to pair.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that goes wrong should stop, and says what it measured"
)]

mod capture;
mod pages;
mod people;

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use ports::{Clock, SystemClock, SystemRandom};
use serde_json::{Value, json};
use service::{Installation, installation::Ports};

use capture::Papers;
use pages::{Visit, Visitor};
use people::Readers;

/// So long nobody asks anything before the memory is looked at.
const IDLE: Duration = Duration::from_secs(20);

/// What was asked for on the command line.
pub(crate) struct Options {
    pub(crate) home: PathBuf,
    pub(crate) unwipe: PathBuf,
    pub(crate) asked: usize,
    pub(crate) readers: usize,
    pub(crate) pause: Duration,
    pub(crate) pairs: usize,
    pub(crate) files: usize,
}

impl Options {
    fn read() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let option = |name: &str| {
            arguments
                .iter()
                .position(|argument| argument == name)
                .and_then(|at| arguments.get(at + 1))
                .cloned()
        };
        let number = |name: &str, usual: usize| option(name).map_or(usual, |text| text.parse().unwrap());
        Self {
            home: Path::new(&option("--keep").unwrap()).join("home"),
            unwipe: option("--unwipe").unwrap_or_else(|| "target/release/unwipe".to_owned()).into(),
            asked: number("--asked", 200),
            readers: number("--readers", 200),
            pause: Duration::from_secs(number("--pause", 5) as u64),
            pairs: number("--pairs", 5),
            files: number("--files", 2000),
        }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.unwipe);
        command.arg("--home").arg(&self.home).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

/// `unwipe serve`; it ends when this does.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn main() {
    let options = Options::read();
    let clock = SystemClock::new();
    let ports =
        Ports { clock: Arc::new(clock), random: Arc::new(SystemRandom), tracing: ports::Tracing::default() };
    let mut installation = Installation::open(&options.home, ports).unwrap();
    // The origin has the port in it, so the port is chosen before.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let papers = Papers::protect(&mut installation, &options, |config| {
        config.server.listen = format!("127.0.0.1:{port}");
        config.server.origin = format!("http://localhost:{port}");
        // With the key, the made-up catalog would be found not to be that of the vault, and be made anew.
        config.restore.key = None;
    });
    let cookie = people::sign_in(&installation);
    let visitor = Visitor { port, cookie };

    let mut serving = Serving(options.command(&["serve", "--no-capture"]).spawn().unwrap());
    while visitor.ask("/").is_none() {
        assert!(serving.0.try_wait().unwrap().is_none(), "unwipe serve ended");
        clock.sleep(Duration::from_millis(200));
    }
    clock.sleep(IDLE);
    let idle_before = resident_kib(&serving.0);
    let pages = pages::measure(&visitor, &clock, options.asked);
    clock.sleep(IDLE);
    let idle_after = resident_kib(&serving.0);
    let pairs = pairs(&options, &papers, &visitor, &clock);
    println!(
        "{}",
        serde_json::to_string_pretty(&json!({
            "load_average": std::fs::read_to_string("/proc/loadavg").unwrap().trim(),
            "cores": std::thread::available_parallelism().unwrap().get(),
            "idle_mib": { "before_any_page": idle_before >> 10, "after_all_pages": idle_after >> 10 },
            "pages": pages,
            "assets_bytes": pages::assets(&visitor),
            "captures": pairs,
            "with_readers_mib": resident_kib(&serving.0) >> 10,
        }))
        .unwrap()
    );
}

/// Captures as much with readers as without, as often as was asked.
fn pairs(options: &Options, papers: &Papers, visitor: &Visitor, clock: &SystemClock) -> Value {
    let mut visits: Vec<Visit> = Vec::new();
    let mut pairs = Vec::new();
    for pair in 0..options.pairs {
        let mut took = [None, None];
        for turn in 0..2 {
            let with_readers = (pair + turn) % 2 == 0;
            papers.add(pair * 2 + turn);
            let captured = if with_readers {
                let readers = Readers::begin(visitor, options);
                // Until those who watch are connected, and most of the others have opened a page.
                clock.sleep(options.pause);
                let captured = papers.capture(clock);
                visits.extend(readers.end());
                captured
            } else {
                papers.capture(clock)
            };
            took[usize::from(with_readers)] = Some(captured);
        }
        let [without, with] = took.map(Option::unwrap);
        pairs.push(json!({
            "without_s": without.seconds, "with_s": with.seconds,
            "without_cpu_s": without.cpu_seconds, "with_cpu_s": with.cpu_seconds,
            "slower_percent": (with.seconds / without.seconds - 1.0) * 100.0,
        }));
    }
    let failed = visits.iter().filter(|visit| visit.status != 200).count();
    let milliseconds = visits.iter().filter(|visit| visit.status == 200).map(|visit| visit.milliseconds);
    json!({
        "pairs": pairs,
        "pages_opened": visits.len(),
        "pages_refused": failed,
        "milliseconds": pages::spread(milliseconds.collect()),
    })
}

/// Returns how much of a process is in memory.
fn resident_kib(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
