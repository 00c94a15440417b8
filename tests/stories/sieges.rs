//! A siege as a person lays it: it says what it will do, harms nothing, and its exit code can be used.

use crate::unwipe::{Unwipe, exit};

#[test]
fn a_siege_asks_first_and_tells_what_held() {
    let unwipe = Unwipe::initialised();
    let asked = unwipe.run(&["siege"]).refused(exit::USAGE, "adds a decoy");
    assert_eq!(asked.line("hint"), "add --yes");
    let report = unwipe.json(&["siege", "--yes", "--credentials", &unwipe.argument("home/unwipe.toml")]);
    assert_eq!(report["broken_promises"], 0, "{report}");
    assert!(report["attempts"].as_array().unwrap().len() >= 40);
    assert_eq!(report["decoy_commits"], 3);
    assert_eq!(unwipe.json(&["verify", "--read-data"])["sound"], true);
    assert_eq!(unwipe.json(&["siege", "--mend"])["mended_objects"], 0);
    unwipe
        .run(&["protect", "siege-decoy", "postgres", "--url", "postgresql://u@127.0.0.1/postgres"])
        .refused(exit::USAGE, "under this name");
}
