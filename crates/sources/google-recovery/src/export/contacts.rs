//! Contacts as vCard 3.0 (RFC 2426): one file, which any program reads.

use std::{
    collections::BTreeMap,
    io::{self, BufWriter, Write},
    path::Path,
};

use connect::{Progress, StoredHistory};
use model::StreamName;
use ports::files::{self, FileError};
use serde::Serialize;
use serde_json::{Value, json};
use source_google::contacts::{GROUP_PREFIX, PERSON_PREFIX, PHOTO_PREFIX};

use super::{
    ExportError,
    calendars::sync,
    create, file_name,
    lines::{Lines, escaped},
};
use crate::planner::live_below;

/// Whose contacts are written, and as of when.
#[derive(Debug, Clone)]
pub struct ContactSelection {
    /// Whose they are.
    pub account: String,
    /// The stream that holds them.
    pub stream: StreamName,
    /// The commit.
    pub at: u64,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExportedContacts {
    /// How many contacts.
    pub contacts: u64,
    /// How many of them have a photo.
    pub photos: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Writes a user's contacts into a file of a folder, which must be new or empty. `contacts.jsonl` beside it has each as the
/// API has it.
pub fn export_contacts(
    past: &dyn StoredHistory,
    selection: &ContactSelection,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<ExportedContacts, ExportError> {
    files::create_folder(folder)?;
    progress.phase("writing contacts", None);
    let ContactSelection { account, stream, at } = selection;
    let read = |key: &str| -> Result<Option<Vec<u8>>, connect::StoredError> {
        match past.version(stream, key, *at)?.filter(|version| version.has_content) {
            Some(_) => past.content(stream, key, *at).map(Some),
            None => Ok(None),
        }
    };
    let document = |key: &str| -> Result<Option<Value>, connect::StoredError> {
        Ok(read(key)?.and_then(|content| serde_json::from_slice(&content).ok()))
    };
    let mut groups = BTreeMap::new();
    live_below(past, stream, GROUP_PREFIX, *at, &mut |key| {
        let group = document(key)?.unwrap_or_default();
        let is_own = group["groupType"] != "SYSTEM_CONTACT_GROUP";
        let name = group["name"].as_str().filter(|_| is_own).map(str::to_owned);
        groups.extend(key.strip_prefix(GROUP_PREFIX).map(str::to_owned).zip(name));
        Ok(true)
    })?;
    let mut keys = Vec::new();
    live_below(past, stream, PERSON_PREFIX, *at, &mut |key| {
        keys.push(key.to_owned());
        Ok(true)
    })?;
    let (path, list_path) =
        (folder.join(format!("{}.vcf", file_name(account))), folder.join("contacts.jsonl"));
    let failed = |path: &Path, error| ExportError::File(FileError::new("write", path, error));
    let mut lines = Lines::new(BufWriter::new(create(&path)?));
    let mut list = BufWriter::new(create(&list_path)?);
    let mut done = ExportedContacts::default();
    for key in keys {
        let (Some(id), Some(person)) = (key.strip_prefix(PERSON_PREFIX), document(&key)?) else { continue };
        let photo = read(&format!("{PHOTO_PREFIX}{id}"))?;
        write_card(&mut lines, id, &person, &groups, photo.as_deref())
            .map_err(|error| failed(&path, error))?;
        let names: Vec<&String> = groups_of(&person).filter_map(|group| groups.get(group)).collect();
        let row = json!({ "id": id, "groups": names, "contact": person });
        writeln!(list, "{row}").map_err(|error| failed(&list_path, error))?;
        done.contacts += 1;
        done.photos += u64::from(photo.is_some());
        progress.advance(1);
    }
    let (out, bytes) = lines.finish();
    done.bytes = bytes;
    sync(out).map_err(|error| failed(&path, error))?;
    sync(list).map_err(|error| failed(&list_path, error))?;
    Ok(done)
}

fn groups_of(person: &Value) -> impl Iterator<Item = &str> {
    let all = person["memberships"].as_array().into_iter().flatten();
    all.filter_map(|one| one["contactGroupMembership"]["contactGroupId"].as_str())
}

fn entries<'p>(person: &'p Value, name: &str) -> impl Iterator<Item = &'p Value> {
    person[name].as_array().into_iter().flatten()
}

fn part(value: &Value, name: &str) -> String {
    escaped(value[name].as_str().unwrap_or_default())
}

/// Returns the parameter that tells what an address is for: letters and digits alone.
fn kind(entry: &Value) -> String {
    let letters: String =
        entry["type"].as_str().unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).collect();
    match letters.to_uppercase().as_str() {
        "" => String::new(),
        "MOBILE" => ";TYPE=CELL".to_owned(),
        letters => format!(";TYPE={letters}"),
    }
}

