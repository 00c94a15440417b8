//! Making a restored data directory ready for recovery.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use ports::files::{self, FileError};

use super::{Action, Launch, Recovery, RecoveryError, Server, Settings, WalSource};
use crate::control_file::ControlFile;

const BLOCK_BEGIN: &str = "# Recovery settings written by unwipe: begin";
const BLOCK_END: &str = "# Recovery settings written by unwipe: end";

/// The file in the control folder in which the server notes each WAL file it asks for.
pub(crate) fn requests_path(server: &Server) -> PathBuf {
    server.control_dir.join("requests")
}

/// Prepares a data directory of our own and returns how to start it.
///
/// Nothing of production's configuration stays in force: no archiving, no connection to the primary, no library, no
/// slot, no address but the private socket.
pub fn prepare_private(server: &Server, recovery: &Recovery) -> Result<Launch, RecoveryError> {
    let data_dir = &server.data_dir;
    check_major(data_dir, server.installation.major)?;
    let control = ControlFile::read(data_dir)?;
    files::create_folder(&server.control_dir)?;
    remove_leftovers(data_dir)?;
    let auto = data_dir.join("postgresql.auto.conf");
    if auto.exists() {
        // The server reads this file always, after any other.
        files::replace(&auto, b"")?;
    }
    empty_folder(&data_dir.join("pg_replslot"))?;
    let in_place = keep_tablespaces_inside(data_dir)?;
    let requests = requests_path(server);
    files::replace(&requests, b"")?;
    server.account.own(&requests)?;
    if let WalSource::Folder(folder) = &recovery.wal {
        server.account.check_reach(folder)?;
    }
    write_signal(data_dir, recovery.standby)?;
    let mut settings = hardened(&control, recovery);
    if in_place {
        settings.set("allow_in_place_tablespaces", "on");
    }
    settings.extend(&recovery.settings(Some(&requests)));
    Ok(Launch::private(settings))
}

/// What was found when a cluster was prepared for use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForUse {
    /// Whether the data directory held no `postgresql.conf`, so that a plain one was written.
    ///
    /// Some packages keep it elsewhere (`/etc/postgresql`); a physical backup does not contain it then.
    pub configuration_missing: bool,
}

/// Prepares a restored cluster that is to be used: its configuration stays, recovery settings are added.
pub fn prepare_for_use(server: &Server, recovery: &Recovery) -> Result<ForUse, RecoveryError> {
    let data_dir = &server.data_dir;
    check_major(data_dir, server.installation.major)?;
    ControlFile::read(data_dir)?;
    forget_recovery(data_dir)?;
    remove_leftovers(data_dir)?;
    let configuration_missing = write_missing_configuration(data_dir)?;
    let auto = data_dir.join("postgresql.auto.conf");
    let mut text = if auto.exists() { files::read_text(&auto)? } else { String::new() };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let lines = recovery.settings(None).to_lines();
    text.extend([BLOCK_BEGIN, "\n", &lines, BLOCK_END, "\n"]);
    files::replace(&auto, text.as_bytes())?;
    write_signal(data_dir, recovery.standby)?;
    if let WalSource::Folder(folder) = &recovery.wal {
        server.account.check_reach(folder)?;
    }
    Ok(ForUse { configuration_missing })
}

/// Removes the recovery settings that were added for a recovery which has ended.
pub fn forget_recovery(data_dir: &Path) -> Result<(), RecoveryError> {
    let auto = data_dir.join("postgresql.auto.conf");
    if !auto.exists() {
        return Ok(());
    }
    let text = files::read_text(&auto)?;
    let mut inside = false;
    let mut kept = String::new();
    for line in text.lines() {
        inside |= line == BLOCK_BEGIN;
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
        inside &= line != BLOCK_END;
    }
    if kept != text {
        replace_keeping_owner(&auto, kept.as_bytes())?;
    }
    Ok(())
}

/// Replaces a file that a server may be using under another account.
fn replace_keeping_owner(path: &Path, content: &[u8]) -> Result<(), FileError> {
    use std::os::unix::fs::MetadataExt;

    let before = fs::metadata(path).map_err(|e| FileError::new("inspect", path, e))?;
    files::replace(path, content)?;
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(path, Some(before.uid()), Some(before.gid()))
            .map_err(|e| FileError::new("change the owner of", path, e))?;
    }
    fs::set_permissions(path, before.permissions()).map_err(|e| FileError::new("change the mode of", path, e))
}

