//! Plans the rows of one table: reads facts in batches, decides, and writes the images into attachments.

use std::{
    collections::{BTreeMap, HashMap},
    io::Write,
};

use connect::{
    Progress,
    plan::{Action, Attachment, AttachmentWriter, Choice, Conflict, Counts, LISTED_MAX, PlanFolder},
};

use crate::{
    decide::{Decision, Deed, Facts, Live, Owners, decide},
    error::PlanningError,
    facts::{
        Image, Pair, copy_images, copy_live, copy_reverts, count_contents, images_at, live_at, live_by_key,
        next_images, open_images,
    },
    parents::{self, Returning},
    session::Session,
};

mod strands;

pub(crate) use strands::Folded;

/// Rows that are read and decided at a time: what planning holds in memory of a table.
const BATCH_ROWS: usize = 10_000;

/// What a transaction did to the rows of one table, by place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Deeds {
    /// Where destroyed rows were.
    pub(crate) destroyed: Vec<String>,
    /// Where changed rows were, and where the transaction left them.
    pub(crate) changed: Vec<(String, String)>,
    /// Where the transaction left new rows.
    pub(crate) added: Vec<String>,
    /// The file that places after the transaction refer to.
    pub(crate) file: u32,
}

/// A part of a plan that is not yet numbered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowsPart {
    pub(crate) table: u32,
    pub(crate) action: Action,
    pub(crate) rows: u64,
    pub(crate) attachment: String,
    pub(crate) replaced: Option<String>,
}

/// Everything that planning collects on its way.
pub(crate) struct Collected<'f> {
    folder: &'f PlanFolder,
    pub(crate) parts: Vec<RowsPart>,
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) conflicts: Vec<Conflict>,
    pub(crate) counts: Counts,
    pub(crate) returning: Returning,
    /// All conflicts, once there are more than a plan lists.
    overflow: Option<AttachmentWriter>,
    files: u32,
}

/// The attachment that lists all conflicts when there are many.
const CONFLICTS: &str = "conflicts.jsonl";

impl<'f> Collected<'f> {
    pub(crate) fn new(folder: &'f PlanFolder) -> Self {
        Self {
            folder,
            parts: Vec::new(),
            attachments: Vec::new(),
            conflicts: Vec::new(),
            counts: Counts::default(),
            returning: Returning::default(),
            overflow: None,
            files: 0,
        }
    }

    pub(crate) fn conflict(
        &mut self,
        target: &str,
        key: String,
        reason: String,
    ) -> Result<(), PlanningError> {
        let conflict = Conflict { target: target.to_owned(), key, reason, choice: Choice::Keep };
        self.counts.conflicts += 1;
        if self.conflicts.len() < LISTED_MAX {
            self.conflicts.push(conflict);
            return Ok(());
        }
        if self.overflow.is_none() {
            let mut file = self.folder.create(CONFLICTS)?;
            for listed in &self.conflicts {
                write_line(&mut file, listed)?;
            }
            self.overflow = Some(file);
        }
        self.overflow.as_mut().map_or(Ok(()), |file| write_line(file, &conflict))
    }

    pub(crate) fn finish(&mut self) -> Result<(), PlanningError> {
        if let Some(file) = self.overflow.take() {
            self.attachments.push(file.finish()?);
        }
        Ok(())
    }

    pub(crate) fn new_file(&mut self) -> Result<AttachmentWriter, PlanningError> {
        self.files += 1;
        Ok(self.folder.create(&format!("rows/{}.copy", self.files))?)
    }
}

fn write_line(file: &mut AttachmentWriter, conflict: &Conflict) -> Result<(), PlanningError> {
    let mut line = serde_json::to_vec(conflict).map_err(PlanningError::Encode)?;
    line.push(b'\n');
    file.write_all(&line).map_err(|source| PlanningError::Write { what: CONFLICTS.to_owned(), source })
}

/// The attachments of one table, made when the first row needs them.
#[derive(Default)]
struct TableFiles {
    inserts: Option<AttachmentWriter>,
    reverts: Option<AttachmentWriter>,
    replaced: Option<AttachmentWriter>,
    removals: Option<AttachmentWriter>,
    inserted: u64,
    reverted: u64,
    removed: u64,
}

