use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use model::StreamName;
use ports::{Random, files, files::FileError};
use ring::aead;
use zeroize::Zeroizing;

use super::{FILE_MODE, JournalError};
use crate::{
    VaultId,
    encoding::{Decoder, Encoder, VERSION},
    keys::DataKeys,
    seal::{Purpose, SealError, WRAPPED_BYTES, wrap},
};

/// One piece of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) stream: StreamName,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

/// With what new files are sealed.
pub(super) struct FileKeys {
    pub(super) vault: VaultId,
    pub(super) data_recipient: [u8; 32],
    pub(super) journal_key: Zeroizing<[u8; 32]>,
}

/// A file that is appended to.
pub(super) struct JournalFile {
    path: PathBuf,
    file: File,
    key: aead::LessSafeKey,
    vault: VaultId,
    number: u64,
    position: u64,
    size: u64,
    records: u32,
}

/// A file that is read.
pub(super) struct Scan {
    path: PathBuf,
    header: Header,
}

pub(super) struct Header {
    pub(super) vault: VaultId,
    pub(super) number: u64,
    pub(super) first_sequence: u64,
    pub(super) salt: [u8; 32],
    pub(super) wrapped: [u8; WRAPPED_BYTES],
}

const MAGIC: &[u8; 8] = b"UNWJRNL\0";
const LABEL: &[u8] = b"unwipe/v1/journal";
/// One block of the file system, so that records never share one with the header.
const HEADER_BYTES: u64 = 4096;
const LENGTH_BYTES: u64 = 4;
const TAG_BYTES: usize = 16;
const STREAM_BYTES_MAX: usize = 512;
const ZEROS_BYTES: usize = 1 << 20;

impl Record {
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes.len() as u64)
    }

    fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::new();
        to.text(self.stream.as_str()).u64(self.offset).raw(&self.bytes);
        to.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Decoder::new("journal record", bytes);
        let stream = StreamName::new(from.text(STREAM_BYTES_MAX).ok()?).ok()?;
        let offset = from.u64().ok()?;
        Some(Self { stream, offset, bytes: from.raw(from.left()).ok()?.to_vec() })
    }
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::new();
        to.raw(MAGIC).u16(VERSION).u16(0).raw(&self.vault.0).u64(self.number).u64(self.first_sequence);
        to.raw(&self.salt).raw(&self.wrapped);
        let mut bytes = to.into_bytes();
        bytes.resize(HEADER_BYTES as usize, 0);
        bytes
    }
}

