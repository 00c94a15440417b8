//! A real process, cut off at every sync.

use std::path::Path;

use world::crash;

#[test]
fn whatever_a_power_cut_leaves_is_what_was_promised() {
    let program = Path::new(env!("CARGO_BIN_EXE_world"));
    // Four rounds, so that journal files are retired and used again.
    let cuts = crash::sweep(program, 1, 4, 1).unwrap_or_else(|error| panic!("{error}"));
    assert!(cuts.syncs > 80 && cuts.images == cuts.syncs * 3, "{cuts:?}");
}