/// Plans the rows of one table.
pub(crate) struct RowPlanner<'p, 's, 'c, 'f> {
    pub(crate) scratch: &'p mut Session<'s>,
    pub(crate) production: &'p mut Session<'c>,
    pub(crate) pair: &'p Pair,
    pub(crate) owners: &'p Owners,
    pub(crate) collected: &'p mut Collected<'f>,
    pub(crate) progress: &'p dyn Progress,
    /// How the table is named to people: with its database.
    pub(crate) target: String,
    /// The rows that are decided field by field.
    pub(crate) folded: Folded,
    files: TableFiles,
}

impl<'p, 's, 'c, 'f> RowPlanner<'p, 's, 'c, 'f> {
    pub(crate) fn new(
        (scratch, production): (&'p mut Session<'s>, &'p mut Session<'c>),
        pair: &'p Pair,
        owners: &'p Owners,
        collected: &'p mut Collected<'f>,
        progress: &'p dyn Progress,
        target: String,
    ) -> Result<Self, PlanningError> {
        if !pair.has_key {
            count_contents(scratch, production, pair)?;
        }
        let (folded, files) = (Folded::default(), TableFiles::default());
        Ok(Self { scratch, production, pair, owners, collected, progress, target, folded, files })
    }

    /// Plans what undoes a transaction's deeds to single rows.
    pub(crate) fn plan_deeds(&mut self, deeds: &Deeds) -> Result<(), PlanningError> {
        for batch in deeds.destroyed.chunks(BATCH_ROWS) {
            let images = images_at(self.scratch, self.pair, batch, false)?;
            self.missing_images(batch.len(), images.len())?;
            let deeds = images.iter().map(|_| Deed::Destroyed).collect();
            self.plan_images(images, deeds)?;
        }
        let places_hold = deeds.file == self.pair.now.file;
        for batch in deeds.changed.chunks(BATCH_ROWS) {
            self.plan_changed(batch, places_hold)?;
        }
        self.plan_added(&deeds.added, places_hold)
    }

    /// Plans a comparison of all rows, or of those that a predicate chooses.
    pub(crate) fn plan_comparison(
        &mut self,
        predicate: Option<&str>,
        revert: bool,
    ) -> Result<(), PlanningError> {
        open_images(self.scratch, self.pair, predicate)?;
        loop {
            let images = next_images(self.scratch, self.pair, BATCH_ROWS)?;
            if images.is_empty() {
                return Ok(());
            }
            let deeds = images.iter().map(|_| Deed::Compared { revert }).collect();
            self.plan_images(images, deeds)?;
        }
    }

    fn plan_changed(&mut self, batch: &[(String, String)], places_hold: bool) -> Result<(), PlanningError> {
        let old: Vec<String> = batch.iter().map(|(old, _)| old.clone()).collect();
        let new: Vec<String> = batch.iter().map(|(_, new)| new.clone()).collect();
        let images = images_at(self.scratch, self.pair, &old, true)?;
        self.missing_images(batch.len(), images.len())?;
        let left_at = if places_hold { live_at(self.production, self.pair, &new)? } else { HashMap::new() };
        let moved: HashMap<&str, &str> =
            batch.iter().map(|(old, new)| (old.as_str(), new.as_str())).collect();
        let left = |image: &Image| {
            let live = left_at.get(*moved.get(image.place.as_str())?)?;
            self.owners.own(live).then(|| live.clone())
        };
        let deeds = images.iter().map(|image| Deed::Changed { left: left(image), places_hold }).collect();
        self.plan_images(images, deeds)
    }

