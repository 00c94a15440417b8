-- The catalog of one source. Derived from the vault: it may be deleted at any time and is then rebuilt.
-- Times are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE commits (
    sequence    INTEGER PRIMARY KEY,
    hash        BLOB    NOT NULL,
    vault_time  INTEGER NOT NULL,
    cursor      BLOB    NOT NULL,
    enumerated  INTEGER NOT NULL,
    stored      INTEGER NOT NULL,
    unchanged   INTEGER NOT NULL,
    unreadable  INTEGER NOT NULL
) STRICT;

CREATE TABLE streams (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- A version is live from the commit that brought it until the commit that replaced or removed it.
CREATE TABLE versions (
    id             INTEGER PRIMARY KEY,
    stream         INTEGER NOT NULL REFERENCES streams (id),
    key            TEXT    NOT NULL,
    from_sequence  INTEGER NOT NULL,
    until_sequence INTEGER,
    attributes     TEXT    NOT NULL,
    size_bytes     INTEGER NOT NULL,
    content        BLOB,            -- NULL: the item was unreadable, `reason` says why
    reason         TEXT
) STRICT;
-- The only index: a second one would cost as much again for each of a million items.
CREATE INDEX versions_by_key ON versions (stream, key, until_sequence);

-- What ended without a successor: an ending is no row of its own, and no index tells of it.
CREATE TABLE removals (
    sequence INTEGER NOT NULL,
    version  INTEGER NOT NULL,
    PRIMARY KEY (sequence, version)
) STRICT, WITHOUT ROWID;

-- How much a stream held after each commit that changed it: counting millions of versions takes too long for a page.
CREATE TABLE sizes (
    stream   INTEGER NOT NULL REFERENCES streams (id),
    sequence INTEGER NOT NULL,
    items    INTEGER NOT NULL,
    bytes    INTEGER NOT NULL,
    PRIMARY KEY (stream, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    id       INTEGER PRIMARY KEY,
    sequence INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    position TEXT    NOT NULL,
    severity INTEGER NOT NULL,
    document TEXT    NOT NULL
) STRICT;
CREATE INDEX events_by_time ON events (at);
CREATE INDEX events_by_severity ON events (severity, at);
