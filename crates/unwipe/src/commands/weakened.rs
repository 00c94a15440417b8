//! What makes protection less and is done on the host, where nobody is asked: it is said, written down and told.

use service::{Installation, guards, weakened};

use crate::{
    context::{Context, environment},
    output::printable,
};

/// Notes that something made protection less.
pub(crate) fn note(context: &Context, installation: &Installation, what: &str) {
    context.output.say(printable(&format!(
        "this makes protection less: {what}; nobody was asked, because this is the host itself, and everybody is told"
    )));
    for why in weakened::note(installation, &environment, what, &context.person()) {
        context.output.say(format!("not told: {}", printable(&why)));
    }
}

/// Looks whether the configuration protects less than when it was last looked at.
pub(crate) fn look(context: &Context, installation: &Installation) {
    match guards::look(installation, &environment) {
        Ok(lines) => lines.iter().for_each(|line| context.output.say(printable(line))),
        Err(error) => context.output.say(printable(&error.to_string())),
    }
}
