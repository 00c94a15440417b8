//! The tools against a desk that has an answer for everything, and notices what must not happen.

mod desk;
mod fuzz;
mod protocol;
mod tools;

use std::{collections::BTreeSet, sync::Arc};

use access::{Scope, ServiceName};
use ports::ManualClock;

use self::desk::FakeDesk;
use crate::{Caller, Counter};

fn caller(scopes: &[Scope]) -> Caller {
    let scopes: BTreeSet<Scope> = scopes.iter().copied().collect();
    Caller { name: ServiceName::new("claude").unwrap(), scopes }
}

/// A counter with its desk, its clock and its folder.
struct Stand {
    counter: Arc<Counter>,
    desk: Arc<FakeDesk>,
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
}

impl Stand {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let desk = Arc::new(FakeDesk::default());
        let clock = Arc::new(ManualClock::new(model::Moment::from_micros(1_777_000_000_000_000)));
        let counter = Arc::new(Counter::new(desk.clone(), folder.path(), clock.clone()));
        Self { counter, desk, clock, folder }
    }
}
