//! A caller: signs, asks, reads answers.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use google_tenant::{GoogleTenant, Running, Settings, scopes};
use model::Moment;
use ports::{ManualClock, SeededRandom};
use ring::{rand::SecureRandom, signature};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::{Value, json};

/// A simulator with a clock that tests move.
pub(crate) struct Domain {
    pub(crate) running: Running,
    pub(crate) clock: Arc<ManualClock>,
}

/// An answer: status, headers, and its body as JSON and as text.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) json: Value,
}

impl Answer {
    /// Returns the reason that programs look at.
    pub(crate) fn reason(&self) -> &str {
        self.json["error"]["errors"][0]["reason"].as_str().unwrap_or_default()
    }

    /// Returns a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Returns the body of an answer that must be a success.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.code), "{} {}", self.code, self.text);
        self.json
    }
}

/// 2 March 2026.
pub(crate) const START: Moment = Moment::from_micros(1_772_409_600_000_000);
pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const DAY: i64 = 86_400 * SECOND;

impl Domain {
    pub(crate) fn start(settings: Settings) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let running =
            GoogleTenant::start(settings, Arc::clone(&clock) as _, Arc::new(SeededRandom::new(1))).unwrap();
        Self { running, clock }
    }

    pub(crate) fn usual() -> Self {
        Self::start(Settings::default())
    }

    /// Returns the address of the super administrator.
    pub(crate) fn admin(&self) -> String {
        self.running.with_tenant(|t| t.users().iter().find(|u| u.is_admin).unwrap().primary_email.clone())
    }

    /// Returns the address of an ordinary user with a mailbox: the nth.
    pub(crate) fn user(&self, nth: usize) -> String {
        self.running.with_tenant(|tenant| {
            let ordinary = |u: &&google_tenant::User| {
                u.has_mailbox && !u.suspended && !u.archived && !u.is_admin && u.deleted.is_none()
            };
            tenant.users().iter().filter(ordinary).nth(nth).unwrap().primary_email.clone()
        })
    }

    /// Gives a user's consent to an app with these scopes and returns an access token: the short way.
    pub(crate) fn token(&self, user: &str, scopes: &[&str]) -> String {
        let app = google_tenant::App {
            client_id: "523456789012-test.apps.googleusercontent.com".to_owned(),
            client_secret: "secret".to_owned(),
            display_text: "Test".to_owned(),
            native: false,
        };
        self.running.with_tenant(|tenant| {
            let grant = tenant.authorize(user, &app, scopes).unwrap();
            tenant.access_token(&grant).unwrap()
        })
    }

    /// Returns a token of the administrator for the directory.
    pub(crate) fn admin_token(&self) -> String {
        let scopes = [scopes::USER, scopes::GROUP, scopes::ORGUNIT, scopes::ROLES, scopes::USER_SECURITY];
        self.token(&self.admin(), &scopes)
    }

    /// Sends a request; `token` may be empty.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        self.try_send(method, path, token, headers, body).unwrap()
    }

    /// Sends a request that may lose its answer.
    pub(crate) fn try_send(
        &self,
        method: &str,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, ureq::Error> {
        let url =
            if path.starts_with("http") { path.to_owned() } else { format!("{}/{path}", self.running.url()) };
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let trust = self.running.authority().map_or_else(ureq::tls::TlsConfig::default, |pem| {
            let authority = ureq::tls::Certificate::from_pem(pem.as_bytes()).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            ureq::tls::TlsConfig::builder()
                .root_certs(ureq::tls::RootCerts::new_with_certs(&[authority]))
                .unversioned_rustls_crypto_provider(provider)
                .build()
        });
        let config = ureq::Agent::config_builder()
            .tls_config(trust)
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .max_redirects_will_error(false);
        let agent = ureq::Agent::new_with_config(config.build());
        let mut answer = agent.run(request.body(body).unwrap())?;
        let headers = answer
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
            .collect();
        let bytes = answer.body_mut().with_config().limit(1 << 30).read_to_vec()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { code: answer.status().as_u16(), headers, text, bytes, json })
    }

    pub(crate) fn get(&self, path: &str, token: &str) -> Answer {
        self.send("GET", path, token, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        let body = body.to_string();
        self.send("POST", path, token, &[("content-type", "application/json")], body.as_bytes())
    }

    pub(crate) fn put(&self, path: &str, token: &str, body: &Value) -> Answer {
        let body = body.to_string();
        self.send("PUT", path, token, &[("content-type", "application/json")], body.as_bytes())
    }

    pub(crate) fn patch(&self, path: &str, token: &str, body: &Value) -> Answer {
        let body = body.to_string();
        self.send("PATCH", path, token, &[("content-type", "application/json")], body.as_bytes())
    }

    pub(crate) fn delete(&self, path: &str, token: &str) -> Answer {
        self.send("DELETE", path, token, &[], b"")
    }

    /// Asks for a token with an assertion.
    pub(crate) fn ask_token(&self, assertion: &str) -> Answer {
        let form =
            format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}");
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send("POST", "token", "", &headers, form.as_bytes())
    }

    /// Returns the key of the service account that reads.
    pub(crate) fn key(&self) -> Key {
        let text = self.running.with_tenant(|tenant| {
            let email = tenant.service_accounts().next().unwrap().email.clone();
            tenant.key_file(&email).unwrap()
        });
        Key { file: serde_json::from_str(&text).unwrap() }
    }
}

/// A service account's key file.
pub(crate) struct Key {
    pub(crate) file: Value,
}

impl Key {
    /// Returns the claims that a client usually makes.
    pub(crate) fn claims(&self, user: &str, scopes: &[&str], now: Moment) -> Value {
        let seconds = now.as_micros() / SECOND;
        json!({
            "iss": self.file["client_email"], "aud": self.file["token_uri"], "sub": user, "scope": scopes.join(" "),
            "iat": seconds, "exp": seconds + 3600,
        })
    }

    /// Signs claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.file["private_key_id"] });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let pem = self.file["private_key"].as_str().unwrap();
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        let key = signature::RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(&signature::RSA_PKCS1_SHA256, &blinding(), signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

#[expect(clippy::disallowed_methods, reason = "the signature is the same whatever chance says")]
fn blinding() -> impl SecureRandom {
    ring::rand::SystemRandom::new()
}
