//! A folder is protected, changed, found again and brought back.

use std::fs;

use crate::unwipe::{Unwipe, exit};

#[test]
fn a_folder_is_brought_back_as_it_was_at_each_moment() {
    let unwipe = Unwipe::initialised();
    let tree = unwipe.path("documents");
    fs::create_dir_all(tree.join("contracts")).unwrap();
    fs::write(tree.join("contracts/smith.txt"), "signed").unwrap();
    fs::write(tree.join("notes.tmp"), "of no worth").unwrap();
    let path = unwipe.argument("documents");
    let protected = unwipe.json(&["protect", "docs", "files", "--path", &path, "--exclude", "*.tmp"]);
    assert_eq!(protected["added"], true);
    let first = unwipe.json(&["capture", "docs", "--once"]);
    assert_eq!(first["up_to_date"], true);

    fs::write(tree.join("contracts/smith.txt"), "signed and changed").unwrap();
    fs::write(tree.join("contracts/jones.txt"), "new").unwrap();
    unwipe.json(&["capture", "docs", "--once"]);
    let found = unwipe.json(&["find", "docs@latest"]);
    let keys: Vec<_> = found.as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap()).collect();
    assert_eq!(keys, [".", "contracts", "contracts/jones.txt", "contracts/smith.txt"]);
    let found = unwipe.json(&["find", "docs@latest", "j*"]);
    assert_eq!(found.as_array().unwrap().len(), 1);

    let before = first["last_commit_at"].as_str().unwrap();
    let out = unwipe.argument("smith.txt");
    let moment = format!("docs@{before}");
    let shown = unwipe.json(&["show", &moment, "--item", "contracts/smith.txt", "--out", &out]);
    assert_eq!(shown["size_bytes"], 6);
    assert_eq!(fs::read_to_string(&out).unwrap(), "signed");
    unwipe.run(&["show", &moment, "--item", "contracts/jones.txt"]).refused(exit::NOTHING, "is not stored");

    fs::remove_dir_all(&tree).unwrap();
    let restored = unwipe.argument("restored");
    let result = unwipe.json(&["rewind", "docs@latest", "--to", &restored]);
    assert_eq!((result["files"].as_u64(), result["folders"].as_u64()), (Some(2), Some(1)));
    assert_eq!(
        fs::read_to_string(unwipe.path("restored/contracts/smith.txt")).unwrap(),
        "signed and changed"
    );
    unwipe.run(&["rewind", "docs@latest", "--to", &restored]).refused(exit::FAILED, "is not empty");

    // A root that is gone is no reason to believe that everything was deleted.
    unwipe.run(&["capture", "docs", "--once"]).refused(exit::FAILED, "cannot be walked through");
    assert_eq!(unwipe.json(&["find", "docs@latest"]).as_array().unwrap().len(), 4);
    unwipe.run(&["doctor"]).expect(exit::FAILED);
}
