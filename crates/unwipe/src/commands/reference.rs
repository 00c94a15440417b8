//! `unwipe reference`: the reference pages, written from the code that they describe.

use std::path::Path;

use clap::{Command, CommandFactory};

use crate::{arguments::Arguments, context::Context, exit::Exit, failure::Failure};

/// How wide help is written; a page must not depend on the terminal that it was made on.
const WIDTH: usize = 100;

/// A reference page: its name and the code that writes it.
type Page = (&'static str, fn() -> String);

const PAGES: [Page; 4] = [
    ("cli.md", command_line),
    ("exit-codes.md", exit_codes),
    ("mcp-tools.json", mcp::reference),
    ("openapi.json", calls_of_the_api),
];

/// Writes the pages into a folder.
pub(crate) fn run(context: &Context, folder: &Path) -> Result<Exit, Failure> {
    ports::files::create_folder(folder)?;
    for (name, write) in PAGES {
        let path = folder.join(name);
        ports::files::replace(&path, write().as_bytes())?;
        context.output.say(format!("wrote {}", path.display()));
    }
    Ok(Exit::Done)
}

fn command_line() -> String {
    let mut command = Arguments::command().term_width(WIDTH);
    command.build();
    let mut text = String::from(
        "# Command line\n\nWritten by `unwipe reference docs/reference` from the help of the program. Every verb also takes \
         the options\nof `unwipe` itself, which are listed once, here.\n",
    );
    section(&mut text, &command, "unwipe");
    text
}

fn section(text: &mut String, command: &Command, path: &str) {
    let is_root = !path.contains(' ');
    let help = command
        .clone()
        .mut_args(|argument| {
            let repeated = !is_root && argument.is_global_set();
            argument.hide(repeated).hide_env_values(true)
        })
        .render_long_help()
        .to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    text.push_str(&format!("\n## {path}\n\n```text\n{}\n```\n", lines.join("\n").trim_end()));
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
        section(text, verb, &format!("{path} {}", verb.get_name()));
    }
}

fn exit_codes() -> String {
    let mut text = String::from(
        "# Exit codes\n\nWritten by `unwipe reference docs/reference`. They are part of the interface: a code keeps its \
         meaning.\n\n| code | meaning |\n|---:|---|\n",
    );
    for exit in Exit::ALL {
        text.push_str(&format!("| {} | {} |\n", exit.code(), exit.meaning()));
    }
    text
}

