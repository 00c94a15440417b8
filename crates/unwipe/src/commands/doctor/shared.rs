//! What vault and production share: machines, volumes, users, key services, identity providers.

use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use connect::Finding;
use isolation::{
    access::Survey,
    hosts::Machine,
    judge::{self, Person, ServerReach},
    scan::Looked,
    system::{Users, Volume, server_folder, users_at_port},
};
use postgres_wire::{ConnectionSettings, Host};
use service::{Installation, Secrets};

use super::{
    database,
    found::Where,
    hosts,
    own::OwnSecrets,
    places::{VaultPlace, places},
};
use crate::{
    connectors::{
        files::FilesConfig,
        google::GoogleConfig,
        postgres::{self, PostgresConfig},
    },
    context::{Context, environment},
    failure::Failure,
};

/// Of a vault's files so many are looked at.
const SURVEYED_MAX: usize = 2_000;

/// The folders of this machine in which the vault and its mirrors lie.
pub(super) struct Folders {
    folders: Vec<(String, PathBuf, Survey)>,
    users: Users,
}

impl Folders {
    pub(super) fn survey(installation: &Installation) -> Self {
        let folders = places(installation).into_iter().filter_map(|place| {
            let folder = place.place.folder(installation.home())?;
            let survey = Survey::of(&folder, SURVEYED_MAX);
            Some((place.label, folder, survey))
        });
        Self { folders: folders.collect(), users: Users::of_this_machine() }
    }

    /// Says what lies between the user of a database server and the vault's folders.
    pub(super) fn reach(&self, settings: &ConnectionSettings, places: &[VaultPlace<'_>]) -> ServerReach {
        let server = hosts::of_server("the server", settings);
        let mut apart = Vec::new();
        for place in places {
            match place.machine().compare(&server) {
                isolation::hosts::Sameness::Apart(evidence) => apart.push(evidence),
                isolation::hosts::Sameness::Unknown(evidence) => return ServerReach::Unknown(evidence),
                isolation::hosts::Sameness::Same(evidence) if place.is_elsewhere() => {
                    let why =
                        format!("whether that reaches {} could not be looked at: {evidence}", place.label);
                    return ServerReach::Unknown(why);
                }
                isolation::hosts::Sameness::Same(_) => {}
            }
        }
        if apart.len() == places.len() {
            return ServerReach::Apart(apart.join("; "));
        }
        let users = server_users(settings);
        if users.is_empty() {
            return ServerReach::Unknown("nobody knows as which user the server runs".to_owned());
        }
        let ways = users.iter().flat_map(|uid| {
            let user = self.users.user(*uid);
            self.folders.iter().flat_map(move |(_, _, survey)| survey.ways_to_destroy(&user))
        });
        ServerReach::Ways(ways.collect())
    }

    fn judge_users(&self, persons: &BTreeMap<u32, Person>) -> Vec<Finding> {
        let own = rustix::process::geteuid().as_raw();
        let mut findings = Vec::new();
        for (label, _, survey) in &self.folders {
            findings.extend(persons.values().map(|person| judge::folder_user(label, survey, person, own)));
            if persons.is_empty() {
                findings.push(judge::not_made(
                    format!("production's users cannot destroy {label}"),
                    "no user of production's is known on this machine",
                    "unwipe doctor --credentials process:PID, with a process of production's",
                ));
            }
        }
        findings
    }
}

/// Returns the users as whom a database server of this machine runs.
fn server_users(settings: &ConnectionSettings) -> Vec<u32> {
    match &settings.host {
        Host::SocketDirectory(folder) => {
            let socket = folder.join(format!(".s.PGSQL.{}", settings.port));
            socket.metadata().map(|metadata| metadata.uid()).into_iter().collect()
        }
        Host::Network(_) => users_at_port(settings.port).into_iter().collect(),
    }
}

/// Judges everything that both could share.
pub(super) fn examine(
    context: &Context,
    installation: &Installation,
    secrets: &Secrets<'_>,
    own: &OwnSecrets,
    folders: &Folders,
    wanted: &[Where],
    looked: &Looked,
) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let mut persons = Persons { all: BTreeMap::new(), users: &folders.users };
    let mut domains = Vec::new();
    for (name, source) in &installation.config().sources {
        let label = format!("source {name}");
        if let Some(files) = FilesConfig::of(name, source)? {
            findings.extend(on_hosts(installation, &Machine::here(&label)));
            let volume = Volume::of(&files.path).map_err(|error| error.to_string());
            findings.extend(on_volumes(folders, &label, &volume));
            findings.extend(inside(folders, &label, &files.path));
            if let Ok(metadata) = files.path.metadata() {
                persons.add(metadata.uid(), format!("owner of {}", files.path.display()), false);
            }
        } else if let Some(domain) = GoogleConfig::of(name, source)? {
            domains.extend(domain.admin.rsplit_once('@').map(|(_, domain)| domain.to_owned()));
            if let Some(address) = &domain.address {
                let host = isolation::hosts::host_of(address);
                findings.extend(on_hosts(installation, &hosts::machine(&label, host.as_deref())));
            }
        } else if source.kind == postgres::KIND {
            let config = PostgresConfig::of(name, source)?;
            let settings = config.settings(name, secrets)?;
            let server = hosts::of_server(&label, &settings.replication);
            findings.extend(on_hosts(installation, &server));
            if server.here {
                for uid in server_users(&settings.replication) {
                    persons.add(uid, format!("it runs the server of {label}"), false);
                }
                let asked = settings.monitor.as_ref().unwrap_or(&settings.replication);
                let told = database::data_folder(asked, &context.clock()).map(PathBuf::from);
                let seen = || server_folder(settings.replication.port);
                let volume = told
                    .or_else(|error| seen().ok_or(error))
                    .map_err(|error| format!("the server's folder is not known: {error}"))
                    .and_then(|folder| {
                        Volume::of(&folder).map_err(|error| format!("{}: {error}", folder.display()))
                    });
                findings.extend(on_volumes(folders, &label, &volume));
            }
        }
    }
    for credential in &looked.credentials {
        if let Some(uid) = credential.holder {
            let process = wanted.iter().any(|place| {
                matches!(place, Where::Process(id) if credential.found.contains(&format!("process {id}")))
            });
            persons.add(uid, format!("it holds {}", credential.found), process);
        }
    }
    findings.extend(folders.judge_users(&persons.all));
    findings.extend(judge::key_service(&own.of_vault, &own.of_sources));
    let approvers: Vec<String> = installation.config().approvers.keys().cloned().collect();
    findings.push(judge::identity_provider(&approvers, &domains));
    Ok(findings)
}

