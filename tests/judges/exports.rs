//! Exported calendars and contacts, read by parsers of others.

use std::sync::Arc;

use connect::{
    ReadEnd, Silent, SourceReader, Stop,
    testing::{MemoryHistory, MemorySink},
};
use connect_http::{HttpSettings, HttpTransport};
use google_api::{ApiSettings, ServiceAccountKey};
use google_recovery::export::{CalendarSelection, ContactSelection, export_calendars, export_contacts};
use model::Redacted;
use ports::{SeededRandom, SystemClock};
use source_google::{
    GoogleReader, GoogleSettings, Part, audit::AuditSettings, calendar::calendar_stream,
    contacts::contacts_stream,
};

use crate::{domain::Domain, tools::python};

/// A user of a domain, with what a capture saw.
struct Captured {
    user: String,
    history: MemoryHistory,
    folder: tempfile::TempDir,
}

fn captured(part: Part) -> Captured {
    let domain = Domain::start();
    let user = domain.users()[0].clone();
    let (key, admin) = domain.running.with_tenant(|tenant| {
        let email = tenant.service_accounts().next().unwrap().email.clone();
        (tenant.key_file(&email).unwrap(), tenant.administrator().unwrap().to_owned())
    });
    let settings = GoogleSettings {
        admin,
        parts: [part].into(),
        users: [user.clone()].into(),
        api: ApiSettings {
            address: Some(domain.running.url().to_owned()),
            pools: connect_http::Pools::default(),
            ..ApiSettings::default()
        },
        audit: AuditSettings::default(),
        threads: 2,
        clock: Arc::new(SystemClock::new()),
        random: Arc::new(SeededRandom::new(7)),
    };
    let key = ServiceAccountKey::of_json(&Redacted::new(key)).unwrap();
    let transport = Arc::new(HttpTransport::new(HttpSettings::default()).unwrap());
    let mut reader = GoogleReader::new(key, transport, settings, Arc::new(Silent));
    let mut sink = MemorySink::new();
    let end = reader.changes(None, &mut sink, &Stop::default()).unwrap();
    assert_eq!(end, ReadEnd::UpToDate);
    let mut history = MemoryHistory::default();
    history.push(&sink.held);
    Captured { user, history, folder: tempfile::tempdir().unwrap() }
}

fn judge(kind: &str, folder: &std::path::Path) -> String {
    let judgement = python("exports.py", &[kind, folder.to_str().unwrap()]);
    let said =
        [String::from_utf8_lossy(&judgement.stdout), String::from_utf8_lossy(&judgement.stderr)].concat();
    assert!(judgement.status.success(), "{said}");
    said
}

/// A judge that finds nothing wrong with what is wrong would be none.
fn assert_found(kind: &str, folder: &std::path::Path, ends_with: &str, right: &str, wrong: &str) {
    let files = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    for path in files.filter(|path| path.to_str().unwrap().ends_with(ends_with)) {
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replacen(right, wrong, 1)).unwrap();
    }
    let judgement = python("exports.py", &[kind, folder.to_str().unwrap()]);
    assert!(!judgement.status.success(), "{wrong:?} in place of {right:?} is not found");
}

#[test]
fn a_parser_of_others_finds_every_event_of_every_calendar() {
    let Captured { user, history, folder } = captured(Part::Calendar);
    let selection = CalendarSelection { stream: calendar_stream(&user).unwrap(), account: user, at: 1 };
    let folder = folder.path().join("calendars");
    let written = export_calendars(&history, &selection, &folder, &Silent).unwrap();
    assert!(written.calendars >= 2 && written.events > 40, "{written:?}");
    let said = judge("calendars", &folder);
    assert!(said.contains(" 0 problems"), "{said}");
    assert_found("calendars", &folder, ".ics", "\r\nSUMMARY:", "\r\nSUMMARY:x");
}

#[test]
fn a_parser_of_others_finds_every_contact_with_photos_and_groups() {
    let Captured { user, history, folder } = captured(Part::Contacts);
    let selection = ContactSelection { stream: contacts_stream(&user).unwrap(), account: user, at: 1 };
    let folder = folder.path().join("contacts");
    let written = export_contacts(&history, &selection, &folder, &Silent).unwrap();
    assert!(written.contacts >= 30 && written.photos > 3, "{written:?}");
    let said = judge("contacts", &folder);
    assert!(said.contains(&format!("({}, {}), 0 problems", written.contacts, written.photos)), "{said}");
    assert_found("contacts", &folder, ".vcf", "\r\nN:", "\r\nN:x");
}