    /// New rows of the transaction are removed as long as they are exactly as it left them.
    fn plan_added(&mut self, added: &[String], places_hold: bool) -> Result<(), PlanningError> {
        if !places_hold {
            for place in added {
                let reason = "the table was rewritten since, so that the row cannot be found by its place";
                let key = format!("the new row that was at {place}");
                self.collected.conflict(&self.target, key, reason.to_owned())?;
            }
            return Ok(());
        }
        for batch in added.chunks(BATCH_ROWS) {
            let live = live_at(self.production, self.pair, batch)?;
            let ours = |place: &&String| live.get(*place).is_some_and(|live| self.owners.own(live));
            let (ours, gone): (Vec<&String>, Vec<&String>) = batch.iter().partition(|place| ours(place));
            for place in gone {
                let reason = "the row was changed again or deleted later";
                let key = format!("the new row at {place}");
                self.collected.conflict(&self.target, key, reason.to_owned())?;
            }
            let mut places: Vec<String> = ours.into_iter().cloned().collect();
            let needed = parents::needed(self.production, self.pair, self.owners, &places)?;
            for (place, reason) in places.iter().filter_map(|place| needed.get_key_value(place)) {
                self.collected.conflict(&self.target, format!("the new row at {place}"), reason.clone())?;
            }
            places.retain(|place| !needed.contains_key(place));
            if !places.is_empty() {
                let file = open_file(&mut self.files.removals, self.collected)?;
                self.files.removed += copy_live(self.production, self.pair, &places, file)?;
            }
            self.progress.advance(batch.len() as u64);
        }
        Ok(())
    }

    /// Reads the digests of those destroyed rows whose keys exist in production.
    fn add_digests(
        &mut self,
        images: &mut [Image],
        by_key: &BTreeMap<usize, Live>,
    ) -> Result<(), PlanningError> {
        let unknown = |position: &&usize| images.get(**position).is_some_and(|image| image.digest.is_empty());
        let positions: Vec<usize> = by_key.keys().filter(unknown).copied().collect();
        let places: Vec<String> = positions.iter().map(|position| images[*position].place.clone()).collect();
        if places.is_empty() {
            return Ok(());
        }
        let whole = images_at(self.scratch, self.pair, &places, true)?;
        let digests: HashMap<String, String> =
            whole.into_iter().map(|image| (image.place, image.digest)).collect();
        for position in positions {
            let image = &mut images[position];
            image.digest = digests.get(&image.place).cloned().unwrap_or_default();
        }
        Ok(())
    }

    fn plan_images(&mut self, mut images: Vec<Image>, deeds: Vec<Deed>) -> Result<(), PlanningError> {
        let mut lookups: Vec<(String, BTreeMap<usize, Live>)> = Vec::new();
        for unique in &self.pair.uniques {
            lookups.push((unique.index.clone(), live_by_key(self.production, self.pair, unique, &images)?));
        }
        let by_key = if self.pair.has_key { lookups.remove(0).1 } else { BTreeMap::new() };
        self.add_digests(&mut images, &by_key)?;
        let (mut inserts, mut reverts) = (Vec::new(), Vec::new());
        let count = images.len() as u64;
        for (position, (image, deed)) in images.into_iter().zip(deeds).enumerate() {
            if image.key(self.pair).is_some_and(|key| self.folded.has(&key)) {
                let reason = "somebody else made the row anew, and that is what comes back";
                self.collected.conflict(&self.target, image.label(self.pair), reason.to_owned())?;
                continue;
            }
            let holders = lookups
                .iter()
                .filter_map(|(index, found)| found.get(&position).map(|live| (index.clone(), live.clone())));
            let facts = Facts {
                deed,
                digest: image.digest.clone(),
                by_key: by_key.get(&position).cloned(),
                holders: holders.collect(),
            };
            match decide(&facts, self.owners) {
                Decision::Insert => inserts.push(image),
                Decision::Revert(live) => reverts.push((image, live)),
                Decision::Unchanged => self.collected.counts.unchanged += 1,
                Decision::Conflict(reason) => {
                    let label = image.label(self.pair);
                    self.collected.conflict(&self.target, label, reason)?;
                }
            }
        }
        self.leave_orphans(&mut inserts, &mut reverts)?;
        let inserts: Vec<String> = inserts.into_iter().map(|image| image.place).collect();
        let reverts: Vec<(String, Live)> =
            reverts.into_iter().map(|(image, live)| (image.place, live)).collect();
        self.write_images(&inserts, &reverts)?;
        self.collected.returning.insert(self.pair.then.oid, &inserts);
        self.progress.advance(count);
        Ok(())
    }