fn check_major(data_dir: &Path, programs: u32) -> Result<(), RecoveryError> {
    let data = files::read_text(&data_dir.join("PG_VERSION"))?.trim().to_owned();
    if data == programs.to_string() { Ok(()) } else { Err(RecoveryError::Major { data, programs }) }
}

/// Removes what an earlier server or an earlier recovery left.
fn remove_leftovers(data_dir: &Path) -> Result<(), FileError> {
    for name in ["postmaster.pid", "postmaster.opts", "recovery.signal", "standby.signal"] {
        remove_file(&data_dir.join(name))?;
    }
    Ok(())
}

fn remove_file(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(FileError::new("remove", path, e)),
        _ => Ok(()),
    }
}

/// Empties a folder of the private copy that is two levels deep at most, such as that of the slots.
fn empty_folder(folder: &Path) -> Result<(), FileError> {
    let Ok(entries) = folder.read_dir() else { return Ok(()) };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.symlink_metadata().is_ok_and(|m| m.is_dir()) {
            for inner in path.read_dir().map_err(|e| FileError::new("list", &path, e))?.flatten() {
                remove_file(&inner.path())?;
            }
            fs::remove_dir(&path).map_err(|e| FileError::new("remove", &path, e))?;
        } else {
            remove_file(&path)?;
        }
    }
    Ok(())
}

/// Checks that tablespaces are plain folders inside the data directory; returns whether there are any.
///
/// Their own places are production's. The map in a base backup would make the server link to them.
fn keep_tablespaces_inside(data_dir: &Path) -> Result<bool, RecoveryError> {
    let folder = data_dir.join("pg_tblspc");
    let inside = |oid: &str| folder.join(oid).symlink_metadata().is_ok_and(|m| m.is_dir());
    let outside =
        |oid: &str| RecoveryError::Tablespace { oid: oid.to_owned(), data_dir: data_dir.to_owned() };
    let map = data_dir.join("tablespace_map");
    if map.exists() {
        for line in files::read_text(&map)?.lines() {
            let oid = line.split(' ').next().unwrap_or_default();
            if !inside(oid) {
                return Err(outside(oid));
            }
        }
        remove_file(&map)?;
    }
    let mut any = false;
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        any = true;
        let oid = entry.file_name().to_string_lossy().into_owned();
        if !inside(&oid) {
            return Err(outside(&oid));
        }
    }
    Ok(any)
}

fn write_signal(data_dir: &Path, standby: bool) -> Result<(), FileError> {
    let name = if standby { "standby.signal" } else { "recovery.signal" };
    files::create_new(&data_dir.join(name), b"", 0o600)
}

fn write_missing_configuration(data_dir: &Path) -> Result<bool, FileError> {
    let main = data_dir.join("postgresql.conf");
    let missing = !main.exists();
    if missing {
        let text =
            b"# The backup held no postgresql.conf: the server kept it outside of its data directory.\n";
        files::create_new(&main, text, 0o600)?;
    }
    for (name, text) in [("pg_hba.conf", "local all all peer\n"), ("pg_ident.conf", "")] {
        let path = data_dir.join(name);
        if !path.exists() {
            files::create_new(&path, text.as_bytes(), 0o600)?;
        }
    }
    Ok(missing)
}

/// Returns the settings of a server that serves only us.
fn hardened(control: &ControlFile, recovery: &Recovery) -> Settings {
    let mut settings = Settings::new()
        .with("archive_mode", "off")
        .with("archive_cleanup_command", "")
        .with("autovacuum", "off")
        .with("fsync", if recovery.durable { "on" } else { "off" })
        .with("huge_pages", "off")
        .with("jit", "off")
        .with("logging_collector", "off")
        .with("shared_preload_libraries", "")
        .with("synchronous_standby_names", "")
        .with("wal_level", if control.wal_level == 2 { "logical" } else { "replica" })
        .with("wal_retrieve_retry_interval", "200ms")
        // Read-only connections make replay depend on the primary's limits, so they are opened only when needed.
        .with("hot_standby", if recovery.action == Action::Pause { "on" } else { "off" })
        .with("max_standby_archive_delay", "-1");
    let defaults = [100, 8, 10, 0, 64];
    for ((name, primary), default) in control.limits.named().into_iter().zip(defaults) {
        settings.set(name, &primary.max(default));
    }
    settings
}