fn calls_of_the_api() -> String {
    server::openapi() + "\n"
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::PathBuf};

    use model::SourceName;
    use service::config::{Config, RestoreConfig, VaultConfig, WitnessConfig};

    use super::*;
    use crate::connectors::postgres::{GuardConfig, PostgresConfig};

    fn page(name: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(name);
        ports::files::read_text(&path).unwrap()
    }

    #[test]
    fn the_committed_pages_are_what_the_program_says() {
        for (name, write) in PAGES {
            assert!(
                page(name) == write(),
                "docs/reference/{name} is out of date; write it again: cargo run -p unwipe -- reference docs/reference"
            );
        }
    }

    /// Every kind of place, with nothing absent.
    fn places() -> Vec<service::Place> {
        let some = |text: &str| Some(text.to_owned());
        vec![
            service::Place::Folder { path: "vault".into(), immutable_flags: true },
            service::Place::S3(Box::new(service::place::Bucket {
                endpoint: "https://s3.example.org".to_owned(),
                region: "us-east-1".to_owned(),
                bucket: "vault".to_owned(),
                prefix: "shop".to_owned(),
                addressing: service::place::Addressing::VirtualHost,
                certificate_authorities: Some("ca.pem".into()),
                access_key: "env:A".to_owned(),
                secret_key: "env:S".to_owned(),
                session_token: some("env:T"),
                attest_access_key: some("env:R"),
                attest_secret_key: some("env:Q"),
                reaper_access_key: some("env:P"),
                reaper_secret_key: some("env:O"),
            })),
            service::Place::SealedFolder { path: "vault".into(), socket: "sealer.socket".into() },
            service::Place::Server {
                url: "https://vault.internal:8750".to_owned(),
                certificate: "file:c".to_owned(),
                key: "file:k".to_owned(),
                authority: "file:a".to_owned(),
            },
        ]
    }

    /// A configuration in which nothing is absent. No field is left to a default: a new one must be added here.
    fn full(place: service::Place) -> Config {
        let some = |text: &str| Some(text.to_owned());
        let shop = PostgresConfig {
            url: "postgresql://unwipe@db/postgres".to_owned(),
            password: some("file:p"),
            monitor_url: some("postgresql://unwipe_monitor@db/postgres"),
            monitor_password: some("file:m"),
            log_folder: Some("/var/log/postgresql".into()),
            slot: some("unwipe_shop"),
            standby: true,
            synchronous: true,
            max_rate_kb: Some(1),
            superuser: some("postgres"),
            guard: Some(GuardConfig {
                url: "postgresql://unwipe_guard@db/postgres".to_owned(),
                password: some("file:g"),
            }),
        };
        let mirror = service::mirrors::MirrorConfig {
            place: service::Place::Folder { path: "/mnt/second".into(), immutable_flags: false },
            offline: true,
            lock_days: Some(60),
        };
        Config {
            vault: VaultConfig { capture_key: "file:k".to_owned(), place },
            restore: RestoreConfig {
                key: some("file:r"),
                server_folders: vec![PathBuf::from("/opt")],
                scratch: Some("scratch".into()),
                destinations: BTreeMap::from([(
                    SourceName::new("shop").unwrap(),
                    service::config::DestinationConfig {
                        url: some("postgresql://restorer@db/postgres"),
                        password: some("exec:p"),
                        credential: some("file:c"),
                    },
                )]),
            },
            approvers: BTreeMap::from([("anna".to_owned(), "00".to_owned())]),
            approvals: approvals::Policy { needed: 2, ..approvals::Policy::default() },
            mirrors: BTreeMap::from([("second".to_owned(), mirror)]),
            witnesses: BTreeMap::from([(
                "anna".to_owned(),
                WitnessConfig { url: "http://witness".to_owned(), key: "witness+00+00".to_owned() },
            )]),
            watch: full_watch(),
            server: full_server(),
            telemetry: service::telemetry::TelemetryConfig {
                endpoint: some("https://traces.example.org"),
                service_name: "unwipe-berlin".to_owned(),
                requests: true,
                headers: BTreeMap::from([("authorization".to_owned(), "env:T".to_owned())]),
            },
            drills: full_drills(),
            sources: BTreeMap::from([(SourceName::new("shop").unwrap(), shop.to_source().unwrap())]),
        }
    }

    fn full_server() -> service::config::ServerConfig {
        service::config::ServerConfig {
            listen: "0.0.0.0:8443".to_owned(),
            origin: "https://unwipe.example.org:8443".to_owned(),
            tls: Some(service::config::TlsConfig {
                certificate: "server.pem".into(),
                key: "server.key".into(),
                clients: Some("people.pem".into()),
            }),
            agents: false,
        }
    }

    fn full_drills() -> drill::DrillsConfig {
        let (span, window) = (Some("7d".parse().unwrap()), Some("22:00-05:00".parse().unwrap()));
        let shop = SourceName::new("shop").unwrap();
        let source = drill::SourceDrills {
            every: span,
            whole_every: span,
            time: span,
            space: Some("50GB".parse().unwrap()),
            window,
            term: span,
            sample: Some(100),
            record: Some(drill::RecordConfig {
                url: "postgresql://restorer@db/shop".to_owned(),
                password: Some("file:p".to_owned()),
            }),
            sandbox: None,
        };
        let probe = drill::ProbeConfig {
            source: shop.clone(),
            database: "shop".to_owned(),
            sql: "select 1".to_owned(),
            expect: "1".parse().unwrap(),
            timeout: span,
        };
        drill::DrillsConfig {
            term: span,
            window,
            signers: vec!["00".to_owned()],
            sources: BTreeMap::from([(shop, source)]),
            probe: vec![probe],
        }
    }

    fn full_watch() -> service::watching::WatchConfig {
        service::watching::WatchConfig {
            rules: Some("rules.toml".into()),
            actors: watch::ActorKinds {
                patterns: vec![watch::ActorPattern {
                    identity: Some("agent*".to_owned()),
                    application: None,
                    client: None,
                    kind: watch::ActorKind::Agent,
                }],
            },
            containment: watch::policy::Policy::default(),
            notify: vec![service::watching::ChannelConfig {
                from: notify::Urgency::Alarm,
                to: service::watching::Way::File { path: "findings.jsonl".into() },
            }],
        }
    }

    fn keys(table: &toml::Table, path: &str, found: &mut Vec<String>) {
        for (name, value) in table {
            // What people name themselves is no key.
            let named = [
                "approvers",
                "drills.sources",
                "mirrors",
                "restore.destinations",
                "sources",
                "telemetry.headers",
                "witnesses",
            ];
            let name = if named.contains(&path) { "NAME" } else { name };
            let here = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            match value {
                toml::Value::Table(inner) => keys(inner, &here, found),
                _ => found.push(here),
            }
        }
    }

    #[test]
    fn every_key_of_the_configuration_is_on_its_page() {
        let mut found = Vec::new();
        for place in places() {
            keys(&toml::Table::try_from(full(place)).unwrap(), "", &mut found);
        }
        assert!(found.len() >= 40, "{found:?}");
        let page = page("configuration.md");
        for key in found {
            assert!(
                page.contains(&format!("| `{key}` |")),
                "docs/reference/configuration.md does not explain {key}"
            );
        }
    }
}
