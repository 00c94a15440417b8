//! Planning to bring a whole drive to somebody else.

use source_google::drive::FileKind;

use super::{
    plan::{Planning, make_row},
    rows::{MakeRow, Making},
    subject::drive_name,
};
use crate::{PlanningError, request::ORIGIN};

impl Planning<'_, '_, '_> {
    /// Takes every file that was there and not in the trash.
    pub(super) fn take_all(&mut self, shared: Option<&str>) -> Result<(), PlanningError> {
        let at = self.request.window.before.0;
        let (mut trashed, mut shared_files) = (0_u64, 0_u64);
        let top = if shared.is_some() { None } else { self.top_folder(at)? };
        for id in self.past.live(at)? {
            let Some(known) = self.past.at(&id, at)?.filter(|_| !id.is_empty()) else { continue };
            if Some(&id) == top.as_ref() || !self.is_chosen(&id)? {
                continue;
            }
            if known.attributes.trashed {
                trashed += 1;
                continue;
            }
            let has_body = matches!(known.attributes.kind(), FileKind::Binary | FileKind::Editor);
            if has_body && !known.has_content {
                self.lost(&id, "its content could not be read when it was captured".to_owned());
                continue;
            }
            shared_files += u64::from(known.attributes.permissions.len() > 1);
            let parent = known.attributes.parents.first().filter(|parent| Some(*parent) != top.as_ref());
            let parent = match parent {
                Some(parent) => self.past.at(parent, at)?.map(|_| parent.clone()),
                None => None,
            };
            let is_in = match &parent {
                Some(parent) => self.is_chosen(parent)?,
                None => false,
            };
            // A shared drive of a drill's own is the place that tells whose files they are.
            let parent =
                parent.filter(|_| is_in).or_else(|| self.target.shared.is_none().then(|| ORIGIN.to_owned()));
            let depth = self.past.depth(&id, at)?;
            self.made.push(make_row(&id, &known, parent, depth));
        }
        if self.made.is_empty() || self.target.shared.is_some() {
            return Ok(());
        }
        let name = match shared {
            Some(drive) => drive_name(self.planner.past, drive, at)?.unwrap_or_else(|| drive.to_owned()),
            None => self.request.account.clone(),
        };
        let name = self.request.origin_name(&name);
        self.planner.note(format!("everything comes into a new folder {name:?}"));
        if trashed > 0 {
            self.planner.note(format!("{trashed} files lay in the trash and are left out"));
        }
        if shared_files > 0 {
            let reason = format!("{shared_files} files were shared; in another user's drive they are not");
            self.planner.loss(format!("{}: permissions", self.request.account), reason);
        }
        self.made.push(MakeRow {
            id: ORIGIN.to_owned(),
            name,
            making: Making::Folder,
            parent: None,
            depth: 0,
            media_type: None,
            bytes: 0,
        });
        Ok(())
    }

    /// Finds a user's top folder: of the folders that are in none, the one that was there first.
    fn top_folder(&mut self, at: u64) -> Result<Option<String>, PlanningError> {
        let mut top: Option<(String, String)> = None;
        for id in self.past.live(at)? {
            let Some(known) = self.past.at(&id, at)? else { continue };
            let attributes = &known.attributes;
            if attributes.kind() == FileKind::Folder && attributes.parents.is_empty() {
                let found = (attributes.created_time.clone(), id);
                top = top.into_iter().chain([found]).min();
            }
        }
        Ok(top.map(|(_, id)| id))
    }
}
