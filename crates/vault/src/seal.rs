//! Compression and encryption of blocks, and the wrapping of keys (format §3.2 and §3.3).

use std::cell::RefCell;

use ports::Random;
use ring::{aead, hkdf};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::VaultId;

/// Why a block or a key does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The bytes were changed, or the key is another one.
    #[error("the bytes do not match their seal: they were changed, or the key is another one")]
    Seal,
    /// The compressed bytes are broken or larger than they say.
    #[error("the compressed bytes are broken")]
    Compression,
    /// The block is larger than the format allows.
    #[error("the block is larger than the format allows")]
    Size,
}

/// The largest block before compression.
pub const BLOCK_BYTES_MAX: usize = 16 << 20;
/// The largest pack index before compression.
pub const INDEX_BYTES_MAX: usize = 64 << 20;
/// The bytes of a wrapped key.
pub const WRAPPED_BYTES: usize = 80;
/// The number under which a pack's index is sealed.
pub const INDEX_NUMBER: u32 = u32::MAX;

const CODEC_RAW: u8 = 0;
const CODEC_ZSTD: u8 = 1;
const PREFIX_BYTES: usize = 5;
const TAG_BYTES: usize = 16;

/// What a sealed block is, so that none can stand in for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// A frame of a pack.
    Frame,
    /// The index of a pack.
    Index,
    /// A change block of a commit.
    Block,
}

/// What a key is wrapped for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The key of a pack.
    Pack,
    /// The key of a commit's inline body.
    Commit,
    /// The key of a journal file.
    Journal,
}

/// The key of one pack or one commit; it seals each number once.
pub struct BlockKey {
    key: aead::LessSafeKey,
    vault: VaultId,
}

impl Label {
    const fn text(self) -> &'static [u8] {
        match self {
            Self::Frame => b"unwipe/v1/frame",
            Self::Index => b"unwipe/v1/index",
            Self::Block => b"unwipe/v1/block",
        }
    }
}

impl Purpose {
    const fn text(self) -> &'static str {
        match self {
            Self::Pack => "pack",
            Self::Commit => "commit",
            Self::Journal => "journal",
        }
    }
}

impl std::fmt::Debug for BlockKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BlockKey([redacted])")
    }
}

impl BlockKey {
    /// Takes a key into use.
    pub fn new(vault: VaultId, key: &[u8; 32]) -> Result<Self, SealError> {
        let key = aead::UnboundKey::new(&aead::AES_256_GCM, key).map_err(|_| SealError::Seal)?;
        Ok(Self { key: aead::LessSafeKey::new(key), vault })
    }

    /// Compresses and seals a block.
    pub fn seal(&self, label: Label, number: u32, raw: &[u8], level: i32) -> Result<Vec<u8>, SealError> {
        self.seal_into(label, number, raw, level, Vec::new())
    }

    /// Compresses and seals a block into a buffer, whose content does not matter.
    pub(crate) fn seal_into(
        &self,
        label: Label,
        number: u32,
        raw: &[u8],
        level: i32,
        mut sealed: Vec<u8>,
    ) -> Result<Vec<u8>, SealError> {
        let raw_length = u32::try_from(raw.len()).map_err(|_| SealError::Size)?;
        sealed.resize(sealed_capacity(raw.len()) - TAG_BYTES, 0);
        let compressed = compress(level, raw, &mut sealed[PREFIX_BYTES..]);
        match compressed {
            Some(length) if length < raw.len() => {
                sealed.truncate(PREFIX_BYTES + length);
                sealed[0] = CODEC_ZSTD;
            }
            _ => {
                sealed.truncate(PREFIX_BYTES);
                sealed.extend_from_slice(raw);
                sealed[0] = CODEC_RAW;
            }
        }
        sealed[1..PREFIX_BYTES].copy_from_slice(&raw_length.to_le_bytes());
        self.seal_plain(label, number, sealed)
    }

    /// Seals bytes as they are: codec, length and payload.
    pub(crate) fn seal_plain(
        &self,
        label: Label,
        number: u32,
        mut plain: Vec<u8>,
    ) -> Result<Vec<u8>, SealError> {
        self.key
            .seal_in_place_append_tag(nonce(number), self.associated(label, number), &mut plain)
            .map_err(|_| SealError::Size)?;
        Ok(plain)
    }

    /// Opens a block; the result has at most `raw_bytes_max` bytes.
    pub fn open(
        &self,
        label: Label,
        number: u32,
        mut sealed: Vec<u8>,
        raw_bytes_max: usize,
    ) -> Result<Vec<u8>, SealError> {
        self.open_into(label, number, &mut sealed, raw_bytes_max, Vec::new())
    }

    /// Opens a block where it lies, into a buffer whose content does not matter.
    pub(crate) fn open_into(
        &self,
        label: Label,
        number: u32,
        sealed: &mut [u8],
        raw_bytes_max: usize,
        mut raw: Vec<u8>,
    ) -> Result<Vec<u8>, SealError> {
        let plain = self
            .key
            .open_in_place(nonce(number), self.associated(label, number), sealed)
            .map_err(|_| SealError::Seal)?;
        let (prefix, payload) = plain.split_first_chunk::<PREFIX_BYTES>().ok_or(SealError::Compression)?;
        let raw_length = u32::from_le_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        if raw_length > raw_bytes_max {
            return Err(SealError::Size);
        }
        raw.clear();
        match prefix[0] {
            CODEC_RAW => raw.extend_from_slice(payload),
            CODEC_ZSTD => decompress(payload, raw_length, &mut raw)?,
            _ => return Err(SealError::Compression),
        }
        if raw.len() == raw_length { Ok(raw) } else { Err(SealError::Compression) }
    }

