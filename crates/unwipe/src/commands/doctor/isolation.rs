//! The negative proof: every credential of production that can be found, and what it is worth against the vault; whether
//! the capture's identities could write; what vault and production share.

use blobs::s3::StsSettings;
use connect::{Finding, Progress};
use isolation::{
    Credential, Kind,
    judge::{self, ServerReach, Whose},
    own::Owned,
    scan::Looked,
    trial::Answer,
};
use service::{
    Installation, Place, Secrets,
    place::{Surroundings, asking},
    workshop::Examined,
};

use super::{
    bucket, database,
    found::{self, Where},
    own::OwnSecrets,
    places::{VaultPlace, places},
    shared::{self, Folders},
};
use crate::{
    arguments::Doctor,
    connectors::{
        google::GoogleConfig,
        postgres::{self, PostgresConfig},
    },
    context::Context,
    failure::Failure,
};

/// More credentials than these are compared and not tried.
const TRIED_MAX: usize = 64;

pub(super) fn examine(
    context: &Context,
    installation: &Installation,
    options: &Doctor,
    wanted: &[found::Where],
    progress: &dyn Progress,
) -> Result<Vec<Examined>, Failure> {
    let secrets = shared::secrets(installation);
    let own = OwnSecrets::gather(installation, &secrets);
    let owned = Owned::new(own.own.clone());
    let own_folders = shared::own_folders(installation);
    let looking =
        found::Looking { owned: &owned, own_folders: &own_folders, own_variables: &own.variables, progress };
    let looked = found::look(&looking, options, wanted);
    let folders = Folders::survey(installation);
    let trying = Trying {
        context,
        installation,
        secrets: &secrets,
        places: places(installation),
        folders: &folders,
        wanted,
        network: options.network,
        sts: options.sts.as_deref(),
    };
    let mut findings = judge::looked(&looked, &owned);
    findings.extend(own.missing.iter().map(|missing| {
        judge::not_made(
            "the vault's own secrets can be compared",
            missing,
            "run doctor as the capturing user",
        )
    }));
    findings.extend(trying.all(&looked, progress)?);
    progress.counted_phase("examining what is shared", None);
    let shared = shared::examine(context, installation, &secrets, &own, &folders, wanted, &looked)?;
    Ok(vec![
        Examined { about: "production's credentials against the vault".to_owned(), findings },
        Examined {
            about: "the capture's identities".to_owned(),
            findings: identities(context, installation, &secrets)?,
        },
        Examined { about: "what vault and production share".to_owned(), findings: shared },
    ])
}

/// Judges whether what captures could write.
fn identities(
    context: &Context,
    installation: &Installation,
    secrets: &Secrets<'_>,
) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    for (name, source) in &installation.config().sources {
        if let Some(domain) = GoogleConfig::of(name, source)? {
            let trials = domain.ask_for_writing(context, secrets)?;
            findings.push(judge::capture_scopes(name.as_str(), &trials));
        } else if source.kind == postgres::KIND {
            let settings = PostgresConfig::of(name, source)?.settings(name, secrets)?;
            let seen = database::ask(&settings.replication, true, &context.clock());
            findings.extend(judge::capture_role(name.as_str(), &seen));
            if let Some(monitor) = &settings.monitor
                && monitor.user != settings.replication.user
            {
                let seen = database::ask(monitor, true, &context.clock());
                findings.extend(judge::capture_role(&format!("{name} (as {})", monitor.user), &seen));
            }
        } else {
            findings.push(judge::not_made(
                format!("what captures {name} cannot write in it"),
                "a folder is read as the user who runs the capture",
                "mount the folder read-only for the capture, or run it as a user who may only read",
            ));
        }
    }
    Ok(findings)
}

/// What trying credentials takes.
struct Trying<'a> {
    context: &'a Context,
    installation: &'a Installation,
    secrets: &'a Secrets<'a>,
    places: Vec<VaultPlace<'a>>,
    folders: &'a Folders,
    wanted: &'a [Where],
    network: bool,
    /// Who is asked whose a key is.
    sts: Option<&'a str>,
}

