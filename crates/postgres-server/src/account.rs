//! The account of the operating system that server processes run under.

use std::{
    io,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use ports::files::{self, FileError};

/// An account that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The machine knows no such account.
    #[error("there is no account {name:?} on this machine")]
    Unknown {
        /// The name looked for.
        name: String,
    },
    /// PostgreSQL refuses to run as root, and the account named is root.
    #[error("PostgreSQL refuses to run as {name:?}")]
    Root {
        /// The name given.
        name: String,
    },
    /// A folder on the way to the path is closed to the account.
    #[error("account {name:?} cannot reach {}: {} is closed to it", path.display(), blocked_by.display())]
    Unreachable {
        /// The account.
        name: String,
        /// What it must reach.
        path: PathBuf,
        /// The folder or file that refuses.
        blocked_by: PathBuf,
    },
    /// A program needed to check or hand over could not be run.
    #[error("cannot run {program}")]
    Run {
        /// The program.
        program: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The list of accounts or a file could not be read or handed over.
    #[error(transparent)]
    File(#[from] FileError),
}

impl AccountError {
    /// Says what a person can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { name } => Some(format!("useradd --system {name}")),
            Self::Root { .. } => Some("name another account, for example postgres".to_owned()),
            Self::Unreachable { blocked_by, .. } => Some(format!("chmod o+x '{}'", blocked_by.display())),
            Self::Run { .. } | Self::File(_) => None,
        }
    }
}

/// The account that server processes run under: another one when we are root, else our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    name: String,
    switch: Option<Ids>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ids {
    user: u32,
    group: u32,
}

impl Account {
    /// The account that distributions create for PostgreSQL.
    pub const USUAL_NAME: &str = "postgres";

    /// Chooses the account: `name` when we are root (which PostgreSQL refuses), else the current one.
    pub fn for_servers(name: &str) -> Result<Self, AccountError> {
        let passwd = files::read_text(Path::new("/etc/passwd"))?;
        let uid = rustix::process::geteuid();
        if !uid.is_root() {
            let name = name_of(&passwd, uid.as_raw()).unwrap_or_else(|| format!("uid {}", uid.as_raw()));
            return Ok(Self { name, switch: None });
        }
        let ids = ids_of(&passwd, name).ok_or_else(|| AccountError::Unknown { name: name.to_owned() })?;
        if ids.user == 0 {
            return Err(AccountError::Root { name: name.to_owned() });
        }
        Ok(Self { name: name.to_owned(), switch: Some(ids) })
    }

    /// Returns the account's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns a command that runs under the account, with a fixed environment and without input.
    ///
    /// The environment is ours because messages are read (`LC_ALL`) and because `PG*` variables would redirect tools.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null());
        if let Some(ids) = self.switch {
            command.uid(ids.user).gid(ids.group);
        }
        command
    }

    /// Hands a file or a folder with all its content over to the account. Links are not followed.
    pub fn own(&self, path: &Path) -> Result<(), AccountError> {
        let Some(ids) = self.switch else { return Ok(()) };
        let mut pending = vec![path.to_owned()];
        while let Some(path) = pending.pop() {
            let failed = |operation| move |path: &Path, e| FileError::new(operation, path, e);
            let metadata = path.symlink_metadata().map_err(|e| failed("inspect")(&path, e))?;
            if metadata.uid() != ids.user || metadata.gid() != ids.group {
                std::os::unix::fs::lchown(&path, Some(ids.user), Some(ids.group))
                    .map_err(|e| failed("change the owner of")(&path, e))?;
            }
            if metadata.is_dir() {
                for entry in path.read_dir().map_err(|e| failed("list")(&path, e))? {
                    pending.push(entry.map_err(|e| failed("list")(&path, e))?.path());
                }
            }
        }
        Ok(())
    }

    /// Checks that the account can enter a folder, and says which parent is closed to it if not.
    pub fn check_reach(&self, folder: &Path) -> Result<(), AccountError> {
        if self.switch.is_none() || self.enters(folder)? {
            return Ok(());
        }
        let mut parents: Vec<&Path> = folder.ancestors().collect();
        parents.reverse();
        for parent in parents {
            if !self.enters(parent)? {
                let (name, path) = (self.name.clone(), folder.to_owned());
                return Err(AccountError::Unreachable { name, path, blocked_by: parent.to_owned() });
            }
        }
        Ok(())
    }

    fn enters(&self, folder: &Path) -> Result<bool, AccountError> {
        let program = Path::new("/usr/bin/test");
        let failed = |source| AccountError::Run { program: program.display().to_string(), source };
        let status = self.command(program).arg("-x").arg(folder).status().map_err(failed)?;
        Ok(status.success())
    }
}

fn ids_of(passwd: &str, name: &str) -> Option<Ids> {
    let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|f| f[0] == name)?;
    Some(Ids { user: fields.get(2)?.parse().ok()?, group: fields.get(3)?.parse().ok()? })
}

fn name_of(passwd: &str, uid: u32) -> Option<String> {
    let uid = uid.to_string();
    let line = passwd.lines().find(|line| line.split(':').nth(2) == Some(uid.as_str()))?;
    line.split(':').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/bash\npostgres:x:101:104:PostgreSQL:/var/lib:/bin/bash\nbroken:x\n";

    #[test]
    fn accounts_are_found_by_name_and_number() {
        assert_eq!(ids_of(PASSWD, "postgres"), Some(Ids { user: 101, group: 104 }));
        assert_eq!(ids_of(PASSWD, "broken"), None);
        assert_eq!(ids_of(PASSWD, "nobody"), None);
        assert_eq!(name_of(PASSWD, 101).as_deref(), Some("postgres"));
    }
}
