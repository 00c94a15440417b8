//! The drills of this binary, held to the rules for restore tests: with a vault, a catalog and a home folder of its own.

mod files;
mod google;
mod postgres;

use std::path::PathBuf;

use clap::Parser;
use connect::Silent;
use connect_conformance::{DrillGround, Wanted};
use drill::{Findings, Ground, Swept};
use model::SourceName;
use tempfile::TempDir;

use super::{Asked, Drilling, ground};
use crate::{
    arguments::{Arguments, Production, Reading},
    context::Context,
    exit::Exit,
    failure::Failure,
    output::Output,
};

/// A home folder with a vault, in a folder of its own.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        let kit = home.path("kit.txt");
        home.done(&["init", "--kit", kit.to_str().unwrap()]);
        home
    }

    /// Returns a path beside the home folder.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// Runs a command as the binary does.
    fn run(&self, arguments: &[&str]) -> Result<Exit, Failure> {
        let home = self.home();
        let all = ["unwipe", "--home", home.to_str().unwrap()].into_iter().chain(arguments.iter().copied());
        crate::run(Arguments::try_parse_from(all).unwrap(), Output::silent())
    }

    /// Runs a command that must succeed.
    fn done(&self, arguments: &[&str]) {
        let exit = self.run(arguments).unwrap_or_else(|failure| panic!("{arguments:?}: {failure}"));
        assert_eq!(exit, Exit::Done, "{arguments:?}");
    }

    /// Changes the configuration.
    fn configure(&self, from: &str, to: &str) {
        let path = self.home().join("unwipe.toml");
        let before = ports::files::read_text(&path).unwrap();
        assert!(before.contains(from), "{before}");
        ports::files::replace(&path, before.replacen(from, to, 1).as_bytes()).unwrap();
    }

    /// Says more in the configuration.
    fn append(&self, more: &str) {
        let path = self.home().join("unwipe.toml");
        let before = ports::files::read_text(&path).unwrap();
        ports::files::replace(&path, (before + more).as_bytes()).unwrap();
    }

    /// Makes the ground of a drill, as a process does that was started anew.
    fn ground(&self, source: &str, wanted: Wanted) -> Result<DrillGround<'static>, String> {
        let words = |failure: Failure| failure.to_string();
        // A process keeps all of this until it ends; so does the test.
        let context: &'static Context =
            Box::leak(Box::new(Context::new(Some(self.home()), None, Output::silent()).map_err(words)?));
        let installation = Box::leak(Box::new(context.installation().map_err(words)?));
        let asked = Box::leak(Box::new(Asked {
            source: SourceName::new(source).unwrap(),
            moment: "latest".to_owned(),
            whole: wanted == Wanted::Whole,
            production: Box::leak(Box::new(Production::default())),
            reading: Box::leak(Box::new(Reading::default())),
        }));
        let drilling = Box::leak(Box::new(Drilling::of(context, installation, asked, &Silent)));
        Ok(Box::new(Told(ground(drilling).map_err(words)?)))
    }

    /// Lists what is where scratch servers and folders are made; the claim of drills is none of theirs.
    fn scratch(&self) -> Vec<String> {
        let all = listed(&self.home().join("scratch"));
        all.into_iter().filter(|entry| !entry.starts_with("drills.claim")).collect()
    }
}

/// A ground whose failures are told in words.
struct Told(Box<dyn Ground<Error = Failure>>);

impl Ground for Told {
    type Error = String;

    fn refuse_production(&mut self) -> Result<(), String> {
        self.0.refuse_production().map_err(|failure| failure.to_string())
    }

    fn sweep(&mut self) -> Result<Swept, String> {
        self.0.sweep().map_err(|failure| failure.to_string())
    }

    fn put(&mut self) -> Result<(), String> {
        self.0.put().map_err(|failure| failure.to_string())
    }

    fn compare(&mut self) -> Result<Findings, String> {
        self.0.compare().map_err(|failure| failure.to_string())
    }
}

/// Lists everything below a folder, with what a write into it would change.
fn listed(folder: &std::path::Path) -> Vec<String> {
    let (mut all, mut pending) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(at) = pending.pop() {
        for entry in std::fs::read_dir(&at).into_iter().flatten().flatten() {
            let path = entry.path();
            let metadata = entry.metadata().unwrap();
            let name = path.strip_prefix(folder).unwrap().display();
            all.push(format!("{name} {} {:?}", metadata.len(), metadata.modified().unwrap()));
            if metadata.is_dir() {
                pending.push(path);
            }
        }
    }
    all.sort();
    all
}
