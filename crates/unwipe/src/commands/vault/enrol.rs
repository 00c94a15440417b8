//! `unwipe vault enrol`

use blobs::{RemoteSettings, RemoteStore};
use model::{Redacted, SourceName};
use serde::Serialize;
use service::{Enrolment, ServiceError};
use vault_server::{Authority, Capability};

use super::{AUTHORITY, authority_failed};
use crate::{arguments::VaultEnrol, commands::keys, context::Context, exit::Exit, failure::Failure};

#[derive(Serialize)]
struct Enrolled {
    source: SourceName,
    enrolment: String,
    serial: String,
    expires: model::Moment,
    signer: String,
}

pub(super) fn run(context: &Context, options: &VaultEnrol) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let source = SourceName::new(options.source.as_str())
        .map_err(|error| Failure::because(Exit::Usage, "the source cannot be called so", error))?;
    let path = std::path::absolute(&options.out)?;
    keys::refuse_existing(&path)?;
    let authority = Authority::open(&context.home.join(AUTHORITY)).map_err(authority_failed)?;
    let capability = Capability::Capture(source.clone());
    let issued =
        authority.issue_client(&capability, options.days, context.clock().now()).map_err(authority_failed)?;
    let settings = RemoteSettings {
        url: options.url.clone(),
        certificate: issued.certificate,
        key: issued.key,
        authority: authority.certificate().map_err(authority_failed)?,
    };
    // What production could not use is found out here.
    RemoteStore::open(&settings, context.clock())
        .map_err(|error| Failure::because(Exit::Usage, "the source is not enrolled", error))?;
    // Issued last: the vault remembers every signer for good.
    let capture_key = keys::open(&installation, &options.owner)?
        .issue_capture_key(Some(source.clone()), &*context.clock(), &*context.ports.random)
        .map_err(keys::vault_failure)?;
    let enrolment = Enrolment {
        source: source.clone(),
        url: settings.url,
        authority: settings.authority,
        certificate: settings.certificate,
        key: settings.key,
        capture_key: Redacted::new(capture_key.to_text().map_err(keys::key_failure)?.to_string()),
    };
    enrolment.save(&path).map_err(ServiceError::from)?;
    let enrolled = Enrolled {
        source,
        enrolment: path.display().to_string(),
        serial: issued.serial,
        expires: issued.expires,
        signer: vault::hex(&capture_key.signer_public().map_err(keys::key_failure)?),
    };
    context.output.result(&enrolled, || {
        format!(
            "enrolment     {} (carry it over, use it once, delete it)\nserial        {}\nexpires       {}\nsigner        {}\n",
            enrolled.enrolment, enrolled.serial, enrolled.expires, enrolled.signer
        )
    })?;
    let what =
        format!("another host may add to {} in the vault: signer {}", enrolled.source, enrolled.signer);
    crate::commands::weakened::note(context, &installation, &what);
    context.output.say("next, on the production host: unwipe init --enrolment FILE");
    Ok(Exit::Done)
}
