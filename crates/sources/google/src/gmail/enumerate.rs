//! Listing a whole mailbox, and comparing it with what is held.

use std::collections::{HashMap, HashSet};

use connect::{
    KnownItem,
    units::{KnownBelow, UnitError, UnitSink},
};
use google_api::{ApiError, Get, method};
use model::Item;

use super::{
    Mailbox,
    attributes::MessageAttributes,
    messages::{PREFIX, Told, key},
    wire::MessagePage,
};
use crate::failure::unit_error;

const PAGE: &str = "500";
/// Of what seems to be gone so many are asked for by name.
const CONFIRMED_MAX: usize = 20;

/// The labels of messages, as listing each label gives them: that is far cheaper than asking each message.
struct Memberships {
    names: Vec<String>,
    of: HashMap<String, Vec<u16>>,
}

impl Memberships {
    fn labels(&self, id: &str) -> Vec<String> {
        let indices = self.of.get(id).map(Vec::as_slice).unwrap_or_default();
        let mut labels: Vec<String> =
            indices.iter().filter_map(|index| self.names.get(usize::from(*index)).cloned()).collect();
        labels.sort_unstable();
        labels
    }
}

impl Mailbox {
    /// Lists all messages and fetches what is not held. With the ids of all labels, those of what is held are compared
    /// as well, and what is held and no longer listed is gone: the listing is complete, or this ends with an error.
    pub(super) fn enumerate(
        &self,
        compared: Option<Vec<String>>,
        sink: &mut UnitSink<'_>,
    ) -> Result<(), UnitError> {
        let memberships = compared.map(|labels| self.memberships(labels, sink)).transpose()?;
        let mut seen = HashSet::new();
        let list = Self::get(&method::GMAIL_MESSAGES_LIST, "messages");
        self.pages(&list, sink, |mailbox, page, sink| {
            // Pages move while mail arrives: an id may come twice.
            let ids: Vec<String> = page
                .messages
                .into_iter()
                .map(|message| message.id)
                .filter(|id| seen.insert(id.clone()))
                .collect();
            mailbox.take_page(&ids, memberships.as_ref(), sink)
        })?;
        if memberships.is_some() { self.find_gone(&seen, sink) } else { Ok(()) }
    }

    fn take_page(
        &self,
        ids: &[String],
        memberships: Option<&Memberships>,
        sink: &mut UnitSink<'_>,
    ) -> Result<(), UnitError> {
        sink.listed(ids.len() as u64)?;
        let known = sink.known(&self.stream, ids.iter().map(|id| key(id)).collect())?;
        let (mut missing, mut unchanged) = (Vec::new(), 0);
        for (id, known) in ids.iter().zip(known) {
            match known.filter(|known| known.has_content) {
                None => missing.push(id.clone()),
                Some(known) => match memberships.and_then(|all| relabelled(&known, &all.labels(id))) {
                    None => unchanged += 1,
                    Some(attributes) => {
                        let attributes = attributes.to_text();
                        sink.upsert_attributes(Item {
                            stream: self.stream.clone(),
                            key: key(id),
                            attributes,
                        })?;
                    }
                },
            }
        }
        sink.unchanged(unchanged)?;
        self.fetch(&missing, Told::Nothing, sink)
    }

    fn pages(
        &self,
        list: &Get,
        sink: &mut UnitSink<'_>,
        mut take: impl FnMut(&Self, MessagePage, &mut UnitSink<'_>) -> Result<(), UnitError>,
    ) -> Result<(), UnitError> {
        let mut token: Option<String> = None;
        loop {
            let mut get = list.clone().query("maxResults", PAGE).query("includeSpamTrash", "true");
            if let Some(token) = &token {
                get = get.query("pageToken", token);
            }
            let page: MessagePage =
                self.api.get(&self.user.email, &get).map_err(|error| unit_error(&error))?;
            token.clone_from(&page.next_page_token);
            take(self, page, sink)?;
            if token.is_none() {
                return Ok(());
            }
        }
    }

    fn memberships(&self, names: Vec<String>, sink: &mut UnitSink<'_>) -> Result<Memberships, UnitError> {
        let mut all = Memberships { names, of: HashMap::new() };
        for (index, label) in (0..=u16::MAX).zip(&all.names) {
            let of_label =
                Self::get(&method::GMAIL_MESSAGES_LIST, "messages").query("labelIds", label.as_str());
            self.pages(&of_label, sink, |_, page, _| {
                for message in page.messages {
                    all.of.entry(message.id).or_default().push(index);
                }
                Ok(())
            })?;
        }
        Ok(all)
    }

    /// Tells what is held and not in a complete listing. A few of them are asked for by name first: a listing that
    /// leaves out what is there says nothing about the rest either.
    fn find_gone(&self, seen: &HashSet<String>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let mut gone = Vec::new();
        let mut known = KnownBelow::new(PREFIX);
        while let Some(keys) = known.next_page(&self.stream, sink)? {
            let ids = keys.iter().filter_map(|key| key.strip_prefix(PREFIX));
            gone.extend(ids.filter(|id| !seen.contains(*id)).map(str::to_owned));
        }
        self.confirm_gone(&gone)?;
        gone.iter().try_for_each(|id| sink.removed(&self.stream, key(id)))
    }

    fn confirm_gone(&self, gone: &[String]) -> Result<(), UnitError> {
        let step = gone.len().div_ceil(CONFIRMED_MAX).max(1);
        let gets: Vec<Get> = gone
            .iter()
            .step_by(step)
            .map(|id| {
                Self::get(&method::GMAIL_MESSAGES_GET, &format!("messages/{id}")).query("format", "minimal")
            })
            .collect();
        if gets.is_empty() {
            return Ok(());
        }
        for answer in self.api.get_many(&self.user.email, &gets).map_err(|error| unit_error(&error))? {
            match answer {
                Err(ApiError::NotFound(_)) => {}
                Err(error) => return Err(unit_error(&error)),
                Ok(_) => {
                    let detail =
                        "the mailbox was not listed completely: it has messages that its list leaves out";
                    return Err(UnitError::Failed { detail: detail.to_owned() });
                }
            }
        }
        Ok(())
    }
}

/// Returns a held message's attributes with other labels, if they are others.
fn relabelled(known: &KnownItem, labels: &[String]) -> Option<MessageAttributes> {
    let mut attributes = MessageAttributes::of_text(&known.attributes).unwrap_or_default();
    if attributes.labels == labels {
        return None;
    }
    attributes.labels = labels.to_vec();
    Some(attributes)
}
