//! Patterns in which `*` stands for any text.

/// Tells whether a text fits a pattern; letters fit in either case.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last star stood, and how much of the text it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p).is_some_and(|byte| byte.eq_ignore_ascii_case(&text[t])) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            (p, t) = (at + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Tells whether any of the patterns fits.
pub(crate) fn any(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text_and_letters_for_themselves() {
        for (pattern, text) in [
            ("*", ""),
            ("app", "App"),
            ("app*", "app-1"),
            ("*@acme.test", "a@acme.test"),
            ("a*b*c", "a--bb-c"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("app", "app1"), ("*b", "abc"), ("a*b*c", "acb"), ("a.c", "abc")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
