//! The PostgreSQL programs present on this machine.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The folder with the programs of one PostgreSQL version: a server, client tools, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The major version, such as 17.
    pub major: u32,
    /// The full version, such as `17.10`.
    pub version: String,
    /// The folder of the programs.
    pub bin_dir: PathBuf,
}

/// All installations found, in the order of the folders searched.
#[derive(Debug, Clone, Default)]
pub struct Installations {
    found: Vec<Installation>,
    searched: Vec<PathBuf>,
}

/// A version or a program that this machine lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstallationError {
    /// No server of this major version.
    #[error("no PostgreSQL {major} server found in {}", Folders(searched))]
    NoServer {
        /// The major version wanted.
        major: u32,
        /// Where it was looked for.
        searched: Vec<PathBuf>,
    },
    /// No tool of this or a newer major version.
    #[error("no {tool} of version {major} or newer found in {}", Folders(searched))]
    NoTool {
        /// The program wanted.
        tool: &'static str,
        /// The oldest major version that would do.
        major: u32,
        /// Where it was looked for.
        searched: Vec<PathBuf>,
    },
}

struct Folders<'a>(&'a [PathBuf]);

impl fmt::Display for Folders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|folder| folder.display().to_string()).collect();
        f.write_str(&names.join(", "))
    }
}

impl InstallationError {
    /// Says how to get what is missing.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoServer { major, .. } => format!(
                "tools/install_servers {major}, or apt-get install postgresql-{major}, or name the folder of its programs"
            ),
            Self::NoTool { major, .. } => {
                format!("tools/install_servers, or apt-get install postgresql-client-{major}")
            }
        })
    }
}

impl Installation {
    /// Examines a folder of programs; nothing when it holds neither a server nor client tools that run.
    pub fn examine(bin_dir: &Path) -> Option<Self> {
        let program =
            ["postgres", "pg_dump", "psql"].iter().map(|name| bin_dir.join(name)).find(|p| p.is_file())?;
        let output =
            Command::new(program).arg("--version").env("LC_ALL", "C").stdin(Stdio::null()).output().ok()?;
        let (major, version) = parse_version(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self { major, version, bin_dir: bin_dir.to_owned() })
    }

    /// Returns the path of a program such as `pg_dump`, if it is there.
    pub fn tool(&self, name: &str) -> Option<PathBuf> {
        Some(self.bin_dir.join(name)).filter(|path| path.is_file())
    }

    /// Returns whether it can run servers.
    pub fn has_server(&self) -> bool {
        self.tool("postgres").is_some()
    }
}

impl Installations {
    /// Searches folders. Each may hold programs itself, in `bin/`, or in `<version>/bin/`.
    ///
    /// The search path of the shell is not consulted: what runs must be what the configuration names.
    pub fn discover(folders: &[PathBuf]) -> Self {
        let mut found: Vec<Installation> = Vec::new();
        for folder in folders {
            for bin_dir in candidates(folder) {
                if found.iter().all(|known| known.bin_dir != bin_dir) {
                    found.extend(Installation::examine(&bin_dir));
                }
            }
        }
        Self { found, searched: folders.to_vec() }
    }

    /// Returns the folders to search: those named, then `<base>/.tools`, then those of packages.
    pub fn standard_folders(named: &[PathBuf], base: Option<&Path>) -> Vec<PathBuf> {
        let bundled = base
            .into_iter()
            .flat_map(|base| ["postgres", "postgres-client"].map(|folder| base.join(".tools").join(folder)));
        let packaged = ["/usr/lib/postgresql", "/usr/local/pgsql"].map(PathBuf::from);
        named.iter().cloned().chain(bundled).chain(packaged).collect()
    }

    /// Iterates over everything found.
    pub fn iter(&self) -> impl Iterator<Item = &Installation> {
        self.found.iter()
    }

    /// Returns the major versions of which a server is there, ascending.
    pub fn server_majors(&self) -> Vec<u32> {
        let mut majors: Vec<_> = self.found.iter().filter(|i| i.has_server()).map(|i| i.major).collect();
        majors.sort_unstable();
        majors.dedup();
        majors
    }

    /// Finds a server of a major version: data directories work with their own major version only.
    pub fn find(&self, major: u32) -> Result<&Installation, InstallationError> {
        let missing = || InstallationError::NoServer { major, searched: self.searched.clone() };
        self.found.iter().find(|i| i.major == major && i.has_server()).ok_or_else(missing)
    }

    /// Finds the newest `pg_dump` that can read servers of a major version: an older one refuses.
    pub fn newest_pg_dump_for(&self, major: u32) -> Result<PathBuf, InstallationError> {
        self.newest_tool("pg_dump", major)
    }

    /// Finds the newest program of a name, of at least the given major version.
    pub fn newest_tool(&self, tool: &'static str, major: u32) -> Result<PathBuf, InstallationError> {
        let usable =
            self.found.iter().filter(|i| i.major >= major).filter_map(|i| Some((i.major, i.tool(tool)?)));
        let newest = usable.max_by_key(|(major, _)| *major).map(|(_, path)| path);
        newest.ok_or_else(|| InstallationError::NoTool { tool, major, searched: self.searched.clone() })
    }
}

fn candidates(folder: &Path) -> Vec<PathBuf> {
    let mut versions: Vec<PathBuf> = folder
        .read_dir()
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    let mut all = vec![folder.to_owned(), folder.join("bin")];
    all.extend(versions);
    all.retain(|bin_dir| bin_dir.is_dir());
    all
}

/// Reads `postgres (PostgreSQL) 15.20 (Debian 15.20-0)`; a version under development reads `19devel`.
fn parse_version(text: &str) -> Option<(u32, String)> {
    let version = text.split_once("(PostgreSQL) ")?.1.split_whitespace().next()?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    Some((digits.parse().ok()?, version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(
            parse_version("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n"),
            Some((15, "15.20".to_owned()))
        );
        assert_eq!(parse_version("psql (PostgreSQL) 19devel\n"), Some((19, "19devel".to_owned())));
        assert_eq!(parse_version("bash 5"), None);
    }

    #[test]
    fn what_is_missing_is_named_with_a_way_to_get_it() {
        let none = Installations::discover(&[PathBuf::from("/nowhere")]);
        let error = none.find(17).unwrap_err();
        assert_eq!(error.to_string(), "no PostgreSQL 17 server found in /nowhere");
        assert!(error.hint().unwrap().contains("tools/install_servers 17"));
        assert!(none.newest_pg_dump_for(13).is_err());
    }
}
