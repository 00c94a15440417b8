//! From pairs and texts to credentials.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{CREDENTIALS_MAX, Pair, lines::bounded, redacted, same};
use crate::{Credential, Kind};

/// The two halves of an access key, as different programs name them: after the prefix, in small letters, without `_`.
const KEY_HALVES: [(&str, &str); 4] = [
    ("accesskeyid", "secretaccesskey"),
    ("accesskeyid", "secretkey"),
    ("accesskey", "secretkey"),
    ("keyid", "secret"),
];
/// Names of variables that name a file with credentials.
const FILE_NAMES: [&str; 6] = [
    "GOOGLE_APPLICATION_CREDENTIALS",
    "PGPASSFILE",
    "PGSERVICEFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "KUBECONFIG",
];
const SECRET_WORDS: [&str; 10] = [
    "password",
    "passwd",
    "secret",
    "token",
    "apikey",
    "privatekey",
    "accesskey",
    "credential",
    "clientkeydata",
    "passphrase",
];
/// Values that are shorter protect nothing.
const SECRET_CHARACTERS_MIN: usize = 6;
const SECRET_CHARACTERS_MAX: usize = 16 << 10;
const IDENTITY: &str = "AGE-SECRET-KEY-1";
const IDENTITY_TAIL_CHARACTERS: usize = 58;

/// Collects the credentials of one place.
pub(super) struct Gathering<'a> {
    found: &'a str,
    holder: Option<u32>,
    pub(super) credentials: Vec<Credential>,
    pub(super) references: Vec<String>,
}

impl<'a> Gathering<'a> {
    pub(super) const fn new(found: &'a str, holder: Option<u32>) -> Self {
        Self { found, holder, credentials: Vec::new(), references: Vec::new() }
    }

    fn add(&mut self, kind: Kind, place: &str) {
        let known = self.credentials.iter().any(|known| same(&known.kind, &kind));
        if known || self.credentials.len() >= CREDENTIALS_MAX {
            return;
        }
        let found = format!("{}{place}", self.found);
        self.credentials.push(Credential { kind, found, holder: self.holder });
    }

    /// `host:port:database:role:password`, with `\:` and `\\` inside of a part.
    pub(super) fn pgpass(&mut self, text: &str) {
        for (number, line) in text.lines().enumerate() {
            let line = bounded(line).trim_end_matches('\r');
            if line.starts_with('#') {
                continue;
            }
            let mut parts = vec![String::new()];
            let mut characters = line.chars();
            while let Some(character) = characters.next() {
                if character == ':' && parts.len() < 5 {
                    parts.push(String::new());
                    continue;
                }
                let taken = if character == '\\' { characters.next() } else { Some(character) };
                if let Some(part) = parts.last_mut() {
                    part.extend(taken);
                }
            }
            let [host, port, database, role, password] = parts.as_slice() else { continue };
            let any = |text: &str, otherwise: &str| {
                if text == "*" { otherwise.to_owned() } else { text.to_owned() }
            };
            let url = address(&Parts {
                host: &any(host, "localhost"),
                port: &any(port, "5432"),
                database: &any(database, "postgres"),
                role,
                password,
            });
            self.add(Kind::Database { url: redacted(&url) }, &format!(":{}", number + 1));
        }
    }

    /// Puts pairs of a group together, and takes single ones whose name or value says what they are.
    pub(super) fn pairs(&mut self, pairs: &[Pair]) {
        let mut groups: BTreeMap<&str, Vec<&Pair>> = BTreeMap::new();
        for pair in pairs {
            groups.entry(&pair.group).or_default().push(pair);
        }
        for pairs in groups.into_values() {
            let mut used = BTreeSet::new();
            self.access_keys(&pairs, &mut used);
            self.logins(&pairs, &mut used);
            for (index, pair) in pairs.iter().enumerate() {
                if FILE_NAMES.contains(&pair.key.as_str()) {
                    self.references.push(pair.value.clone());
                } else if !used.contains(&index) {
                    self.single(pair);
                }
            }
        }
    }

