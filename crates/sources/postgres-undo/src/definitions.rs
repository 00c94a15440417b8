//! Where the definitions of a database's objects come from.

use std::{
    ffi::OsString,
    path::PathBuf,
    process::{Command, Stdio},
};

use model::Redacted;

use crate::error::Side;

/// Gives the definitions of a database as `pg_dump --schema-only` writes them.
///
/// Both sides must be dumped by the same program, as the texts are compared.
pub trait Definitions {
    /// Dumps the definitions of a database of this side.
    fn dump(
        &mut self,
        side: Side,
        database: &str,
    ) -> Result<String, Box<dyn std::error::Error + Send + Sync>>;
}

/// How `pg_dump` reaches a server.
#[derive(Debug, Clone)]
pub struct DumpAddress {
    /// A connection address without a password, which the list of processes would show.
    pub url: String,
    /// The password, handed over in the environment.
    pub password: Option<Redacted<String>>,
}

/// Definitions by the program `pg_dump`, which must be at least as new as the servers.
#[derive(Debug, Clone)]
pub struct PgDump {
    /// The program.
    pub program: PathBuf,
    /// The scratch server's address, with the database.
    pub scratch: DumpAddress,
    /// Production's address, with the database.
    pub production: DumpAddress,
}

/// Why there are no definitions.
#[derive(Debug, thiserror::Error)]
pub enum PgDumpError {
    /// The program could not be run.
    #[error("cannot run {}", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The program gave up.
    #[error("pg_dump failed: {message}")]
    Failed {
        /// What it said.
        message: String,
    },
    /// Its output is not in UTF-8, which was asked for.
    #[error("pg_dump wrote text that is not UTF-8")]
    Encoding(#[source] std::string::FromUtf8Error),
}

impl Definitions for PgDump {
    fn dump(
        &mut self,
        side: Side,
        _database: &str,
    ) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        let address = match side {
            Side::Scratch => &self.scratch,
            Side::Production => &self.production,
        };
        let arguments =
            ["--schema-only", "--encoding=UTF8", "--no-password", "--lock-wait-timeout=30s", "--dbname"];
        let mut command = Command::new(&self.program);
        command.args(arguments.map(OsString::from)).arg(&address.url).env("LC_ALL", "C").stdin(Stdio::null());
        if let Some(password) = &address.password {
            command.env("PGPASSWORD", password.expose());
        }
        let output =
            command.output().map_err(|source| PgDumpError::Run { program: self.program.clone(), source })?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(PgDumpError::Failed { message }.into());
        }
        Ok(String::from_utf8(output.stdout).map_err(PgDumpError::Encoding)?)
    }
}
