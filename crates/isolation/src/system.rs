//! What this machine says of itself: users, mounts, listeners. Pure parsers, and what reads their files.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub uid: u32,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// The groups that it is in.
    pub gids: BTreeSet<u32>,
}

impl User {
    /// Describes the user for people.
    pub fn text(&self) -> String {
        match &self.name {
            Some(name) => format!("user {name} ({})", self.uid),
            None => format!("user {}", self.uid),
        }
    }
}

/// The users and groups of a machine.
#[derive(Debug, Clone, Default)]
pub struct Users {
    names: BTreeMap<u32, (String, u32)>,
    members: Vec<(u32, Vec<String>)>,
}

impl Users {
    /// Reads the text of `/etc/passwd` and `/etc/group`.
    pub fn parse(passwd: &str, group: &str) -> Self {
        let mut users = Self::default();
        for line in passwd.lines() {
            let parts: Vec<&str> = line.split(':').collect();
            if let [name, _, uid, gid, ..] = parts.as_slice()
                && let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse())
            {
                users.names.entry(uid).or_insert_with(|| ((*name).to_owned(), gid));
            }
        }
        for line in group.lines() {
            let parts: Vec<&str> = line.split(':').collect();
            if let [_, _, gid, members] = parts.as_slice()
                && let Ok(gid) = gid.parse()
            {
                users.members.push((gid, members.split(',').map(str::to_owned).collect()));
            }
        }
        users
    }

    /// Reads this machine's files; who is not in them is known by number alone.
    pub fn of_this_machine() -> Self {
        Self::parse(&text("/etc/passwd"), &text("/etc/group"))
    }

    /// Returns what is known of a user.
    pub fn user(&self, uid: u32) -> User {
        let Some((name, gid)) = self.names.get(&uid) else {
            return User { uid, name: None, gids: BTreeSet::new() };
        };
        let in_groups = self.members.iter().filter(|(_, members)| members.contains(name));
        let gids = in_groups.map(|(gid, _)| *gid).chain([*gid]).collect();
        User { uid, name: Some(name.clone()), gids }
    }
}

/// Where a file system is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its device's numbers, as `8:1`.
    pub device: String,
    /// Where.
    pub point: PathBuf,
    /// Its kind: `ext4`, `tmpfs`.
    pub kind: String,
    /// What is mounted: `/dev/sda1`, `nas:/export`.
    pub source: String,
}

/// Reads `/proc/self/mountinfo`; later mounts come later.
pub fn mounts(mountinfo: &str) -> Vec<Mount> {
    let parse = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let before: Vec<&str> = before.split(' ').collect();
        let after: Vec<&str> = after.split(' ').collect();
        Some(Mount {
            device: (*before.get(2)?).to_owned(),
            point: PathBuf::from(unescaped(before.get(4)?)),
            kind: (*after.first()?).to_owned(),
            source: unescaped(after.get(1)?),
        })
    };
    mountinfo.lines().filter_map(parse).collect()
}

/// Spaces and the like are octal numbers there.
fn unescaped(text: &str) -> String {
    ["\\040 ", "\\011\t", "\\012\n", "\\134\\"]
        .iter()
        .fold(text.to_owned(), |text, pair| text.replace(&pair[..4], &pair[4..]))
}

/// Returns the mount that a path lies on: the deepest, and of several on one point the last.
pub fn mount_of<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let above = mounts.iter().filter(|mount| path.starts_with(&mount.point));
    above.max_by_key(|mount| mount.point.components().count())
}

/// A program that waits for connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// The port.
    pub port: u16,
    /// The user as whom it runs.
    pub uid: u32,
}

/// Reads `/proc/net/tcp` or `tcp6`.
pub fn listeners(text: &str) -> Vec<Listener> {
    const LISTENING: &str = "0A";
    let parse = |line: &str| {
        let parts: Vec<&str> = line.split_whitespace().collect();
        let port = u16::from_str_radix(parts.get(1)?.rsplit_once(':')?.1, 16).ok()?;
        let uid = parts.get(7)?.parse().ok()?;
        (*parts.get(3)? == LISTENING).then_some(Listener { port, uid })
    };
    text.lines().skip(1).filter_map(parse).collect()
}

/// Returns the users as whom programs of this machine listen on a port.
pub fn users_at_port(port: u16) -> BTreeSet<u32> {
    let all = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| listeners(&text(path)));
    all.iter().flatten().filter(|listener| listener.port == port).map(|listener| listener.uid).collect()
}

/// Returns the folder of a PostgreSQL server of this machine that listens on a port, where processes may be looked at:
/// a server works in it, and its file says the port.
pub fn server_folder(port: u16) -> Option<PathBuf> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let folder_of = |process: std::fs::DirEntry| {
        let process = process.path();
        let program = std::fs::read_to_string(process.join("comm")).ok()?;
        if program.trim() != "postgres" {
            return None;
        }
        let folder = std::fs::read_link(process.join("cwd")).ok()?;
        let state = std::fs::read_to_string(folder.join("postmaster.pid")).ok()?;
        (port_of(&state) == Some(port)).then_some(folder)
    };
    processes.filter_map(folder_of).next()
}

