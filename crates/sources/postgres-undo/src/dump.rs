//! Takes the text of `pg_dump --schema-only` apart into the objects that it defines.
//!
//! The text is read as SQL and not by its comment lines alone: a comment on a table, or a function's body, may hold what
//! looks like the head of the next object, and would otherwise smuggle statements into a plan.

/// One object's definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `TABLE`, `FK CONSTRAINT`, `COMMENT` and so on.
    pub(crate) kind: String,
    /// The schema; none for objects outside of schemas.
    pub(crate) schema: Option<String>,
    /// The name as `pg_dump` shows it: `orders orders_customer_fkey` for a constraint.
    pub(crate) name: String,
    /// The statements that make it.
    pub(crate) sql: String,
}

impl Entry {
    /// What tells entries of two dumps to be the same object.
    pub(crate) fn identity(&self) -> (&str, Option<&str>, &str) {
        (&self.kind, self.schema.as_deref(), &self.name)
    }

    /// How the object is named to people.
    pub(crate) fn label(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{} {schema}.{}", self.kind, self.name),
            None => format!("{} {}", self.kind, self.name),
        }
    }
}

/// Returns the objects of a dump, in its order, in which each may be made after those before it.
pub(crate) fn entries(dump: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut settings = Settings::default();
    let mut pieces: Vec<&str> = Vec::new();
    for line in top_level_lines(dump) {
        match line {
            Line::Sql(sql) => pieces.push(sql),
            Line::Head(head) => {
                finish(&mut entries, &mut pieces, &mut settings);
                if let Some(mut entry) = parse_head(head) {
                    entry.sql = settings.text();
                    entries.push(entry);
                }
            }
        }
    }
    finish(&mut entries, &mut pieces, &mut settings);
    entries
}

/// Gives the pieces to the last object, but for the settings at their end, which are for the next one.
///
/// Pieces and not lines: the last line of a string may look like a setting.
fn finish(entries: &mut [Entry], pieces: &mut Vec<&str>, settings: &mut Settings) {
    let is_setting = |piece: &str| piece.starts_with("SET default_table");
    let own = pieces
        .iter()
        .rposition(|piece| !is_setting(piece) && !piece.trim().is_empty())
        .map_or(0, |position| position + 1);
    let following = pieces.split_off(own);
    if let Some(entry) = entries.last_mut() {
        entry.sql.extend(pieces.iter().copied());
        entry.sql.truncate(entry.sql.trim_end().len());
    }
    following.into_iter().filter(|piece| is_setting(piece)).for_each(|piece| settings.note(piece));
    pieces.clear();
}

/// The settings that a dump changes between objects; each object is to stand for itself.
#[derive(Debug, Default)]
struct Settings {
    tablespace: Option<String>,
    access_method: Option<String>,
}

impl Settings {
    fn note(&mut self, line: &str) {
        let line = line.trim_end().to_owned();
        if line.starts_with("SET default_tablespace = ") {
            self.tablespace = Some(line);
        } else if line.starts_with("SET default_table_access_method = ") {
            self.access_method = Some(line);
        }
    }

    fn text(&self) -> String {
        let lines = [&self.tablespace, &self.access_method];
        lines.into_iter().flatten().flat_map(|line| [line, "\n"]).collect()
    }
}

/// Reads `-- Name: orders; Type: TABLE; Schema: public; Owner: anna`. From the right, as a name may hold anything.
fn parse_head(head: &str) -> Option<Entry> {
    let rest = head.strip_prefix("-- Name: ")?;
    let (rest, _owner) = rest.rsplit_once("; Owner: ")?;
    let (rest, schema) = rest.rsplit_once("; Schema: ")?;
    let (name, kind) = rest.rsplit_once("; Type: ")?;
    let schema = (schema != "-").then(|| schema.to_owned());
    Some(Entry { kind: kind.to_owned(), schema, name: name.to_owned(), sql: String::new() })
}

/// A piece of a dump.
enum Line<'d> {
    /// The line that names the next object.
    Head(&'d str),
    /// SQL, with its line break; a piece may hold several lines where a string or body does.
    Sql(&'d str),
}

/// Parts a dump into heads and SQL. Comments, and commands to `psql`, are left out.
fn top_level_lines(dump: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut rest = dump;
    while !rest.is_empty() {
        let line = rest.split_inclusive('\n').next().unwrap_or(rest);
        if line.starts_with("--") {
            if line.starts_with("-- Name: ") {
                lines.push(Line::Head(line.trim_end_matches(['\n', '\r'])));
            }
            rest = &rest[line.len()..];
        } else if line.starts_with('\\') {
            rest = &rest[line.len()..];
        } else {
            let (sql, after) = rest.split_at(statement_line(rest));
            lines.push(Line::Sql(sql));
            rest = after;
        }
    }
    lines
}

/// Returns the length of SQL up to the first line break outside of strings, quoted names, bodies and comments.
fn statement_line(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        at = match byte {
            b'\n' => return at + 1,
            b'\'' => {
                let escapes = at > 0
                    && matches!(bytes[at - 1], b'E' | b'e')
                    && (at < 2 || !is_name_byte(bytes[at - 2]));
                quoted(bytes, at + 1, b'\'', escapes)
            }
            b'"' => quoted(bytes, at + 1, b'"', false),
            b'$' if at == 0 || !is_name_byte(bytes[at - 1]) => dollar_quoted(text, at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => block_comment(bytes, at + 2),
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length)
            }
            _ => at + 1,
        };
    }
    bytes.len()
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Returns the position after the closing quote. A doubled quote closes and opens again, which comes to the same.
fn quoted(bytes: &[u8], mut at: usize, quote: u8, escapes: bool) -> usize {
    while let Some(byte) = bytes.get(at) {
        if *byte == quote {
            return at + 1;
        }
        at += if escapes && *byte == b'\\' { 2 } else { 1 };
    }
    bytes.len()
}

/// Returns the position after `$tag$ ... $tag$`, or after the dollar sign where it opens no string.
fn dollar_quoted(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let tag =
        bytes[start + 1..].iter().position(|byte| !is_name_byte(*byte)).map(|length| start + 1 + length);
    let Some(end) = tag.filter(|end| bytes[*end] == b'$' && !bytes[start + 1].is_ascii_digit()) else {
        return start + 1;
    };
    let tag = &text[start..=end];
    text[end + 1..].find(tag).map_or(bytes.len(), |found| end + 1 + found + tag.len())
}

fn block_comment(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 1;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'*', Some(b'/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            (b'/', Some(b'*')) => {
                depth += 1;
                at += 2;
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests;
