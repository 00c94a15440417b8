//! Entries for fuzzing: any bytes, as the answers of Google and as what this connector stored. None may panic; each tells
//! whether the bytes were what they were read as.

use base64_simd::URL_SAFE_NO_PAD;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    audit::{self, AuditPosition},
    calendar::{CalendarPosition, EventAttributes},
    contacts::{ContactsPosition, PersonAttributes, PhotoAttributes},
    drive::{self, DrivePosition, FileAttributes, RevisionAttributes},
    feed::Page,
    gmail::{self, HistoryPage, LabelList, MailboxPosition, MessageAttributes, MessagePage},
    records::RecordAttributes,
};

/// Reads bytes as a message with its raw text.
pub fn message(data: &[u8]) -> bool {
    let Ok((_, attributes, _)) = gmail::read_message(data) else { return false };
    let again = MessageAttributes::of_text(&attributes.to_text());
    assert_eq!(again.as_ref(), Some(&attributes), "the attributes of a message read back");
    true
}

/// Reads bytes as base64 in the alphabet of URLs.
pub fn raw_text(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Some(decoded) = gmail::decode_raw(text) else { return false };
    let again = URL_SAFE_NO_PAD.encode_to_string(decoded);
    assert_eq!(again, text.trim_end_matches('='), "the same bytes are the same text");
    true
}

/// Reads bytes as pages of lists and feeds.
pub fn pages(data: &[u8]) -> bool {
    let history = serde_json::from_slice::<HistoryPage>(data).map(|page| {
        let mut fates = gmail::Fates::default();
        page.history.into_iter().for_each(|record| fates.take(record));
    });
    let read = [
        history.is_ok(),
        serde_json::from_slice::<MessagePage>(data).is_ok(),
        serde_json::from_slice::<LabelList>(data).is_ok(),
        Page::of(data, "items").is_ok(),
        drive::reads_as_page(data),
    ];
    read.contains(&true)
}

/// Reads bytes as a page of each log.
pub fn activities(data: &[u8]) -> bool {
    let Ok(page) = Page::of(data, "items") else { return false };
    let told = page.items.iter().flat_map(audit::told).filter(|event| {
        let text = serde_json::to_string(event).unwrap_or_default();
        assert_eq!(serde_json::from_str(&text).ok().as_ref(), Some(event), "an event reads back");
        true
    });
    told.count() > 0
}

/// Reads bytes as the attributes that are stored with items.
pub fn attributes(data: &[u8]) -> bool {
    let read = [
        reads_back::<MessageAttributes>(data),
        reads_back::<FileAttributes>(data),
        reads_back::<RevisionAttributes>(data),
        reads_back::<EventAttributes>(data),
        reads_back::<PersonAttributes>(data),
        reads_back::<PhotoAttributes>(data),
        reads_back::<RecordAttributes>(data),
    ];
    read.contains(&true)
}

/// Reads bytes as how far a unit was read.
pub fn positions(data: &[u8]) -> bool {
    if let Ok(position) = serde_json::from_slice::<AuditPosition>(data) {
        position.try_out();
    }
    let read = [
        reads_back::<MailboxPosition>(data),
        reads_back::<DrivePosition>(data),
        reads_back::<CalendarPosition>(data),
        reads_back::<ContactsPosition>(data),
        reads_back::<AuditPosition>(data),
    ];
    read.contains(&true)
}

fn reads_back<T: Serialize + DeserializeOwned + PartialEq>(data: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<T>(data) else { return false };
    let again = serde_json::to_vec(&value).ok().and_then(|bytes| serde_json::from_slice::<T>(&bytes).ok());
    assert!(again.is_some_and(|again| again == value), "what was read is written as the same");
    true
}
