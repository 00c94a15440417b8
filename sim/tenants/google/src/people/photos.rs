//! Photos of contacts.

use bytes::Bytes;
use flate2::{Compression, Crc, write::ZlibEncoder};
use hyper::Method;
use serde_json::{Value, json};
use std::io::Write;

use super::{Fields, Person, person::FIELDS, route};
use crate::{
    call::{Answer, Call, Reply},
    oauth::scopes::CONTACTS,
    refusal::Refusal,
    routes::Route,
    tenant::Tenant,
    text,
};

const WRITE: &[&str] = &[CONTACTS];
const SIDE: u32 = 16;

/// The routes. A photo's address is open to anybody who knows it, as those of the real service are.
pub(super) const ROUTES: &[Route] = &[
    route(
        "people.people.updateContactPhoto",
        Method::PATCH,
        "v1/people/{peopleId}:updateContactPhoto",
        WRITE,
        update,
    ),
    route(
        "people.people.deleteContactPhoto",
        Method::DELETE,
        "v1/people/{peopleId}:deleteContactPhoto",
        WRITE,
        delete,
    ),
    route("people.photos.get", Method::GET, "contact-photos/{key}", &[], get),
];

/// Draws a small picture in two colours.
pub(crate) fn picture(drawn: u64) -> Bytes {
    let colors = [drawn as u32, (drawn >> 32) as u32].map(u32::to_be_bytes);
    let mut rows = Vec::new();
    for row in 0..SIDE {
        rows.push(0);
        for column in 0..SIDE {
            // The left half is mirrored, as identicons are.
            let at = row * SIDE / 2 + column.min(SIDE - 1 - column);
            let [_, red, green, blue] = colors[(text::mixed(drawn ^ u64::from(at / 3)) & 1) as usize];
            rows.extend_from_slice(&[red, green, blue]);
        }
    }
    let mut zipped = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail; what did would be an empty picture.
    let pixels = zipped.write_all(&rows).and_then(|()| zipped.finish()).unwrap_or_default();
    let mut head = [SIDE.to_be_bytes(), SIDE.to_be_bytes()].concat();
    head.extend_from_slice(&[8, 2, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, content) in [(b"IHDR", head), (b"IDAT", pixels), (b"IEND", Vec::new())] {
        let mut crc = Crc::new();
        crc.update(kind);
        crc.update(&content);
        file.extend_from_slice(&(content.len() as u32).to_be_bytes());
        file.extend_from_slice(kind);
        file.extend_from_slice(&content);
        file.extend_from_slice(&crc.sum().to_be_bytes());
    }
    file.into()
}

fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    let key = call.parameter("key");
    let bytes = match tenant.people.photos.get(key) {
        Some(bytes) => bytes.clone(),
        None if key == "default" => picture(0x0055_7799_00dd_eeff),
        None => return Err(Refusal::not_found()),
    };
    let kind = match bytes.as_ref() {
        [0x89, b'P', ..] => "image/png",
        [b'G', b'I', b'F', ..] => "image/gif",
        _ => "image/jpeg",
    };
    Ok(Reply::bytes(kind, bytes))
}

fn store(
    tenant: &mut Tenant,
    call: &Call,
    mask: Option<&str>,
    change: impl FnOnce(&mut Tenant, &mut Person) -> Result<(), Refusal>,
) -> Answer {
    let fields =
        mask.filter(|mask| !mask.is_empty()).map(|mask| Fields::parse(Some(mask), "personFields", &FIELDS));
    let fields = fields.transpose()?;
    let name = format!("people/{}", call.parameter("peopleId"));
    let mut person = tenant.book(&call.caller.user).contact_named(&name)?.clone();
    change(tenant, &mut person)?;
    let (source, url) = (person.source.clone(), tenant.url.clone());
    let book = tenant.book(&call.caller.user);
    book.put(person, call.now);
    let value = book.contacts[&source].resource(&url, false, false);
    tenant.note_contacts(call, "update_contacts", 1);
    // Without a mask nothing of the person comes back.
    Ok(Reply::json(fields.map_or_else(|| json!({}), |fields| json!({ "person": fields.apply(value) }))))
}

fn update(tenant: &mut Tenant, call: &Call) -> Answer {
    let body: Value = call.json()?;
    let bytes = body["photoBytes"].as_str().and_then(text::from_base64url).filter(|bytes| !bytes.is_empty());
    let bytes = bytes.ok_or_else(|| Refusal::invalid("Invalid photo bytes."))?;
    store(tenant, call, body["personFields"].as_str(), |tenant, person| {
        person.photo = Some(tenant.keep_photo(bytes.into()));
        Ok(())
    })
}

fn delete(tenant: &mut Tenant, call: &Call) -> Answer {
    store(tenant, call, call.query("personFields"), |_, person| match person.photo.take() {
        Some(_) => Ok(()),
        None => Err(Refusal::not_found()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_the_same_for_the_same_number_and_differs_from_others() {
        let one = picture(7);
        assert!(one.starts_with(b"\x89PNG") && one.ends_with(b"IEND\xae\x42\x60\x82"));
        assert_eq!(one, picture(7));
        assert_ne!(one, picture(0x1234_5678_9abc_def0));
    }
}
