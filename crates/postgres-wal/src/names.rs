//! Names of resource managers and record kinds, as `pg_waldump` shows them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::major::Major;

/// The part of the server that wrote a record and can replay it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceManager(pub u8);

#[expect(missing_docs, reason = "each name is the resource manager's own")]
impl ResourceManager {
    pub const XLOG: Self = Self(0);
    pub const TRANSACTION: Self = Self(1);
    pub const STORAGE: Self = Self(2);
    pub const CLOG: Self = Self(3);
    pub const DATABASE: Self = Self(4);
    pub const TABLESPACE: Self = Self(5);
    pub const MULTIXACT: Self = Self(6);
    pub const RELATION_MAP: Self = Self(7);
    pub const STANDBY: Self = Self(8);
    pub const HEAP2: Self = Self(9);
    pub const HEAP: Self = Self(10);
    pub const BTREE: Self = Self(11);
    pub const LOGICAL_MESSAGE: Self = Self(21);
}

const BUILT_IN: [&str; 22] = [
    "XLOG",
    "Transaction",
    "Storage",
    "CLOG",
    "Database",
    "Tablespace",
    "MultiXact",
    "RelMap",
    "Standby",
    "Heap2",
    "Heap",
    "Btree",
    "Hash",
    "Gin",
    "Gist",
    "Sequence",
    "SPGist",
    "BRIN",
    "CommitTs",
    "ReplicationOrigin",
    "Generic",
    "LogicalMessage",
];

impl ResourceManager {
    /// The name, such as `Heap`; `custom128` and so on for those that extensions bring.
    pub fn name(self) -> Cow<'static, str> {
        match BUILT_IN.get(usize::from(self.0)) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(format!("custom{:03}", self.0)),
        }
    }
}

/// The name of a record kind, such as `Heap/INSERT+INIT`.
pub fn record_name(major: Major, manager: ResourceManager, operation: u8) -> String {
    let operation = if manager == ResourceManager::TRANSACTION { operation & 0x70 } else { operation };
    match operation_name(major, manager, operation) {
        Some(name) => format!("{}/{name}", manager.name()),
        None => format!("{}/UNKNOWN ({operation:x})", manager.name()),
    }
}

fn operation_name(major: Major, manager: ResourceManager, operation: u8) -> Option<&'static str> {
    let position = usize::from(operation >> 4);
    let table: &[&str] = match manager.0 {
        0 => &XLOG,
        1 => &TRANSACTION,
        2 => &["", "CREATE", "TRUNCATE"],
        3 | 18 => &["ZEROPAGE", "TRUNCATE", if manager.0 == 18 { "SETTS" } else { "" }],
        4 if major <= Major::V14 => &["CREATE", "DROP"],
        4 => &["CREATE_FILE_COPY", "CREATE_WAL_LOG", "DROP"],
        5 => &["CREATE", "DROP"],
        6 => &["ZERO_OFF_PAGE", "ZERO_MEM_PAGE", "CREATE_ID", "TRUNCATE_ID"],
        7 => &["UPDATE"],
        8 => &["LOCK", "RUNNING_XACTS", "INVALIDATIONS"],
        9 => heap2(major),
        10 => &HEAP,
        11 => &BTREE,
        12 => &HASH,
        13 => &GIN,
        14 => &["PAGE_UPDATE", "DELETE", "PAGE_REUSE", "PAGE_SPLIT", "", "", "PAGE_DELETE", "ASSIGN_LSN"],
        15 => &["LOG"],
        16 => &SPGIST,
        17 => &BRIN,
        19 => &["SET", "DROP"],
        20 => &["Generic"],
        21 => &["MESSAGE"],
        _ => &[],
    };
    table.get(position).copied().filter(|name| !name.is_empty())
}

const XLOG: [&str; 15] = [
    "CHECKPOINT_SHUTDOWN",
    "CHECKPOINT_ONLINE",
    "NOOP",
    "NEXTOID",
    "SWITCH",
    "BACKUP_END",
    "PARAMETER_CHANGE",
    "RESTORE_POINT",
    "FPW_CHANGE",
    "END_OF_RECOVERY",
    "FPI_FOR_HINT",
    "FPI",
    "",
    "OVERWRITE_CONTRECORD",
    "CHECKPOINT_REDO",
];

