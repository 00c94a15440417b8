//! What is in folders that changed: the feed need not name it.

use std::collections::{BTreeSet, HashMap, HashSet};

use connect::units::UnitError;
use google_api::{ApiError, Get, method};

use super::{
    FILE_PREFIX, FileAttributes, Files, METADATA_PREFIX, Pass, enumerate::list_fields, take::Effort,
    wire::FilePage,
};
use crate::failure::unit_error;

const KNOWN_PAGE: u32 = 1000;
const PAGE: &str = "1000";
/// Asking for so many files by their ids takes as many requests as listing a thousand. Lists cost more quota, so that
/// this is not far from what both cost.
const GETS_PER_PAGE: usize = 25;

/// What is in which folder, as far as it is held.
#[derive(Debug, Default)]
struct Tree {
    inside: HashMap<String, Vec<String>>,
    files: usize,
}

impl Tree {
    fn add(&mut self, id: &str, folder: &str) {
        self.inside.entry(folder.to_owned()).or_default().push(id.to_owned());
    }

    /// Returns everything in some folders, and in the folders in them. That folders lie in a circle is put up with.
    fn below(&self, folders: &BTreeSet<String>) -> Vec<String> {
        let (mut found, mut opened) = (BTreeSet::new(), HashSet::new());
        let mut waiting: Vec<&str> = folders.iter().map(String::as_str).collect();
        while let Some(folder) = waiting.pop() {
            if !opened.insert(folder) {
                continue;
            }
            for id in self.inside.get(folder).into_iter().flatten() {
                if found.insert(id.as_str()) {
                    waiting.push(id);
                }
            }
        }
        found.into_iter().map(str::to_owned).collect()
    }
}

impl Pass<'_, '_> {
    /// Looks again at all that is in folders that changed. Returns false, and does nothing, when the drive had better be
    /// listed.
    pub(super) fn look_inside(&mut self) -> Result<bool, UnitError> {
        // What is gone may itself have been a folder: then what was in it is looked at next.
        let mut done = BTreeSet::new();
        loop {
            let folders: BTreeSet<String> = self.changed_folders.difference(&done).cloned().collect();
            if folders.is_empty() {
                return Ok(true);
            }
            let tree = self.tree()?;
            let mut below = tree.below(&folders);
            below.retain(|id| !self.gone.contains(id));
            if below.len() * 1000 > (tree.files + 1000) * GETS_PER_PAGE {
                return Ok(false);
            }
            done.extend(folders);
            done.extend(below.iter().cloned());
            self.look_again(&below, Effort::Permissions)?;
        }
    }

    /// Reads from what is held, and from what this reading handed over, which file is in which folder.
    fn tree(&mut self) -> Result<Tree, UnitError> {
        let mut tree = Tree::default();
        for prefix in [FILE_PREFIX, METADATA_PREFIX] {
            let mut after = prefix.to_owned();
            loop {
                let mut page = self.sink.known_keys(&self.files.stream, Some(&after), KNOWN_PAGE)?;
                let Some(last) = page.last().cloned() else { break };
                page.retain(|key| key.starts_with(prefix));
                let known = self.sink.known(&self.files.stream, page.clone())?;
                for (key, known) in page.iter().zip(known) {
                    tree.files += 1;
                    let attributes = known.and_then(|known| FileAttributes::of_text(&known.attributes));
                    let id = key.strip_prefix(prefix).unwrap_or(key);
                    let folders = attributes.map(|attributes| attributes.parents).unwrap_or_default();
                    for folder in &folders {
                        tree.add(id, folder);
                    }
                }
                if !last.starts_with(prefix) {
                    break;
                }
                after = last;
            }
        }
        for (id, folder) in &self.handed {
            tree.add(id, folder);
        }
        Ok(tree)
    }

    /// Lists what is in folders that came to this drive: they may have been full when they came.
    pub(super) fn list_new_folders(&mut self) -> Result<(), UnitError> {
        let files = self.files;
        let mut done = BTreeSet::new();
        loop {
            let folders: Vec<String> = self.new_folders.difference(&done).cloned().collect();
            if folders.is_empty() {
                return Ok(());
            }
            for step in folders.chunks(files.api().batch_calls()) {
                let gets: Vec<Get> = step.iter().map(|folder| files.inside(folder)).collect();
                let answers =
                    files.api().get_many(&files.subject, &gets).map_err(|error| unit_error(&error))?;
                for (get, answer) in gets.iter().zip(answers) {
                    let body = match answer {
                        Ok(body) => body,
                        // It left as it came.
                        Err(ApiError::NotFound(_)) => continue,
                        Err(ApiError::Refused(refusal)) => {
                            let detail = format!("a new folder cannot be listed: {refusal}");
                            return Err(UnitError::Failed { detail });
                        }
                        Err(error) => return Err(unit_error(&error)),
                    };
                    let page = serde_json::from_slice(&body).map_err(|error| UnitError::Failed {
                        detail: format!("a list of files is not understood: {error}"),
                    })?;
                    self.take_inside(get, page)?;
                }
            }
            done.extend(folders);
        }
    }

    fn take_inside(&mut self, list: &Get, mut page: FilePage) -> Result<(), UnitError> {
        loop {
            let here = page.files.into_iter().filter(|file| self.files.has(file)).collect();
            self.take(here, Effort::Compare)?;
            let Some(token) = page.next_page_token else { return Ok(()) };
            page = self.files.page(list, Some(&token))?.ok_or_else(|| UnitError::Failed {
                detail: "the token of a list of files is not taken".to_owned(),
            })?;
        }
    }
}

impl Files {
    fn inside(&self, folder: &str) -> Get {
        let list = Self::get(&method::DRIVE_FILES_LIST, "files").query("spaces", "drive");
        let corpora = if self.place == super::Place::Owned { "user" } else { "drive" };
        let quoted = folder.replace('\\', "\\\\").replace('\'', "\\'");
        self.here(list.query("corpora", corpora).query("q", format!("'{quoted}' in parents")))
            .query("pageSize", PAGE)
            .query("fields", list_fields())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(edges: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (folder, id) in edges {
            tree.add(id, folder);
        }
        tree
    }

    fn folders(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|&id| id.to_owned()).collect()
    }

    #[test]
    fn everything_below_a_folder_is_found_once() {
        let tree = tree(&[("a", "b"), ("b", "c"), ("a", "d"), ("x", "y")]);
        assert_eq!(tree.below(&folders(&["a"])), ["b", "c", "d"]);
        assert_eq!(
            tree.below(&folders(&["a", "b"])),
            ["b", "c", "d"],
            "the inner one changed with the outer"
        );
        assert_eq!(tree.below(&folders(&["c", "z"])), [""; 0]);
    }

    #[test]
    fn folders_in_a_circle_end_and_deep_ones_are_no_matter() {
        let circle = tree(&[("a", "b"), ("b", "a"), ("b", "c")]);
        assert_eq!(circle.below(&folders(&["a"])), ["a", "b", "c"]);
        let names: Vec<String> = (0..5000).map(|depth| depth.to_string()).collect();
        let edges: Vec<(&str, &str)> =
            names.windows(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
        assert_eq!(tree(&edges).below(&folders(&["0"])).len(), 4999);
    }
}
