//! What an incident entails and may take long: the vault's log, holds, haste, notices.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use connect::Urge;
use model::SourceName;
use notify::Message as Notice;
use ports::Clock;
use watch::{Amendment, Incident};

use super::{Message, WatchError, reach::Counted, settings::Listener};
use crate::{
    Installation, Secrets,
    incidents::happened,
    operations::{self, Kind},
    retention::Retention,
    secret::Environment,
};

/// How long a notice that did not arrive waits before it is sent again, longer each time.
const RETRY_MIN: Duration = Duration::from_secs(2);
const RETRY_MAX: Duration = Duration::from_mins(5);
/// A notice that has not arrived after so many attempts is given up; the incident says so.
const ATTEMPTS_MAX: u32 = 30;
/// How long the thread waits for work before it looks what has to be sent again.
const TICK: Duration = Duration::from_millis(200);

/// How often items are counted, so that a loss can be seen as a share.
const COUNT_INTERVAL: Duration = Duration::from_mins(10);

/// Something to be done.
pub(super) enum Task {
    /// An incident was opened: its sources are held and read at once.
    Alarm(Box<Incident>),
    /// An incident is written to the vault's log as it stands.
    Record(Box<Incident>),
    /// Somebody is told.
    Tell { incident: Option<u64>, notice: Box<Notice> },
}

/// The thread that does it.
pub(super) struct Aftermath {
    sender: Option<Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl Aftermath {
    /// Starts the thread.
    pub(super) fn start(
        installation: &Installation,
        environment: Environment<'static>,
        urges: BTreeMap<SourceName, Urge>,
        answers: Sender<Message>,
        tell: Arc<dyn Fn(String) + Send + Sync>,
        counted: Counted,
    ) -> Result<Self, WatchError> {
        let installation = installation.again()?;
        let secrets = Secrets::new(installation.home(), environment);
        let channels = installation.config().watch.channels(&installation, &secrets)?;
        let (sender, receiver) = channel();
        let clock = Arc::clone(&installation.ports().clock);
        let work = Work {
            installation,
            environment,
            urges,
            channels,
            answers,
            tell,
            clock,
            unsent: VecDeque::new(),
            counted,
            counted_at: None,
        };
        let thread = std::thread::Builder::new()
            .name("watch-aftermath".to_owned())
            .spawn(move || work.run(&receiver))
            .map_err(WatchError::Thread)?;
        Ok(Self { sender: Some(sender), thread: Some(thread) })
    }

    /// Hands over something to be done.
    pub(super) fn put(&self, task: Task) {
        if let Some(sender) = &self.sender {
            // A thread that died has said so.
            sender.send(task).ok();
        }
    }
}

impl Drop for Aftermath {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A notice that has not arrived yet.
struct Unsent {
    channel: usize,
    incident: Option<u64>,
    notice: Box<Notice>,
    attempts: u32,
    /// By elapsed time.
    due: Duration,
}

struct Work {
    installation: Installation,
    environment: Environment<'static>,
    urges: BTreeMap<SourceName, Urge>,
    channels: Vec<Listener>,
    answers: Sender<Message>,
    tell: Arc<dyn Fn(String) + Send + Sync>,
    clock: Arc<dyn Clock>,
    unsent: VecDeque<Unsent>,
    counted: Counted,
    /// By elapsed time, when items were last counted.
    counted_at: Option<Duration>,
}

impl Work {
    fn run(mut self, receiver: &Receiver<Task>) {
        let mut is_over = false;
        while !is_over {
            let mut tasks = VecDeque::new();
            match receiver.recv_timeout(TICK) {
                Ok(task) => tasks.push_back(task),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => is_over = true,
            }
            tasks.extend(receiver.try_iter());
            self.carry_out(tasks);
            self.send_due();
            if !is_over {
                self.count();
            }
        }
    }

    /// Counts items again from time to time.
    fn count(&mut self) {
        let now = self.clock.elapsed();
        if self.counted_at.is_some_and(|at| now.saturating_sub(at) < COUNT_INTERVAL) {
            return;
        }
        self.counted_at = Some(now);
        if let Err(error) = self.counted.count(&self.installation) {
            self.say(format!("items were not counted, so a loss is not seen as a share: {}", chain(&error)));
        }
    }

