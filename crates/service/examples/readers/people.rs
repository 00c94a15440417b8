//! People who open pages, and look at each for a while.

use std::{
    collections::BTreeSet,
    io::{ErrorKind, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use access::{
    Access, PersonName, Principal, RelyingParty, Role,
    testing::{self, Device},
};
use ports::{Clock, SystemClock};
use service::Installation;

use crate::{
    Options,
    pages::{KINDS, Numbers, Visit, Visitor},
};

/// So often a reader looks whether it is over.
const STOP_CHECK: Duration = Duration::from_millis(100);
/// Every so many readers there is one who watches events.
const WATCHING_EACH: usize = 5;

/// Logs somebody in and returns the value of their cookie.
pub(crate) fn sign_in(installation: &Installation) -> String {
    let party = RelyingParty::of_origin(&installation.config().server.origin, "unwipe").unwrap();
    let ports = installation.ports().clone();
    let folder = installation.home().join("state/access");
    let access = Access::open(&folder, party.clone(), ports.clock, ports.random).unwrap();
    // Nobody of an earlier measurement is known at this port.
    let name = PersonName::new(format!("reader-{}", access.people().unwrap().len())).unwrap();
    let by = Principal::Host("bench".to_owned());
    let invitation = access.invite(&name, BTreeSet::from([Role::Operator]), &by).unwrap();
    let mut device = Device::es256(&party).unwrap();
    testing::join(&access, &invitation.token, &mut device).unwrap();
    testing::sign_in(&access, &mut device).unwrap().token
}

/// Readers at work.
pub(crate) struct Readers {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Vec<Visit>>>,
}

impl Readers {
    /// Begins to read.
    pub(crate) fn begin(visitor: &Visitor, options: &Options) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let threads = (0..options.readers).map(|number| {
            let (visitor, over, pause) = (visitor.clone(), Arc::clone(&over), options.pause);
            let read = move || {
                if number % WATCHING_EACH == 0 {
                    watch(&visitor, &over);
                    Vec::new()
                } else {
                    read(&visitor, &over, pause, number as u64)
                }
            };
            std::thread::Builder::new().stack_size(256 << 10).spawn(read).unwrap()
        });
        let threads = threads.collect();
        Self { over, threads }
    }

    /// Ends it, and returns what was opened.
    pub(crate) fn end(self) -> Vec<Visit> {
        self.over.store(true, Ordering::Relaxed);
        self.threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    }
}

/// Opens pages with pauses of different length, on average `pause`.
fn read(visitor: &Visitor, over: &AtomicBool, pause: Duration, seed: u64) -> Vec<Visit> {
    let clock = SystemClock::new();
    let mut numbers = Numbers(seed);
    let mut visits = Vec::new();
    loop {
        let until = clock.elapsed() + pause * numbers.below(200) as u32 / 100;
        while clock.elapsed() < until {
            if over.load(Ordering::Relaxed) {
                return visits;
            }
            clock.sleep(STOP_CHECK);
        }
        let (_, address) = KINDS[numbers.below(KINDS.len() as u64) as usize];
        visits.push(visitor.visit(&address(&mut numbers), &clock).0);
    }
}

/// Watches what happens, as an open overview does.
fn watch(visitor: &Visitor, over: &AtomicBool) {
    let mut events = visitor.begin("/events/overview").unwrap();
    events.get_ref().set_read_timeout(Some(STOP_CHECK)).unwrap();
    let mut portion = [0; 4096];
    while !over.load(Ordering::Relaxed) {
        match events.read(&mut portion) {
            Ok(0) => return,
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return,
            _ => {}
        }
    }
}
