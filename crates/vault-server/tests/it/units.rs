//! The unit files, judged by systemd itself.

use std::{path::PathBuf, process::Command};

fn unit(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd").join(name)
}

/// `threshold` is ten times the exposure that `systemd-analyze` computes: 0 is safe, 100 is a bare unit.
fn is_tighter_than(name: &str, threshold: u32) -> bool {
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--offline=yes", "--no-pager", &format!("--threshold={threshold}")]);
    analyze.arg(unit(name)).output().unwrap().status.success()
}

#[test]
fn the_units_are_hardened() {
    assert!(is_tighter_than("unwipe-vault.service", 12));
    assert!(is_tighter_than("unwipe-sealer.service", 9));
    // It starts database servers for drills, which want more system calls than a server of files.
    assert!(is_tighter_than("unwipe.service", 31));
    // The scale means something: nobody reaches nothing.
    assert!(!is_tighter_than("unwipe-vault.service", 1));
}

#[test]
fn only_the_sealer_can_touch_flags_and_it_has_no_network() {
    let text = |name| std::fs::read_to_string(unit(name)).unwrap();
    let (vault, sealer) = (text("unwipe-vault.service"), text("unwipe-sealer.service"));
    assert!(vault.contains("\nCapabilityBoundingSet=\nAmbientCapabilities=\n"));
    assert!(
        sealer.contains(
            "\nCapabilityBoundingSet=CAP_LINUX_IMMUTABLE\nAmbientCapabilities=CAP_LINUX_IMMUTABLE\n"
        )
    );
    assert!(
        sealer.contains("\nPrivateNetwork=yes\n") && sealer.contains("\nRestrictAddressFamilies=AF_UNIX\n")
    );
    for unit in [&vault, &sealer] {
        for line in ["NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateDevices=yes", "ProtectClock=yes"]
        {
            assert!(unit.lines().any(|found| found == line), "{line}");
        }
    }
}
