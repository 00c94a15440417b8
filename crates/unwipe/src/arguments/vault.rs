//! A vault for other hosts.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Subcommand};

use super::KeysOwner;

#[derive(Debug, Args)]
pub(crate) struct Vault {
    #[command(subcommand)]
    pub(crate) action: VaultAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VaultAction {
    /// Let other hosts add to this vault, over an interface that neither deletes nor overwrites
    Serve(VaultServe),
    /// Make and revoke the certificates of the server and of its clients
    Authority(VaultAuthority),
    /// Write the file with which a production host captures into this vault
    Enrol(VaultEnrol),
    /// Show what this host may still add to a vault on another host
    Status,
    /// Be the only process that sets and clears immutable flags, for a vault folder of this machine
    Sealer(VaultSealer),
}

#[derive(Debug, Args)]
pub(crate) struct VaultServe {
    /// Listen here
    #[arg(long, default_value = "127.0.0.1:8750", value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,
    /// The server's certificate (default: authority/server.crt in the home folder)
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// Its key (default: authority/server.key in the home folder)
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Let each source add this many bytes a day (default: a quarter of the disk)
    #[arg(long, value_name = "BYTES")]
    pub(crate) bytes_per_day_max: Option<u64>,
    /// Let each source add this many objects a day
    #[arg(long, default_value_t = 200_000, value_name = "NUMBER")]
    pub(crate) objects_per_day_max: u64,
    /// Keep this many bytes of the disk free, whoever asks (default: a twentieth of the disk)
    #[arg(long, value_name = "BYTES")]
    pub(crate) reserve_bytes: Option<u64>,
    /// Grant no lock that reaches further than this many days
    #[arg(long, default_value_t = 3_653, value_name = "DAYS")]
    pub(crate) lock_days_max: u32,
}

#[derive(Debug, Args)]
pub(crate) struct VaultAuthority {
    #[command(subcommand)]
    pub(crate) action: AuthorityAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuthorityAction {
    /// Make the authority, in the folder `authority` of the home folder
    Init,
    /// Make a certificate with its key
    Issue(AuthorityIssue),
    /// Make a certificate count no more
    Revoke {
        /// Its serial number, as `issue` and `enrol` print it
        serial: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AuthorityIssue {
    /// For whom: `server`, `capture/SOURCE`, `restore` or `mirror`
    pub(crate) role: String,
    /// The name or address under which clients reach the server; for `server`
    #[arg(long, value_name = "HOST", required_if_eq("role", "server"))]
    pub(crate) name: Option<String>,
    /// Let it count for this many days
    #[arg(long, default_value_t = 398, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub(crate) days: u32,
    /// Write the certificate and its key into this folder (default: the authority's)
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct VaultEnrol {
    /// What the source is to be called: lower-case letters, digits, hyphens
    pub(crate) source: String,
    /// Where the production host reaches this vault's server: https://HOST:PORT
    #[arg(long)]
    pub(crate) url: String,
    /// Write the enrolment here; it holds keys
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Let its certificate count for this many days
    #[arg(long, default_value_t = 398, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub(crate) days: u32,
    #[command(flatten)]
    pub(crate) owner: KeysOwner,
}

#[derive(Debug, Args)]
pub(crate) struct VaultSealer {
    /// The vault's folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) vault: PathBuf,
    /// Where the lock dates are kept; nobody else may write here
    #[arg(long, value_name = "FOLDER")]
    pub(crate) state: PathBuf,
    /// Listen on this socket
    #[arg(long, value_name = "FILE")]
    pub(crate) socket: PathBuf,
    /// Serve processes of this user, by name or number; may be given several times
    #[arg(long, value_name = "USER", required = true)]
    pub(crate) allow: Vec<String>,
}
