//! What root without the capability would try, tried at every start.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use rustix::{
    fs::IFlags,
    thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities},
};

use crate::{flags, folder};

/// One attack, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attack {
    /// What was tried.
    pub what: &'static str,
    /// Whether it failed, as it must.
    pub held: bool,
    /// What the system answered.
    pub evidence: String,
}

type Try = fn(&Path) -> io::Result<()>;

const ATTACKS: [(&str, Try); 12] = [
    ("remove an object", |top| fs::remove_file(object(top))),
    ("move an object", |top| rename(&object(top), &top.join("ff/moved"))),
    ("move an object over another", |top| rename(&top.join("ff/object"), &top.join("object"))),
    ("move the folder of an object", |top| rename(&top.join("ff"), &top.join("fe"))),
    ("remove the folder of an object", |top| fs::remove_dir(top.join("ff"))),
    ("take the flag off an object", |top| flags::clear(&object(top), IFlags::IMMUTABLE)),
    ("take the flag off a folder", |top| flags::clear(&top.join("ff"), IFlags::APPEND)),
    ("truncate an object", |top| OpenOptions::new().write(true).truncate(true).open(object(top)).map(|_| ())),
    ("append to an object", |top| OpenOptions::new().append(true).open(object(top)).map(|_| ())),
    ("change an object's times", |top| {
        File::open(object(top))?.set_modified(std::time::SystemTime::UNIX_EPOCH)
    }),
    ("make an object writable", |top| fs::set_permissions(object(top), fs::Permissions::from_mode(0o666))),
    ("link an object elsewhere", |top| fs::hard_link(object(top), top.join("ff/link"))),
];

fn object(top: &Path) -> std::path::PathBuf {
    top.join("ff/object")
}

/// Tries the attacks on the vault's own small copy of its arrangement, from a thread that has dropped the capabilities
/// to set flags, to mount and to write to devices, and cannot get them back.
pub fn try_attacks(root: &Path) -> io::Result<Vec<Attack>> {
    let top = folder::self_test(root);
    let vault = root.to_owned();
    let attacker = std::thread::Builder::new().name("attacker".to_owned()).spawn(move || {
        drop_capabilities()?;
        let mut attacks: Vec<Attack> =
            ATTACKS.iter().map(|(what, attack)| judge(what, attack(&top))).collect();
        attacks.push(judge("move the whole arrangement", rename(&top, &vault.join(".self-test-moved"))));
        Ok(attacks)
    })?;
    attacker.join().map_err(|_| io::Error::other("the attacking thread died"))?
}

fn judge(what: &'static str, result: io::Result<()>) -> Attack {
    match result {
        Ok(()) => Attack { what, held: false, evidence: "it worked".to_owned() },
        Err(error) => Attack { what, held: true, evidence: error.to_string() },
    }
}

#[expect(clippy::disallowed_methods, reason = "the attack that must fail")]
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Capabilities belong to a thread: what this one drops, the sealer's other threads keep.
fn drop_capabilities() -> io::Result<()> {
    let dropped = CapabilitySet::LINUX_IMMUTABLE | CapabilitySet::SYS_ADMIN | CapabilitySet::SYS_RAWIO;
    let sets = capabilities(None)?;
    set_capabilities(
        None,
        CapabilitySets {
            effective: sets.effective - dropped,
            permitted: sets.permitted - dropped,
            inheritable: sets.inheritable - dropped,
        },
    )?;
    Ok(())
}
