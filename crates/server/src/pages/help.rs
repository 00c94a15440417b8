//! What is said to help: words as words, and a command as one that can be run.

use askama::{Template, filters::HtmlSafe};
use service::words;

/// A hint with the command in it told apart.
#[derive(Template)]
#[template(path = "part_help.html")]
pub(crate) struct Help {
    command: Option<String>,
    words: Option<String>,
}

/// It escapes what it shows by itself.
impl HtmlSafe for Help {}

/// Tells a command from the words around it.
pub(crate) fn help(text: &str) -> Help {
    let (command, words) = words::help(text);
    Help { command, words }
}
