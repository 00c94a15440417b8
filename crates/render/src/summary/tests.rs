use super::*;

#[test]
fn things_are_called_what_people_call_them() {
    let cases = [
        ("google", "gmail/a@x", "message/1", r#"{"subject":"Hi","from":"b@x"}"#, Kind::Mail, "Hi · b@x"),
        ("google", "gmail/a@x", "message/1", "{}", Kind::Mail, "(no subject)"),
        ("google", "gmail/a@x", "label/1", r#"{"name":"Work"}"#, Kind::Record, "Work"),
        ("google", "drive/a@x", "file/1", r#"{"name":"Plan","mimeType":"text/plain"}"#, Kind::File, "Plan"),
        (
            "google",
            "drive/a@x",
            "file/1",
            r#"{"name":"F","mimeType":"application/vnd.google-apps.folder","trashed":true}"#,
            Kind::Folder,
            "F · in the trash",
        ),
        ("google", "drive/a@x", "comments/1", "{}", Kind::Record, "comments/1"),
        (
            "google",
            "calendar/a@x",
            "event/c/1",
            r#"{"summary":"Launch","start":"2026-03-02","status":"cancelled"}"#,
            Kind::Event,
            "Launch · 2026-03-02, cancelled",
        ),
        ("google", "calendar/a@x", "event/c/1", "not JSON", Kind::Event, "(no title)"),
        (
            "google",
            "contacts/a@x",
            "person/1",
            r#"{"name":"Ada","email":"ada@x"}"#,
            Kind::Contact,
            "Ada · ada@x",
        ),
        ("google", "contacts/a@x", "person/1", r#"{"email":"ada@x"}"#, Kind::Contact, "ada@x"),
        ("google", "directory", "group/1", r#"{"name":"all@x"}"#, Kind::Group, "all@x"),
        ("google", "directory", "deleted-user/1", r#"{"name":"bob@x"}"#, Kind::User, "bob@x · deleted user"),
        ("google", "position", "gmail/1", "{}", Kind::Internal, "gmail/1"),
        ("files", "files", "a/b.txt", r#"{"kind":"file"}"#, Kind::File, "b.txt · a"),
        ("files", "files", "a", r#"{"kind":"folder"}"#, Kind::Folder, "a"),
        ("files", "files", "", "[]", Kind::File, "(no name)"),
        (
            "postgres",
            "relations",
            "1/2",
            r#"{"database":"shop","schema":"public","name":"orders","kind":"r"}"#,
            Kind::Table,
            "shop.public.orders",
        ),
        (
            "postgres",
            "relations",
            "1/3",
            r#"{"database":"shop","schema":"public","name":"orders_pkey","kind":"i"}"#,
            Kind::Table,
            "shop.public.orders_pkey · index",
        ),
        ("postgres", "wal/1", "0", "{}", Kind::Internal, "0"),
    ];
    for (source, stream, key, attributes, kind, title) in cases {
        assert_eq!(summary(source, stream, key, attributes).kind, kind, "{stream} {key}");
        assert_eq!(title_of(source, stream, key, attributes), title);
    }
}

#[test]
fn folders_of_a_drive_are_told_by_ids_and_people_by_addresses() {
    let attributes = r#"{"name":"F","mimeType":"application/vnd.google-apps.folder","parents":["p"],
        "owners":[{"emailAddress":"a@x"}],"permissions":[{"emailAddress":"a@x"},{"emailAddress":"b@x"}]}"#;
    let folder = summary("google", "drive/a@x", "file/f", attributes);
    assert_eq!((folder.folder.as_deref(), folder.holds.as_deref()), (Some("p"), Some("f")));
    assert_eq!(folder.people, "a@x b@x");
    let orphan = summary("google", "shared-drive/d", "file/f", r#"{"name":"x","mimeType":"text/plain"}"#);
    assert_eq!((orphan.folder.as_deref(), orphan.holds), (Some(""), None));
}

#[test]
fn hostile_names_are_made_visible_and_cut() {
    let attributes = serde_json::json!({ "subject": "<script>alert(1)</script>\u{202e}\n", "from": "a\0b" });
    let mail = summary("google", "gmail/a@x", "message/1", &attributes.to_string());
    assert_eq!(mail.title, "<script>alert(1)</script>⟨U+202E⟩␊");
    assert_eq!(mail.subtitle.as_deref(), Some("a␀b"));
    let long = serde_json::json!({ "subject": "x".repeat(1 << 20) }).to_string();
    assert!(title_of("google", "gmail/a@x", "message/1", &long).len() < 1_000);
}