/// Where nobody says which, requests to a service of tokens are signed for this region: it answers at all of them.
const DEFAULT_REGION: &str = "us-east-1";

const OVER_NETWORK: &str = "unwipe doctor --network";

impl Trying<'_> {
    fn all(&self, looked: &Looked, progress: &dyn Progress) -> Result<Vec<Finding>, Failure> {
        let (plain, others): (Vec<&Credential>, Vec<&Credential>) =
            looked.credentials.iter().partition(|c| !matches!(c.kind, Kind::Secret { .. }));
        progress.counted_phase("trying what was found", Some(plain.len() as u64));
        let mut findings = Vec::new();
        for (number, credential) in plain.into_iter().enumerate() {
            if number < TRIED_MAX {
                findings.extend(self.one(credential)?);
            } else {
                let why = format!("only the first {TRIED_MAX} credentials are tried");
                findings.push(judge::not_tried(credential, &why, "name fewer places with --credentials"));
            }
            progress.advance(1);
        }
        let others: Vec<Credential> = others.into_iter().cloned().collect();
        findings.extend(judge::other_secrets(&others));
        Ok(findings)
    }

    fn one(&self, credential: &Credential) -> Result<Vec<Finding>, Failure> {
        match &credential.kind {
            Kind::Database { url } => self.login(credential, url.expose()),
            Kind::Aws { .. } => Ok(self.access_key(credential)),
            Kind::Google { email, .. } => Ok(vec![judge::not_tried(
                credential,
                "no place of the vault is asked for with such a key; what it administers was not tried",
                &format!("make sure that {email} has no role in the account of the vault's host or bucket"),
            )]),
            Kind::Identity { text } => {
                let answer = bucket::try_identity(self.installation, text.expose());
                Ok(vec![judge::identity(credential, &answer)])
            }
            Kind::Enrolment { url, .. } => {
                Ok(self.at_servers(credential, |place, _| bucket::try_enrolment(place, url)))
            }
            Kind::PrivateKey { pem, certificate } => Ok(match certificate {
                Some(certificate) if self.network => self.at_servers(credential, |place, around| {
                    bucket::try_certificate(place, around, pem, certificate)
                }),
                Some(_) if self.servers().next().is_some() => {
                    vec![judge::not_tried(credential, "the vault's server was not asked", OVER_NETWORK)]
                }
                _ => vec![self.may_open_a_shell(credential)],
            }),
            Kind::Secret { .. } => Ok(Vec::new()),
        }
    }

    fn login(&self, credential: &Credential, url: &str) -> Result<Vec<Finding>, Failure> {
        let settings = match database::settings_of(url) {
            Ok(settings) => settings,
            Err(why) => return Ok(vec![judge::not_tried(credential, &why, "psql, with the same address")]),
        };
        let captured = self.captured(&settings)?;
        let reach = self.folders.reach(&settings, &self.places);
        let seen = if self.network {
            database::ask(&settings, false, &self.context.clock())
        } else if let ServerReach::Apart(_) = reach {
            Err("it was not logged in with; the vault is on another machine than this server".to_owned())
        } else {
            Err("it was not logged in with".to_owned())
        };
        Ok(judge::login(credential, &seen, captured.as_deref(), &reach))
    }

    /// Returns the source that is captured with this very login.
    fn captured(&self, login: &postgres_wire::ConnectionSettings) -> Result<Option<String>, Failure> {
        for (name, source) in &self.installation.config().sources {
            if source.kind != postgres::KIND {
                continue;
            }
            let settings = PostgresConfig::of(name, source)?.settings(name, self.secrets)?;
            let ours = std::iter::once(&settings.replication).chain(&settings.monitor);
            let machine = super::hosts::of_server("the login", login);
            let same = ours.into_iter().any(|ours| {
                let server = super::hosts::of_server("the source", ours);
                let one = matches!(machine.compare(&server), isolation::hosts::Sameness::Same(_));
                ours.user == login.user && ours.port == login.port && one
            });
            if same {
                return Ok(Some(name.to_string()));
            }
        }
        Ok(None)
    }

    fn access_key(&self, credential: &Credential) -> Vec<Finding> {
        let Kind::Aws { access_key, secret_key, session_token } = &credential.kind else { return Vec::new() };
        let around = bucket::surroundings(self.installation, self.secrets);
        let whose = |service: Option<StsSettings>| {
            let asked = service.filter(|_| self.network && self.is_named(credential));
            match (asked, secret_key) {
                (Some(service), Some(secret)) => {
                    let theirs =
                        bucket::whose_key(&service, &around, access_key, secret, session_token.as_ref());
                    (theirs, Some(service))
                }
                _ => (Whose::NotAsked, None),
            }
        };
        let mut findings = Vec::new();
        for place in &self.places {
            let Place::S3(bucket) = place.place else { continue };
            let described = bucket::of_place(place, bucket, &around);
            let (theirs, service) = whose(bucket.token_service(self.sts, self.installation.home()));
            let ours =
                service.map_or(Whose::NotAsked, |service| bucket::whose_writer(&service, bucket, &around));
            findings.extend(judge::same_account(credential, &described, &theirs, &ours));
            findings.push(match secret_key {
                Some(secret) if self.network => {
                    let trials = bucket::try_key(bucket, &around, access_key, secret, session_token.as_ref());
                    judge::bucket_key(credential, &described, &trials)
                }
                // The same key is told without asking anybody.
                _ if *access_key == described.writer => judge::bucket_key(credential, &described, &[]),
                Some(_) => judge::not_tried(credential, "the bucket was not asked", OVER_NETWORK),
                None => judge::not_tried(credential, "its secret half was not found", "look for it"),
            });
        }
        if findings.is_empty() {
            let given = self.sts.map(|endpoint| StsSettings {
                endpoint: endpoint.to_owned(),
                region: DEFAULT_REGION.to_owned(),
                certificate_authorities: None,
                patience: asking(),
            });
            findings.push(judge::whose(credential, &whose(given).0));
        }
        findings
    }

    /// Returns whether a credential lies where somebody named, and not where it was looked by default.
    fn is_named(&self, credential: &Credential) -> bool {
        let found = &credential.found;
        self.wanted.iter().any(|place| match place {
            Where::Environment => found.starts_with("the environment"),
            Where::Process(id) => found.contains(&format!("process {id}")),
            Where::File(path) | Where::Folder(path) => found
                .strip_prefix(&*path.to_string_lossy())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/'])),
            Where::Address(_) => found.starts_with("the command line"),
        })
    }

    fn servers(&self) -> impl Iterator<Item = &VaultPlace<'_>> {
        self.places.iter().filter(|place| matches!(place.place, Place::Server { .. }))
    }

    fn at_servers(
        &self,
        credential: &Credential,
        ask: impl Fn(&Place, &Surroundings<'_>) -> Answer,
    ) -> Vec<Finding> {
        let around = bucket::surroundings(self.installation, self.secrets);
        let mut findings: Vec<Finding> = self
            .servers()
            .map(|place| {
                let answer = ask(place.place, &around);
                judge::server_key(credential, &place.place.describe(around.home), &answer)
            })
            .collect();
        if findings.is_empty() {
            findings.push(self.may_open_a_shell(credential));
        }
        findings
    }

    /// Whether a key signs in on the vault's machine only its keeper can try.
    fn may_open_a_shell(&self, credential: &Credential) -> Finding {
        let host = self.places.first().map(|place| place.machine().name).unwrap_or_default();
        judge::not_tried(
            credential,
            "whether it opens a shell where the vault lies was not tried",
            &format!("ssh -o BatchMode=yes -i KEY '{host}' true: it must be refused"),
        )
    }
}
