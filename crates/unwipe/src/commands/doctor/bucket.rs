//! Credentials that were found, tried against the places of the vault.

use blobs::{
    RemoteSettings, RemoteStore,
    s3::{CallerAnswer, S3Credential, StsSettings, attest::ForeignAnswer, caller},
};
use isolation::{
    judge::{Bucket, Whose},
    trial::{Answer, Trial},
};
use model::Redacted;
use ports::BlobError;
use service::{
    Installation, Place, Secrets,
    place::{Bucket as BucketPlace, Surroundings},
};
use vault::{RestoreKey, keys::KeyError};

use super::{database::text_of, places::VaultPlace};
use crate::context::environment;

/// Describes a bucket of the vault's.
pub(super) fn of_place(place: &VaultPlace<'_>, bucket: &BucketPlace, around: &Surroundings<'_>) -> Bucket {
    let writer = around.secrets.resolve(&bucket.access_key);
    Bucket {
        label: place.label.clone(),
        place: place.place.describe(around.home),
        writer: writer.map(|key| key.expose().clone()).unwrap_or_default(),
    }
}

/// Tries an access key against a bucket of the vault's.
pub(super) fn try_key(
    bucket: &BucketPlace,
    around: &Surroundings<'_>,
    access_key: &str,
    secret_key: &Redacted<String>,
    session_token: Option<&Redacted<String>>,
) -> Vec<Trial> {
    let foreign = S3Credential {
        access_key: access_key.to_owned(),
        secret_key: secret_key.clone(),
        session_token: session_token.cloned(),
    };
    match bucket.try_foreign(foreign, around) {
        Ok(attempts) => attempts
            .into_iter()
            .map(|attempt| {
                let answer = match attempt.answer {
                    ForeignAnswer::Refused(text) => Answer::Refused(text),
                    ForeignAnswer::Done(text) => Answer::Done(text),
                    ForeignAnswer::Unknown(text) => Answer::Unknown(text),
                };
                Trial::new(attempt.what, answer)
            })
            .collect(),
        Err(error) => vec![Trial::new("ask the bucket", Answer::Unknown(text_of(&error)))],
    }
}

/// Asks the maker of a key whose it is; nothing is changed by that.
pub(super) fn whose_key(
    service: &StsSettings,
    around: &Surroundings<'_>,
    access_key: &str,
    secret_key: &Redacted<String>,
    session_token: Option<&Redacted<String>>,
) -> Whose {
    let key = S3Credential {
        access_key: access_key.to_owned(),
        secret_key: secret_key.clone(),
        session_token: session_token.cloned(),
    };
    match caller(service, key, &around.clock, &around.random) {
        Ok(answer) => whose(answer),
        Err(error) => Whose::Unknown(text_of(&error)),
    }
}

/// Asks whose the writer of the vault's bucket is.
pub(super) fn whose_writer(service: &StsSettings, bucket: &BucketPlace, around: &Surroundings<'_>) -> Whose {
    match bucket.whose_writer(service, around) {
        Ok(answer) => whose(answer),
        Err(error) => Whose::Unknown(text_of(&error)),
    }
}

fn whose(answer: CallerAnswer) -> Whose {
    match answer {
        CallerAnswer::Known(caller) => Whose::Known { account: caller.account, arn: caller.arn },
        CallerAnswer::Refused(why) => Whose::Refused(why),
        CallerAnswer::Unknown(why) => Whose::Unknown(why),
    }
}

/// Tries a key with a certificate against the vault's server.
pub(super) fn try_certificate(
    place: &Place,
    around: &Surroundings<'_>,
    pem: &Redacted<String>,
    certificate: &str,
) -> Answer {
    let Place::Server { url, authority, .. } = place else {
        return Answer::Unknown("the place is no server".to_owned());
    };
    let authority = match around.secrets.resolve(authority) {
        Ok(authority) => authority.expose().clone(),
        Err(error) => return Answer::Unknown(text_of(&error)),
    };
    let settings =
        RemoteSettings { url: url.clone(), certificate: certificate.to_owned(), key: pem.clone(), authority };
    let store = match RemoteStore::open(&settings, std::sync::Arc::clone(&around.clock)) {
        Ok(store) => store,
        // They do not even belong together: with these nobody can sign in anywhere.
        Err(error) => return Answer::Refused(text_of(&error)),
    };
    match store.status() {
        Ok(status) => Answer::Done(format!("as {}", status.capability)),
        Err(error @ BlobError::Refused { .. }) => Answer::Refused(text_of(&error)),
        Err(error) => {
            let text = text_of(&error);
            // A server that asks for certificates ends the handshake with one that it does not know.
            let handshake = ["certificate", "UnknownCA", "UnknownIssuer", "BadCertificate", "DecryptError"];
            if handshake.iter().any(|word| text.contains(word)) {
                Answer::Refused(text)
            } else {
                Answer::Unknown(text)
            }
        }
    }
}

/// Tries whether an identity opens the vault.
pub(super) fn try_identity(installation: &Installation, text: &str) -> Answer {
    let Ok(key) = RestoreKey::parse(text) else {
        return Answer::Refused("it is no identity that could open a vault".to_owned());
    };
    let store = match installation.store(&environment) {
        Ok(store) => store,
        Err(error) => return Answer::Unknown(text_of(&error)),
    };
    match vault::VaultReader::open(store, &key) {
        Ok(_) => Answer::Done("it is one of the vault's recipients".to_owned()),
        Err(vault::VaultError::Key(KeyError::WrongIdentity | KeyError::OtherVault { .. })) => {
            Answer::Refused("it is no recipient of the vault".to_owned())
        }
        Err(error) => Answer::Unknown(text_of(&error)),
    }
}

/// Judges an enrolment by the server that it is for.
pub(super) fn try_enrolment(place: &Place, url: &str) -> Answer {
    let Place::Server { url: ours, .. } = place else {
        return Answer::Unknown("the place is no server".to_owned());
    };
    let plain = |url: &str| url.trim_end_matches('/').to_ascii_lowercase();
    if plain(url) == plain(ours) {
        Answer::Done(
            "it is an enrolment for this very server: whoever has it can add to the vault".to_owned(),
        )
    } else {
        Answer::Refused(format!("it is for {url}, which is another server"))
    }
}

/// Makes what opening a place needs.
pub(super) fn surroundings<'a>(installation: &'a Installation, secrets: &'a Secrets<'a>) -> Surroundings<'a> {
    let service::installation::Ports { clock, random, .. } = installation.ports().clone();
    Surroundings { home: installation.home(), secrets, clock, random }
}
