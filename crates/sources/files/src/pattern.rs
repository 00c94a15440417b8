/// A pattern of paths: `*` and `?` stay inside of one name, `**` does not.
///
/// Without a slash it is compared with each name, with one it is compared with the whole path below the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Vec<u8>,
    whole_path: bool,
}

impl Pattern {
    /// Takes a pattern as a person writes it.
    pub fn new(text: &str) -> Self {
        let trimmed = text.strip_prefix('/').unwrap_or(text);
        let trimmed = trimmed.strip_suffix('/').unwrap_or(trimmed);
        Self { text: trimmed.as_bytes().to_vec(), whole_path: text.trim_end_matches('/').contains('/') }
    }

    /// Makes a pattern that is exactly this path.
    pub(crate) fn exact(path: &[u8]) -> Self {
        let mut text = Vec::with_capacity(path.len());
        for byte in path {
            if matches!(byte, b'*' | b'?' | b'\\') {
                text.push(b'\\');
            }
            text.push(*byte);
        }
        Self { text, whole_path: true }
    }

    /// Returns whether an entry is meant.
    pub fn matches(&self, path: &[u8]) -> bool {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        matches(&self.text, if self.whole_path { path } else { name })
    }
}

/// Compares from left to right; after a mismatch the last star takes one byte more.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on after the last `*` and the last `**`; a `*` gives up at a slash, a `**` never does.
    let mut star: Option<(usize, usize)> = None;
    let mut double: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            None => t == text.len(),
            Some(b'*') if pattern.get(p + 1) == Some(&b'*') => {
                p += if pattern.get(p + 2) == Some(&b'/') { 3 } else { 2 };
                double = Some((p, t));
                star = None;
                continue;
            }
            Some(b'*') => {
                p += 1;
                star = Some((p, t));
                continue;
            }
            Some(b'?') => text.get(t).is_some_and(|byte| *byte != b'/'),
            Some(b'\\') if p + 1 < pattern.len() && text.get(t) == Some(&pattern[p + 1]) => {
                p += 1;
                true
            }
            Some(byte) => text.get(t) == Some(byte),
        };
        if step {
            if t == text.len() {
                return p >= pattern.len();
            }
            p += 1;
            t += 1;
            continue;
        }
        if let Some((after, at)) = star
            && text.get(at).is_some_and(|byte| *byte != b'/')
        {
            star = Some((after, at + 1));
            (p, t) = (after, at + 1);
        } else if let Some((after, at)) = double
            && at < text.len()
        {
            double = Some((after, at + 1));
            star = None;
            (p, t) = (after, at + 1);
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths() {
        let cases: &[(&str, &str, bool)] = &[
            ("*.tmp", "a/b.tmp", true),
            ("*.tmp", "b.tmp.x", false),
            ("node_modules", "a/node_modules", true),
            ("node_modules/", "a/node_modules", true),
            ("/cache", "cache", true),
            ("/cache", "a/cache", false),
            ("a/*", "a/b", true),
            ("a/*", "a/b/c", false),
            ("a/**", "a/b/c", true),
            ("**/x", "x", true),
            ("**/x", "a/b/x", true),
            ("a/**/z", "a/b/c/z", true),
            ("a/*b*/c", "a/xbx/c", true),
            ("a/?", "a//", false),
            ("*", "", true),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(Pattern::new(pattern).matches(path.as_bytes()), *expected, "{pattern} {path}");
        }
        assert!(Pattern::exact(b"a*/b?").matches(b"a*/b?"));
        assert!(!Pattern::exact(b"a*/b?").matches(b"ax/bx"));
    }
}