    /// Does what is most urgent first: haste costs nothing, notices come before what waits for a store.
    fn carry_out(&mut self, tasks: VecDeque<Task>) {
        let mut records: BTreeMap<u64, Box<Incident>> = BTreeMap::new();
        let mut alarms = Vec::new();
        for task in tasks {
            match task {
                Task::Alarm(incident) => {
                    self.urge(&incident);
                    alarms.push(incident);
                }
                Task::Tell { incident, notice } => self.tell_all(incident, &notice),
                // Only how it stands now matters.
                Task::Record(incident) => drop(records.insert(incident.id, incident)),
            }
        }
        self.send_due();
        for incident in alarms {
            self.hold(&incident);
        }
        for incident in records.values() {
            if let Err(error) = record(&self.installation, self.environment, incident) {
                self.say(format!("incident {} is not in the vault's log yet: {error}", incident.id));
            }
        }
    }

    fn urge(&self, incident: &Incident) {
        for source in incident.touched.keys() {
            if let Some(urge) = self.urges.get(source) {
                urge.request();
                let text = format!("the capture of {source} was asked to read everything now and to commit");
                self.amend(incident.id, Amendment::Captured { at: self.clock.now(), text });
            }
        }
    }

    fn hold(&self, incident: &Incident) {
        let reason = format!("incident {}: {}", incident.id, happened(incident));
        let retention = match Retention::open(&self.installation, self.environment) {
            Ok(retention) => retention,
            Err(error) => return self.say(format!("incident {}: no hold was taken: {error}", incident.id)),
        };
        for source in incident.touched.keys() {
            match retention.hold(Some(source.clone()), &reason) {
                Ok(_) => {
                    let source = source.clone();
                    self.amend(incident.id, Amendment::Held { source, at: self.clock.now() });
                }
                Err(error) => {
                    self.say(format!(
                        "incident {}: no hold was taken on {source}: {}",
                        incident.id,
                        chain(&error)
                    ));
                }
            }
        }
    }

    fn tell_all(&mut self, incident: Option<u64>, notice: &Notice) {
        let due = self.clock.elapsed();
        for (channel, listener) in self.channels.iter().enumerate() {
            if notice.urgency >= listener.from {
                let notice = Box::new(notice.clone());
                self.unsent.push_back(Unsent { channel, incident, notice, attempts: 0, due });
            }
        }
    }

    fn send_due(&mut self) {
        let now = self.clock.elapsed();
        for mut unsent in std::mem::take(&mut self.unsent) {
            if unsent.due > now {
                self.unsent.push_back(unsent);
                continue;
            }
            let channel = &self.channels[unsent.channel].to;
            unsent.attempts += 1;
            let result = channel.send(&unsent.notice);
            let goes_on =
                result.as_ref().is_err_and(|error| error.is_transient() && unsent.attempts < ATTEMPTS_MAX);
            if result.is_ok() || !goes_on {
                let failure = result.err().map(|error| chain(&error));
                if let Some(failure) = &failure {
                    self.say(format!("a notice did not arrive: {failure}"));
                }
                if let Some(incident) = unsent.incident {
                    let text = match failure {
                        None => told(channel.name()),
                        Some(failure) => format!("not told: {failure}"),
                    };
                    self.amend(incident, Amendment::Notified { at: self.clock.now(), text });
                }
                continue;
            }
            unsent.due = now + RETRY_MIN.saturating_mul(1 << unsent.attempts.min(8)).min(RETRY_MAX);
            self.unsent.push_back(unsent);
        }
    }

    fn amend(&self, incident: u64, amendment: Amendment) {
        // When the watching thread has ended, nobody keeps the incident any more.
        self.answers.send(Message::Amend { incident, amendment: Box::new(amendment) }).ok();
    }

    fn say(&self, line: String) {
        (self.tell)(line);
    }
}

/// Writes an incident to the vault's log as it stands.
pub(super) fn record(
    installation: &Installation,
    environment: Environment<'_>,
    incident: &Incident,
) -> Result<(), WatchError> {
    let (writer, _) = installation.writer(environment)?;
    operations::record(&writer, Kind::Incident, &incident.id.to_string(), incident)?;
    Ok(())
}

/// Says over which channel somebody was told: of a path its last part says enough.
fn told(channel: &str) -> String {
    match channel.split_once(' ') {
        Some(("file", path)) => format!("written to the file {}", path.rsplit('/').next().unwrap_or(path)),
        Some(("mail", host)) => format!("a mail was sent over {host}"),
        Some((kind, place)) => format!("a notice was sent to the {kind} {place}"),
        None => format!("a notice was sent to {channel}"),
    }
}

/// Writes an error with its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
