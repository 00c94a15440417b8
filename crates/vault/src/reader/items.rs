use super::{VaultReader, assemble::Assembler};
use crate::{Content, VaultError};

/// Reads many small contents one after the other; neighbours share frames, which are opened once.
pub struct ItemReader<'a> {
    reader: &'a VaultReader,
    assembler: Assembler<'a>,
    bytes: Vec<u8>,
}

impl VaultReader {
    /// Begins to read many small contents.
    pub fn items(&self) -> ItemReader<'_> {
        ItemReader { reader: self, assembler: Assembler::new(self), bytes: Vec::new() }
    }
}

impl ItemReader<'_> {
    /// Reads a whole content into memory and checks its digest.
    pub fn read(&mut self, content: &Content) -> Result<&[u8], VaultError> {
        self.bytes.clear();
        self.assembler.append(&content.extents, &mut self.bytes)?;
        let hasher = &self.reader.hasher;
        let mut digest = hasher.begin();
        for leaf in self.bytes.chunks(content.leaf_bytes as usize) {
            digest.leaf(&hasher.leaf(leaf));
        }
        if digest.finish(content.length) == content.digest {
            Ok(&self.bytes)
        } else {
            Err(VaultError::Digest)
        }
    }
}
