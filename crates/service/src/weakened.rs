//! What makes protection less and is done on the host, where nobody is asked: it is written down and told to everybody.

use model::Moment;
use notify::Urgency;
use serde::{Deserialize, Serialize};

use crate::{
    Installation,
    operations::{self, Kind},
    secret::Environment,
    telling::{self, Told},
};

/// The rule under which it is found among findings.
const RULE: &str = "weakening";

/// Something that made protection less without a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weakened {
    /// What was done, as one line.
    pub what: String,
    /// Who did it: a person, or the name under which somebody is logged in on the host.
    pub by: String,
    /// When.
    pub at: Moment,
}

/// Writes to the vault's operation log that protection became less, and tells every channel; returns what did not arrive
/// there, and why. What was done stays done: this is how people hear of it.
pub fn note(
    installation: &Installation,
    environment: Environment<'_>,
    what: impl Into<String>,
    by: &str,
) -> Vec<String> {
    let at = installation.ports().clock.now();
    let weakened = Weakened { what: what.into(), by: by.to_owned(), at };
    let mut random = [0; 4];
    installation.ports().random.fill(&mut random);
    let id = format!("{at}-{}", vault::hex(&random));
    let written = installation
        .writer(environment)
        .and_then(|(writer, _)| operations::record(&writer, Kind::Weakening, &id, &weakened));
    let mut failed: Vec<String> =
        written.err().map(|error| format!("it is not in the vault's log: {error}")).into_iter().collect();
    let sentence = format!("protection became less: {what}, by {by}", what = weakened.what);
    let told = Told {
        id: format!("weakened-{id}"),
        rule: RULE,
        urgency: Urgency::Alarm,
        finding: "protection became less".to_owned(),
        title: sentence.clone(),
        explanation: sentence,
        lines: vec!["if nobody of you did this, look at once: unwipe log unwipe".to_owned()],
        at,
    };
    let messages: Vec<_> = told.message(at).into_iter().collect();
    match telling::send(installation, environment, &messages) {
        Ok(unreached) => failed.extend(unreached),
        Err(error) => failed.push(error.to_string()),
    }
    failed
}
