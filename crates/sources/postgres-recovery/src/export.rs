//! Stored history in forms that need nothing of ours: WAL segment files, tables as text.

use std::{
    fs::File,
    io::{BufWriter, Write},
    ops::Range,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use connect::Stored;
use ports::files::FileError;
use postgres_wire::{Connection, WireError, quote_identifier, quote_literal};

use crate::{
    history::ClusterHistory,
    route::RouteError,
    scan::Scan,
    wal::{self, WalFileError},
};

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The timeline or a base is not known.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// WAL is missing or cannot be written.
    #[error("the WAL cannot be exported")]
    Wal(#[from] WalFileError),
    /// The table cannot be read.
    #[error("table {table} cannot be exported")]
    Table {
        /// The table.
        table: String,
        /// What the server answered.
        #[source]
        source: WireError,
    },
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The form in which a table is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    /// Comma-separated values with a line of names.
    Csv,
    /// A script for `psql` that copies the rows into a table of the same name.
    Sql,
    /// PostgreSQL's own binary form, for `COPY ... FROM`.
    CopyBinary,
}

/// Writes the stored WAL of a timeline as segment files, as its server had them, and the timeline histories.
/// The first and the last file are filled with zeros where nothing is stored.
pub fn export_wal(
    stored: &dyn Stored,
    history: &ClusterHistory,
    timeline: u32,
    range: Range<u64>,
    folder: &Path,
) -> Result<Vec<String>, ExportError> {
    let branch = history.branches.get(&timeline).ok_or(RouteError::NoTimeline { timeline })?;
    let base = &history.bases.last().ok_or(RouteError::NoBase)?.base;
    ports::files::create_folder(folder)?;
    let scan = Scan { stored, history, branch };
    let names = wal::write_segments(&scan, range, base.wal_segment_bytes, folder, &mut |_, _| Ok(()))?;
    for (timeline, content) in &history.history_files {
        ports::files::create_new(&folder.join(format!("{timeline:08X}.history")), content, 0o600)?;
    }
    Ok(names)
}

/// Writes the rows of a table of a connected server into a new file; returns how many there were.
pub fn export_table(
    connection: &mut Connection,
    schema: &str,
    table: &str,
    format: TableFormat,
    path: &Path,
) -> Result<u64, ExportError> {
    let name = format!("{}.{}", quote_identifier(schema), quote_identifier(table));
    let failed = |source| ExportError::Table { table: name.clone(), source };
    // Generated columns cannot be copied into.
    let columns = format!(
        "select attname from pg_catalog.pg_attribute where attrelid = {}::regclass and attnum > 0 \
         and not attisdropped and attgenerated = '' order by attnum",
        quote_literal(&name)
    );
    let rows = connection.query_rows(&columns).map_err(failed)?;
    let columns: Vec<String> =
        rows.into_iter().flatten().flatten().map(|column| quote_identifier(&column)).collect();
    let columns = columns.join(", ");
    // Production's data: for its owner alone.
    let file = File::options().write(true).create_new(true).mode(0o600).open(path);
    let mut out = BufWriter::new(file.map_err(|e| FileError::new("create", path, e))?);
    let written = |e| FileError::new("write", path, e);
    let options = match format {
        TableFormat::Csv => "(format csv, header)",
        TableFormat::Sql => "(format text)",
        TableFormat::CopyBinary => "(format binary)",
    };
    if format == TableFormat::Sql {
        writeln!(out, "COPY {name} ({columns}) FROM stdin;").map_err(written)?;
    }
    let sql = format!("copy (select {columns} from {name}) to stdout {options}");
    let count = connection.copy_out(&sql, &mut |piece| out.write_all(piece)).map_err(failed)?;
    if format == TableFormat::Sql {
        writeln!(out, "\\.").map_err(written)?;
    }
    out.flush().map_err(written)?;
    out.get_ref().sync_all().map_err(written)?;
    Ok(count)
}
