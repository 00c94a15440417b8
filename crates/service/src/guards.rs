//! What the configuration protects with, and when it became less: whoever edits a file asks nobody, so it is found out.

use std::collections::{BTreeMap, BTreeSet};

use model::SourceName;
use ports::files::{self, FileError};
use serde::{Deserialize, Serialize};
use watch::policy::Mode;

use crate::{
    Config, ConfigError, Installation,
    secret::Environment,
    watching::{ChannelConfig, WatchConfig},
    weakened,
};

/// What was seen of the configuration last, below the home folder.
const SEEN: &str = "state/guards.json";
const CLAIM: &str = "state/guards.claim";
/// Whose word it was cannot be known of an edited file.
const NOBODY: &str = "whoever changed unwipe.toml";

/// Why it cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum GuardsError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What was seen last cannot be read or written.
    #[error("what was seen of the configuration cannot be kept")]
    File(#[from] FileError),
    /// What was seen last is damaged.
    #[error("what was seen of the configuration cannot be kept")]
    Form(#[from] serde_json::Error),
}

/// What a configuration protects with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Guards {
    approvers: BTreeMap<String, String>,
    approvals: approvals::Policy,
    sources: BTreeSet<SourceName>,
    mirrors: BTreeSet<String>,
    witnesses: BTreeSet<String>,
    signers: BTreeSet<String>,
    mode: Mode,
    subjects: BTreeSet<String>,
    never: BTreeSet<String>,
    notify: Vec<ChannelConfig>,
}

impl Default for Guards {
    fn default() -> Self {
        let watch = WatchConfig::default();
        Self {
            approvers: BTreeMap::new(),
            approvals: approvals::Policy::default(),
            sources: BTreeSet::new(),
            mirrors: BTreeSet::new(),
            witnesses: BTreeSet::new(),
            signers: BTreeSet::new(),
            mode: watch.containment.mode,
            subjects: BTreeSet::new(),
            never: BTreeSet::new(),
            notify: watch.notify,
        }
    }
}

impl Guards {
    fn of(config: &Config) -> Self {
        let watch = &config.watch;
        Self {
            approvers: config.approvers.clone(),
            approvals: config.approvals,
            sources: config.sources.keys().cloned().collect(),
            mirrors: config.mirrors.keys().cloned().collect(),
            witnesses: config.witnesses.keys().cloned().collect(),
            signers: config.drills.signers.iter().cloned().collect(),
            mode: watch.containment.mode,
            subjects: watch.containment.subjects.iter().cloned().collect(),
            never: watch.containment.never.iter().cloned().collect(),
            notify: watch.notify.clone(),
        }
    }

    /// Says what protects less than before, a line each.
    fn weaker_than(&self, before: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, key) in &self.approvers {
            // The first approver takes nobody's place.
            if before.approvers.get(name) != Some(key) && !before.approvers.is_empty() {
                lines.push(format!("another key approves, under the name {name}: {key}"));
            }
        }
        let (new, old) = (&self.approvals, &before.approvals);
        if new.needed() < old.needed() {
            lines.push(format!("{} people approve instead of {}", new.needed(), old.needed()));
        }
        let delays = [
            ("weakening_delay_s", new.weakening_delay_s, old.weakening_delay_s),
            ("let_in_delay_s", new.let_in_delay_s, old.let_in_delay_s),
        ];
        let shorter = delays.into_iter().filter(|(_, new, old)| new < old);
        lines.extend(shorter.map(|(key, new, old)| format!("approvals.{key} is {new} instead of {old}")));
        if new.lifetime_s > old.lifetime_s {
            lines.push(format!("approvals.lifetime_s is {} instead of {}", new.lifetime_s, old.lifetime_s));
        }
        let gone = before.sources.difference(&self.sources);
        lines.extend(gone.map(|source| format!("{source} is protected no more")));
        lines.extend(before.mirrors.difference(&self.mirrors).map(|name| format!("mirror {name} is gone")));
        let gone = before.witnesses.difference(&self.witnesses);
        lines.extend(gone.map(|name| format!("witness {name} is gone")));
        let more = self.signers.difference(&before.signers);
        lines.extend(more.map(|key| format!("certificates of another key count: {key}")));
        if reach(self.mode) < reach(before.mode) {
            let (new, old) = (self.mode, before.mode);
            lines.push(format!("watch.containment.mode is {new:?} instead of {old:?}"));
        }
        let spared = before.subjects.difference(&self.subjects);
        lines.extend(spared.map(|who| format!("{who} is stopped by policy no more")));
        lines.extend(self.never.difference(&before.never).map(|who| format!("{who} is never stopped now")));
        let lost = before.notify.iter().filter(|channel| !self.notify.contains(channel)).count();
        if lost > 0 {
            lines.push(format!(
                "{lost} of {} channels that are told were changed or removed",
                before.notify.len()
            ));
        }
        lines
    }
}

