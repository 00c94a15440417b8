//! Drive: contents, as bytes, as exports, and in faults.

use google_tenant::{Effect, Fault, Look, When};
use ring::digest;
use serde_json::{Value, json};

use crate::{
    drive::{FILES, bare, make, token, upload, views},
    support::Domain,
};

const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const DOCUMENT: &str = "application/vnd.google-apps.document";

fn sha256(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn bytes_are_those_that_the_checksums_promise_and_can_be_had_in_runs() {
    let domain = Domain::usual();
    let admin = domain.admin();
    let token = token(&domain, &admin);
    let id = domain
        .running
        .with_tenant(|tenant| tenant.add_drive_file(&admin, "a.pdf", 9, 700_001, Look::Noise(b"%PDF-1.7\n")))
        .unwrap();
    let path = format!("{FILES}/{id}");
    let file =
        domain.get(&format!("{path}?fields=size,sha256Checksum,sha1Checksum,md5Checksum"), &token).ok();
    let media = domain.get(&format!("{path}?alt=media"), &token);
    assert_eq!((media.code, media.header("content-type")), (200, Some("application/pdf")));
    assert_eq!((file["size"].as_str(), media.bytes.len()), (Some("700001"), 700_001));
    assert!(media.bytes.starts_with(b"%PDF-1.7\n"));
    assert_eq!(file["sha256Checksum"], sha256(&media.bytes));
    assert_eq!(
        (file["sha1Checksum"].as_str().unwrap().len(), file["md5Checksum"].as_str().unwrap().len()),
        (40, 32)
    );
    let run =
        |range: &str| domain.send("GET", &format!("{path}?alt=media"), &token, &[("range", range)], b"");
    let middle = run("bytes=300000-300099");
    assert_eq!((middle.code, middle.header("content-range")), (206, Some("bytes 300000-300099/700001")));
    assert_eq!(middle.bytes, media.bytes[300_000..300_100]);
    assert_eq!(run("bytes=700000-").bytes, media.bytes[700_000..]);
    assert_eq!(run("bytes=700001-").code, 416);
}

#[test]
fn five_gigabytes_are_there_without_being_anywhere() {
    let domain = bare();
    let user = domain.user(0);
    let length = 5 << 30;
    let id = domain
        .running
        .with_tenant(|t| t.add_drive_file(&user, "big.bin", 3, length, Look::Noise(b"")))
        .unwrap();
    let token = token(&domain, &user);
    let file = domain.get(&format!("{FILES}/{id}?fields=size,quotaBytesUsed"), &token).ok();
    assert_eq!(file["size"], length.to_string());
    let range = format!("bytes={}-", length - 10);
    let end = domain.send("GET", &format!("{FILES}/{id}?alt=media"), &token, &[("range", &range)], b"");
    assert_eq!((end.code, end.bytes.len()), (206, 10));
}

#[test]
fn bodies_are_cut_off_spoilt_and_refused_in_batches() {
    let domain = bare();
    let user = domain.user(0);
    let id =
        domain.running.with_tenant(|t| t.add_drive_file(&user, "a.bin", 3, 600_000, Look::Text)).unwrap();
    let token = token(&domain, &user);
    let path = format!("{FILES}/{id}?alt=media");
    let whole = domain.get(&path, &token).bytes;
    let meet = |effect| {
        domain.running.with_tenant(|t| t.fault(Fault::new("drive.files.get", When::First(1), effect)));
        domain.try_send("GET", &path, &token, &[], b"")
    };
    assert!(meet(Effect::Truncated(400_000)).is_err());
    let spoilt = meet(Effect::Spoilt(500_000)).unwrap().bytes;
    let wrong: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != spoilt[*at]).collect();
    assert_eq!((wrong, spoilt.len()), (vec![500_000], whole.len()));
    assert!(meet(Effect::Reset).is_err());
    assert_eq!(domain.get(&path, &token).bytes, whole);
    let batch =
        format!("--b\r\nContent-Type: application/http\r\n\r\nGET /{path} HTTP/1.1\r\n\r\n\r\n--b--\r\n");
    let headers = [("content-type", "multipart/mixed; boundary=b")];
    let answer = domain.send("POST", "batch/drive/v3", &token, &headers, batch.as_bytes());
    assert!(answer.text.contains("HTTP/1.1 400"), "{}", answer.text);
}