    fn access_keys(&mut self, pairs: &[&Pair], used: &mut BTreeSet<usize>) {
        let names: BTreeMap<String, usize> =
            pairs.iter().enumerate().map(|(index, pair)| (normal(&pair.key), index)).collect();
        for (name, &index) in &names {
            let halves = KEY_HALVES.iter().find_map(|(public, secret)| {
                let prefix = name.strip_suffix(public)?;
                let other = names.get(&format!("{prefix}{secret}"))?;
                Some((prefix, *other))
            });
            let Some((prefix, secret)) = halves.filter(|_| !used.contains(&index)) else { continue };
            let token = ["sessiontoken", "securitytoken"]
                .iter()
                .find_map(|suffix| names.get(&format!("{prefix}{suffix}")).copied());
            used.extend([index, secret].into_iter().chain(token));
            let kind = Kind::Aws {
                access_key: pairs[index].value.clone(),
                secret_key: Some(redacted(&pairs[secret].value)),
                session_token: token.map(|token| redacted(&pairs[token].value)),
            };
            self.add(kind, &place_of(pairs[index]));
        }
    }

    /// A host, a role and a password of one prefix are a login: `PGHOST`, `DB_HOST`.
    fn logins(&mut self, pairs: &[&Pair], used: &mut BTreeSet<usize>) {
        let names: BTreeMap<String, usize> =
            pairs.iter().enumerate().map(|(index, pair)| (normal(&pair.key), index)).collect();
        for (name, &host) in &names {
            let Some(prefix) = name.strip_suffix("host") else { continue };
            let of = |suffixes: &[&str]| {
                suffixes.iter().find_map(|suffix| names.get(&format!("{prefix}{suffix}")).copied())
            };
            let (Some(role), Some(password)) =
                (of(&["user", "username", "role"]), of(&["password", "pass", "passwd"]))
            else {
                continue;
            };
            let value = |index: Option<usize>, otherwise: &str| {
                index.map_or_else(|| otherwise.to_owned(), |index| pairs[index].value.clone())
            };
            let port = of(&["port"]);
            let speaks_postgres = ["pg", "postgres", "psql"].iter().any(|word| prefix.contains(word))
                || value(port, "").starts_with("54")
                || ["adapter", "engine", "driver", "client", "dialect", "type", "connection"]
                    .iter()
                    .any(|suffix| value(of(&[suffix]), "").contains("postgres"));
            if !speaks_postgres {
                continue;
            }
            used.insert(password);
            let url = address(&Parts {
                host: &pairs[host].value,
                port: &value(port, "5432"),
                database: &value(of(&["database", "name", "dbname", "db"]), "postgres"),
                role: &pairs[role].value,
                password: &pairs[password].value,
            });
            self.add(Kind::Database { url: redacted(&url) }, &place_of(pairs[password]));
        }
    }

    fn single(&mut self, pair: &Pair) {
        let value = pair.value.trim();
        if let Some(kind) = key_file(value) {
            return self.add(kind, &place_of(pair));
        }
        if is_address(value) {
            return self.add(Kind::Database { url: redacted(value) }, &place_of(pair));
        }
        // What the text itself shows is taken from there.
        if value.contains("-----BEGIN ") || value.contains(IDENTITY) {
            return;
        }
        let name = normal(&pair.key);
        let length = value.chars().count();
        let fits = (SECRET_CHARACTERS_MIN..=SECRET_CHARACTERS_MAX).contains(&length);
        let refers = ["file:", "env:", "exec:", "${", "/"].iter().any(|start| value.starts_with(start));
        if fits && !refers && SECRET_WORDS.iter().any(|word| name.contains(word)) {
            let kind = Kind::Secret { name: pair.key.clone(), value: redacted(value) };
            self.add(kind, &pair.line.map(|line| format!(":{line}")).unwrap_or_default());
        }
    }

    /// Finds what shows itself anywhere in a text.
    pub(super) fn text(&mut self, text: &str) {
        self.text_of(text, None);
    }

