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

#[test]
fn a_file_is_searched_for_and_its_versions_are_compared() {
    let unwipe = Unwipe::initialised();
    let tree = unwipe.path("documents");
    fs::create_dir_all(tree.join("contracts")).unwrap();
    let (contract, key) = (tree.join("contracts/zanzibar.txt"), "--item=contracts/zanzibar.txt");
    fs::write(&contract, "the dhow leaves\non Friday\n").unwrap();
    unwipe.json(&["protect", "docs", "files", "--path", &unwipe.argument("documents")]);
    unwipe.json(&["capture", "docs", "--once"]);
    unwipe.run(&["diff", "docs", key]).refused(exit::NOTHING, "one version");
    fs::write(&contract, "the dhow leaves\non \x1b[2JSaturday\n").unwrap();
    unwipe.json(&["capture", "docs", "--once"]);

    // No catalog or index was asked to be made: the first search makes what it needs.
    let found = unwipe.json(&["search", "zanz*"]);
    assert_eq!(found["hits"][0]["entry"]["key"], "contracts/zanzibar.txt");
    let told = unwipe.run(&["search", "zanzibar", "--in", "docs"]).expect(exit::DONE).stdout;
    assert!(told.contains("docs/files --item=contracts/zanzibar.txt"), "{told}");
    unwipe.run(&["search", "mombasa"]).refused(exit::NOTHING, "nothing is called mombasa");
    unwipe.run(&["search", "zanzibar", "--in", "elsewhere"]).refused(exit::USAGE, "no source elsewhere");
    unwipe.run(&["search", "zanzibar", "--at", "yesterday"]).refused(exit::USAGE, "is no moment");

    let versions = unwipe.json(&["versions", "docs", key]);
    let commits: Vec<_> =
        versions["versions"].as_array().unwrap().iter().map(|past| &past["entry"]["commit"]).collect();
    assert_eq!(commits.len(), 2);
    assert_eq!(versions["versions"][0]["until_commit"], serde_json::Value::Null);

    // What is in a file is text to a terminal, whatever it holds.
    let told = unwipe.run(&["diff", "docs", key]).expect(exit::DONE).stdout;
    assert!(told.contains("-on Friday\n") && told.contains("Saturday\n"), "{told}");
    assert!(!told.contains('\x1b'), "{told:?}");
    let (first, second) = (commits[1].to_string(), commits[0].to_string());
    let same = unwipe.json(&["diff", "docs", key, "--from", &first, "--to", &first]);
    assert_eq!(same["is_content_same"], true);
    let other = unwipe.json(&["diff", "docs/files", key, "--from", &second, "--to", &first]);
    assert_eq!((&other["is_content_same"], &other["difference"]["added_lines"]), (&false.into(), &1.into()));
    unwipe.run(&["diff", "docs", "--item=never.txt"]).refused(exit::NOTHING, "never was");

    // What was removed is found where it is asked for, and a commit is a moment as a time is.
    fs::remove_file(&contract).unwrap();
    unwipe.json(&["capture", "docs", "--once"]);
    unwipe.run(&["search", "zanzibar"]).refused(exit::NOTHING, "--removed");
    let found = unwipe.json(&["search", "zanzibar", "--removed"]);
    assert_eq!(found["hits"].as_array().unwrap().len(), 1, "each item once: {found}");
    assert!(found["hits"][0]["until_commit"].is_u64(), "{found}");
    let out = unwipe.argument("first.txt");
    unwipe.json(&["show", &format!("docs@{first}"), key, "--out", &out]);
    assert_eq!(fs::read_to_string(&out).unwrap(), "the dhow leaves\non Friday\n");
    unwipe.run(&["show", "docs@999", key]).refused(exit::NOTHING, "as of 999");
}
