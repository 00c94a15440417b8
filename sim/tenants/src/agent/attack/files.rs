//! Attacks on a vault's files, each by a child process of the attacker's user.
//!
//! They run only below a folder that carries the scratch mark. What an attack damaged is put back before the next
//! one, so that every attempt meets the same vault.

use std::{
    fs::{self, FileTimes, Metadata, OpenOptions, Permissions},
    io,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use ports::files::{self, FileError, SCRATCH_MARK};
use rustix::fs::IFlags;

use super::{Attack, Outcome};

/// Why attacks were not run, or their traces not removed.
#[derive(Debug, thiserror::Error)]
pub enum AttackError {
    /// The folder is not marked as one that may be attacked.
    #[error("{} carries no scratch mark: only a rehearsal's own vault is attacked", path.display())]
    NotScratch {
        /// The folder.
        path: PathBuf,
    },
    /// A file could not be read, or its damage not be made good.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Whose rights an attack is run with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attacker {
    /// The user of this very process.
    Myself,
    /// The user of this very process without the capability to set or clear file flags; only root can give it up.
    WithoutFlagCapability,
    /// Another user; only root can become one.
    User {
        /// How to call that user.
        name: String,
        /// The user id.
        uid: u32,
        /// The group id; no other groups are kept.
        gid: u32,
    },
}

impl Attacker {
    /// Returns the user who owns a vault.
    pub fn owner_of(vault: &Path) -> Result<Self, AttackError> {
        let meta = metadata(vault)?;
        if meta.uid() == rustix::process::geteuid().as_raw() {
            return Ok(Self::Myself);
        }
        Ok(Self::User { name: "the vault's own user".to_owned(), uid: meta.uid(), gid: meta.gid() })
    }

    fn name(&self) -> String {
        match self {
            Self::Myself => format!("the user of this process (uid {})", rustix::process::geteuid()),
            Self::WithoutFlagCapability => "root without CAP_LINUX_IMMUTABLE".to_owned(),
            Self::User { name, uid, .. } => format!("{name} (uid {uid})"),
        }
    }

    fn command(&self, script: &str, target: &Path) -> Option<Command> {
        let mut command = match self {
            Self::WithoutFlagCapability => {
                let mut command = Command::new("/usr/bin/setpriv");
                command.args([
                    "--bounding-set",
                    "-linux_immutable",
                    "--inh-caps",
                    "-linux_immutable",
                    "/bin/sh",
                ]);
                command
            }
            Self::Myself | Self::User { .. } => Command::new("/bin/sh"),
        };
        let root = rustix::process::geteuid().is_root();
        if !root && !matches!(self, Self::Myself) {
            return None;
        }
        command.args(["-c", script, "sh"]).arg(target).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("LC_ALL", "C").current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
        if let Self::User { uid, gid, .. } = self {
            command.uid(*uid).gid(*gid);
        }
        Some(command)
    }
}

struct Method {
    name: &'static str,
    script: &'static str,
    lost: &'static str,
}

/// Tried on an object that carries a flag: who may clear it is not held by it.
const ON_FLAGS: Method = Method {
    name: "clear the flag",
    script: r#"chattr -i -a -- "$1""#,
    lost: "the flag, and with it everything that the flag held",
};
const ON_FILES: [Method; 10] = [
    Method { name: "unlink", script: r#"rm -f -- "$1""#, lost: "the object" },
    Method { name: "overwrite", script: r#"printf '{"forged":true}' 1<>"$1""#, lost: "the object's content" },
    Method { name: "truncate", script: r#": > "$1""#, lost: "the object's content" },
    Method { name: "append", script: r#"printf forged >> "$1""#, lost: "the object's exact length" },
    Method { name: "rename", script: r#"mv -f -- "$1" "$1.gone""#, lost: "the object under its name" },
    Method {
        name: "chmod",
        script: r#"chmod 0666 -- "$1""#,
        lost: "the object's protection from other users",
    },
    Method {
        name: "replace by a symbolic link",
        script: r#"ln -s /dev/null "$1.link" && mv -fT -- "$1.link" "$1""#,
        lost: "the object",
    },
    Method {
        name: "replace by another file",
        script: r#"printf forged > "$1.link" && mv -fT -- "$1.link" "$1""#,
        lost: "the object",
    },
    Method {
        name: "write through a hard link",
        script: r#"ln -- "$1" "$1.link" && printf forged > "$1.link""#,
        lost: "the object's content",
    },
    Method {
        name: "set the time back",
        script: r#"touch -d '2001-01-01T00:00:00Z' -- "$1""#,
        lost: "the object's time",
    },
];
const ON_FOLDERS: [Method; 2] = [
    Method {
        name: "rename the folder",
        script: r#"mv -T -- "$1" "$1.gone""#,
        lost: "every object in the folder",
    },
    Method { name: "remove the folder", script: r#"rmdir -- "$1""#, lost: "the folder" },
];
const FORGED_COMMIT: &str = r#"printf forged > "$1""#;
/// Above this, an object is compared by its metadata alone and is not attacked, for it could not be put back.
const CONTENT_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Attacks one object of each kind, and the folders, once for every attacker.
pub fn attack_vault(vault: &Path, attackers: &[Attacker]) -> Result<Vec<Attack>, AttackError> {
    check_mark(vault)?;
    let (objects, folders) = targets(vault)?;
    attack_targets(vault, &objects, &folders, attackers, &mut |_| true)
}

/// Attacks these objects and folders of a vault, once for every attacker, without looking for the scratch mark: the
/// caller made what is attacked, and nothing else is touched. `go_on` hears of each attempt once its damage is made good.
pub fn attack_targets(
    vault: &Path,
    objects: &[PathBuf],
    folders: &[PathBuf],
    attackers: &[Attacker],
    go_on: &mut dyn FnMut(&Attack) -> bool,
) -> Result<Vec<Attack>, AttackError> {
    let mut attacks = Vec::new();
    for attacker in attackers {
        for target in objects {
            let flagged = flag(target).is_some();
            for method in ON_FILES.iter().chain(flagged.then_some(&ON_FLAGS)) {
                attacks.push(attack(vault, attacker, method, target)?);
                if !attacks.last().is_some_and(&mut *go_on) {
                    return Ok(attacks);
                }
            }
        }
        for target in folders {
            for method in &ON_FOLDERS {
                attacks.push(attack(vault, attacker, method, target)?);
                if !attacks.last().is_some_and(&mut *go_on) {
                    return Ok(attacks);
                }
            }
        }
        for log in folders.iter().filter(|folder| folder.strip_prefix(vault).is_ok_and(is_log)) {
            attacks.push(forge_commit(vault, attacker, log)?);
            if !attacks.last().is_some_and(&mut *go_on) {
                return Ok(attacks);
            }
        }
    }
    Ok(attacks)
}

/// Copies a vault to a new scratch folder with owners, modes and times, so that the copy can be attacked.
///
/// Immutable flags are not copied: a decoy shows what permissions alone hold.
pub fn copy_decoy(vault: &Path, decoy: &Path) -> Result<(), AttackError> {
    files::create_scratch(decoy)?;
    let mut command = Command::new("/bin/cp");
    command.arg("-aT").arg("--").arg(vault).arg(decoy).env_clear().env("LC_ALL", "C");
    let failed = |source| FileError::new("copy a decoy to", decoy, source);
    let output = command.output().map_err(failed)?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(failed(io::Error::other(text)).into());
    }
    Ok(())
}

fn check_mark(vault: &Path) -> Result<(), AttackError> {
    if vault.join(SCRATCH_MARK).is_file() {
        return Ok(());
    }
    Err(AttackError::NotScratch { path: vault.to_owned() })
}

fn is_log(below: &Path) -> bool {
    below.starts_with("log") && below.components().count() == 2
}

/// Finds the first object of each kind, the folders of the top, and each source's log.
fn targets(vault: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), AttackError> {
    let (mut objects, mut folders) = (Vec::new(), Vec::new());
    for path in entries(vault)? {
        if path.file_name().is_some_and(|name| name == SCRATCH_MARK) {
            continue;
        }
        if path.is_dir() {
            objects.extend(first_object(&path)?);
            if path.ends_with("log") {
                folders.extend(entries(&path)?.into_iter().filter(|path| path.is_dir()));
            }
            folders.push(path);
        } else {
            objects.push(path);
        }
    }
    Ok((objects, folders))
}

fn first_object(folder: &Path) -> Result<Option<PathBuf>, AttackError> {
    for path in entries(folder)? {
        let meta = metadata(&path)?;
        if meta.is_file() && meta.len() <= CONTENT_BYTES_MAX {
            return Ok(Some(path));
        }
        if meta.is_dir()
            && let Some(found) = first_object(&path)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, AttackError> {
    let failed = |source| FileError::new("list", folder, source);
    let list: io::Result<Vec<PathBuf>> =
        fs::read_dir(folder).map_err(failed)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut list = list.map_err(failed)?;
    list.sort();
    Ok(list)
}

fn metadata(path: &Path) -> Result<Metadata, FileError> {
    fs::symlink_metadata(path).map_err(|source| FileError::new("inspect", path, source))
}

/// A target as it was before an attack.
struct Before {
    meta: Metadata,
    content: Option<Vec<u8>>,
    flags: Option<IFlags>,
}

impl Before {
    fn of(path: &Path) -> Result<Self, FileError> {
        let meta = metadata(path)?;
        let content = meta.is_file().then(|| files::read(path)).transpose()?;
        Ok(Self { meta, content, flags: flags(path) })
    }

    fn is_intact(&self, path: &Path) -> Result<bool, FileError> {
        let Ok(now) = metadata(path) else { return Ok(false) };
        let face = |m: &Metadata| (m.ino(), m.mode(), m.uid(), m.gid(), m.len(), m.mtime(), m.mtime_nsec());
        // A folder's size and time change with what is put into it; its identity is what counts.
        let same = if now.is_dir() {
            (now.ino(), now.mode(), now.uid()) == (self.meta.ino(), self.meta.mode(), self.meta.uid())
        } else {
            face(&now) == face(&self.meta)
        };
        let content = if same && now.is_file() { Some(files::read(path)?) } else { None };
        Ok(same && content == self.content && flags(path) == self.flags)
    }

    /// Puts the target back as it was.
    fn put_back(&self, path: &Path) -> Result<(), FileError> {
        let gone = suffixed(path, ".gone");
        if self.meta.is_dir() {
            if gone.exists() {
                let output = Command::new("/bin/mv").arg("-T").arg("--").arg(&gone).arg(path).output();
                output.map_err(|source| FileError::new("put back", path, source))?;
            } else {
                files::create_folder(path)?;
            }
        } else {
            for trace in [path, &gone, &suffixed(path, ".link")] {
                if fs::symlink_metadata(trace).is_ok() {
                    fs::remove_file(trace).map_err(|source| FileError::new("remove", trace, source))?;
                }
            }
            files::create_new(path, self.content.as_deref().unwrap_or_default(), 0o600)?;
        }
        let restore = || -> io::Result<()> {
            if rustix::process::geteuid().is_root() {
                chown(path, Some(self.meta.uid()), Some(self.meta.gid()))?;
            }
            let times =
                FileTimes::new().set_modified(self.meta.modified()?).set_accessed(self.meta.accessed()?);
            OpenOptions::new().read(true).open(path)?.set_times(times)?;
            fs::set_permissions(path, Permissions::from_mode(self.meta.mode()))?;
            if let Some(flags) = self.flags.filter(|flags| flags.intersects(HOLDING)) {
                let file = OpenOptions::new().read(true).open(path)?;
                rustix::fs::ioctl_setflags(&file, rustix::fs::ioctl_getflags(&file)? | flags)?;
            }
            Ok(())
        };
        restore().map_err(|source| FileError::new("put back", path, source))
    }
}

/// Removes what an attempt that got no further than its first step left beside its target.
fn remove_link(target: &Path) -> Result<(), FileError> {
    let link = suffixed(target, ".link");
    if fs::symlink_metadata(&link).is_ok() {
        fs::remove_file(&link).map_err(|source| FileError::new("remove", &link, source))?;
    }
    Ok(())
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    PathBuf::from(text)
}

fn attack(vault: &Path, attacker: &Attacker, method: &Method, target: &Path) -> Result<Attack, AttackError> {
    let before = Before::of(target)?;
    let outcome = match run(attacker, method.script, target)? {
        Ran::Impossible(why) => Outcome::NotTried { why },
        Ran::Done { complaint } => {
            if before.is_intact(target)? {
                remove_link(target)?;
                Outcome::Held { by: refusal(target, &before.meta, &complaint) }
            } else {
                before.put_back(target)?;
                Outcome::Succeeded { lost: method.lost.to_owned() }
            }
        }
    };
    let shown = target.strip_prefix(vault).unwrap_or(target).display();
    let tried = method.script.replace("\"$1", &format!("\"{shown}"));
    Ok(Attack { name: format!("{}: {shown}", method.name), attacker: attacker.name(), tried, outcome })
}

fn forge_commit(vault: &Path, attacker: &Attacker, log: &Path) -> Result<Attack, AttackError> {
    let next = entries(log)?
        .iter()
        .filter_map(|path| {
            let digits = path.file_name()?.to_str()?;
            Some((digits.parse::<u64>().ok()?.checked_add(1)?, digits.len()))
        })
        .max()
        .map_or_else(|| "forged".to_owned(), |(number, width)| format!("{number:0width$}"));
    let target = log.join(next);
    let before = metadata(log)?;
    let outcome = match run(attacker, FORGED_COMMIT, &target)? {
        Ran::Impossible(why) => Outcome::NotTried { why },
        Ran::Done { complaint } => {
            if fs::symlink_metadata(&target).is_ok() {
                fs::remove_file(&target).map_err(|source| FileError::new("remove", &target, source))?;
                Outcome::Added { what: "a commit without a valid signature".to_owned() }
            } else {
                Outcome::Held { by: refusal(log, &before, &complaint) }
            }
        }
    };
    let shown = target.strip_prefix(vault).unwrap_or(&target).display();
    let tried = FORGED_COMMIT.replace("$1", &shown.to_string());
    Ok(Attack { name: format!("append a forged commit: {shown}"), attacker: attacker.name(), tried, outcome })
}

enum Ran {
    Done { complaint: String },
    Impossible(String),
}

fn run(attacker: &Attacker, script: &str, target: &Path) -> Result<Ran, FileError> {
    let Some(mut command) = attacker.command(script, target) else {
        return Ok(Ran::Impossible("only root can act as another user".to_owned()));
    };
    let output = command.output().map_err(|source| FileError::new("attack", target, source))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    let last = complaint.lines().last().unwrap_or_default();
    // The shell and its tools put their own names and the path before the system's words.
    let words = last.rsplit(": ").next().unwrap_or_default().trim().to_owned();
    Ok(Ran::Done { complaint: words })
}

/// Names what refused: a flag of the file system is told apart from permissions.
fn refusal(target: &Path, meta: &Metadata, complaint: &str) -> String {
    let flagged = [Some(target), target.parent()].into_iter().flatten().find_map(flag);
    let owner = format!("owner uid {}, mode {:o}", meta.uid(), meta.mode() & 0o7777);
    match (flagged, complaint) {
        (Some(flag), "Operation not permitted") => format!("{flag} ({complaint})"),
        (_, "Permission denied" | "Operation not permitted") => {
            format!("file permissions: {owner} ({complaint})")
        }
        (_, "") => "the file system, without a word".to_owned(),
        (_, other) => other.to_owned(),
    }
}

const HOLDING: IFlags = IFlags::IMMUTABLE.union(IFlags::APPEND);

/// Reads the flags that hold; a file system without flags has none.
fn flags(path: &Path) -> Option<IFlags> {
    let file = OpenOptions::new().read(true).open(path).ok()?;
    rustix::fs::ioctl_getflags(&file).ok().map(|flags| flags.intersection(HOLDING))
}

fn flag(path: &Path) -> Option<&'static str> {
    let flags = flags(path)?;
    if flags.contains(IFlags::IMMUTABLE) {
        Some("the immutable flag")
    } else if flags.contains(IFlags::APPEND) {
        Some("the append-only flag")
    } else {
        None
    }
}
