//! `unwipe vault authority`

use serde::Serialize;
use vault_server::{Authority, Capability, Issued};

use super::{AUTHORITY, authority_failed};
use crate::{
    arguments::{AuthorityAction, AuthorityIssue, VaultAuthority},
    context::Context,
    exit::Exit,
    failure::Failure,
};

#[derive(Serialize)]
struct Made {
    folder: String,
}

#[derive(Serialize)]
struct Written {
    role: String,
    certificate: String,
    key: String,
    serial: String,
    expires: model::Moment,
}

#[derive(Serialize)]
struct Revoked {
    serial: String,
}

const KEY_MODE: u32 = 0o600;
const CERTIFICATE_MODE: u32 = 0o644;

pub(super) fn run(context: &Context, options: VaultAuthority) -> Result<Exit, Failure> {
    let folder = context.home.join(AUTHORITY);
    let output = context.output;
    match options.action {
        AuthorityAction::Init => {
            Authority::init(&folder, context.clock().now()).map_err(authority_failed)?;
            let made = Made { folder: folder.display().to_string() };
            output.result(&made, || format!("authority     {}\n", made.folder))?;
            output.say("next: unwipe vault authority issue server --name HOST");
        }
        AuthorityAction::Issue(options) => issue(context, &options)?,
        AuthorityAction::Revoke { serial } => {
            Authority::open(&folder).and_then(|a| a.revoke(&serial)).map_err(authority_failed)?;
            output.result(&Revoked { serial: serial.clone() }, || format!("revoked       {serial}\n"))?;
        }
    }
    Ok(Exit::Done)
}

fn issue(context: &Context, options: &AuthorityIssue) -> Result<(), Failure> {
    let folder = context.home.join(AUTHORITY);
    let authority = Authority::open(&folder).map_err(authority_failed)?;
    let now = context.clock().now();
    let issued = match (options.role.as_str(), &options.name) {
        ("server", Some(name)) => authority.issue_server(name, options.days, now),
        (_, Some(_)) => {
            return Err(Failure::new(Exit::Usage, "--name is for the server's certificate alone"));
        }
        (role, None) => {
            let capability: Capability = role
                .parse()
                .map_err(|error| Failure::because(Exit::Usage, "no certificate is made", error))?;
            authority.issue_client(&capability, options.days, now)
        }
    };
    let issued: Issued = issued.map_err(authority_failed)?;
    let out = match &options.out {
        Some(out) => std::path::absolute(out)?,
        None => folder,
    };
    ports::files::create_folder(&out)?;
    let stem = options.role.replace('/', "-");
    let (certificate, key) = (out.join(format!("{stem}.crt")), out.join(format!("{stem}.key")));
    ports::files::create_new(&key, issued.key.expose().as_bytes(), KEY_MODE)?;
    ports::files::create_new(&certificate, issued.certificate.as_bytes(), CERTIFICATE_MODE)?;
    let made = Written {
        role: options.role.clone(),
        certificate: certificate.display().to_string(),
        key: key.display().to_string(),
        serial: issued.serial,
        expires: issued.expires,
    };
    context.output.result(&made, || {
        format!(
            "certificate   {}\nkey           {}\nserial        {}\nexpires       {}\n",
            made.certificate, made.key, made.serial, made.expires
        )
    })
}