/// Returns a date as far as it is known.
fn date(entry: &Value) -> Option<String> {
    let number = |name: &str| entry["date"][name].as_i64().filter(|number| *number > 0);
    let (month, day) = (number("month")?, number("day")?);
    // A birthday whose year nobody knows is written as the address books of others write it.
    Some(format!("{:04}-{month:02}-{day:02}", number("year").unwrap_or(1604)))
}

fn write_card<W: Write>(
    lines: &mut Lines<W>,
    id: &str,
    person: &Value,
    groups: &BTreeMap<String, String>,
    photo: Option<&[u8]>,
) -> io::Result<()> {
    lines.raw("BEGIN", "VCARD")?;
    lines.raw("VERSION", "3.0")?;
    lines.raw("UID", id)?;
    write_names(lines, person)?;
    for entry in entries(person, "emailAddresses") {
        lines.some_text(&format!("EMAIL{}", kind(entry)), entry["value"].as_str())?;
    }
    for entry in entries(person, "phoneNumbers") {
        lines.some_text(&format!("TEL{}", kind(entry)), entry["value"].as_str())?;
    }
    for entry in entries(person, "addresses") {
        let parts = ["poBox", "extendedAddress", "streetAddress", "city", "region", "postalCode", "country"];
        let parts: Vec<String> = parts.iter().map(|name| part(entry, name)).collect();
        // Its parts are escaped; what stands between them is not.
        lines.raw(&format!("ADR{}", kind(entry)), &parts.join(";"))?;
    }
    for entry in entries(person, "organizations") {
        let names = [part(entry, "name"), part(entry, "department")];
        lines.raw("ORG", names.join(";").trim_end_matches(';'))?;
        lines.some_text("TITLE", entry["title"].as_str())?;
    }
    for entry in entries(person, "urls") {
        lines.raw("URL", entry["value"].as_str().unwrap_or_default())?;
    }
    if let Some(day) = entries(person, "birthdays").find_map(date) {
        lines.raw("BDAY", &day)?;
    }
    for entry in entries(person, "events") {
        if let Some(day) = date(entry) {
            let name = if entry["type"] == "anniversary" { "X-ANNIVERSARY" } else { "X-EVENT" };
            lines.raw(name, &day)?;
        }
    }
    for entry in entries(person, "biographies") {
        lines.some_text("NOTE", entry["value"].as_str())?;
    }
    let names: Vec<String> =
        groups_of(person).filter_map(|group| Some(escaped(groups.get(group)?))).collect();
    if !names.is_empty() {
        lines.raw("CATEGORIES", &names.join(","))?;
    }
    if let Some(photo) = photo {
        let format = match photo {
            [0x89, b'P', ..] => "PNG",
            [b'G', b'I', b'F', ..] => "GIF",
            _ => "JPEG",
        };
        lines.raw(
            &format!("PHOTO;ENCODING=b;TYPE={format}"),
            &base64_simd::STANDARD.encode_to_string(photo),
        )?;
    }
    lines.raw("END", "VCARD")
}

fn write_names<W: Write>(lines: &mut Lines<W>, person: &Value) -> io::Result<()> {
    let name = &person["names"][0];
    let shown = name["displayName"].as_str().or_else(|| name["unstructuredName"].as_str());
    let other = ["emailAddresses", "phoneNumbers"].iter().find_map(|list| person[*list][0]["value"].as_str());
    let company = person["organizations"][0]["name"].as_str();
    lines.text("FN", shown.filter(|name| !name.is_empty()).or(company).or(other).unwrap_or("Unknown"))?;
    let parts = ["familyName", "givenName", "middleName", "honorificPrefix", "honorificSuffix"];
    let parts: Vec<String> = parts.iter().map(|part_name| part(name, part_name)).collect();
    lines.raw("N", &parts.join(";"))?;
    let nicknames: Vec<String> = entries(person, "nicknames").map(|entry| part(entry, "value")).collect();
    if nicknames.is_empty() { Ok(()) } else { lines.raw("NICKNAME", &nicknames.join(",")) }
}