    /// Takes the rows out whose parents are gone for good.
    fn leave_orphans(
        &mut self,
        inserts: &mut Vec<Image>,
        reverts: &mut Vec<(Image, Live)>,
    ) -> Result<(), PlanningError> {
        let places: Vec<String> = inserts
            .iter()
            .chain(reverts.iter().map(|(image, _)| image))
            .map(|image| image.place.clone())
            .collect();
        let servers = (&mut *self.scratch, &mut *self.production);
        let orphans = parents::orphans(servers, self.pair, &self.collected.returning, &places)?;
        if orphans.is_empty() {
            return Ok(());
        }
        for image in inserts.iter().chain(reverts.iter().map(|(image, _)| image)) {
            if let Some(reason) = orphans.get(&image.place) {
                self.collected.conflict(&self.target, image.label(self.pair), reason.clone())?;
            }
        }
        inserts.retain(|image| !orphans.contains_key(&image.place));
        reverts.retain(|(image, _)| !orphans.contains_key(&image.place));
        Ok(())
    }

    fn write_images(&mut self, inserts: &[String], reverts: &[(String, Live)]) -> Result<(), PlanningError> {
        if !inserts.is_empty() {
            let file = open_file(&mut self.files.inserts, self.collected)?;
            self.files.inserted += copy_images(self.scratch, self.pair, inserts, file)?;
        }
        if !reverts.is_empty() {
            let file = open_file(&mut self.files.reverts, self.collected)?;
            self.files.reverted += copy_reverts(self.scratch, self.pair, reverts, file)?;
            let places: Vec<String> = reverts.iter().map(|(_, live)| live.place.clone()).collect();
            let file = open_file(&mut self.files.replaced, self.collected)?;
            copy_live(self.production, self.pair, &places, file)?;
        }
        Ok(())
    }

    /// A place without a row means that the scratch server does not stand where it should: nothing may be built on it.
    fn missing_images(&self, expected: usize, found: usize) -> Result<(), PlanningError> {
        if expected == found {
            return Ok(());
        }
        Err(self.scratch.unusable(format!(
            "{} of {expected} rows of {} are not where the log says; it does not stand just before the transaction",
            expected - found.min(expected),
            self.pair.then.name
        )))
    }

    /// Ends the table: what was found becomes parts of the plan.
    pub(crate) fn finish(self) -> Result<(), PlanningError> {
        let Self { pair, collected, files, .. } = self;
        collected.returning.finish(pair.then.oid);
        collected.counts.inserted += files.inserted;
        collected.counts.reverted += files.reverted;
        collected.counts.removed += files.removed;
        let mut end = |file: Option<AttachmentWriter>| -> Result<Option<String>, PlanningError> {
            let Some(file) = file else { return Ok(None) };
            let attachment = file.finish()?;
            let name = attachment.name.clone();
            collected.attachments.push(attachment);
            Ok(Some(name))
        };
        let replaced = end(files.replaced)?;
        let found = [
            (Action::Remove, end(files.removals)?, files.removed, None),
            (Action::Revert, end(files.reverts)?, files.reverted, replaced),
            (Action::Insert, end(files.inserts)?, files.inserted, None),
        ];
        for (action, attachment, rows, replaced) in found {
            if let Some(attachment) = attachment {
                collected.parts.push(RowsPart { table: pair.now.oid, action, rows, attachment, replaced });
            }
        }
        Ok(())
    }
}

fn open_file<'w>(
    slot: &'w mut Option<AttachmentWriter>,
    collected: &mut Collected<'_>,
) -> Result<&'w mut AttachmentWriter, PlanningError> {
    if slot.is_none() {
        *slot = Some(collected.new_file()?);
    }
    slot.as_mut().ok_or_else(|| PlanningError::Write {
        what: "an attachment".to_owned(),
        source: std::io::Error::other("it was not opened"),
    })
}
