//! What was opened is used again for as long as the configuration is the same.

use std::{
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use super::Browse;
use crate::config::FILE_NAME;

/// What tells a configuration from the one before.
type Edition = Option<(u64, i64, i64, u64)>;

/// Keeps what is open of an installation that goes on while its configuration may change.
#[derive(Debug)]
pub struct Shelf<T = Browse> {
    opened: Mutex<Option<(Edition, Arc<T>)>>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { opened: Mutex::new(None) }
    }
}

impl<T> Shelf<T> {
    /// Returns what was opened with the configuration that the home folder has now, or opens it. What cannot be opened is
    /// tried again by the next who asks.
    pub fn current<E>(&self, home: &Path, open: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        let edition = edition(home);
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((its, known)) = opened.as_ref()
            && *its == edition
        {
            return Ok(Arc::clone(known));
        }
        let new = Arc::new(open()?);
        *opened = Some((edition, Arc::clone(&new)));
        Ok(new)
    }
}

fn edition(home: &Path) -> Edition {
    let found = std::fs::metadata(home.join(FILE_NAME)).ok()?;
    Some((found.ino(), found.mtime(), found.mtime_nsec(), found.size()))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use ports::files;

    use super::*;

    #[test]
    fn what_was_opened_stays_until_the_configuration_is_another_one() {
        let home = tempfile::tempdir().unwrap();
        let write = |text: &str| files::replace(&home.path().join(FILE_NAME), text.as_bytes()).unwrap();
        let shelf = Shelf::default();
        let open = |number: u32| *shelf.current(home.path(), || Ok::<_, Infallible>(number)).unwrap();
        write("one");
        assert_eq!((open(1), open(2)), (1, 1));
        write("two more");
        assert_eq!((open(3), open(4)), (3, 3));
        write("another");
        assert_eq!(shelf.current(home.path(), || Err("no key")), Err("no key"));
        assert_eq!(open(5), 5);
    }
}