    pub(super) fn text_of(&mut self, text: &str, name: Option<&str>) {
        let place = |at: usize| match name {
            Some(name) => format!(": {name}"),
            None => format!(":{}", text[..at].matches('\n').count() + 1),
        };
        for (at, _) in text.match_indices(IDENTITY).take(CREDENTIALS_MAX) {
            let end = at + IDENTITY.len() + IDENTITY_TAIL_CHARACTERS;
            if let Some(identity) = text.get(at..end) {
                self.add(Kind::Identity { text: redacted(identity) }, &place(at));
            }
        }
        for scheme in ["postgres://", "postgresql://"] {
            for (at, _) in text.match_indices(scheme).take(CREDENTIALS_MAX) {
                let rest = bounded(&text[at..]);
                let ends = |c: char| c.is_whitespace() || c.is_control() || "\"'`<>\\,;)}]".contains(c);
                let url = &rest[..rest.find(ends).unwrap_or(rest.len())];
                if is_address(url) {
                    self.add(Kind::Database { url: redacted(url) }, &place(at));
                }
            }
        }
        self.frames(text, &place);
    }

    /// Finds private keys and certificates in PEM frames; a certificate goes with the key of the same text.
    fn frames(&mut self, text: &str, place: &dyn Fn(usize) -> String) {
        let (mut keys, mut certificate) = (Vec::new(), None);
        let mut from = 0;
        while let Some(at) = text[from..].find("-----BEGIN ").map(|at| from + at) {
            let label_start = at + "-----BEGIN ".len();
            let label: String = text[label_start..].chars().take_while(|c| *c != '-').take(40).collect();
            let end_line = format!("-----END {label}-----");
            let Some(end) = text[at..].find(&end_line).map(|end| at + end + end_line.len()) else { break };
            let pem = text[at..end].replace("\\n", "\n");
            if label.ends_with("PRIVATE KEY") {
                keys.push((at, pem));
            } else if label == "CERTIFICATE" {
                certificate.get_or_insert(pem);
            }
            from = end;
        }
        // Inside of a service account's file the key is the account's.
        let of_account = |pem: &str| {
            let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
            self.credentials.iter().any(|known| match &known.kind {
                Kind::Google { file, .. } | Kind::Enrolment { file, .. } => {
                    file.expose().replace("\\n", "").contains(body.trim())
                }
                _ => false,
            })
        };
        keys.retain(|(_, pem)| !of_account(pem));
        for (at, pem) in keys {
            let kind = Kind::PrivateKey { pem: redacted(&pem), certificate: certificate.clone() };
            self.add(kind, &place(at));
        }
    }
}

fn place_of(pair: &Pair) -> String {
    let section = if pair.group.is_empty() { String::new() } else { format!(" [{}]", pair.group) };
    let line = pair.line.map(|line| format!(":{line}")).unwrap_or_default();
    let key =
        if pair.line.is_none() && !pair.key.is_empty() { format!(": {}", pair.key) } else { String::new() };
    format!("{line}{section}{key}")
}

/// Writes a name in small letters, without what stands between its words.
fn normal(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn is_address(text: &str) -> bool {
    let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
    rest.is_some_and(|rest| !rest.is_empty() && !text.contains(char::is_whitespace))
}

/// Reads a JSON text that is a credential as a whole.
fn key_file(text: &str) -> Option<Kind> {
    if !text.starts_with('{') {
        return None;
    }
    let value: Value = serde_json::from_str(text).ok()?;
    let member = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    if member("type") == "service_account" {
        let (email, client_id) = (member("client_email"), member("client_id"));
        return Some(Kind::Google { email, client_id, file: redacted(text) });
    }
    (member("format") == "unwipe-enrolment")
        .then(|| Kind::Enrolment { url: member("url"), file: redacted(text) })
}

struct Parts<'a> {
    host: &'a str,
    port: &'a str,
    database: &'a str,
    role: &'a str,
    password: &'a str,
}

fn address(parts: &Parts<'_>) -> String {
    let Parts { host, port, database, role, password } = parts;
    let (role, password, database) = (escaped(role), escaped(password), escaped(database));
    if host.starts_with('/') {
        return format!("postgresql://{role}:{password}@/{database}?host={host}&port={port}");
    }
    let host = if host.contains(':') { format!("[{host}]") } else { (*host).to_owned() };
    format!("postgresql://{role}:{password}@{host}:{port}/{database}")
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
