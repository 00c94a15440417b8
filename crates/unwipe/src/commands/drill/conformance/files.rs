//! A folder tree, captured, and drilled in a scratch folder.

use std::{
    fs::File,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::{Path, PathBuf},
    sync::Arc,
};

use connect_conformance::{DrillGround, Drillable, Furnishing, Never, Planted, Wanted};

use super::{Home, listed};
use crate::exit::Exit;

const SOURCE: &str = "papers";

struct FolderDrills {
    home: Home,
    tree: PathBuf,
}

fn start(furnishing: &Furnishing) -> Arc<dyn Drillable> {
    Arc::new(FolderDrills::start(furnishing))
}

connect_conformance::drilling_tests!(start);

impl FolderDrills {
    fn start(furnishing: &Furnishing) -> Self {
        let home = Home::new();
        let tree = home.path("tree");
        for user in 0..furnishing.users {
            let folder = tree.join(format!("user {user}"));
            std::fs::create_dir_all(&folder).unwrap();
            for item in 0..furnishing.items {
                let text = format!("paper {item} of user {user}, seed {}", furnishing.seed);
                ports::files::replace(&folder.join(format!("{item}.txt")), text.as_bytes()).unwrap();
            }
        }
        std::os::unix::fs::symlink("0.txt", tree.join("user 0/link")).unwrap();
        let drills = Self { home, tree };
        drills.home.done(&["protect", SOURCE, "files", "--path", drills.tree.to_str().unwrap()]);
        drills.home.done(&["capture", SOURCE, "--once"]);
        drills
    }

    /// Finds the tree that a drill restored.
    fn restored(&self) -> PathBuf {
        let entries = std::fs::read_dir(self.home.home().join("scratch")).unwrap();
        let trees = entries.map(|entry| entry.unwrap().path().join("tree"));
        trees.into_iter().find(|tree| tree.is_dir()).unwrap()
    }
}

/// Changes something in a folder whose own time stays as it is.
fn without_a_trace(folder: &Path, change: impl FnOnce()) {
    let handle = File::open(folder).unwrap();
    let modified = handle.metadata().unwrap().modified().unwrap();
    change();
    handle.set_modified(modified).unwrap();
}

impl Drillable for FolderDrills {
    fn ground(&self, wanted: Wanted) -> Result<DrillGround<'_>, String> {
        self.home.ground(SOURCE, wanted)
    }

    fn samples(&self) -> Result<(), Never> {
        Err(Never("a tree is restored whole: its folders hold each other's times and permissions"))
    }

    fn things(&self) -> u64 {
        // The folder itself is one of them.
        listed(&self.tree).len() as u64 + 1
    }

    fn plant(&self, planted: Planted) -> Result<Vec<String>, Never> {
        let folder = self.restored().join("user 1");
        let file = folder.join("3.txt");
        let named = "user 1/3.txt".to_owned();
        Ok(match planted {
            Planted::Changed => {
                let handle = File::options().read(true).write(true).open(&file).unwrap();
                let modified = handle.metadata().unwrap().modified().unwrap();
                std::os::unix::fs::FileExt::write_all_at(&handle, b"P", 0).unwrap();
                handle.set_modified(modified).unwrap();
                vec![named, "content".to_owned()]
            }
            Planted::Missing => {
                without_a_trace(&folder, || std::fs::remove_file(&file).unwrap());
                vec![named, "not restored".to_owned()]
            }
            Planted::Extra => {
                without_a_trace(&folder, || {
                    ports::files::replace(&folder.join("more.txt"), b"more").unwrap();
                });
                vec!["user 1/more.txt".to_owned()]
            }
            Planted::Unfaithful => {
                std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
                vec![named, "permissions".to_owned()]
            }
        })
    }

    fn add_incomparable(&self) -> Result<(), Never> {
        // What is no file, folder or link is noted, and never made anew.
        drop(UnixListener::bind(self.tree.join("user 0/socket")).unwrap());
        self.home.done(&["capture", SOURCE, "--once"]);
        Ok(())
    }

    fn add_foreign(&self) {
        // It is called as drills call theirs, and carries no mark.
        let folder = self.home.home().join("scratch/drill-of-mine");
        std::fs::create_dir_all(&folder).unwrap();
        ports::files::replace(&folder.join("note.txt"), b"mine").unwrap();
    }

    fn starve(&self, _writes: Option<u64>) -> Result<(), Never> {
        Err(Never(
            "whatever is in a scratch folder goes with it: half a tree is taken away as a whole one is",
        ))
    }

    fn left(&self) -> Vec<String> {
        // The folder's own time is nobody's.
        self.home.scratch().into_iter().map(|entry| entry.split(' ').next().unwrap().to_owned()).collect()
    }

    fn production(&self) -> Vec<String> {
        listed(&self.tree)
    }

    fn misaim(&self, way: usize) -> bool {
        let link = self.home.path("elsewhere");
        std::os::unix::fs::symlink(self.tree.join("user 0"), &link).unwrap();
        let ways = [self.tree.clone(), self.tree.join("not/there/yet"), link.join("scratch")];
        let Some(scratch) = ways.get(way) else { return false };
        self.home.configure("[restore]", &format!("[restore]\nscratch = '{}'", scratch.display()));
        true
    }
}

#[test]
fn a_drill_in_the_folder_that_is_proven_is_refused_before_its_claim_is_written() {
    let drills = FolderDrills::start(&Furnishing { users: 1, items: 2, seed: 1, limited: false });
    assert!(drills.misaim(0));
    let before = drills.production();
    let refused = drills.home.run(&["drill", "run", SOURCE]).unwrap_err();
    assert_eq!(refused.exit, Exit::Usage, "{refused}");
    assert!(refused.to_string().contains("belongs to production"), "{refused}");
    assert_eq!(drills.production(), before);
}
