//! Following a mailbox's history.

use connect::units::{UnitError, UnitSink};
use google_api::{ApiError, Get, method};
use model::{Item, UnreadableReason};

use super::{
    Mailbox,
    attributes::MessageAttributes,
    history::{Fates, MessageFate},
    messages::{PREFIX, Told, key},
    wire::HistoryPage,
};
use crate::{
    failure::unit_error,
    losses::{Losses, NAMED_MAX, Place},
};

const PAGE: &str = "500";
/// So many messages are asked about at a time.
const STEP: usize = 500;
/// So many items that failed in an earlier run are tried again in a round.
const FAILED_MAX: u32 = 1000;

impl Mailbox {
    /// Reads what changed after an id, and in a round also labels, settings and what failed before. Returns the newest
    /// id, or `None` when the mailbox no longer knows what happened since.
    pub(super) fn follow(
        &self,
        since: &str,
        round: bool,
        sink: &mut UnitSink<'_>,
    ) -> Result<Option<String>, UnitError> {
        let mut calls = vec![Self::history(since, None)];
        if round {
            calls.extend(Self::round_calls());
        }
        // One request does: a quiet mailbox costs one a time.
        let mut answers =
            self.api.get_many(&self.user.email, &calls).map_err(|error| unit_error(&error))?.into_iter();
        let mut page = match answers.next() {
            Some(Ok(body)) => history_page(&body)?,
            Some(Err(ApiError::NotFound(_) | ApiError::Expired(_))) => return Ok(None),
            Some(Err(error)) => return Err(unit_error(&error)),
            None => return Err(UnitError::Failed { detail: "the batch has no answer".to_owned() }),
        };
        if round {
            self.take_round(answers.collect(), sink)?;
            // What failed in an earlier run is not known here.
            self.retries.note(&self.name, sink.failed_keys(&self.stream, FAILED_MAX)?);
        }
        self.retry(sink)?;
        let mut fates = Fates::default();
        loop {
            page.history.into_iter().for_each(|record| fates.take(record));
            let Some(token) = page.next_page_token else { break };
            page = match self.api.get(&self.user.email, &Self::history(since, Some(&token))) {
                Ok(page) => page,
                Err(ApiError::NotFound(_) | ApiError::Expired(_)) => return Ok(None),
                Err(error) => return Err(unit_error(&error)),
            };
        }
        let newest = page.history_id;
        let lost = fates.of.iter().filter(|(_, fate)| fate.is_lost());
        let named = lost.take(NAMED_MAX).map(|(id, _)| key(id)).collect();
        let losses = Losses { trashed: fates.sums.trashed, deleted: fates.sums.deleted, named };
        let place = Place::between("gmail", "history", since, &newest, self.user.email.clone());
        if let Some(event) = losses.event(self.rounds.now(), place) {
            sink.event(event)?;
        }
        self.apply(fates, sink)?;
        Ok(Some(newest))
    }

    fn history(since: &str, token: Option<&str>) -> Get {
        let mut get = Self::get(&method::GMAIL_HISTORY_LIST, "history")
            .query("startHistoryId", since)
            .query("maxResults", PAGE);
        for kind in ["messageAdded", "messageDeleted", "labelAdded", "labelRemoved"] {
            get = get.query("historyTypes", kind);
        }
        token.iter().fold(get, |get, token| get.query("pageToken", *token))
    }

    fn apply(&self, fates: Fates, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let fates: Vec<(String, MessageFate)> = fates.of.into_iter().collect();
        for step in fates.chunks(STEP) {
            let known = sink.known(&self.stream, step.iter().map(|(id, _)| key(id)).collect())?;
            let mut missing = Vec::new();
            for ((id, fate), known) in step.iter().zip(known) {
                match known {
                    known if fate.deleted => self.gone(id, known.is_some(), sink)?,
                    Some(known) if known.has_content => self.relabel(id, &known.attributes, fate, sink)?,
                    _ => missing.push(id.clone()),
                }
            }
            sink.listed(missing.len() as u64)?;
            self.fetch(&missing, Told::Nothing, sink)?;
        }
        Ok(())
    }

    fn gone(&self, id: &str, is_known: bool, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        if !is_known {
            // It came and went between two looks: that it was there is all that is left of it.
            sink.listed(1)?;
            sink.unreadable(&self.stream, key(id), UnreadableReason::Vanished)?;
        }
        sink.removed(&self.stream, key(id))
    }

    fn relabel(
        &self,
        id: &str,
        known: &str,
        fate: &MessageFate,
        sink: &mut UnitSink<'_>,
    ) -> Result<(), UnitError> {
        let mut attributes = MessageAttributes::of_text(known).unwrap_or_default();
        let labels = fate.apply(&attributes.labels);
        if labels == attributes.labels {
            return Ok(());
        }
        attributes.labels = labels;
        let item = Item { stream: self.stream.clone(), key: key(id), attributes: attributes.to_text() };
        sink.listed(1)?;
        sink.upsert_attributes(item)
    }

    /// Tries again what failed before, each with a pause of its own that grows. That it failed is said once.
    fn retry(&self, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let due = self.retries.due(&self.name);
        let known = sink.known(&self.stream, due.clone())?;
        let mut ids = Vec::new();
        for (key, known) in due.iter().zip(known) {
            match (key.strip_prefix(PREFIX), known) {
                (Some(id), Some(known)) if !known.has_content => ids.push(id.to_owned()),
                _ => self.retries.forget(&self.name, key),
            }
        }
        sink.listed(ids.len() as u64)?;
        self.fetch(&ids, Told::Failed, sink)
    }
}

fn history_page(body: &[u8]) -> Result<HistoryPage, UnitError> {
    serde_json::from_slice(body)
        .map_err(|error| UnitError::Failed { detail: format!("the history is not understood: {error}") })
}
