//! `unwipe vault enrol`

use blobs::{RemoteSettings, RemoteStore};
use model::SourceName;
use serde::Serialize;
use service::{Enrolment, ServiceError};
use vault_server::{Authority, Capability};

use super::{AUTHORITY, authority_failed};
use crate::{
    arguments::VaultEnrol,
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
};

#[derive(Serialize)]
struct Enrolled {
    source: SourceName,
    enrolment: String,
    serial: String,
    expires: model::Moment,
}

pub(super) fn run(context: &Context, options: &VaultEnrol) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let source = SourceName::new(options.source.as_str())
        .map_err(|error| Failure::because(Exit::Usage, "the source cannot be called so", error))?;
    let authority = Authority::open(&context.home.join(AUTHORITY)).map_err(authority_failed)?;
    let capability = Capability::Capture(source.clone());
    let issued =
        authority.issue_client(&capability, options.days, context.clock().now()).map_err(authority_failed)?;
    let enrolment = Enrolment {
        source: source.clone(),
        url: options.url.clone(),
        authority: authority.certificate().map_err(authority_failed)?,
        certificate: issued.certificate,
        key: issued.key,
        capture_key: installation.capture_key_text(&environment)?,
    };
    // What production could not use is found out here.
    let settings = RemoteSettings {
        url: enrolment.url.clone(),
        certificate: enrolment.certificate.clone(),
        key: enrolment.key.clone(),
        authority: enrolment.authority.clone(),
    };
    RemoteStore::open(&settings, context.clock())
        .map_err(|error| Failure::because(Exit::Usage, "the source is not enrolled", error))?;
    let path = std::path::absolute(&options.out)?;
    enrolment.save(&path).map_err(ServiceError::from)?;
    let enrolled = Enrolled {
        source,
        enrolment: path.display().to_string(),
        serial: issued.serial,
        expires: issued.expires,
    };
    context.output.result(&enrolled, || {
        format!(
            "enrolment     {} (carry it over, use it once, delete it)\nserial        {}\nexpires       {}\n",
            enrolled.enrolment, enrolled.serial, enrolled.expires
        )
    })?;
    context.output.say("next, on the production host: unwipe init --enrolment FILE");
    Ok(Exit::Done)
}