/// The users of production's on this machine.
struct Persons<'a> {
    all: BTreeMap<u32, Person>,
    users: &'a Users,
}

impl Persons<'_> {
    fn add(&mut self, uid: u32, because: String, named: bool) {
        let person = self.all.entry(uid).or_insert_with(|| Person {
            user: self.users.user(uid),
            because: because.clone(),
            named: false,
        });
        if named && !person.named {
            person.because = because;
        }
        person.named |= named;
    }
}

fn on_hosts(installation: &Installation, source: &Machine) -> Vec<Finding> {
    let places = places(installation);
    places.iter().map(|place| judge::host(&place.machine(), source, place.is_elsewhere())).collect()
}

fn on_volumes(folders: &Folders, source: &str, volume: &Result<Volume, String>) -> Vec<Finding> {
    let each = folders.folders.iter();
    each.map(|(label, folder, _)| judge::volume(label, &Volume::of(folder), source, volume)).collect()
}

/// Whoever empties a protected folder must not empty the vault with it.
fn inside(folders: &Folders, source: &str, path: &Path) -> Vec<Finding> {
    let (Ok(path), each) = (path.canonicalize(), folders.folders.iter()) else { return Vec::new() };
    each.filter(|(_, folder, _)| folder.canonicalize().is_ok_and(|folder| folder.starts_with(&path)))
        .map(|(label, folder, _)| {
            Finding::bad(
                format!("{label} lies outside of {source}"),
                format!("{} is inside of {}", folder.display(), path.display()),
                "move the vault's folder out of what it protects, and set vault.place.path",
            )
        })
        .collect()
}

/// Returns the folders of unwipe's own, which are no production's.
pub(super) fn own_folders(installation: &Installation) -> Vec<PathBuf> {
    let of_places =
        places(installation).into_iter().filter_map(|place| place.place.folder(installation.home()));
    std::iter::once(installation.home().to_owned()).chain(of_places).collect()
}

/// Returns a resolver of the installation's secrets.
pub(super) fn secrets(installation: &Installation) -> Secrets<'_> {
    Secrets::new(installation.home(), &environment)
}