#[test]
fn what_may_not_be_had_is_refused_with_its_reason() {
    let domain = Domain::usual();
    let token = token(&domain, &domain.admin());
    let id = |name: &str| views(&domain).iter().find(|view| view.name == name).unwrap().id.to_string();
    let refused = domain.get(&format!("{FILES}/{}?alt=media", id("Not to be downloaded.pdf")), &token);
    assert_eq!((refused.code, refused.reason()), (403, "cannotDownloadFile"));
    let capabilities = format!("{FILES}/{}?fields=capabilities(canDownload)", id("Not to be downloaded.pdf"));
    assert_eq!(domain.get(&capabilities, &token).ok(), json!({ "capabilities": { "canDownload": false } }));
    let flagged = format!("{FILES}/{}?alt=media", id("Flagged.zip"));
    assert_eq!(domain.get(&flagged, &token).reason(), "cannotDownloadAbusiveFile");
    assert_eq!(domain.get(&format!("{flagged}&acknowledgeAbuse=true"), &token).bytes.len(), 5000);
    let large = id("Too large to export");
    assert_eq!(domain.get(&format!("{FILES}/{large}?alt=media"), &token).reason(), "fileNotDownloadable");
    let export = domain.get(&format!("{FILES}/{large}/export?mimeType=text/plain"), &token);
    assert_eq!((export.code, export.reason()), (403, "exportSizeLimitExceeded"));
    for kind in ["form", "site", "map"] {
        let form = make(
            &domain,
            &token,
            &json!({ "name": "x", "mimeType": format!("application/vnd.google-apps.{kind}") }),
        );
        let export = domain.get(&format!("{FILES}/{form}/export?mimeType=application/pdf"), &token);
        assert_eq!((export.code, export.reason()), (403, "fileNotExportable"), "{kind}");
    }
    let document = make(&domain, &token, &json!({ "name": "x", "mimeType": DOCUMENT }));
    assert_eq!(
        domain.get(&format!("{FILES}/{document}/export?mimeType=image/png"), &token).reason(),
        "badRequest"
    );
    assert_eq!(domain.get(&format!("{FILES}/{document}/export"), &token).reason(), "required");
}

#[test]
fn what_is_too_large_to_export_comes_by_an_operation_or_a_link() {
    let domain = bare();
    let token = token(&domain, &domain.user(0));
    domain.running.with_tenant(|tenant| tenant.settings_mut().drive.export_bytes_max = 100);
    let text = "line\n".repeat(50);
    let made =
        upload(&domain, &token, &json!({ "name": "x", "mimeType": DOCUMENT }), "text/plain", text.as_bytes());
    let id = made["id"].as_str().unwrap();
    assert_eq!(
        domain.get(&format!("{FILES}/{id}/export?mimeType={DOCX}"), &token).reason(),
        "exportSizeLimitExceeded"
    );
    let begun = domain.post(&format!("{FILES}/{id}/download?mimeType=text/plain"), &token, &Value::Null).ok();
    assert_eq!(begun["done"], false);
    let name = begun["name"].as_str().unwrap();
    let poll = || domain.get(&format!("drive/v3/operations/{name}"), &token).ok();
    assert_eq!(poll()["done"], false);
    let done = poll();
    assert_eq!(done["done"], true);
    let content = domain.get(done["response"]["downloadUri"].as_str().unwrap(), &token);
    let plain = content.text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    assert_eq!(plain, text);
    let link = made["exportLinks"]["text/plain"].as_str().unwrap();
    assert_eq!(domain.get(link, &token).bytes, content.bytes);
    domain.clock.advance_micros(crate::support::DAY + 1);
    let late = self::token(&domain, &domain.user(0));
    assert_eq!(domain.get(&format!("drive/v3/operations/{name}"), &late).code, 404);
}

