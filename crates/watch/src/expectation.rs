//! What was announced.

use model::{Actor, Moment, SourceName, Verb};
use serde::{Deserialize, Serialize};

use crate::{glob, sums::is_one_shot};

/// A registered change window: what it covers raises no alarm, and is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// What it is called: a ticket.
    pub id: String,
    /// The source that it is about.
    pub source: SourceName,
    /// From when on it covers anything.
    pub from: Moment,
    /// The last moment that it covers.
    pub until: Moment,
    /// Whose work it covers: a pattern for the identity, the program or its id. Nobody's in particular where it is missing.
    /// As long as nobody knows who it was, it may have been them.
    #[serde(default)]
    pub actor: Option<String>,
    /// What it covers; where nothing is named, all but what does great harm at one stroke: that must be named.
    #[serde(default)]
    pub verbs: Vec<Verb>,
    /// Where: a pattern for the database, mailbox or site, or for what is in it. Everywhere where it is missing.
    #[serde(default)]
    pub scope: Option<String>,
    /// Why, in somebody's words.
    pub reason: String,
    /// Who registered it.
    pub registered_by: String,
    /// When.
    pub registered_at: Moment,
    /// So many items it covers; beyond them it covers nothing any more.
    #[serde(default)]
    pub items_max: Option<u64>,
}

impl Expectation {
    /// Tells whether it covers a verb of somebody at a time and place.
    pub(crate) fn covers(
        &self,
        source: &SourceName,
        at: Moment,
        who: Option<&Actor>,
        scope: &str,
        (verb, target): (Verb, &str),
    ) -> bool {
        let verb_fits = self.verbs.contains(&verb) || (self.verbs.is_empty() && !is_one_shot(verb));
        let place_fits = self
            .scope
            .as_ref()
            .is_none_or(|pattern| glob::matches(pattern, scope) || glob::matches(pattern, target));
        *source == self.source
            && (self.from..=self.until).contains(&at)
            && verb_fits
            && place_fits
            && self.actor_fits(who)
    }

    /// Tells whether it covers the work of somebody. What nobody is known to have done, it may.
    fn actor_fits(&self, who: Option<&Actor>) -> bool {
        let (Some(pattern), Some(actor)) = (&self.actor, who) else { return true };
        let names = [Some(&actor.identity), actor.application.as_ref(), actor.client.as_ref()];
        names.into_iter().flatten().any(|name| glob::matches(pattern, name))
    }
}
