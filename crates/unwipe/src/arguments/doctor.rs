//! The negative proof.

use clap::Args;

#[derive(Debug, Default, Args)]
#[command(after_help = "\
Examples:
  unwipe doctor                                            this installation and its sources
  unwipe doctor --credentials folder:/srv/app --network    whether what the app holds reaches the vault
  unwipe doctor --credentials postgresql://app@db.internal/shop --network
  unwipe doctor --json | jq '.[].findings[] | select(.standing == \"bad\")'")]
pub(crate) struct Doctor {
    /// Look here for credentials of production, and show that none reaches the vault: env (this process's environment),
    /// process:PID (another one's), file:PATH, folder:PATH, or postgresql://… itself. May be given more than once
    #[arg(long, value_name = "WHERE")]
    pub(crate) credentials: Vec<String>,
    /// Look nowhere else: by default also at this environment and at what programs keep in the home folder
    #[arg(long)]
    pub(crate) no_defaults: bool,
    /// Try what was found: log in, ask the vault's bucket and server, harmlessly
    #[arg(long)]
    pub(crate) network: bool,
}