    fn associated(&self, label: Label, number: u32) -> aead::Aad<Vec<u8>> {
        aead::Aad::from([label.text(), &self.vault.0, &number.to_le_bytes()].concat())
    }
}

/// The bytes that sealing a block may need on the way.
pub(crate) fn sealed_capacity(raw_bytes: usize) -> usize {
    PREFIX_BYTES + zstd::zstd_safe::compress_bound(raw_bytes) + TAG_BYTES
}

/// The most bytes that a block of so many raw bytes takes when sealed.
pub const fn sealed_bytes_max(raw_bytes: usize) -> usize {
    raw_bytes + PREFIX_BYTES + TAG_BYTES
}

/// Wraps a key for the holder of the data key.
pub fn wrap(
    vault: &VaultId,
    purpose: Purpose,
    recipient: &[u8; 32],
    key: &[u8; 32],
    random: &dyn Random,
) -> Result<[u8; WRAPPED_BYTES], SealError> {
    let mut secret = Zeroizing::new([0; 32]);
    random.fill(&mut *secret);
    let ephemeral = StaticSecret::from(*secret);
    let public = PublicKey::from(&ephemeral).to_bytes();
    let shared = ephemeral.diffie_hellman(&PublicKey::from(*recipient));
    if !shared.was_contributory() {
        return Err(SealError::Seal);
    }
    let wrapping = wrapping_key(vault, purpose, &public, recipient, shared.as_bytes())?;
    let mut sealed = key.to_vec();
    let tag = wrapping
        .seal_in_place_separate_tag(nonce(0), aead::Aad::empty(), &mut sealed)
        .map_err(|_| SealError::Seal)?;
    let mut wrapped = [0; WRAPPED_BYTES];
    wrapped[..32].copy_from_slice(&public);
    wrapped[32..64].copy_from_slice(&sealed);
    wrapped[64..].copy_from_slice(tag.as_ref());
    Ok(wrapped)
}

/// Opens a wrapped key with the secret half of the data key.
pub fn unwrap(
    vault: &VaultId,
    purpose: Purpose,
    data_secret: &[u8; 32],
    wrapped: &[u8; WRAPPED_BYTES],
) -> Result<Zeroizing<[u8; 32]>, SealError> {
    let secret = StaticSecret::from(*data_secret);
    let recipient = PublicKey::from(&secret).to_bytes();
    let (public, sealed) = wrapped.split_first_chunk::<32>().ok_or(SealError::Seal)?;
    let shared = secret.diffie_hellman(&PublicKey::from(*public));
    if !shared.was_contributory() {
        return Err(SealError::Seal);
    }
    let wrapping = wrapping_key(vault, purpose, public, &recipient, shared.as_bytes())?;
    let mut plain = Zeroizing::new(sealed.to_vec());
    let key =
        wrapping.open_in_place(nonce(0), aead::Aad::empty(), &mut plain).map_err(|_| SealError::Seal)?;
    key.try_into().map(|key: [u8; 32]| Zeroizing::new(key)).map_err(|_| SealError::Seal)
}

fn wrapping_key(
    vault: &VaultId,
    purpose: Purpose,
    public: &[u8; 32],
    recipient: &[u8; 32],
    shared: &[u8; 32],
) -> Result<aead::LessSafeKey, SealError> {
    let salt = [public.as_slice(), recipient].concat();
    let info = [b"unwipe/v1/wrap/", purpose.text().as_bytes(), &vault.0];
    let mut key = Zeroizing::new([0; 32]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, &salt)
        .extract(shared)
        .expand(&info, hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut *key))
        .map_err(|_| SealError::Seal)?;
    let key = aead::UnboundKey::new(&aead::AES_256_GCM, &*key).map_err(|_| SealError::Seal)?;
    Ok(aead::LessSafeKey::new(key))
}

fn nonce(number: u32) -> aead::Nonce {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    aead::Nonce::assume_unique_for_key(bytes)
}

// A context costs more to set up than a small block costs to compress, so each thread keeps its own.
thread_local! {
    static COMPRESSOR: RefCell<Option<(i32, zstd::bulk::Compressor<'static>)>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

fn compress(level: i32, raw: &[u8], target: &mut [u8]) -> Option<usize> {
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.as_ref().is_none_or(|(have, _)| *have != level) {
            *slot = Some((level, zstd::bulk::Compressor::new(level).ok()?));
        }
        slot.as_mut()?.1.compress_to_buffer(raw, target).ok()
    })
}

fn decompress(payload: &[u8], raw_length: usize, raw: &mut Vec<u8>) -> Result<(), SealError> {
    raw.reserve_exact(raw_length);
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Decompressor::new().ok();
        }
        let decompressor = slot.as_mut().ok_or(SealError::Compression)?;
        decompressor.decompress_to_buffer(payload, raw).map_err(|_| SealError::Compression)?;
        Ok(())
    })
}

#[cfg(test)]
mod tests;
