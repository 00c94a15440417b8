//! Agents.

use std::net::SocketAddr;

use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "\
An agent shows a token (`UNWIPE_TOKEN` in its environment, or `Authorization: Bearer` over HTTP), or is named by \
whoever starts it on this host. It may look, read with secrets masked, have a source captured, announce and request. No \
scope lets it delete, weaken, approve or apply anything.

Examples:
  UNWIPE_TOKEN=unwipe_… unwipe mcp          answer one agent over standard input and output
  unwipe mcp --as claude --scope see,content
  unwipe mcp --listen 127.0.0.1:8788        answer agents with tokens at http://127.0.0.1:8788/mcp")]
pub(crate) struct Mcp {
    /// Answer over HTTP at this address of this machine; every request needs a token
    #[arg(long, value_name = "ADDRESS", conflicts_with = "agent")]
    pub(crate) listen: Option<SocketAddr>,
    /// Another name under which it may be reached over HTTP, behind a proxy (several times)
    #[arg(long = "host", value_name = "NAME", requires = "listen")]
    pub(crate) hosts: Vec<String>,
    /// Call the agent this, in place of a token
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// What it may do, without a token: see, content, snapshot, request
    #[arg(
        long = "scope",
        value_name = "SCOPE",
        value_delimiter = ',',
        requires = "agent",
        default_value = "see"
    )]
    pub(crate) scopes: Vec<String>,
}
