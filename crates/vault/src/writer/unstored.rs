use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Counts the packs of one source that are sealed and not stored yet, in all of its commits.
///
/// Each holds megabytes. Whoever begins another one waits here; waiting ends, since what is sealed needs nothing more to
/// be stored.
#[derive(Debug, Default)]
pub(crate) struct Unstored {
    count: Mutex<usize>,
    fewer: Condvar,
}

/// While no more than this many wait, another pack may be begun.
const WAITING_MAX: usize = 1;

/// A pack that counts until it is dropped: stored, or given up.
#[derive(Debug)]
pub(crate) struct UnstoredPack(Arc<Unstored>);

impl Unstored {
    /// Counts one more pack as sealed.
    pub(crate) fn count(self: &Arc<Self>) -> UnstoredPack {
        *self.lock() += 1;
        UnstoredPack(Arc::clone(self))
    }

    /// Waits until another pack may be begun.
    pub(crate) fn wait_for_room(&self) {
        let too_many = |count: &mut usize| *count > WAITING_MAX;
        drop(self.fewer.wait_while(self.lock(), too_many).unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnstoredPack {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.fewer.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_third_pack_is_begun_only_when_one_of_two_is_stored() {
        let unstored = Arc::new(Unstored::default());
        unstored.wait_for_room();
        let first = unstored.count();
        unstored.wait_for_room();
        let second = unstored.count();
        let (began, seen) = channel();
        let waiting = Arc::clone(&unstored);
        let thread = std::thread::spawn(move || {
            waiting.wait_for_room();
            began.send(()).unwrap();
        });
        assert!(seen.try_recv().is_err(), "begun while two waited");
        drop(first);
        seen.recv().unwrap();
        thread.join().unwrap();
        drop(second);
        assert_eq!(*unstored.lock(), 0);
    }
}
