use proptest::prelude::*;

use super::*;

fn kinds(name: &str, text: &str) -> Vec<Kind> {
    recognise(name, text.as_bytes(), name, None).credentials.into_iter().map(|c| c.kind).collect()
}

fn urls(kinds: &[Kind]) -> Vec<&str> {
    kinds
        .iter()
        .filter_map(|kind| match kind {
            Kind::Database { url } => Some(url.expose().as_str()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_dotenv_gives_logins_keys_and_what_is_named_a_secret() {
    let text = "# production\nexport DATABASE_URL=\"postgresql://app:s3cr3t-pw@db.internal:5432/shop?sslmode=require\"\n\
                AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\nAWS_SECRET_ACCESS_KEY='wJalrXUtnFEMI/K7MDENG'\n\
                BACKUP_S3_ACCESS_KEY=writer\nBACKUP_S3_SECRET_KEY=writer-secret # its secret\n\
                STRIPE_SECRET=sk_live_abcdef\nDEBUG=1\nGOOGLE_APPLICATION_CREDENTIALS=/etc/google.json\n";
    let recognised = recognise(".env", text.as_bytes(), "/srv/.env", Some(7));
    assert_eq!(recognised.references, ["/etc/google.json"]);
    let found: Vec<String> = recognised.credentials.iter().map(ToString::to_string).collect();
    assert!(recognised.credentials.iter().all(|c| c.holder == Some(7)));
    assert_eq!(
        found,
        [
            "AWS access key …MPLE in /srv/.env:3",
            "AWS access key … in /srv/.env:5",
            "PostgreSQL login app at db.internal:5432/shop, password … in /srv/.env:2",
            "secret STRIPE_SECRET …cdef in /srv/.env:7",
        ]
    );
    let Kind::Aws { access_key, secret_key, .. } = &recognised.credentials[1].kind else { panic!() };
    assert_eq!(
        (access_key.as_str(), secret_key.as_ref().unwrap().expose().as_str()),
        ("writer", "writer-secret")
    );
}

#[test]
fn parts_of_a_login_are_put_together() {
    let text = "DB_CONNECTION=pgsql-or-postgres\nDB_HOST=db\nDB_PORT=5433\nDB_NAME=shop\nDB_USER=app\nDB_PASSWORD=p@ss:word\n\
                MYSQL_HOST=my\nMYSQL_USER=x\nMYSQL_PASSWORD=other-secret\n";
    let kinds = kinds(".env", text);
    assert_eq!(urls(&kinds), ["postgresql://app:p%40ss%3Aword@db:5433/shop"]);
    assert!(kinds.iter().any(|kind| matches!(kind, Kind::Secret { name, .. } if name == "MYSQL_PASSWORD")));
}

#[test]
fn a_password_file_gives_a_login_for_each_line() {
    let text = "# remark\ndb:5432:shop:app:p\\:a\\\\ss\n*:*:*:admin:hunter22\nbroken:line\n";
    let kinds = kinds(".pgpass", text);
    assert_eq!(
        urls(&kinds),
        ["postgresql://app:p%3Aa%5Css@db:5432/shop", "postgresql://admin:hunter22@localhost:5432/postgres"]
    );
}

#[test]
fn profiles_of_one_file_stay_apart() {
    let text = "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = one\n\
                [backup]\naws_access_key_id = ASIAQNZGKIQY56JQ7WML\naws_secret_access_key = two\naws_session_token = three\n";
    let recognised = recognise("credentials", text.as_bytes(), "credentials", None);
    let [first, second] = recognised.credentials.as_slice() else { panic!("{recognised:?}") };
    assert!(second.found.ends_with("[default]") || first.found.ends_with("[default]"));
    let Kind::Aws { secret_key, session_token, .. } = &first.kind else { panic!() };
    assert_eq!(secret_key.as_ref().unwrap().expose(), "two");
    assert_eq!(session_token.as_ref().unwrap().expose(), "three");
}

const ACCOUNT: &str = r#"{"type":"service_account","client_email":"app@p.iam","client_id":"17",
 "private_key":"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----\n"}"#;

#[test]
fn a_service_account_is_one_credential_wherever_it_stands() {
    let in_environment = format!("GOOGLE_KEY='{}'\n", ACCOUNT.replace('\n', ""));
    let inside = format!("{{\"production\": {{\"google\": {ACCOUNT}}}}}");
    for (name, text) in [("key.json", ACCOUNT), (".env", &in_environment), ("all.json", &inside)] {
        let kinds = kinds(name, text);
        let [Kind::Google { email, client_id, .. }] = kinds.as_slice() else { panic!("{name}: {kinds:?}") };
        assert_eq!((email.as_str(), client_id.as_str()), ("app@p.iam", "17"));
    }
}

#[test]
fn trees_and_yaml_are_looked_through() {
    let yaml = "apiVersion: v1\nusers:\n- name: admin\n  user:\n    token: eyJhbGciOiJ\n    client-key-data: |\n      LS0tLS1CRUdJTi\n- name: other\n  user:\n    password: 'swordfish'\n";
    let secrets: Vec<String> = kinds("config", yaml)
        .into_iter()
        .filter_map(|kind| match kind {
            Kind::Secret { name, value } => Some(format!("{name}={}", value.expose())),
            _ => None,
        })
        .collect();
    assert_eq!(secrets, ["token=eyJhbGciOiJ", "client-key-data=LS0tLS1CRUdJTi", "password=swordfish"]);
    let toml =
        "[storage]\naccess_key = 'a-key'\nsecret_key = 'a-secret'\n[db]\nurl = 'postgres://app@db/x'\n";
    let kinds = kinds("app.toml", toml);
    assert_eq!(urls(&kinds), ["postgres://app@db/x"]);
    assert!(kinds.iter().any(|kind| matches!(kind, Kind::Aws { access_key, .. } if access_key == "a-key")));
}

#[test]
fn keys_in_frames_and_identities_are_found_in_any_text() {
    let identity = format!("AGE-SECRET-KEY-1{}", "Q".repeat(58));
    let text = format!(
        "notes\n-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----\nBB\n\
         -----END EC PRIVATE KEY-----\nkey {identity}\n-----BEGIN PRIVATE KEY-----\nnever ends"
    );
    let kinds = kinds("notes.txt", &text);
    assert!(kinds.iter().any(|kind| matches!(kind, Kind::Identity { text } if *text.expose() == identity)));
    let keys: Vec<_> = kinds.iter().filter(|kind| matches!(kind, Kind::PrivateKey { .. })).collect();
    let [Kind::PrivateKey { certificate: Some(certificate), .. }] = keys.as_slice() else {
        panic!("{keys:?}")
    };
    assert!(certificate.contains("AA"));
}

#[test]
fn what_nobody_wrote_by_hand_ends() {
    let long = format!("PASSWORD={}\n", "x".repeat(4 << 20));
    // Too long to be a secret; its beginning alone was looked at.
    assert!(kinds(".env", &long).is_empty());
    let many: String = (0..30_000).map(|n| format!("K{n}=v\n")).collect();
    let remarks = recognise(".env", many.as_bytes(), "", None).remarks;
    assert!(remarks[0].contains("20000"), "{remarks:?}");
    let deep = "[".repeat(100_000);
    assert!(kinds("x.json", &deep).is_empty());
    let open = format!("A=\"{}", "line\n".repeat(50_000));
    kinds(".env", &open);
}

proptest! {
    #[test]
    fn no_bytes_make_it_fail(bytes in proptest::collection::vec(any::<u8>(), 0..400), name in "(\\.env|a\\.json|a\\.toml|a\\.yaml|\\.pgpass|config)") {
        recognise(&name, &bytes, "x", None);
    }

    #[test]
    fn no_settings_make_it_fail(text in "([a-zA-Z_:\\-\\[\\]{}\"'=\\\\|> #@/é]{0,12}\n?){0,40}", name in "(\\.env|a\\.json|a\\.toml|a\\.yaml|\\.pgpass)") {
        recognise(&name, text.as_bytes(), "x", None);
    }
}
