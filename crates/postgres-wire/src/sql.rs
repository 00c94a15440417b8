//! Queries whose results fit in memory, as text.

use fallible_iterator::FallibleIterator;
use postgres_protocol::{
    IsNull,
    message::{
        backend::{DataRowBody, Message, RowDescriptionBody},
        frontend,
    },
};

use crate::{
    channel::Incoming,
    connection::{Connection, malformed, unexpected},
    error::WireError,
};

/// A row; absent values are NULL.
pub type Row = Vec<Option<String>>;

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The OID of its type.
    pub type_oid: u32,
}

/// The result of one statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResultSet {
    /// The columns; none for a statement that returns no rows.
    pub columns: Vec<Column>,
    /// The rows.
    pub rows: Vec<Row>,
    /// What was done, such as `INSERT 0 5`; empty for an empty statement.
    pub command_tag: String,
}

impl ResultSet {
    /// Returns the number of rows that the statement touched, from its tag.
    pub fn rows_affected(&self) -> u64 {
        rows_of_tag(&self.command_tag)
    }

    /// Returns the position of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

/// The number at the end of a command tag, such as 5 in `INSERT 0 5`.
pub(crate) fn rows_of_tag(tag: &str) -> u64 {
    tag.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
}

impl Connection {
    /// Runs one or more statements, separated by semicolons, and returns the result of each.
    ///
    /// Several statements run in one transaction unless they contain transaction commands.
    pub fn simple_query(&mut self, sql: &str) -> Result<Vec<ResultSet>, WireError> {
        self.begin_query(sql)?;
        self.collect()
    }

    /// Runs one statement and returns its rows.
    pub fn query_rows(&mut self, sql: &str) -> Result<Vec<Row>, WireError> {
        Ok(single(self.simple_query(sql)?)?.rows)
    }

    /// Runs one statement that must return exactly one row.
    pub fn query_one(&mut self, sql: &str) -> Result<Row, WireError> {
        only_row(self.query_rows(sql)?)
    }

    /// Runs one or more statements and returns the number of rows that the last one touched.
    pub fn execute(&mut self, sql: &str) -> Result<u64, WireError> {
        Ok(self.simple_query(sql)?.last().map_or(0, ResultSet::rows_affected))
    }

    /// Runs one statement with parameters `$1`, `$2` and so on; the server infers their types.
    pub fn query_params(&mut self, sql: &str, params: &[Option<&str>]) -> Result<ResultSet, WireError> {
        self.begin_exchange()?;
        if let Err(error) = self.compose_query_params(sql, params) {
            self.end_exchange();
            return Err(WireError::Argument { reason: error.to_string() });
        }
        self.flush()?;
        single(self.collect()?)
    }

    fn compose_query_params(&mut self, sql: &str, params: &[Option<&str>]) -> std::io::Result<()> {
        let outbox = self.channel.outbox();
        frontend::parse("", sql, None, outbox)?;
        let serialize = |value: Option<&str>, buffer: &mut bytes::BytesMut| match value {
            Some(text) => {
                buffer.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        };
        // No format codes at all means text for every parameter and column.
        frontend::bind("", "", None, params.iter().copied(), serialize, None, outbox).map_err(|error| {
            match error {
                frontend::BindError::Serialization(error) => std::io::Error::other(error.to_string()),
                frontend::BindError::Conversion(error) => std::io::Error::other(error.to_string()),
            }
        })?;
        frontend::describe(b'P', "", outbox)?;
        frontend::execute("", 0, outbox)?;
        frontend::sync(outbox);
        Ok(())
    }

    /// Sends a query and marks the exchange as begun.
    pub(crate) fn begin_query(&mut self, sql: &str) -> Result<(), WireError> {
        self.begin_exchange()?;
        if let Err(error) = frontend::query(sql, self.channel.outbox()) {
            self.end_exchange();
            return Err(WireError::Argument { reason: error.to_string() });
        }
        self.flush()
    }

    /// Collects results up to the end of the exchange.
    pub(crate) fn collect(&mut self) -> Result<Vec<ResultSet>, WireError> {
        let mut results = Vec::new();
        let mut current = ResultSet::default();
        let mut bytes = 0_usize;
        loop {
            let Incoming::Other(message) = self.expect()? else { return Err(misplaced_copy()) };
            match message {
                Message::RowDescription(body) => current.columns = read_columns(&body)?,
                Message::DataRow(body) => {
                    // The strings' own headers count too: a million empty values are not free.
                    bytes += body.buffer().len() + 64;
                    if bytes > self.limits.result_bytes_max {
                        return Err(WireError::ResultTooLarge { bytes_max: self.limits.result_bytes_max });
                    }
                    current.rows.push(read_row(&body)?);
                }
                Message::CommandComplete(body) => {
                    body.tag().map_err(malformed)?.clone_into(&mut current.command_tag);
                    results.push(std::mem::take(&mut current));
                }
                Message::EmptyQueryResponse => results.push(std::mem::take(&mut current)),
                Message::ParseComplete | Message::BindComplete | Message::NoData => {}
                Message::ErrorResponse(body) => return Err(self.fail(&body)),
                Message::ReadyForQuery(_) => {
                    self.end_exchange();
                    return Ok(results);
                }
                Message::CopyInResponse(_) | Message::CopyOutResponse(_) => return Err(misplaced_copy()),
                _ => return Err(unexpected("reading a result")),
            }
        }
    }
}

fn misplaced_copy() -> WireError {
    WireError::Argument { reason: "COPY needs copy_in or copy_out".into() }
}

pub(crate) fn single(mut results: Vec<ResultSet>) -> Result<ResultSet, WireError> {
    match (results.pop(), results.len()) {
        (Some(result), 0) => Ok(result),
        (_, others) => Err(WireError::ResultShape {
            expected: "the result of one statement",
            found: format!("the results of {} statements", others + 1),
        }),
    }
}

pub(crate) fn only_row(mut rows: Vec<Row>) -> Result<Row, WireError> {
    match (rows.pop(), rows.len()) {
        (Some(row), 0) => Ok(row),
        (last, others) => Err(WireError::ResultShape {
            expected: "one row",
            found: format!("{} rows", others + usize::from(last.is_some())),
        }),
    }
}

pub(crate) fn read_columns(body: &RowDescriptionBody) -> Result<Vec<Column>, WireError> {
    body.fields()
        .map(|field| Ok(Column { name: field.name().to_owned(), type_oid: field.type_oid() }))
        .collect()
        .map_err(malformed)
}

pub(crate) fn read_row(body: &DataRowBody) -> Result<Row, WireError> {
    let mut row = Vec::new();
    let mut ranges = body.ranges();
    while let Some(range) = ranges.next().map_err(malformed)? {
        row.push(match range {
            None => None,
            Some(range) => {
                let text = body.buffer().get(range).unwrap_or_default();
                let text = std::str::from_utf8(text)
                    .map_err(|_| WireError::violation("a value is not UTF-8, which the session asked for"))?;
                Some(text.to_owned())
            }
        });
    }
    Ok(row)
}
