//! What a service account signs to act for a user.

use std::{collections::BTreeSet, sync::Arc};

use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde::Deserialize;

use super::{Session, account::ServiceAccount};
use crate::{tenant::Tenant, text};

/// Why no token is given, in the words of RFC 6749.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Denial {
    pub(super) code: u16,
    pub(super) error: &'static str,
    pub(super) description: &'static str,
}

impl Denial {
    pub(super) const fn grant(description: &'static str) -> Self {
        Self { code: 400, error: "invalid_grant", description }
    }

    const UNAUTHORIZED: Self = Self {
        code: 401,
        error: "unauthorized_client",
        description: "Client is unauthorized to retrieve access tokens using this method, or client not authorized for \
                      any of the scopes requested.",
    };
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    #[serde(default)]
    scope: String,
    iat: i64,
    exp: i64,
    sub: Option<String>,
}

const LIFETIME_SECONDS_MAX: i64 = 3600;
const AUDIENCES: [&str; 3] = [
    "https://oauth2.googleapis.com/token",
    "https://www.googleapis.com/oauth2/v4/token",
    "https://accounts.google.com/o/oauth2/token",
];

impl Tenant {
    /// Checks an assertion and returns what a token for it stands for.
    pub(super) fn check_assertion(&self, assertion: &str) -> Result<Session, Denial> {
        let (header, claims, signed, signature) =
            read(assertion).ok_or(Denial::grant("Invalid JWT: the assertion cannot be read."))?;
        let found = self.oauth.accounts.find(&claims.iss);
        let (account, keys) = found.ok_or(Denial::grant("Invalid grant: account not found"))?;
        let verified = header.alg == "RS256"
            && keys.iter().filter(|key| header.kid.as_ref().is_none_or(|kid| *kid == key.id)).any(|key| {
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key.public)
                    .verify(signed.as_bytes(), &signature)
                    .is_ok()
            });
        if !verified {
            return Err(Denial::grant("Invalid JWT Signature."));
        }
        // Clients name the real endpoint whatever the key file's `token_uri` is.
        if claims.aud != self.token_uri() && !AUDIENCES.contains(&claims.aud.as_str()) {
            return Err(Denial::grant("Invalid JWT: Failed audience check."));
        }
        self.check_times(&claims)?;
        self.check_subject(account, &claims)
    }

    fn check_times(&self, claims: &Claims) -> Result<(), Denial> {
        let now = self.now().as_micros().div_euclid(1_000_000);
        let skew = self.settings.clock_skew.as_secs() as i64;
        let good = claims.iat <= now.saturating_add(skew)
            && claims.exp > now.saturating_sub(skew)
            && claims.exp > claims.iat
            && claims.exp.saturating_sub(claims.iat) <= LIFETIME_SECONDS_MAX;
        if good {
            return Ok(());
        }
        Err(Denial::grant(
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat \
             and exp values in the JWT claim.",
        ))
    }

    fn check_subject(&self, account: &ServiceAccount, claims: &Claims) -> Result<Session, Denial> {
        let scopes: BTreeSet<String> = claims.scope.split_whitespace().map(str::to_owned).collect();
        if scopes.is_empty() {
            return Err(Denial {
                error: "invalid_scope",
                ..Denial::grant("Missing required parameter: scope")
            });
        }
        let (user, email) = match &claims.sub {
            // Without a subject the account acts for itself, which needs nobody's leave and reaches nobody's data.
            None => (text::shared(&account.client_id), text::shared(&account.email)),
            Some(subject) => {
                let granted = self.oauth.delegations.get(&account.client_id);
                if !granted.is_some_and(|granted| scopes.is_subset(granted)) {
                    return Err(Denial::UNAUTHORIZED);
                }
                let user = self.directory.user_by_address(subject);
                let user = user.ok_or(Denial::grant("Invalid email or User ID"))?;
                if user.suspended {
                    return Err(Denial::grant("Account has been disabled"));
                }
                (Arc::clone(&user.id), text::shared(&user.primary_email))
            }
        };
        Ok(Session {
            user,
            email,
            client_id: text::shared(&account.client_id),
            client_name: text::shared(&account.email),
            project: text::shared(&account.project_number),
            scopes,
            impersonation: claims.sub.is_some(),
            expires: self.token_expiry(),
        })
    }
}

fn read(assertion: &str) -> Option<(Header, Claims, &str, Vec<u8>)> {
    let (signed, signature) = assertion.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    Some((
        serde_json::from_slice(&text::from_base64url(header)?).ok()?,
        serde_json::from_slice(&text::from_base64url(claims)?).ok()?,
        signed,
        text::from_base64url(signature)?,
    ))
}
