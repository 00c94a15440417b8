use std::error::Error;

/// Writes an error with all that is behind it on one line, for reports in which it is one fact among others.
pub fn error_text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
