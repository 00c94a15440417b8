//! The system calls of a process, as `strace -xx` writes them down.

use std::fmt;

/// The calls that change files, and those that say which file is meant.
pub const CALLS: &str = "trace=open,openat,creat,close,dup,dup2,dup3,fcntl,lseek,write,pwrite64,writev,pwritev,\
ftruncate,truncate,fallocate,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir,mkdir,\
mkdirat,chmod,fchmod,fchmodat,setxattr,fsetxattr,removexattr,fremovexattr,mmap,sync,syncfs,sync_file_range,clone,\
clone3,vfork,fork,copy_file_range,sendfile";

/// One call that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub arguments: Vec<Argument>,
    /// What it returned.
    pub returned: i64,
}

/// An argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// A string, a buffer or a path.
    Bytes(Vec<u8>),
    /// Anything else, as written: `5`, `O_RDWR|O_CREAT`.
    Word(String),
}

/// A line that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {number} of the trace cannot be read: {line}")]
pub struct StraceError {
    number: usize,
    line: String,
}

impl Call {
    /// Returns an argument as a number.
    pub fn number(&self, index: usize) -> Option<i64> {
        match self.arguments.get(index)? {
            Argument::Word(word) => word.parse().ok(),
            Argument::Bytes(_) => None,
        }
    }

    /// Returns an argument as bytes.
    pub fn bytes(&self, index: usize) -> Option<&[u8]> {
        match self.arguments.get(index)? {
            Argument::Bytes(bytes) => Some(bytes),
            Argument::Word(_) => None,
        }
    }

    /// Returns an argument as a path.
    pub fn path(&self, index: usize) -> Option<&str> {
        std::str::from_utf8(self.bytes(index)?).ok()
    }

    /// Returns whether an argument of flags has this one.
    pub fn has_flag(&self, index: usize, flag: &str) -> bool {
        match self.arguments.get(index) {
            Some(Argument::Word(word)) => word.split('|').any(|word| word == flag),
            _ => false,
        }
    }
}

/// Reads a trace; calls that failed are left out.
pub fn parse(text: &str) -> Result<Vec<Call>, StraceError> {
    let mut calls = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        // Signals and the end of the process.
        if line.starts_with("+++") || line.starts_with("---") {
            continue;
        }
        let wrong = || StraceError { number, line: line.chars().take(200).collect() };
        let call = parse_line(line).ok_or_else(wrong)?;
        if call.returned >= 0 {
            calls.push(call);
        }
    }
    Ok(calls)
}

fn parse_line(line: &str) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    // The equals sign stands in a column of its own.
    let (call, result) = rest.rsplit_once(" = ")?;
    let end = call.trim_end().strip_suffix(')')?.len();
    let returned = result.split_whitespace().next()?;
    let returned = match returned.strip_prefix("0x") {
        Some(address) => i64::from_str_radix(address, 16).unwrap_or(0),
        None => returned.parse().ok()?,
    };
    Some(Call { name: name.to_owned(), arguments: split(&rest[..end])?, returned })
}

/// Splits at commas outside of quotes and brackets.
fn split(text: &str) -> Option<Vec<Argument>> {
    let (mut arguments, mut depth, mut quoted, mut start) = (Vec::new(), 0_usize, false, 0);
    for (at, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            '[' | '{' | '(' if !quoted => depth += 1,
            ']' | '}' | ')' if !quoted => depth = depth.checked_sub(1)?,
            ',' if !quoted && depth == 0 => {
                arguments.push(argument(text[start..at].trim())?);
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = text[start..].trim();
    if !last.is_empty() {
        arguments.push(argument(last)?);
    }
    Some(arguments)
}

fn argument(text: &str) -> Option<Argument> {
    if let Some(hexadecimal) = text.strip_prefix('"') {
        return Some(Argument::Bytes(unescape(hexadecimal.strip_suffix('"')?)?));
    }
    // A vector of buffers is taken for one buffer.
    if text.starts_with("[{") {
        let mut bytes = Vec::new();
        for piece in text.split("iov_base=\"").skip(1) {
            bytes.extend(unescape(piece.split('"').next()?)?);
        }
        return Some(Argument::Bytes(bytes));
    }
    Some(Argument::Word(text.to_owned()))
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    text.split("\\x").skip(1).map(|digits| u8::from_str_radix(digits, 16).ok()).collect()
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        for (index, argument) in self.arguments.iter().enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            match argument {
                Argument::Word(word) => write!(f, "{separator}{word}")?,
                Argument::Bytes(bytes) if bytes.len() <= 200 => {
                    write!(f, "{separator}{:?}", String::from_utf8_lossy(bytes))?;
                }
                Argument::Bytes(bytes) => write!(f, "{separator}{} bytes", bytes.len())?,
            }
        }
        write!(f, ") = {}", self.returned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_with_all_that_they_write() {
        let text = "openat(AT_FDCWD, \"\\x2f\\x61\", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 5\n\
                    pwrite64(5, \"\\x00\\x2c\\x22\", 3, 4096) = 3\n\
                    writev(5, [{iov_base=\"\\x61\", iov_len=1}, {iov_base=\"\\x62\", iov_len=1}], 2) = 2\n\
                    unlink(\"\\x2f\\x62\") = -1 ENOENT (No such file or directory)\n\
                    +++ exited with 0 +++\n";
        let calls = parse(text).unwrap();
        assert_eq!(calls.len(), 3);
        assert_eq!(calls[0].path(1), Some("/a"));
        assert!(calls[0].has_flag(2, "O_CREAT") && !calls[0].has_flag(2, "O_EXCL"));
        assert_eq!((calls[1].bytes(1), calls[1].number(3)), (Some(&[0, 44, 34][..]), Some(4096)));
        assert_eq!(calls[2].bytes(1), Some(&b"ab"[..]));
        assert!(parse("nonsense").is_err());
    }
}
