//! Formats of lines: dotenv, INI, shell, and the plain lines of YAML.

use super::{LINE_BYTES_MAX, PAIRS_MAX, Pair};

/// Reads pairs out of lines. A line that is none is passed over.
pub(super) fn pairs(name: &str, text: &str) -> Vec<Pair> {
    if is_yaml(name, text) { yaml(text) } else { settings(text) }
}

fn is_yaml(name: &str, text: &str) -> bool {
    let named = [".yaml", ".yml"].iter().any(|end| name.ends_with(end));
    named || text.lines().take(20).any(|line| line.starts_with("apiVersion:"))
}

/// Cuts a line that nobody wrote by hand.
pub(super) fn bounded(line: &str) -> &str {
    if line.len() <= LINE_BYTES_MAX {
        return line;
    }
    let mut end = LINE_BYTES_MAX;
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

/// `NAME=VALUE`, `export NAME=VALUE`, `name = value`, with `[sections]`; a quoted value may go over several lines.
fn settings(text: &str) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let mut group = String::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if pairs.len() > PAIRS_MAX {
            break;
        }
        let line = bounded(line).trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section.trim().clone_into(&mut group);
            continue;
        }
        let Some((key, value)) = line.split_once('=').or_else(|| line.split_once(": ")) else { continue };
        let key = key.trim().trim_start_matches("export ").trim().trim_matches(['"', '\'']);
        if key.is_empty() || key.len() > 200 || key.contains(char::is_whitespace) {
            continue;
        }
        let value = value.trim();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let value = match quote {
            Some(quote) => quoted(quote, &value[1..], &mut lines),
            // A remark after a value begins with a space and a hash.
            None => {
                value.split(" #").next().unwrap_or_default().trim_end_matches([',', ';']).trim().to_owned()
            }
        };
        pairs.push(Pair { group: group.clone(), key: key.to_owned(), value, line: Some(number + 1) });
    }
    pairs
}

/// Returns a quoted value up to its closing quote, taking further lines where it is not on the first.
fn quoted<'a>(
    quote: char,
    first: &str,
    lines: &mut (impl Iterator<Item = (usize, &'a str)> + Clone),
) -> String {
    const LINES_MAX: usize = 200;
    let mut value = String::new();
    let mut ahead = lines.clone();
    let mut taken = 0;
    let mut line = first;
    loop {
        let mut escaped = false;
        for character in line.chars() {
            match character {
                _ if escaped => {
                    value.push(match character {
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        other => other,
                    });
                    escaped = false;
                }
                '\\' if quote == '"' => escaped = true,
                _ if character == quote => {
                    for _ in 0..taken {
                        lines.next();
                    }
                    return value;
                }
                _ => value.push(character),
            }
        }
        taken += 1;
        match ahead.next().filter(|_| taken < LINES_MAX) {
            Some((_, next)) => {
                value.push('\n');
                line = bounded(next);
            }
            // It was never closed: the quote belongs to the value.
            None => return first.to_owned(),
        }
    }
}

/// `name: value` at any depth, grouped by what stands above at a lesser depth; blocks after `|` are taken as they are.
fn yaml(text: &str) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = Vec::new();
    let mut above: Vec<(usize, String)> = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        if pairs.len() > PAIRS_MAX {
            break;
        }
        let line = bounded(line);
        let (mut depth, mut rest) = indent(line);
        if rest.is_empty() || rest.starts_with('#') {
            continue;
        }
        // Each element of a list is a group of its own.
        if let Some(element) = rest.strip_prefix("- ") {
            above.retain(|(at, _)| *at < depth);
            above.push((depth, format!("-{number}")));
            let (more, inner) = indent(element);
            depth += 2 + more;
            rest = inner;
        }
        let Some((key, value)) = rest.split_once(':').filter(|(_, v)| v.is_empty() || v.starts_with(' '))
        else {
            continue;
        };
        above.retain(|(at, _)| *at < depth);
        let key = key.trim().trim_matches(['"', '\'']);
        let value = value.trim();
        if value.is_empty() {
            above.push((depth, key.to_owned()));
            continue;
        }
        let value = if value.starts_with(['|', '>']) {
            let mut block = String::new();
            while let Some((_, next)) = lines.next_if(|(_, next)| {
                let (at, rest) = indent(next);
                rest.is_empty() || at > depth
            }) {
                block.push_str(bounded(next).trim());
                block.push('\n');
            }
            block
        } else {
            unquoted(value)
        };
        let group = above.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(".");
        pairs.push(Pair { group, key: key.to_owned(), value, line: Some(number + 1) });
    }
    pairs
}

fn indent(line: &str) -> (usize, &str) {
    let rest = line.trim_start_matches(' ');
    (line.len() - rest.len(), rest.trim_end())
}

fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote) {
            return inner.split(quote).next().unwrap_or_default().replace("\\n", "\n");
        }
    }
    value.split(" #").next().unwrap_or_default().trim().to_owned()
}
