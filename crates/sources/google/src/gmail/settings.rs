//! Labels and settings, which no history tells of: they are read again in each round.

use std::collections::BTreeSet;

use connect::units::{UnitError, UnitSink};
use google_api::{ApiError, Get, method};
use model::UnreadableReason;
use serde_json::Value;

use super::{Mailbox, wire::LabelList};
use crate::{
    failure::{as_unsupported, unit_error},
    records::{self, Record},
};

/// The settings of a mailbox: the item's name, and what comes after `settings/` in the address.
const SETTINGS: [&str; 9] = [
    "filters",
    "forwardingAddresses",
    "delegates",
    "sendAs",
    "autoForwarding",
    "imap",
    "pop",
    "language",
    "vacation",
];

/// The key of a label's item begins with it.
pub const LABEL: &str = "label/";

impl Mailbox {
    /// Returns the calls of one round: the labels first, then the settings.
    pub(super) fn round_calls() -> Vec<Get> {
        let settings =
            SETTINGS.iter().map(|name| Self::get(&method::GMAIL_SETTINGS_GET, &format!("settings/{name}")));
        std::iter::once(Self::get(&method::GMAIL_LABELS_LIST, "labels")).chain(settings).collect()
    }

    /// Takes the answers of a round, in the order of its calls.
    pub(super) fn take_round(
        &self,
        answers: Vec<Result<Vec<u8>, ApiError>>,
        sink: &mut UnitSink<'_>,
    ) -> Result<(), UnitError> {
        let mut answers = answers.into_iter();
        if let Some(labels) = answers.next() {
            let labels = labels.map_err(|error| unit_error(&error))?;
            self.take_labels(&labels, sink)?;
        }
        for (name, answer) in SETTINGS.iter().zip(answers) {
            let key = format!("settings/{name}");
            let document = answer.map_err(|error| as_unsupported(&error, "such settings")).and_then(|body| {
                serde_json::from_slice::<Value>(&body)
                    .map_err(|error| Some(UnreadableReason::Failed { detail: error.to_string() }))
            });
            match document {
                Ok(document) => records::store(&self.stream, &[Record::new(key, None, document)], sink)?,
                Err(Some(reason)) => records::unreadable_once(&self.stream, key, reason, sink)?,
                Err(None) => return Err(UnitError::Stopped),
            }
        }
        Ok(())
    }

    /// Reads the labels, so that what is listed next can be understood; returns their ids.
    pub(super) fn read_labels(&self, sink: &mut UnitSink<'_>) -> Result<Vec<String>, UnitError> {
        let labels = self.api.get_bytes(&self.user.email, &Self::get(&method::GMAIL_LABELS_LIST, "labels"));
        self.take_labels(&labels.map_err(|error| unit_error(&error))?, sink)
    }

    fn take_labels(&self, body: &[u8], sink: &mut UnitSink<'_>) -> Result<Vec<String>, UnitError> {
        let list: LabelList = serde_json::from_slice(body).map_err(|error| UnitError::Failed {
            detail: format!("the list of labels is not understood: {error}"),
        })?;
        let (mut ids, mut listed) = (Vec::new(), BTreeSet::new());
        let mut labels = Vec::new();
        for label in list.labels {
            let Some(id) = label["id"].as_str() else { continue };
            let key = format!("{LABEL}{id}");
            ids.push(id.to_owned());
            listed.insert(key.clone());
            let name = label["name"].as_str().map(str::to_owned);
            labels.push(Record::new(key, name.as_deref(), label));
        }
        records::store(&self.stream, &labels, sink)?;
        records::remove_others(&self.stream, LABEL, &listed, sink)?;
        Ok(ids)
    }
}
