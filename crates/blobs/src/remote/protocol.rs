//! What a vault server and its clients say to each other (`docs/reference/vault-server-api.md`).

use model::Moment;
use ports::BlobName;
use serde::{Deserialize, Serialize};

/// Where objects are: `PUT` creates, `HEAD` and `GET` read.
pub const OBJECTS: &str = "/v1/objects/";
/// Where locks are: `POST` lengthens one.
pub const LOCKS: &str = "/v1/locks/";
/// Where objects are listed: `?prefix=…&after=…`.
pub const LIST: &str = "/v1/list";
/// The server's clock.
pub const TIME: &str = "/v1/time";
/// Quotas and what is used of them.
pub const STATUS: &str = "/v1/status";

/// The header with a lock date, in microseconds since 1970.
pub const LOCKED_UNTIL: &str = "unwipe-locked-until";
/// The header with an object's whole size.
pub const SIZE_BYTES: &str = "unwipe-size-bytes";

/// The largest object that a server takes.
pub const OBJECT_BYTES_MAX: u64 = 64 << 20;
/// How many objects one page of a listing has at most.
pub const PAGE_OBJECTS: usize = 20_000;

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The objects, in name order.
    pub objects: Vec<Listed>,
    /// Whether there are more: ask again with `after` set to the last name.
    pub more: bool,
}

/// An object of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// Until when it is locked, in microseconds since 1970.
    pub locked_until: Option<i64>,
}

/// The server's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Time {
    /// Microseconds since 1970.
    pub now: i64,
}

/// Why a server did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// One word for programs: `exists`, `quota`, `capability`.
    pub error: String,
    /// A sentence for people.
    pub message: String,
}

/// What a source uses of its quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The source.
    pub source: String,
    /// Bytes that it has added in all.
    pub bytes: u64,
    /// Objects that it has added in all.
    pub objects: u64,
    /// Bytes that it has added today, by the server's clock and UTC.
    pub bytes_today: u64,
    /// Objects that it has added today.
    pub objects_today: u64,
    /// Objects that it has added in the last hour.
    pub objects_last_hour: u64,
    /// How many bytes it may add in a day.
    pub bytes_per_day_max: u64,
    /// How many objects it may add in a day.
    pub objects_per_day_max: u64,
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Microseconds since 1970.
    pub now: i64,
    /// The vault's id.
    pub vault: String,
    /// What the asking certificate may do: `capture/shop`, `restore`, `mirror`.
    pub capability: String,
    /// Until when the asking certificate counts, in microseconds since 1970.
    pub certificate_expires: Option<i64>,
    /// Free space above the reserve that no source may take; absent where the store does not know.
    pub free_bytes: Option<u64>,
    /// The sources: all for `restore` and `mirror`, its own for `capture`.
    pub sources: Vec<Usage>,
}

impl Listed {
    /// Returns the object as a blob; `None` when the name is none that a vault writes.
    pub fn into_blob(self) -> Option<ports::Blob> {
        Some(ports::Blob {
            name: BlobName::new(self.name).ok()?,
            size_bytes: self.size_bytes,
            locked_until: self.locked_until.map(Moment::from_micros),
        })
    }
}