impl JournalFile {
    /// Takes a spare file into use: new header, new key, new name.
    #[expect(clippy::disallowed_methods, reason = "the folder is synced right after")]
    pub(super) fn begin(
        spare: &Path,
        path: &Path,
        keys: &FileKeys,
        random: &dyn Random,
        number: u64,
        first_sequence: u64,
    ) -> Result<Self, JournalError> {
        let sealed = |source| JournalError::Seal { path: path.to_owned(), source };
        let mut salt = [0; 32];
        random.fill(&mut salt);
        let key = file_key(keys, &salt);
        let wrapped =
            wrap(&keys.vault, Purpose::Journal, &keys.data_recipient, &key, random).map_err(sealed)?;
        let header = Header { vault: keys.vault, number, first_sequence, salt, wrapped };
        // A used file that became a spare may still have its old name on the disk. Under that name it must not be found
        // with the new header: it would look like a damaged file in the middle of the journal.
        path.parent().map_or(Ok(()), files::sync_folder).map_err(JournalError::new)?;
        let take = || -> io::Result<(File, u64)> {
            let file = OpenOptions::new().read(true).write(true).open(spare)?;
            file.write_all_at(&header.encode(), 0)?;
            file.sync_data()?;
            fs::rename(spare, path)?;
            let size = file.metadata()?.len();
            Ok((file, size))
        };
        let (file, size) = take().map_err(|e| JournalError::new(FileError::new("begin", path, e)))?;
        path.parent().map_or(Ok(()), files::sync_folder).map_err(JournalError::new)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            key: aead_key(&key).map_err(sealed)?,
            vault: keys.vault,
            number,
            position: HEADER_BYTES,
            size,
            records: 0,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    #[cfg(test)]
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn has_room_for(&self, stream: &StreamName, payload: &[u8]) -> bool {
        let overhead = LENGTH_BYTES + (2 + stream.as_str().len() + 8 + TAG_BYTES) as u64;
        self.position + overhead + payload.len() as u64 <= self.size && self.records < u32::MAX
    }

    pub(super) fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let mut sealed = record.encode();
        let length = (sealed.len() + TAG_BYTES) as u32;
        let associated = associated(self.vault, self.number, self.records, length);
        self.key
            .seal_in_place_append_tag(nonce(self.records), associated, &mut sealed)
            .map_err(|_| JournalError::Seal { path: self.path.clone(), source: SealError::Size })?;
        let bytes = [length.to_le_bytes().as_slice(), &sealed].concat();
        self.file
            .write_all_at(&bytes, self.position)
            .map_err(|e| JournalError::new(FileError::new("append to", &self.path, e)))?;
        self.position += bytes.len() as u64;
        self.records += 1;
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<(), FileError> {
        self.file.sync_data().map_err(|e| FileError::new("sync", &self.path, e))
    }
}

impl Scan {
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        let mut head = Vec::new();
        File::open(path)
            .and_then(|file| file.take(HEADER_BYTES).read_to_end(&mut head))
            .map_err(|e| JournalError::File(FileError::new("read", path, e)))?;
        let decode = || {
            let mut from = Decoder::new("journal file", &head);
            from.header(MAGIC)?;
            from.u16()?;
            Ok(Header {
                vault: VaultId(from.array()?),
                number: from.u64()?,
                first_sequence: from.u64()?,
                salt: from.array()?,
                wrapped: from.array()?,
            })
        };
        let header = decode().map_err(|source| JournalError::Decode { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), header })
    }

    pub(super) const fn first_sequence(&self) -> u64 {
        self.header.first_sequence
    }

    pub(super) fn with_capture_key(
        &self,
        keys: &FileKeys,
        path: &Path,
    ) -> Result<aead::LessSafeKey, JournalError> {
        let sealed = |source| JournalError::Seal { path: path.to_owned(), source };
        if self.header.vault != keys.vault {
            return Err(sealed(SealError::Seal));
        }
        aead_key(&file_key(keys, &self.header.salt)).map_err(sealed)
    }

    pub(super) fn with_data_secret(
        &self,
        vault: VaultId,
        keys: &DataKeys,
        path: &Path,
    ) -> Result<aead::LessSafeKey, JournalError> {
        keys.unwrap(&vault, Purpose::Journal, &self.header.wrapped)
            .and_then(|key| aead_key(&key))
            .map_err(|source| JournalError::Seal { path: path.to_owned(), source })
    }

    /// Hands out the records up to the first that is torn or was never written.
    pub(super) fn records(
        &self,
        key: &aead::LessSafeKey,
        mut each: impl FnMut(Record),
    ) -> Result<(), JournalError> {
        let failed = |e| JournalError::File(FileError::new("read", &self.path, e));
        let file = File::open(&self.path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let mut position = HEADER_BYTES;
        for number in 0..u32::MAX {
            let mut length = [0; LENGTH_BYTES as usize];
            if position + LENGTH_BYTES > size {
                return Ok(());
            }
            file.read_exact_at(&mut length, position).map_err(failed)?;
            let length = u32::from_le_bytes(length);
            position += LENGTH_BYTES;
            if length == 0 || u64::from(length) > size - position {
                return Ok(());
            }
            let mut sealed = vec![0; length as usize];
            file.read_exact_at(&mut sealed, position).map_err(failed)?;
            position += u64::from(length);
            let associated = associated(self.header.vault, self.header.number, number, length);
            let Ok(plain) = key.open_in_place(nonce(number), associated, &mut sealed) else { return Ok(()) };
            let Some(record) = Record::decode(plain) else { return Ok(()) };
            each(record);
        }
        Ok(())
    }
}

/// Makes a file of zeros. They are really written: blocks that were only reserved cost metadata at the first sync.
#[expect(clippy::disallowed_methods, reason = "the draft is synced before it gets its name")]
pub(super) fn make_spare(path: &Path, bytes: u64) -> Result<(), FileError> {
    let draft = path.with_extension("draft");
    let write = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(FILE_MODE).open(&draft)?;
        let zeros = vec![0; ZEROS_BYTES];
        let mut left = bytes;
        while left > 0 {
            let length = left.min(ZEROS_BYTES as u64);
            file.write_all(&zeros[..length as usize])?;
            left -= length;
        }
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    if let Err(source) = write() {
        // Half a spare file would keep the space that is missing.
        drop(fs::remove_file(&draft));
        return Err(FileError::new("create", path, source));
    }
    path.parent().map_or(Ok(()), files::sync_folder)
}

fn file_key(keys: &FileKeys, salt: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    let input = [LABEL, &keys.vault.0, salt].concat();
    Zeroizing::new(*blake3::keyed_hash(&keys.journal_key, &input).as_bytes())
}

pub(super) fn aead_key(key: &[u8; 32]) -> Result<aead::LessSafeKey, SealError> {
    let key = aead::UnboundKey::new(&aead::AES_256_GCM, key).map_err(|_| SealError::Seal)?;
    Ok(aead::LessSafeKey::new(key))
}

pub(super) fn nonce(number: u32) -> aead::Nonce {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    aead::Nonce::assume_unique_for_key(bytes)
}

pub(super) fn associated(vault: VaultId, file: u64, number: u32, length: u32) -> aead::Aad<Vec<u8>> {
    aead::Aad::from(
        [LABEL, &vault.0, &file.to_le_bytes(), &number.to_le_bytes(), &length.to_le_bytes()].concat(),
    )
}
