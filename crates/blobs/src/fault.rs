use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use model::Moment;
use ports::{Blob, BlobError, BlobName, BlobStore, ForeignObject};

/// A call of [`BlobStore`], for counting and for failing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultCall {
    /// `create`
    Create,
    /// `read` and `read_range`
    Read,
    /// `head`
    Head,
    /// `list`
    List,
    /// `extend_lock`
    ExtendLock,
    /// `reap`, of another port: see [`FaultStore::disturb`].
    Reap,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call does nothing and fails.
    Fail,
    /// The call does its work, but the caller hears of a failure.
    FailAfter,
    /// The disk is full: a `create` leaves nothing and says so. Other calls work.
    Full,
    /// A `list` leaves out the second half and says nothing of it. Other calls work.
    PartialList,
    /// The store shows an older state: an object is not found, a `list` leaves out its last one. Other calls work.
    Stale,
    /// The call works after a long time; see [`FaultStore::with_delay`].
    Slow,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Fail, Self::FailAfter, Self::Full, Self::PartialList, Self::Stale, Self::Slow];

    /// Returns whether the store lies, where it might have failed: nothing shows the caller that anything is wrong.
    pub const fn is_lie(self) -> bool {
        matches!(self, Self::PartialList | Self::Stale)
    }
}

/// A store that fails at a chosen call, and after it if so wished.
pub struct FaultStore {
    inner: Arc<dyn BlobStore>,
    calls: AtomicU64,
    plan: Mutex<Option<Plan>>,
    injected: AtomicU64,
    delay: Box<dyn Fn() + Send + Sync>,
}

#[derive(Debug, Clone, Copy)]
struct Plan {
    at_call: u64,
    only: Option<FaultCall>,
    fault: Fault,
    lasting: bool,
}

impl FaultStore {
    /// Wraps a store; nothing fails until told so.
    pub fn new(inner: Arc<dyn BlobStore>) -> Self {
        Self::with_delay(inner, || {})
    }

    /// Wraps a store; a slow call waits by calling `delay`.
    pub fn with_delay(inner: Arc<dyn BlobStore>, delay: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            inner,
            calls: AtomicU64::new(0),
            plan: Mutex::new(None),
            injected: AtomicU64::new(0),
            delay: Box::new(delay),
        }
    }

    /// Makes the `nth` call from now on (1 is the next one) fail, once. With `only`, other calls are not counted.
    pub fn fail_at(&self, nth: u64, only: Option<FaultCall>, fault: Fault) {
        self.set(Some(Plan { at_call: nth, only, fault, lasting: false }));
    }

    /// Makes the `nth` call and all that follow fail, as when the process dies or the disk stays full.
    pub fn fail_from(&self, nth: u64, only: Option<FaultCall>, fault: Fault) {
        self.set(Some(Plan { at_call: nth, only, fault, lasting: true }));
    }

    /// Makes everything work again.
    pub fn heal(&self) {
        self.set(None);
    }

    /// Returns how many counted calls came in since the last plan was set.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// Returns how many calls were disturbed since the last plan was set.
    pub fn injected(&self) -> u64 {
        self.injected.load(Ordering::SeqCst)
    }

    fn set(&self, plan: Option<Plan>) {
        let mut slot = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        self.calls.store(0, Ordering::SeqCst);
        self.injected.store(0, Ordering::SeqCst);
        *slot = plan;
    }

    fn fault(&self, call: FaultCall) -> Option<Fault> {
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        if plan.is_some_and(|plan| plan.only.is_some_and(|only| only != call)) {
            return None;
        }
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let plan = (*plan)?;
        let fault =
            (number == plan.at_call || plan.lasting && number > plan.at_call).then_some(plan.fault)?;
        let concerned = match fault {
            Fault::Fail | Fault::FailAfter | Fault::Slow => true,
            Fault::Full => call == FaultCall::Create,
            Fault::PartialList => call == FaultCall::List,
            Fault::Stale => matches!(call, FaultCall::Read | FaultCall::Head | FaultCall::List),
        };
        self.injected.fetch_add(u64::from(concerned), Ordering::SeqCst);
        concerned.then_some(fault)
    }

    /// Does work as one more call of the store, so that a port beside it counts and fails together with it.
    pub fn disturb<T>(
        &self,
        call: FaultCall,
        name: &str,
        work: impl FnOnce() -> Result<T, BlobError>,
    ) -> Result<T, BlobError> {
        self.run_with(self.fault(call), call, name, work)
    }

    fn run_with<T>(
        &self,
        fault: Option<Fault>,
        call: FaultCall,
        name: &str,
        work: impl FnOnce() -> Result<T, BlobError>,
    ) -> Result<T, BlobError> {
        let failed = |operation| BlobError::Unavailable {
            operation,
            name: name.to_owned(),
            source: io::Error::other("injected fault"),
        };
        match (fault, call) {
            (Some(Fault::Fail), _) => Err(failed("a call")),
            (Some(Fault::FailAfter), _) => {
                work()?;
                Err(failed("a call that took effect"))
            }
            (Some(Fault::Full), _) => Err(BlobError::Full {
                name: BlobName::new(name)?,
                source: io::Error::from(io::ErrorKind::StorageFull),
            }),
            (Some(Fault::Stale), FaultCall::Read | FaultCall::Head) => {
                Err(BlobError::Missing { name: BlobName::new(name)? })
            }
            (Some(Fault::Slow), _) => {
                (self.delay)();
                work()
            }
            // A list that lies is cut where it is called.
            (Some(Fault::Stale | Fault::PartialList) | None, _) => work(),
        }
    }
}

impl BlobStore for FaultStore {
    fn create(&self, name: &BlobName, content: &[u8], locked_until: Moment) -> Result<(), BlobError> {
        self.disturb(FaultCall::Create, name.as_str(), || self.inner.create(name, content, locked_until))
    }

    fn read(&self, name: &BlobName) -> Result<Vec<u8>, BlobError> {
        self.disturb(FaultCall::Read, name.as_str(), || self.inner.read(name))
    }

    fn read_range(&self, name: &BlobName, offset: u64, length: u64) -> Result<Vec<u8>, BlobError> {
        self.disturb(FaultCall::Read, name.as_str(), || self.inner.read_range(name, offset, length))
    }

    fn head(&self, name: &BlobName) -> Result<Blob, BlobError> {
        self.disturb(FaultCall::Head, name.as_str(), || self.inner.head(name))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Blob>, BlobError> {
        let fault = self.fault(FaultCall::List);
        let mut found = self.run_with(fault, FaultCall::List, prefix, || self.inner.list(prefix))?;
        match fault {
            Some(Fault::PartialList) => found.truncate(found.len() / 2),
            Some(Fault::Stale) => drop(found.pop()),
            _ => {}
        }
        Ok(found)
    }

    fn foreign(&self, prefix: &str) -> Result<Vec<ForeignObject>, BlobError> {
        self.disturb(FaultCall::List, prefix, || self.inner.foreign(prefix))
    }

    fn extend_lock(&self, name: &BlobName, locked_until: Moment) -> Result<(), BlobError> {
        self.disturb(FaultCall::ExtendLock, name.as_str(), || self.inner.extend_lock(name, locked_until))
    }
}
