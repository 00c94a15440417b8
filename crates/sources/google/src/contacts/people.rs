//! Following and listing people.

use std::collections::{BTreeMap, BTreeSet};

use connect::units::{Body, UnitError, UnitSink};
use google_api::{ApiError, Get};
use model::{Item, Layout, UnreadableReason};
use serde_json::{Value, json};

use super::{
    Contacts, PHOTO_PREFIX, PersonAttributes,
    shelf::{Shelf, by_name},
};
use crate::{failure::unit_error, feed::FeedEnd, records};

/// So many people are asked about at a time.
const STEP: usize = 500;
/// Of who seems to be gone so many are asked for by name.
const CONFIRMED_MAX: usize = 20;

/// People of a page, by their ids; who is gone by the name of the resource, if that is all that is left.
#[derive(Default)]
struct Sorted {
    there: Vec<(String, Value)>,
    gone: Vec<(Option<String>, String)>,
}

fn sorted(shelf: &Shelf, people: Vec<Value>) -> Sorted {
    let mut sorted = Sorted::default();
    let mut places = BTreeMap::new();
    for person in people {
        if person["metadata"]["deleted"] == json!(true) {
            let resource = person["resourceName"].as_str().unwrap_or_default().to_owned();
            sorted.gone.push((shelf.source_id(&person), resource));
        } else if let Some(id) = shelf.id(&person) {
            // Whoever comes twice came as it is now the second time.
            match places.get(&id) {
                Some(&place) => sorted.there[place] = (id, person),
                None => {
                    places.insert(id.clone(), sorted.there.len());
                    sorted.there.push((id, person));
                }
            }
        }
    }
    sorted
}

impl Contacts {
    /// Reads who changed since a token, and returns the next one.
    pub(super) fn follow(
        &self,
        shelf: &Shelf,
        token: &str,
        answer: Option<Result<Vec<u8>, ApiError>>,
        sink: &mut UnitSink<'_>,
    ) -> Result<Option<String>, FeedEnd> {
        self.feed(shelf.get(Some(token)), shelf.member, true).read(answer, |people| {
            let Sorted { there, gone } = sorted(shelf, people);
            self.store_people(shelf, &there, sink)?;
            gone.iter().try_for_each(|(id, resource)| self.end(shelf, id.as_deref(), resource, sink))
        })
    }

    /// Lists all people. Those that are held as they are are not stored again; who is held and no longer there is gone:
    /// the list is complete, or this ends with an error. Returns the token from which changes are read.
    pub(super) fn enumerate(
        &self,
        shelf: &Shelf,
        answer: Option<Result<Vec<u8>, ApiError>>,
        sink: &mut UnitSink<'_>,
    ) -> Result<Option<String>, FeedEnd> {
        let mut seen = BTreeSet::new();
        let token = self.feed(shelf.get(None), shelf.member, false).read(answer, |people| {
            let Sorted { there, .. } = sorted(shelf, people);
            seen.extend(there.iter().map(|(id, _)| id.clone()));
            self.store_people(shelf, &there, sink)
        })?;
        let mut gone = records::keys_below(&self.stream, shelf.prefix, sink)?;
        gone.retain(|key| !seen.contains(key.strip_prefix(shelf.prefix).unwrap_or_default()));
        if !gone.is_empty() {
            self.confirm_gone(shelf, &gone, sink)?;
            for key in gone {
                self.remove(shelf, key, sink)?;
            }
        }
        Ok(token)
    }

    fn store_people(
        &self,
        shelf: &Shelf,
        people: &[(String, Value)],
        sink: &mut UnitSink<'_>,
    ) -> Result<(), UnitError> {
        for page in people.chunks(STEP) {
            sink.listed(page.len() as u64)?;
            let known = sink.known(&self.stream, page.iter().map(|(id, _)| shelf.key(id)).collect())?;
            let (mut unchanged, mut photos) = (0, Vec::new());
            for ((id, person), known) in page.iter().zip(known) {
                let attributes = PersonAttributes::of_person(person);
                if shelf.has_photos {
                    photos.push((id, attributes.photo.clone()));
                }
                let text = attributes.to_text();
                if known.is_some_and(|known| known.has_content && known.attributes == text) {
                    unchanged += 1;
                    continue;
                }
                let content = serde_json::to_vec(person).unwrap_or_default();
                let item = Item { stream: self.stream.clone(), key: shelf.key(id), attributes: text };
                sink.upsert(item, Layout::of_size(content.len() as u64), Body::Bytes(content))?;
            }
            sink.unchanged(unchanged)?;
            for (id, url) in photos {
                self.take_photo(id, url.as_deref(), sink)?;
            }
        }
        Ok(())
    }

