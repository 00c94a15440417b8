use std::path::Path;

use super::{
    file::{Header, Scan, aead_key, associated, nonce},
    walk,
};
use crate::{VaultId, seal::WRAPPED_BYTES};

const VAULT: VaultId = VaultId([7; 16]);
const KEY: [u8; 32] = [3; 32];

/// Reads bytes as the only file of a journal, and as the records of one that is otherwise right.
pub(crate) fn read(folder: &Path, data: &[u8]) {
    let path = folder.join("journal-0000000000");
    let key = |_: &Path, _: &Scan| {
        aead_key(&KEY).map_err(|source| super::JournalError::Seal { path: path.clone(), source })
    };
    for bytes in [data.to_vec(), sealed_records(data)] {
        if ports::files::replace(&path, &bytes).is_ok() {
            drop(walk(folder, key, |_, record| {
                record.end();
            }));
        }
    }
}

/// Takes each length byte and what follows as one record's plaintext; the last one may lie about its length.
fn sealed_records(data: &[u8]) -> Vec<u8> {
    let header =
        Header { vault: VAULT, number: 0, first_sequence: 0, salt: [1; 32], wrapped: [2; WRAPPED_BYTES] };
    let mut file = header.encode();
    let Ok(key) = aead_key(&KEY) else { return file };
    let mut rest = data;
    for number in 0.. {
        let Some((length, after)) = rest.split_first() else { break };
        let Some((plain, after)) = after.split_at_checked(usize::from(*length)) else {
            file.extend_from_slice(rest);
            break;
        };
        rest = after;
        let mut sealed = plain.to_vec();
        let length = sealed.len() as u32 + 16;
        if key
            .seal_in_place_append_tag(nonce(number), associated(VAULT, 0, number, length), &mut sealed)
            .is_err()
        {
            break;
        }
        file.extend(length.to_le_bytes());
        file.extend(sealed);
    }
    file
}