const fn reach(mode: Mode) -> u8 {
    match mode {
        Mode::Observe => 0,
        Mode::Approve => 1,
        Mode::Automatic => 2,
    }
}

/// Compares the configuration with what was seen of it last. What protects less is written to the vault's operation log and
/// told over the channels of before; returns it, with what could not be written or told, a line each.
pub fn look(installation: &Installation, environment: Environment<'_>) -> Result<Vec<String>, GuardsError> {
    let home = installation.home();
    files::create_folder(&home.join("state"))?;
    // One process at a time, so that it is told once; whoever has it looks at the same file.
    let Some(_claim) = files::claim(&home.join(CLAIM))? else { return Ok(Vec::new()) };
    let config = Config::read(home)?;
    let (path, now) = (home.join(SEEN), Guards::of(&config));
    let before: Option<Guards> =
        if path.exists() { Some(serde_json::from_slice(&files::read(&path)?)?) } else { None };
    if before.as_ref() == Some(&now) {
        return Ok(Vec::new());
    }
    let weaker = before.as_ref().map(|before| now.weaker_than(before)).unwrap_or_default();
    let mut lines = Vec::new();
    if let Some(before) = before.filter(|_| !weaker.is_empty()) {
        let told = installation.telling(before.notify);
        for what in weaker {
            lines.push(format!("protection became less: {what}"));
            let failed = weakened::note(&told, environment, what, NOBODY);
            lines.extend(failed.into_iter().map(|why| format!("not told: {why}")));
        }
    }
    files::replace(&path, &serde_json::to_vec_pretty(&now)?)?;
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use connect::Stored;
    use model::Moment;
    use ports::{ManualClock, SeededRandom};

    use super::*;
    use crate::{
        Place,
        installation::{InitRequest, Ports},
        watching::Way,
    };

    #[test]
    fn whoever_edits_the_configuration_is_heard_of_once_also_when_they_silence_the_channels() {
        let folder = tempfile::tempdir().unwrap();
        let ports = Ports {
            clock: Arc::new(ManualClock::new(Moment::from_micros(1_750_000_000_000_000))),
            random: Arc::new(SeededRandom::new(1)),
            tracing: ports::Tracing::default(),
        };
        let place = Place::Folder { path: "vault".into(), immutable_flags: false };
        Installation::init(folder.path(), &InitRequest { place, lock_days: 30 }, &ports, &|_| None).unwrap();
        let edit = |change: &dyn Fn(&mut Config)| {
            let mut config = Config::read(folder.path()).unwrap();
            change(&mut config);
            config.write(folder.path()).unwrap();
            let installation = Installation::open(folder.path(), ports.clone()).unwrap();
            look(&installation, &|_| None).unwrap()
        };
        let key = |digit: &str| digit.repeat(64);
        let strong = |config: &mut Config| {
            config.approvers = BTreeMap::from([("anna".to_owned(), key("a"))]);
            config.approvals.needed = 2;
            config.watch.containment.mode = Mode::Automatic;
            let to = Way::File { path: "told.jsonl".into() };
            config.watch.notify = vec![ChannelConfig { from: notify::Urgency::Alarm, to }];
        };
        assert!(edit(&strong).is_empty(), "nothing was seen before");
        assert!(edit(&|config| config.approvals.weakening_delay_s += 1).is_empty(), "more is not less");
        let weaker = edit(&|config| {
            config.approvers.insert("eve".to_owned(), key("e"));
            config.approvals.needed = 1;
            config.watch.containment.mode = Mode::Observe;
            config.watch.notify.clear();
        });
        assert_eq!(weaker.len(), 4, "{weaker:?}");
        assert!(edit(&|_| {}).is_empty(), "it is told once");
        let told = files::read_text(&folder.path().join("told.jsonl")).unwrap();
        assert_eq!(told.lines().count(), 4);
        assert!(told.contains("another key approves, under the name eve") && told.contains("channels"));

        let installation = Installation::open(folder.path(), ports.clone()).unwrap();
        let source = SourceName::new(crate::operations::SOURCE).unwrap();
        let reader = installation.reader(None, &|_| None).unwrap();
        let stored = installation.stored(&source, reader, &connect::Silent).unwrap();
        let written = stored.items(&model::StreamName::new("weakenings").unwrap()).unwrap();
        assert_eq!(written.len(), 4);
    }
}
