//! Paths in a data directory: which are relation files, and which belong to a base at all.

use model::Layout;

use crate::layout::PAGE_BYTES;

#[cfg(test)]
mod tests;

/// Files up to this size are stored together with their neighbours.
const SMALL_FILE_BYTES_MAX: u64 = 32 * 1024;

/// Returns how a file's content repeats.
pub(crate) fn content_layout(path: &str, size_bytes: u64) -> Layout {
    if is_relation_file(path) {
        Layout::Pages { page_bytes: PAGE_BYTES }
    } else if size_bytes <= SMALL_FILE_BYTES_MAX {
        Layout::Small
    } else {
        Layout::Blocks
    }
}

/// Returns whether a path lies inside of the WAL directory: its content comes over the stream instead.
pub(crate) fn is_wal_content(path: &str) -> bool {
    path.strip_prefix("pg_wal/").is_some_and(|rest| !rest.is_empty() && rest != "archive_status")
}

/// `base/5/16384`, `base/5/16384_fsm.1`, `global/1262`, `pg_tblspc/16400/PG_15_202209061/5/16384`.
fn is_relation_file(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["global", name] => is_relation_name(name),
        ["base", database, name] => is_number(database) && is_relation_name(name),
        ["pg_tblspc", space, version, database, name] => {
            is_number(space) && version.starts_with("PG_") && is_number(database) && is_relation_name(name)
        }
        _ => false,
    }
}

fn is_relation_name(name: &str) -> bool {
    let (name, segment) = name.split_once('.').map_or((name, None), |(name, segment)| (name, Some(segment)));
    let (number, fork) = name.split_once('_').map_or((name, None), |(number, fork)| (number, Some(fork)));
    is_number(number)
        && segment.is_none_or(is_number)
        && fork.is_none_or(|fork| ["fsm", "vm", "init"].contains(&fork))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