/// Reads the port out of `postmaster.pid`: its fourth line.
fn port_of(state: &str) -> Option<u16> {
    state.lines().nth(3)?.trim().parse().ok()
}

/// What a path lies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The number of the device, as the kernel gives it.
    pub device: u64,
    /// The mount, where it was found.
    pub mount: Option<Mount>,
    /// The file system's own name, where `/dev/disk/by-uuid` tells it.
    pub uuid: Option<String>,
}

impl Volume {
    /// Looks at a path of this machine.
    pub fn of(path: &Path) -> std::io::Result<Self> {
        let path = path.canonicalize()?;
        let device = path.metadata()?.dev();
        let mounts = mounts(&text("/proc/self/mountinfo"));
        let entries = std::fs::read_dir("/dev/disk/by-uuid").into_iter().flatten().flatten();
        let uuid = entries
            .filter(|entry| entry.path().metadata().is_ok_and(|m| m.rdev() == device))
            .find_map(|entry| entry.file_name().into_string().ok());
        Ok(Self { device, mount: mount_of(&mounts, &path).cloned(), uuid })
    }

    /// Describes it for people.
    pub fn text(&self) -> String {
        let (major, minor) = (rustix::fs::major(self.device), rustix::fs::minor(self.device));
        let mount = self
            .mount
            .as_ref()
            .map_or_else(String::new, |mount| format!(", {} on {}", mount.source, mount.point.display()));
        let uuid = self.uuid.as_ref().map_or_else(String::new, |uuid| format!(", UUID {uuid}"));
        format!("device {major}:{minor}{mount}{uuid}")
    }

    /// Tells whether two paths lie on one volume.
    pub fn is_same(&self, other: &Self) -> bool {
        let real = |volume: &Self| {
            volume.mount.as_ref().map(|m| m.source.clone()).filter(|s| s.starts_with('/') || s.contains(":/"))
        };
        self.device == other.device
            || self.uuid.is_some() && self.uuid == other.uuid
            || real(self).is_some() && real(self) == real(other)
    }
}

fn text(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_their_groups() {
        let users = Users::parse(
            "root:x:0:0:root:/root:/bin/sh\npostgres:x:70:71::/var:/bin/sh\nbroken\n",
            "ssl:x:90:postgres,www\nroot:x:0:\n",
        );
        assert_eq!(users.user(70).gids, BTreeSet::from([71, 90]));
        assert_eq!(users.user(70).text(), "user postgres (70)");
        assert_eq!(users.user(4242).text(), "user 4242");
    }

    #[test]
    fn mounts_and_listeners_are_read() {
        let mounts = mounts(
            "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n30 22 8:2 / /my\\040disk rw - xfs /dev/sdb rw\nnonsense\n",
        );
        assert_eq!(mount_of(&mounts, Path::new("/my disk/vault")).unwrap().source, "/dev/sdb");
        assert_eq!(mount_of(&mounts, Path::new("/srv")).unwrap().device, "8:1");
        let tcp = "  sl  local_address rem_address   st\n\
            0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000    70        0 1 1\n\
            1: 0100007F:1539 0100007F:A000 01 00000000:00000000 00:00000000 00000000    71        0 1 1\n";
        assert_eq!(listeners(tcp), [Listener { port: 5432, uid: 70 }]);
    }

    #[test]
    fn the_port_of_a_server_is_in_its_file() {
        assert_eq!(port_of("17\n/var/lib/pg\n1700000000\n5433\n/run\n"), Some(5433));
        assert_eq!(port_of("17\n/var/lib/pg\n"), None);
    }

    #[test]
    fn a_volume_is_known_by_device_name_or_source() {
        let volume = |device, source: &str, uuid: Option<&str>| Volume {
            device,
            mount: Some(Mount {
                device: String::new(),
                point: "/".into(),
                kind: "ext4".to_owned(),
                source: source.to_owned(),
            }),
            uuid: uuid.map(str::to_owned),
        };
        assert!(volume(1, "/dev/a", None).is_same(&volume(1, "/dev/b", None)));
        assert!(volume(1, "/dev/a", Some("u")).is_same(&volume(2, "/dev/b", Some("u"))));
        assert!(volume(1, "nas:/x", None).is_same(&volume(2, "nas:/x", None)));
        assert!(!volume(1, "/dev/a", Some("u")).is_same(&volume(2, "/dev/b", Some("w"))));
        assert!(!volume(1, "tmpfs", None).is_same(&volume(2, "tmpfs", None)));
    }
}
