-- Words of what the versions of one catalog are called. A cache of a cache: it may be deleted at any time.
-- Contentless: what was found is read in the catalog, whose rows have the same numbers.
CREATE VIRTUAL TABLE texts USING fts5 (
    title, key, people,
    place,          -- the stream, as one word, so that a search in one mailbox does not go through the others
    content = '',
    tokenize = 'unicode61 remove_diacritics 2',
    prefix = '2 3'
);

-- Which versions said that they lie in which folder, for streams whose keys do not tell.
CREATE TABLE inside (
    stream  INTEGER NOT NULL,
    folder  TEXT    NOT NULL,
    sorted  TEXT    NOT NULL,   -- the beginning of the title in lower case
    version INTEGER NOT NULL,
    PRIMARY KEY (stream, folder, sorted, version)
) STRICT, WITHOUT ROWID;

-- How far the catalog was taken in, and what lies there, to notice another catalog.
CREATE TABLE progress (
    one  INTEGER PRIMARY KEY CHECK (one = 0),
    row  INTEGER NOT NULL,
    mark TEXT    NOT NULL
) STRICT;
