//! A server that `unwipe rewind --to` brought back.

use std::path::PathBuf;

use ports::SystemClock;
use postgres_server::{
    server::stop_leftover,
    testing::{self, PATIENCE},
};
use serde_json::Value;

use crate::unwipe::{Outcome, Unwipe, exit};

/// A restored cluster that serves. Dropping it stops its server.
pub(crate) struct Comeback {
    data_dir: PathBuf,
    url: String,
    /// What the command said.
    pub(crate) account: Value,
}

impl Comeback {
    /// Brings a moment of `shop` back into a folder of this name, and serves it.
    pub(crate) fn to(unwipe: &Unwipe, moment: &str, name: &str) -> Self {
        Self::of(Self::attempt(unwipe, moment, name), unwipe, name)
    }

    /// Takes over what a command brought back into a folder of this name.
    pub(crate) fn of(outcome: Outcome, unwipe: &Unwipe, name: &str) -> Self {
        let account = outcome.expect(exit::DONE).document();
        let url = account["running"].as_str().expect("the restored server serves").to_owned();
        Self { data_dir: unwipe.path(name), url, account }
    }

    /// Tries to bring a moment of `shop` back.
    pub(crate) fn attempt(unwipe: &Unwipe, moment: &str, name: &str) -> Outcome {
        let folder = unwipe.argument(name);
        unwipe.run(&["--json", "rewind", &format!("shop@{moment}"), "--to", &folder])
    }

    /// Returns its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Runs SQL as the superuser.
    pub(crate) fn sql(&self, sql: &str) -> String {
        testing::psql(&self.url, sql).unwrap_or_else(|message| panic!("{sql}: {message}"))
    }

    /// Stops its server.
    pub(crate) fn stop(&self) {
        stop_leftover(&self.data_dir, &SystemClock::new(), PATIENCE).expect("the restored server stops");
        assert!(!self.data_dir.join("postmaster.pid").exists(), "the restored server still runs");
    }
}

impl Drop for Comeback {
    fn drop(&mut self) {
        let stopped = stop_leftover(&self.data_dir, &SystemClock::new(), PATIENCE);
        if !std::thread::panicking() {
            stopped.expect("the restored server stops");
        }
    }
}
