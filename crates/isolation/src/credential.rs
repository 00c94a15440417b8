//! A credential of production, and how it is shown.

use std::fmt;

use model::Redacted;

/// Something that lets its holder in somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// What it is.
    pub kind: Kind,
    /// Where it was found, for people: `/srv/app/.env:3`, `the environment: DATABASE_URL`.
    pub found: String,
    /// The user whose file or process it was found in, where there is one.
    pub holder: Option<u32>,
}

/// What a credential is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A login of a PostgreSQL server, as an address with everything in it.
    Database {
        /// `postgresql://ROLE:PASSWORD@HOST:PORT/DATABASE`.
        url: Redacted<String>,
    },
    /// An access key of Amazon's or of a store that speaks its language.
    Aws {
        /// Its public half.
        access_key: String,
        /// Its secret half, where it was found beside the public one.
        secret_key: Option<Redacted<String>>,
        /// The token of a session.
        session_token: Option<Redacted<String>>,
    },
    /// The key of a Google service account.
    Google {
        /// The account's address.
        email: String,
        /// The number by which a domain delegates to it.
        client_id: String,
        /// The key file's text.
        file: Redacted<String>,
    },
    /// An identity of `age`, such as one that opens a vault.
    Identity {
        /// `AGE-SECRET-KEY-1…`
        text: Redacted<String>,
    },
    /// The file with which a production host joins a vault on another host.
    Enrolment {
        /// The vault's server.
        url: String,
        /// The file's text.
        file: Redacted<String>,
    },
    /// A private key, with the certificate that stood beside it.
    PrivateKey {
        /// The key as PEM.
        pem: Redacted<String>,
        /// The certificate as PEM.
        certificate: Option<String>,
    },
    /// Something whose name says that it is secret: a password, a token.
    Secret {
        /// The name.
        name: String,
        /// The value.
        value: Redacted<String>,
    },
}

/// Secrets that are shorter show no part of themselves.
const TAIL_FROM_CHARACTERS: usize = 12;

/// Returns the last four characters, by which a person knows a secret again; nothing of a short one.
pub fn tail(secret: &str) -> String {
    let characters: Vec<char> = secret.trim_end().chars().collect();
    match characters.len() {
        length if length >= TAIL_FROM_CHARACTERS => {
            format!("…{}", characters[length - 4..].iter().collect::<String>())
        }
        _ => "…".to_owned(),
    }
}

impl Kind {
    /// Returns what it is in a word or two.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Database { .. } => "PostgreSQL login",
            Self::Aws { .. } => "AWS access key",
            Self::Google { .. } => "Google service account",
            Self::Identity { .. } => "age identity",
            Self::Enrolment { .. } => "enrolment",
            Self::PrivateKey { .. } => "private key",
            Self::Secret { .. } => "secret",
        }
    }

    /// Returns every secret text in it.
    pub fn secrets(&self) -> Vec<&str> {
        match self {
            Self::Database { url } => vec![url.expose()],
            Self::Aws { access_key, secret_key, session_token } => {
                let halves = [secret_key, session_token].into_iter().flatten();
                std::iter::once(access_key.as_str())
                    .chain(halves.map(|half| half.expose().as_str()))
                    .collect()
            }
            Self::Google { file, .. } | Self::Enrolment { file, .. } => vec![file.expose()],
            Self::Identity { text } => vec![text.expose()],
            Self::PrivateKey { pem, .. } => vec![pem.expose()],
            Self::Secret { value, .. } => vec![value.expose()],
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Database { url } => Login::of(url.expose()).to_string(),
            Self::Aws { access_key, .. } => tail(access_key),
            Self::Google { email, .. } => printable(email),
            Self::Identity { text } => tail(text.expose()),
            Self::Enrolment { url, .. } => format!("for {}", printable(url)),
            Self::PrivateKey { pem, .. } => {
                let body: String = pem.expose().lines().filter(|line| !line.starts_with("-----")).collect();
                tail(&body)
            }
            Self::Secret { name, value } => format!("{} {}", printable(name), tail(value.expose())),
        }
    }
}

/// Names in foreign files may hold what moves a cursor.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

/// The parts of a PostgreSQL address that are no secret, and the password's tail.
struct Login {
    role: String,
    place: String,
    password: Option<String>,
}

impl Login {
    fn of(url: &str) -> Self {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let rest = rest.split('?').next().unwrap_or_default();
        let (login, place) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (role, password) = match login.split_once(':') {
            Some((role, password)) => (role, Some(tail(password))),
            None => (login, None),
        };
        Self { role: printable(role), place: printable(place), password }
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = if self.role.is_empty() { "(the user's own name)" } else { &self.role };
        write!(f, "{role} at {}", self.place)?;
        match &self.password {
            Some(tail) => write!(f, ", password {tail}"),
            None => f.write_str(", without a password"),
        }
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} in {}", self.kind.word(), self.kind.detail(), printable(&self.found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_holds_no_secret() {
        let long = "hunter2-hunter2-hunter2-WXYZ";
        let kinds = [
            Kind::Database { url: Redacted::new(format!("postgresql://app:{long}@db:5432/shop?x=y")) },
            Kind::Aws {
                access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
                secret_key: Some(Redacted::new(long.to_owned())),
                session_token: None,
            },
            Kind::Secret { name: "TOKEN".to_owned(), value: Redacted::new(long.to_owned()) },
        ];
        for kind in kinds {
            let credential = Credential { kind, found: "x:1".to_owned(), holder: None };
            let (shown, debug) = (credential.to_string(), format!("{credential:?}"));
            assert!(!shown.contains("hunter2") && !debug.contains("hunter2"), "{shown} {debug}");
        }
    }

    #[test]
    fn of_a_short_secret_nothing_is_shown() {
        assert_eq!(tail("swordfish"), "…");
        assert_eq!(tail("correct-horse-battery"), "…tery");
        let login = Kind::Database { url: Redacted::new("postgres://app:pass@db/shop".to_owned()) };
        assert_eq!(login.detail(), "app at db/shop, password …");
    }
}
