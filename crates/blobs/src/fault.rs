use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use model::Moment;
use ports::{Blob, BlobError, BlobName, BlobStore};

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
}

/// A store that fails at a chosen call, and after it if so wished.
pub struct FaultStore {
    inner: Arc<dyn BlobStore>,
    calls: AtomicU64,
    plan: Mutex<Option<Plan>>,
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
        Self { inner, calls: AtomicU64::new(0), plan: Mutex::new(None) }
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

    fn set(&self, plan: Option<Plan>) {
        let mut slot = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        self.calls.store(0, Ordering::SeqCst);
        *slot = plan;
    }

    fn fault(&self, call: FaultCall) -> Option<Fault> {
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        if plan.is_some_and(|plan| plan.only.is_some_and(|only| only != call)) {
            return None;
        }
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let plan = (*plan)?;
        (number == plan.at_call || plan.lasting && number > plan.at_call).then_some(plan.fault)
    }

    fn run<T>(
        &self,
        call: FaultCall,
        name: &str,
        work: impl FnOnce() -> Result<T, BlobError>,
    ) -> Result<T, BlobError> {
        let failed = |operation| BlobError::Unavailable {
            operation,
            name: name.to_owned(),
            source: io::Error::other("injected fault"),
        };
        match (self.fault(call), call) {
            (Some(Fault::Fail), _) => Err(failed("a call")),
            (Some(Fault::FailAfter), _) => {
                work()?;
                Err(failed("a call that took effect"))
            }
            (Some(Fault::Full), FaultCall::Create) => Err(BlobError::Full {
                name: BlobName::new(name)?,
                source: io::Error::from(io::ErrorKind::StorageFull),
            }),
            (Some(Fault::Full) | None, _) => work(),
        }
    }
}

impl BlobStore for FaultStore {
    fn create(&self, name: &BlobName, content: &[u8], locked_until: Moment) -> Result<(), BlobError> {
        self.run(FaultCall::Create, name.as_str(), || self.inner.create(name, content, locked_until))
    }

    fn read(&self, name: &BlobName) -> Result<Vec<u8>, BlobError> {
        self.run(FaultCall::Read, name.as_str(), || self.inner.read(name))
    }

    fn read_range(&self, name: &BlobName, offset: u64, length: u64) -> Result<Vec<u8>, BlobError> {
        self.run(FaultCall::Read, name.as_str(), || self.inner.read_range(name, offset, length))
    }

    fn head(&self, name: &BlobName) -> Result<Blob, BlobError> {
        self.run(FaultCall::Head, name.as_str(), || self.inner.head(name))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Blob>, BlobError> {
        self.run(FaultCall::List, prefix, || self.inner.list(prefix))
    }

    fn extend_lock(&self, name: &BlobName, locked_until: Moment) -> Result<(), BlobError> {
        self.run(FaultCall::ExtendLock, name.as_str(), || self.inner.extend_lock(name, locked_until))
    }
}