    /// Tells that somebody is gone, of whom perhaps only the name of the resource is left.
    fn end(
        &self,
        shelf: &Shelf,
        id: Option<&str>,
        resource: &str,
        sink: &mut UnitSink<'_>,
    ) -> Result<(), UnitError> {
        let key = match id {
            Some(id) => Some(shelf.key(id)),
            None => self.named(shelf, resource, sink)?,
        };
        let Some(key) = key else { return Ok(()) };
        if sink.known(&self.stream, vec![key.clone()])?.pop().flatten().is_none() {
            // Whoever came and went between two looks was there: that is all that is left.
            sink.listed(1)?;
            sink.unreadable(&self.stream, key.clone(), UnreadableReason::Vanished)?;
        }
        self.remove(shelf, key, sink)
    }

    /// Finds the item whose resource was called so last.
    fn named(
        &self,
        shelf: &Shelf,
        resource: &str,
        sink: &mut UnitSink<'_>,
    ) -> Result<Option<String>, UnitError> {
        let keys = records::keys_below(&self.stream, shelf.prefix, sink)?;
        for page in keys.chunks(STEP) {
            for (key, known) in page.iter().zip(sink.known(&self.stream, page.to_vec())?) {
                let attributes = known.and_then(|known| PersonAttributes::of_text(&known.attributes));
                if attributes.is_some_and(|own| own.resource == resource) {
                    return Ok(Some(key.clone()));
                }
            }
        }
        Ok(None)
    }

    fn remove(&self, shelf: &Shelf, key: String, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        if shelf.has_photos {
            let id = key.strip_prefix(shelf.prefix).unwrap_or_default();
            let photo = format!("{PHOTO_PREFIX}{id}");
            if sink.known(&self.stream, vec![photo.clone()])?.pop().flatten().is_some() {
                sink.removed(&self.stream, photo)?;
            }
        }
        sink.removed(&self.stream, key)
    }

    /// Asks for some of those that seem to be gone: by name, or, where there are none, by listing once more.
    fn confirm_gone(&self, shelf: &Shelf, gone: &[String], sink: &mut UnitSink<'_>) -> Result<(), FeedEnd> {
        let incomplete = || {
            let detail = format!("the list of {} is not complete: it leaves out who is there", shelf.name);
            FeedEnd::Failed(UnitError::Failed { detail })
        };
        if !shelf.has_names {
            let (people, _) = self.feed(shelf.get(None), shelf.member, false).read_all(None)?;
            let there =
                people.iter().filter_map(|person| shelf.id(person)).any(|id| gone.contains(&shelf.key(&id)));
            return if there { Err(incomplete()) } else { Ok(()) };
        }
        let step = gone.len().div_ceil(CONFIRMED_MAX).max(1);
        let keys: Vec<String> = gone.iter().step_by(step).cloned().collect();
        let known = sink.known(&self.stream, keys)?;
        let resources = known.into_iter().flatten().filter_map(|known| {
            let attributes = PersonAttributes::of_text(&known.attributes)?;
            Some(attributes.resource).filter(|resource| !resource.is_empty())
        });
        let gets: Vec<Get> = resources.map(|resource| by_name(&resource)).collect();
        let answers = self.api.get_all(&self.user.email, &gets).map_err(|error| unit_error(&error))?;
        for answer in answers {
            match answer {
                Err(ApiError::NotFound(_)) => {}
                Err(error) => return Err(unit_error(&error).into()),
                Ok(_) => return Err(incomplete()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contacts::shelf::CONTACTS;

    #[test]
    fn the_last_word_on_somebody_counts_and_who_has_no_source_is_known_by_the_resource() {
        let one = |id: &str, name: &str| json!({ "resourceName": name, "metadata": { "sources": [{ "type": "CONTACT", "id": id }] } });
        let mut gone = one("3", "people/c3");
        gone["metadata"]["deleted"] = true.into();
        let bare = json!({ "resourceName": "people/c4", "metadata": { "deleted": true } });
        let people = vec![
            one("1", "people/c1"),
            one("2", "people/c2"),
            one("1", "people/c9"),
            gone,
            bare,
            json!({}),
            json!({ "resourceName": "people/c5" }),
        ];
        let sorted = sorted(&CONTACTS, people);
        let names: Vec<&str> =
            sorted.there.iter().map(|(_, person)| person["resourceName"].as_str().unwrap()).collect();
        assert_eq!(names, ["people/c9", "people/c2", "people/c5"]);
        let gone = [(Some("3".to_owned()), "people/c3".to_owned()), (None, "people/c4".to_owned())];
        assert_eq!(sorted.gone, gone);
    }
}