#[test]
fn documents_keep_their_text_through_export_and_import() {
    let domain = Domain::usual();
    let token = token(&domain, &domain.admin());
    let cases = [
        ("document", DOCX),
        ("spreadsheet", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("presentation", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ];
    for (kind, format) in cases {
        let media_type = format!("application/vnd.google-apps.{kind}");
        let all = views(&domain);
        let owner = crate::drive::user_id(&domain, &domain.admin());
        let refused = |id: &str| {
            domain.get(&format!("{FILES}/{id}?fields=capabilities"), &token).ok()["capabilities"]["canDownload"]
                == false
        };
        let view = all
            .iter()
            .find(|v| {
                v.media_type == media_type && *v.owner == *owner && v.drive.is_none() && !refused(&v.id)
            })
            .unwrap();
        let exported = domain.get(&format!("{FILES}/{}/export?mimeType={format}", view.id), &token);
        assert_eq!(
            (exported.code, exported.header("content-type")),
            (200, Some(format)),
            "{}",
            exported.text
        );
        let made = upload(
            &domain,
            &token,
            &json!({ "name": "back", "mimeType": media_type }),
            format,
            &exported.bytes,
        );
        assert_eq!(made["mimeType"], media_type);
        let id = made["id"].as_str().unwrap();
        let text = |id: &str| domain.running.with_tenant(|tenant| tenant.drive_text(id)).unwrap();
        assert_eq!(text(id), text(&view.id));
        let again = domain.get(&format!("{FILES}/{id}/export?mimeType={format}"), &token);
        assert_eq!(again.bytes, exported.bytes);
    }
    let odd = upload(&domain, &token, &json!({ "name": "x" }), DOCX, b"bytes stay bytes");
    assert_eq!((&odd["mimeType"], &odd["size"]), (&json!(DOCX), &json!("16")));
}

#[test]
fn revisions_of_bytes_can_be_had_kept_and_deleted_but_for_the_last() {
    let domain = bare();
    let token = token(&domain, &domain.user(0));
    let id = upload(&domain, &token, &json!({ "name": "a.txt" }), "text/plain", b"one")["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let rewrite = |text: &str, more: &str| {
        let path = format!("upload/{FILES}/{id}?uploadType=media&fields=headRevisionId,md5Checksum{more}");
        domain.send("PATCH", &path, &token, &[("content-type", "text/plain")], text.as_bytes()).ok()
    };
    rewrite("two", "&keepRevisionForever=true");
    rewrite("three", "");
    let path = format!("{FILES}/{id}/revisions");
    let list = domain.get(&format!("{path}?fields=*"), &token).ok();
    let revisions = list["revisions"].as_array().unwrap();
    assert_eq!(revisions.iter().map(|r| r["keepForever"] == true).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(revisions[0]["md5Checksum"], "f97c5d29941bfb1b2fdab0874906ab82");
    let ids: Vec<&str> = revisions.iter().map(|revision| revision["id"].as_str().unwrap()).collect();
    assert_eq!(domain.get(&format!("{path}/{}?alt=media", ids[0]), &token).text, "one");
    let kept = domain
        .patch(&format!("{path}/{}?fields=keepForever", ids[0]), &token, &json!({ "keepForever": true }))
        .ok();
    assert_eq!(kept, json!({ "keepForever": true }));
    assert_eq!(domain.delete(&format!("{path}/{}", ids[2]), &token).code, 204);
    assert_eq!(domain.get(&format!("{FILES}/{id}?alt=media"), &token).text, "two");
    assert_eq!(domain.delete(&format!("{path}/{}", ids[0]), &token).code, 204);
    assert_eq!(domain.delete(&format!("{path}/{}", ids[1]), &token).reason(), "cannotDeleteOnlyRevision");
    // What is not kept goes thirty days after newer content came.
    rewrite("four", "");
    rewrite("five", "");
    domain.clock.advance_micros(30 * crate::support::DAY + 1);
    let late = self::token(&domain, &domain.user(0));
    let left = domain.get(&format!("{path}?fields=revisions(md5Checksum)"), &late).ok();
    assert_eq!(left["revisions"].as_array().unwrap().len(), 2, "{left}");
    let document = make(&domain, &late, &json!({ "name": "x", "mimeType": DOCUMENT }));
    let of_document = domain.get(&format!("{FILES}/{document}/revisions"), &late).ok();
    let first = of_document["revisions"][0]["id"].as_str().unwrap();
    assert_eq!(domain.delete(&format!("{FILES}/{document}/revisions/{first}"), &late).code, 403);
}
