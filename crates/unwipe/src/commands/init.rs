//! `unwipe init`

use std::path::Path;

use serde::Serialize;
use service::{
    Enrolment, Installation, Place, ServiceError,
    installation::InitRequest,
    place::{Addressing, Bucket},
};

use crate::{
    arguments::Init,
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{Style, counted},
};

#[derive(Serialize)]
struct Made {
    home: String,
    vault: String,
    lock_days: u32,
    tier: u8,
    protection: String,
    kit: Option<String>,
}

#[derive(Serialize)]
struct Joined {
    home: String,
    vault: String,
    source: String,
    tier: u8,
    protection: String,
}

pub(crate) fn run(context: &Context, options: &Init) -> Result<Exit, Failure> {
    if let Some(path) = &options.enrolment {
        return join(context, path);
    }
    let place = place(options)?;
    let json = context.output.format == crate::output::Format::Json;
    if json && options.kit.is_none() {
        return Err(Failure::new(
            Exit::Usage,
            "with --json the recovery kit needs a file: it must not end up in a log",
        )
        .hint("unwipe init --json --kit kit.txt"));
    }
    let request = InitRequest { place, lock_days: options.lock_days };
    let made = Installation::init(&context.home, &request, &context.ports, &environment)?;
    let kit_failed = |error| Failure::because(Exit::Failed, "the recovery kit cannot be written", error);
    let kit = made.kit.render_text().map_err(kit_failed)?;
    if let Some(path) = &options.kit {
        if path.extension().is_some_and(|extension| extension == "html") {
            let page = made.kit.render_page(&request.place.describe(&context.home)).map_err(kit_failed)?;
            ports::files::create_new(&std::path::absolute(path)?, page.as_bytes(), 0o600)?;
        } else {
            made.kit.save(&std::path::absolute(path)?).map_err(kit_failed)?;
        }
    }
    let result = Made {
        home: context.home.display().to_string(),
        vault: request.place.describe(&context.home),
        lock_days: request.lock_days,
        tier: made.protection.tier,
        protection: made.protection.statement,
        kit: options.kit.as_ref().map(|path| path.display().to_string()),
    };
    let output = context.output;
    output.result(&result, || {
        let kit = match &result.kit {
            Some(path) => format!("{path} (print it, put it away, delete the file)"),
            None => format!("below; it is stored nowhere else\n\n{kit}"),
        };
        let protection = format!("tier {}: {}", result.tier, result.protection);
        let style = if result.tier == 0 { Style::Warning } else { Style::Good };
        format!(
            "vault         {}\nlocked for    {}\nprotection    {}\nrecovery kit  {kit}\n",
            result.vault,
            counted(u64::from(result.lock_days), "day"),
            output.paint(style, &protection),
        )
    })?;
    output.say("next: unwipe protect NAME postgres --url postgresql://ROLE@HOST/postgres");
    Ok(Exit::Done)
}

/// Makes the home folder of a host that only captures, into a vault on another host.
fn join(context: &Context, path: &Path) -> Result<Exit, Failure> {
    let enrolment = Enrolment::load(path).map_err(ServiceError::from)?;
    let standing = Installation::join(&context.home, &enrolment, &context.ports)?;
    let joined = Joined {
        home: context.home.display().to_string(),
        vault: enrolment.url,
        source: enrolment.source.to_string(),
        tier: standing.tier,
        protection: standing.statement,
    };
    let output = context.output;
    output.result(&joined, || {
        let protection = format!("tier {}: {}", joined.tier, joined.protection);
        let style = if joined.tier == 0 { Style::Bad } else { Style::Good };
        format!("vault         {}\nprotection    {}\n", joined.vault, output.paint(style, &protection))
    })?;
    output.say(format!("delete {}: its keys are in the home folder now", path.display()));
    output.say(format!(
        "next: unwipe protect {} postgres --url postgresql://ROLE@HOST/postgres",
        joined.source
    ));
    Ok(if joined.tier == 0 { Exit::Failed } else { Exit::Done })
}

/// Returns where the vault is to lie.
fn place(options: &Init) -> Result<Place, Failure> {
    let bucket = &options.bucket;
    let Some(url) = &bucket.s3 else {
        let path = match &options.vault {
            Some(folder) => std::path::absolute(folder)?,
            None => "vault".into(),
        };
        return Ok(match &options.sealer {
            Some(socket) => Place::SealedFolder { path, socket: std::path::absolute(socket)? },
            None => Place::Folder { path, immutable_flags: options.immutable_flags },
        });
    };
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let (host, path) = rest.split_once('/')?;
        let path = path.trim_matches('/');
        let (name, prefix) = path.split_once('/').unwrap_or((path, ""));
        (!name.is_empty()).then(|| (format!("{scheme}://{host}"), name.to_owned(), prefix.to_owned()))
    });
    let Some((endpoint, name, prefix)) = parts else {
        return Err(Failure::new(Exit::Usage, format!("{url:?} names no bucket"))
            .hint("unwipe init --s3 https://s3.eu-central-1.amazonaws.com/BUCKET/PREFIX"));
    };
    let addressing = if bucket.s3_virtual_host { Addressing::VirtualHost } else { Addressing::Path };
    let certificate_authorities = bucket.s3_certificates.as_ref().map(std::path::absolute).transpose()?;
    Ok(Place::S3(Box::new(Bucket {
        endpoint,
        region: bucket.s3_region.clone(),
        bucket: name,
        prefix,
        addressing,
        certificate_authorities,
        access_key: bucket.s3_access_key.clone(),
        secret_key: bucket.s3_secret_key.clone(),
        session_token: bucket.s3_session_token.clone(),
        attest_access_key: bucket.s3_attest_access_key.clone(),
        attest_secret_key: bucket.s3_attest_secret_key.clone(),
        reaper_access_key: None,
        reaper_secret_key: None,
    })))
}
