//! A first look at a statement of SQL: whether it only asks.
//!
//! What protects is elsewhere: the statement runs in a read-only transaction of a scratch copy, under a role that can
//! read tables and nothing else. This look gives agents a clear answer, and whoever writes them a second wall.

/// Why a statement is not asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// It is no question.
    #[error("only one SELECT (or WITH, VALUES, TABLE) is answered")]
    NoQuestion,
    /// There are several statements.
    #[error("only one statement is answered, without anything behind a semicolon")]
    Several,
    /// A quotation or a comment does not end.
    #[error("a quotation or a comment does not end")]
    Open,
    /// It contains a word that changes something.
    #[error(
        "{word} is not answered: this is a copy, to be read; a name that is spelled so is written in quotation marks"
    )]
    Word {
        /// The word.
        word: String,
    },
    /// It calls a function that reaches beyond the tables.
    #[error("{name}() is not answered: it reaches beyond the tables")]
    Function {
        /// The name.
        name: String,
    },
}

const QUESTIONS: [&str; 4] = ["select", "with", "values", "table"];

const CHANGING: [&str; 14] = [
    "insert", "update", "delete", "merge", "truncate", "drop", "alter", "create", "grant", "revoke", "copy",
    "into", "vacuum", "refresh",
];

/// Beginnings of the names of functions that read or write files, run statements, signal, wait or lock.
const REACHING: [&str; 27] = [
    "pg_read_",
    "pg_ls_",
    "pg_stat_file",
    "pg_file_",
    "pg_logdir",
    "lo_",
    "dblink",
    "pg_sleep",
    "pg_terminate",
    "pg_cancel",
    "pg_reload",
    "pg_rotate",
    "pg_switch",
    "pg_create",
    "pg_drop",
    "pg_logical",
    "pg_replication",
    "pg_advisory",
    "pg_try_advisory",
    "pg_backup",
    "pg_promote",
    "pg_notify",
    "set_config",
    "query_to_xml",
    "database_to_xml",
    "cursor_to_xml",
    "xpath_exists_file",
];

/// A piece of a statement that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// A word without quotation marks, in small letters.
    Word(String),
    /// A name in quotation marks.
    Name(String),
    /// Any other character that is not white space.
    Sign(char),
}