const TRANSACTION: [&str; 7] =
    ["COMMIT", "PREPARE", "ABORT", "COMMIT_PREPARED", "ABORT_PREPARED", "ASSIGNMENT", "INVALIDATION"];

const HEAP: [&str; 13] = [
    "INSERT",
    "DELETE",
    "UPDATE",
    "TRUNCATE",
    "HOT_UPDATE",
    "HEAP_CONFIRM",
    "LOCK",
    "INPLACE",
    "INSERT+INIT",
    "",
    "UPDATE+INIT",
    "",
    "HOT_UPDATE+INIT",
];

/// Pruning and freezing were renumbered in 14 and again in 17.
fn heap2(major: Major) -> &'static [&'static str] {
    const SINCE_17: [&str; 14] = heap2_table("PRUNE_ON_ACCESS", "PRUNE_VACUUM_SCAN", "PRUNE_VACUUM_CLEANUP");
    const SINCE_14: [&str; 14] = heap2_table("PRUNE", "VACUUM", "FREEZE_PAGE");
    const SINCE_13: [&str; 14] = heap2_table("CLEAN", "FREEZE_PAGE", "CLEANUP_INFO");
    match major {
        Major::V13 => &SINCE_13,
        Major::V14 | Major::V15 | Major::V16 => &SINCE_14,
        Major::V17 | Major::V18 => &SINCE_17,
    }
}

const fn heap2_table(first: &'static str, second: &'static str, third: &'static str) -> [&'static str; 14] {
    [
        "REWRITE",
        first,
        second,
        third,
        "VISIBLE",
        "MULTI_INSERT",
        "LOCK_UPDATED",
        "NEW_CID",
        "",
        "",
        "",
        "",
        "",
        "MULTI_INSERT+INIT",
    ]
}

const BTREE: [&str; 15] = [
    "INSERT_LEAF",
    "INSERT_UPPER",
    "INSERT_META",
    "SPLIT_L",
    "SPLIT_R",
    "INSERT_POST",
    "DEDUP",
    "DELETE",
    "UNLINK_PAGE",
    "UNLINK_PAGE_META",
    "NEWROOT",
    "MARK_PAGE_HALFDEAD",
    "VACUUM",
    "REUSE_PAGE",
    "META_CLEANUP",
];

const HASH: [&str; 13] = [
    "INIT_META_PAGE",
    "INIT_BITMAP_PAGE",
    "INSERT",
    "ADD_OVFL_PAGE",
    "SPLIT_ALLOCATE_PAGE",
    "SPLIT_PAGE",
    "SPLIT_COMPLETE",
    "MOVE_PAGE_CONTENTS",
    "SQUEEZE_PAGE",
    "DELETE",
    "SPLIT_CLEANUP",
    "UPDATE_META_PAGE",
    "VACUUM_ONE_PAGE",
];

const GIN: [&str; 10] = [
    "",
    "CREATE_PTREE",
    "INSERT",
    "SPLIT",
    "VACUUM_PAGE",
    "DELETE_PAGE",
    "UPDATE_META_PAGE",
    "INSERT_LISTPAGE",
    "DELETE_LISTPAGE",
    "VACUUM_DATA_LEAF_PAGE",
];

const SPGIST: [&str; 9] = [
    "",
    "ADD_LEAF",
    "MOVE_LEAFS",
    "ADD_NODE",
    "SPLIT_TUPLE",
    "PICKSPLIT",
    "VACUUM_LEAF",
    "VACUUM_ROOT",
    "VACUUM_REDIRECT",
];

const BRIN: [&str; 11] = [
    "CREATE_INDEX",
    "INSERT",
    "UPDATE",
    "SAMEPAGE_UPDATE",
    "REVMAP_EXTEND",
    "DESUMMARIZE",
    "",
    "",
    "",
    "INSERT+INIT",
    "UPDATE+INIT",
];
