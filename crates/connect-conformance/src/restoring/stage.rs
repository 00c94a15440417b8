//! A source that was damaged, what captures saw of it, and a plan's folder.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use connect::{
    Silent,
    plan::{AppliedReport, ApplyMode, Plan, PlanFolder, Verification, WriteError},
    testing::MemoryHistory,
};
use connect_http::Transport;

use crate::{
    rule::{StartRestorable, Unmet},
    stage::{Checked, SMALL, Scene, chain, demand},
    subject::{Act, Conditions, Fact, Furnishing, Place, Restorable, Subject, Undo},
};

/// A damaged source. What is damaged is all in the first stream.
pub(crate) struct Damaged {
    pub(crate) subject: Arc<dyn Restorable>,
    pub(crate) scene: Scene,
    pub(crate) history: MemoryHistory,
    /// What was in the source before.
    pub(crate) before: Vec<(String, Fact)>,
    /// Items that are still there and were changed.
    pub(crate) changed: Vec<Place>,
    pub(crate) threads: usize,
    folder: tempfile::TempDir,
}

/// Returns what is in a source, whatever ids it has: what is made anew gets another one.
pub(crate) fn facts(subject: &dyn Subject) -> Vec<(String, Fact)> {
    let mut facts: Vec<(String, Fact)> =
        subject.real().into_iter().map(|(place, fact)| (place.stream, fact)).collect();
    facts.sort();
    facts
}

/// Returns facts without others, each taken out once for each time it occurs there.
pub(crate) fn without(mut facts: Vec<(String, Fact)>, others: &[(String, Fact)]) -> Vec<(String, Fact)> {
    for other in others {
        if let Some(index) = facts.iter().position(|fact| fact == other) {
            facts.remove(index);
        }
    }
    facts
}

impl Damaged {
    pub(crate) fn new(start: &StartRestorable<'_>) -> Result<Self, Unmet> {
        Self::with(start, &SMALL, 1)
    }

    /// Starts a source, captures it, and damages it: of each kind of damage so many items.
    pub(crate) fn with(
        start: &StartRestorable<'_>,
        furnishing: &Furnishing,
        each: usize,
    ) -> Result<Self, Unmet> {
        let mut stage = Self::whole(start, furnishing)?;
        stage.damage(each)?;
        Ok(stage)
    }

    /// Starts a source and captures it.
    pub(crate) fn whole(start: &StartRestorable<'_>, furnishing: &Furnishing) -> Result<Self, Unmet> {
        let subject = start(furnishing);
        let upcast = Arc::clone(&subject);
        let mut scene = Scene::with(&move |_| Arc::clone(&upcast) as Arc<dyn Subject>, furnishing);
        scene.capture()?;
        let mut history = MemoryHistory::default();
        history.push(&scene.sink.held);
        let folder = tempfile::tempdir().map_err(|error| Unmet::Broken(error.to_string()))?;
        let before = facts(&*subject);
        Ok(Self { subject, scene, history, before, changed: Vec::new(), threads: 1, folder })
    }

    /// Damages the first stream and captures what is left.
    pub(crate) fn damage(&mut self, each: usize) -> Checked {
        self.hurt(each)?;
        self.see()
    }

    /// Damages the first stream: of each kind of damage so many items.
    pub(crate) fn hurt(&mut self, each: usize) -> Checked {
        let places = self.scene.places();
        let mut places = places.into_values().next().unwrap_or_default().into_iter();
        let kinds: [fn(&Place) -> Act<'_>; 5] = [
            |place| Act::RemoveForGood(place),
            |place| Act::Remove(place),
            |place| Act::ChangeAttributes(place),
            |place| Act::Move(place),
            |place| Act::ChangeContent(place),
        ];
        let mut never = None;
        for kind in kinds {
            for place in places.by_ref().take(each) {
                match self.subject.act(kind(&place)) {
                    Ok(()) if matches!(kind(&place), Act::RemoveForGood(_)) => {}
                    Ok(()) => self.changed.push(place),
                    Err(reason) => never = Some(reason),
                }
            }
        }
        if facts(&*self.subject) == self.before {
            return Err(never.map_or_else(|| Unmet::Broken("nothing was damaged".to_owned()), Unmet::from));
        }
        let real = self.subject.real();
        self.changed.retain(|place| real.contains_key(place));
        Ok(())
    }