/// Checks a statement.
pub fn check(sql: &str) -> Result<(), SqlError> {
    let mut pieces = pieces(sql)?;
    while pieces.last() == Some(&Piece::Sign(';')) {
        pieces.pop();
    }
    if pieces.contains(&Piece::Sign(';')) {
        return Err(SqlError::Several);
    }
    let first = pieces.iter().find(|piece| **piece != Piece::Sign('('));
    match first {
        Some(Piece::Word(word)) if QUESTIONS.contains(&word.as_str()) => {}
        _ => return Err(SqlError::NoQuestion),
    }
    for (index, piece) in pieces.iter().enumerate() {
        let called = pieces.get(index + 1) == Some(&Piece::Sign('('));
        match piece {
            Piece::Word(word) if CHANGING.contains(&word.as_str()) => {
                return Err(SqlError::Word { word: word.to_uppercase() });
            }
            Piece::Word(name) | Piece::Name(name) if called => {
                let name = name.to_lowercase();
                if REACHING.iter().any(|beginning| name.starts_with(beginning)) {
                    return Err(SqlError::Function { name });
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Divides a statement; texts and comments are left out, as PostgreSQL reads them.
fn pieces(sql: &str) -> Result<Vec<Piece>, SqlError> {
    let text: Vec<char> = sql.chars().collect();
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(&character) = text.get(at) {
        let next = text.get(at + 1).copied();
        match character {
            _ if character.is_whitespace() => at += 1,
            '-' if next == Some('-') => {
                at += text[at..].iter().take_while(|c| !matches!(c, '\n' | '\r')).count();
            }
            '/' if next == Some('*') => at = comment_end(&text, at)?,
            '\'' => {
                let escapes = matches!(pieces.last(), Some(Piece::Word(word)) if word == "e")
                    && at > 0
                    && text[at - 1] != ' ';
                at = quotation_end(&text, at, '\'', escapes)?;
            }
            '"' => {
                let end = quotation_end(&text, at, '"', false)?;
                pieces.push(Piece::Name(
                    text[at + 1..end - 1].iter().collect::<String>().replace("\"\"", "\""),
                ));
                at = end;
            }
            '$' => match dollar_end(&text, at)? {
                Some(end) => at = end,
                None => at += 1,
            },
            _ if character.is_alphabetic() || character == '_' => {
                let length =
                    text[at..].iter().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '$')).count();
                pieces.push(Piece::Word(text[at..at + length].iter().collect::<String>().to_lowercase()));
                at += length;
            }
            _ => {
                pieces.push(Piece::Sign(character));
                at += 1;
            }
        }
    }
    Ok(pieces)
}

/// Comments lie within each other.
fn comment_end(text: &[char], start: usize) -> Result<usize, SqlError> {
    let (mut at, mut depth) = (start, 0_u32);
    while at + 1 < text.len() {
        match (text[at], text[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return Ok(at);
                }
            }
            _ => at += 1,
        }
    }
    Err(SqlError::Open)
}

fn quotation_end(text: &[char], start: usize, mark: char, escapes: bool) -> Result<usize, SqlError> {
    let mut at = start + 1;
    while let Some(&character) = text.get(at) {
        if escapes && character == '\\' {
            at += 2;
        } else if character != mark {
            at += 1;
        } else if text.get(at + 1) == Some(&mark) {
            at += 2;
        } else {
            return Ok(at + 1);
        }
    }
    Err(SqlError::Open)
}

/// `$$ … $$` and `$tag$ … $tag$`; a dollar alone begins a parameter.
fn dollar_end(text: &[char], start: usize) -> Result<Option<usize>, SqlError> {
    let length = text[start + 1..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
    let close = start + 1 + length;
    if text.get(close) != Some(&'$') || text.get(start + 1).is_some_and(char::is_ascii_digit) {
        return Ok(None);
    }
    let tag = &text[start..=close];
    let body = close + 1;
    let found = text[body..].windows(tag.len()).position(|window| window == tag);
    found.map(|found| Some(body + found + tag.len())).ok_or(SqlError::Open)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn questions_are_asked() {
        for sql in [
            "SELECT 1",
            "select * from users where note = 'delete; drop table users';",
            "WITH a AS (SELECT 1) SELECT * FROM a",
            "(SELECT 1) UNION (SELECT 2)",
            "SELECT \"update\", $1 FROM t -- delete\n",
            "SELECT /* drop /* nested */ table */ count(*) FROM t",
            "SELECT $x$ delete from t; $x$",
            "SELECT E'it\\'s; delete'",
            "VALUES (1), (2)",
            "TABLE users",
        ] {
            assert_eq!(check(sql), Ok(()), "{sql}");
        }
    }

    #[test]
    fn nothing_else_is() {
        for sql in [
            "",
            ";",
            "DELETE FROM t",
            "SELECT 1; DROP TABLE t",
            "SELECT 1;--\nDROP TABLE t",
            "WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone",
            "SELECT * INTO copy FROM t",
            "SELECT * FROM t FOR UPDATE",
            "COPY t TO PROGRAM 'sh'",
            "SELECT pg_read_file('/etc/passwd')",
            "SELECT \"pg_read_file\"('/etc/passwd')",
            "SELECT pg_catalog.pg_read_file ('/etc/passwd')",
            "SELECT pg_read_file/**/('/etc/passwd')",
            "SELECT lo_import('/etc/passwd')",
            "SELECT query_to_xml('delete from t', true, true, '')",
            "DO $$ BEGIN DELETE FROM t; END $$",
            "EXPLAIN ANALYZE DELETE FROM t",
            "SET ROLE postgres",
            "BEGIN",
            "SELECT 'open",
            "SELECT /* open",
            "SELECT $$ open",
            "SELECT $a$ x $b$",
            "SELECT 'a' ; SELECT 2",
            "SELECT '\\'; DELETE FROM t; --'",
            "/* */ DELETE FROM t",
        ] {
            assert!(check(sql).is_err(), "{sql}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in any::<String>()) {
            let _checked = check(&text).is_ok();
        }
    }
}
