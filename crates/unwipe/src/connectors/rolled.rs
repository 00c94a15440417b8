//! A rolled base on its way into the vault: pages that did not change are not stored again.

use std::io::{self, Read};

use connect::{SinkError, StoredItem};
use model::{Item, Layout};
use postgres_recovery::rolled::PageStore;
use service::StoredSource;
use vault::{CommitReceipt, CommitWriter, Content, Cursor, Extent, WriteError};

/// Takes a rolled base into one commit.
pub(crate) struct RolledCommit<'s> {
    stored: &'s StoredSource,
    writer: CommitWriter,
}

impl<'s> RolledCommit<'s> {
    /// Begins the commit.
    pub(crate) const fn new(stored: &'s StoredSource, writer: CommitWriter) -> Self {
        Self { stored, writer }
    }

    /// Finishes the commit. It says nothing about where capture stands, so its cursor is empty.
    pub(crate) fn finish(self) -> Result<CommitReceipt, WriteError> {
        self.writer.finish(&Cursor(Vec::new()))
    }

    /// Stores a file page by page against the same file in the base before.
    fn store_pages(
        &mut self,
        page_bytes: u32,
        body: &mut dyn Read,
        before: &Content,
    ) -> Result<Content, SinkError> {
        let mut earlier = self.stored.reader().read_content(before);
        let mut places = before.leaves();
        let mut content = self.writer.content(vault::Layout::Pages { page_bytes }).map_err(failed)?;
        let (mut page, mut old) = (vec![0; page_bytes as usize], vec![0; page_bytes as usize]);
        loop {
            let length = fill(body, &mut page)?;
            if length == 0 {
                return content.finish().map_err(failed);
            }
            let old_length = fill(&mut earlier, &mut old)?;
            let (page, old) = (&page[..length], &old[..old_length]);
            match places.next().as_deref() {
                Some([Extent::Zero { .. }] | []) | None => content.write(page),
                Some([extent]) if page == old => content.page_stored(page, extent),
                Some([extent]) => content.page_delta(page, old, extent),
                Some(_) => content.write(page),
            }
            .map_err(failed)?;
        }
    }
}

impl PageStore for RolledCommit<'_> {
    fn store(
        &mut self,
        item: Item,
        layout: Layout,
        body: &mut dyn Read,
        earlier: Option<&StoredItem>,
    ) -> Result<(), SinkError> {
        let before = match earlier {
            Some(earlier) => {
                Some(self.stored.content(earlier).map_err(|error| SinkError::Vault(Box::new(error)))?)
            }
            None => None,
        };
        let content = match (layout, before) {
            (Layout::Pages { page_bytes }, Some(before)) if before.leaf_bytes == page_bytes => {
                self.store_pages(page_bytes, body, &before)?
            }
            (layout, _) => self.writer.store(layout.into(), body).map_err(failed)?,
        };
        self.writer.upsert(item, content).map_err(failed)
    }
}

/// Reads until the buffer is full or the input ends.
fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, SinkError> {
    let mut length = 0;
    while length < buffer.len() {
        match input.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(SinkError::Vault(Box::new(error))),
        }
    }
    Ok(length)
}

fn failed(error: WriteError) -> SinkError {
    if error.is_full() { SinkError::Full(Box::new(error)) } else { SinkError::Vault(Box::new(error)) }
}