    /// Captures once more.
    pub(crate) fn see(&mut self) -> Checked {
        self.scene.capture_later()?;
        self.history.push(&self.scene.sink.held);
        Ok(())
    }

    pub(crate) fn conditions(&self, transport: Arc<dyn Transport>) -> Conditions {
        Conditions { transport, threads: self.threads, paced: self.scene.paced }
    }

    fn tap(&self) -> Arc<dyn Transport> {
        Arc::clone(&self.scene.tap) as _
    }

    /// Plans the undo of all that happened since the first capture.
    pub(crate) fn plan(&self, name: &str) -> Result<(Plan, PlanFolder), Unmet> {
        let folder = PlanFolder::new(self.folder.path().join(name));
        let undo = Undo { past: &self.history, held: &self.scene.sink.held, before: 1, after: 2 };
        let plan = self.subject.plan(&undo, &folder, &self.conditions(self.tap()));
        folder.write(&plan).map_err(|error| Unmet::Broken(chain(&error)))?;
        Ok((plan, folder))
    }

    pub(crate) fn apply_through(
        &self,
        transport: Arc<dyn Transport>,
        plan: &Plan,
        folder: &PlanFolder,
        mode: ApplyMode,
    ) -> Result<AppliedReport, WriteError> {
        let conditions = self.conditions(transport);
        let mut writer = self.subject.writer(&self.history, &conditions, folder.path());
        writer.apply(plan, folder, mode, &Silent)
    }

    /// Applies a plan with a writer of its own; the end must be a good one.
    pub(crate) fn apply(&self, plan: &Plan, folder: &PlanFolder) -> Result<AppliedReport, Unmet> {
        self.scene.tap.forget();
        self.apply_through(self.tap(), plan, folder, ApplyMode::Lasting)
            .map_err(|error| Unmet::Broken(format!("the plan was not applied: {}", chain(&error))))
    }

    pub(crate) fn verify(&self, plan: &Plan, folder: &PlanFolder) -> Result<Verification, Unmet> {
        let conditions = self.conditions(self.tap());
        let mut writer = self.subject.writer(&self.history, &conditions, folder.path());
        let verified = writer.verify(plan, folder, &Silent);
        verified.map_err(|error| Unmet::Broken(format!("the plan was not verified: {}", chain(&error))))
    }

    /// Demands that everything is as it was before the damage, each thing once.
    pub(crate) fn demand_whole(&self) -> Checked {
        self.demand_facts(&self.before)
    }

    pub(crate) fn demand_facts(&self, expected: &[(String, Fact)]) -> Checked {
        let now = facts(&*self.subject);
        let (lacking, odd) = (without(expected.to_vec(), &now), without(now, expected));
        demand(lacking.is_empty() && odd.is_empty(), || {
            format!("these are not there: {lacking:?}; and these should not be, or not twice: {odd:?}")
        })
    }
}

/// The files of a folder at one moment.
#[derive(Debug, Default)]
pub(crate) struct Snapshot(BTreeMap<PathBuf, Vec<u8>>);

impl Snapshot {
    /// Takes all files below a folder; one that cannot be read is not there.
    pub(crate) fn take(folder: &Path) -> Self {
        let mut files = BTreeMap::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            for path in entries.map(|entry| entry.path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(bytes) = ports::files::read(&path) {
                    files.insert(path, bytes);
                }
            }
        }
        Self(files)
    }

    /// Puts the folder back as it was: what a killed process did not write any more is not there.
    pub(crate) fn put_back(&self, folder: &Path) -> Checked {
        let failed = |error: String| Unmet::Broken(format!("the folder cannot be put back: {error}"));
        for path in Self::take(folder).0.keys().filter(|path| !self.0.contains_key(*path)) {
            std::fs::remove_file(path).map_err(|error| failed(error.to_string()))?;
        }
        for (path, bytes) in &self.0 {
            ports::files::replace(path, bytes).map_err(|error| failed(error.to_string()))?;
        }
        Ok(())
    }
}
