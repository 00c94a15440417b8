//! What somebody could reach and destroy, as far as the backup can tell.

use mcp::{Answer, DeskError, ReachWish};
use model::{Event, Severity, SourceName, Verb};
use serde_json::{Value, json};
use service::browse::At;

use super::{HomeDesk, failed};
use crate::{commands::drill::proof_of, connectors::postgres, context::environment};

/// So many of the newest events are looked through for an identity.
const EVENTS_MAX: u32 = 5_000;

/// Tells whether a pattern with `*` and `?` fits a name.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || c.to_lowercase().eq(name[n].to_lowercase()) => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

fn is_of(event: &Event, pattern: &str) -> bool {
    event.actor.as_ref().is_some_and(|actor| {
        let names =
            [Some(&actor.identity), actor.application.as_ref(), actor.client.as_ref(), actor.agent.as_ref()];
        names.into_iter().flatten().any(|name| fits(pattern, name))
    })
}

impl HomeDesk {
    pub(super) fn estimate(&self, wish: &ReachWish) -> Result<Answer, DeskError> {
        let sources = match &wish.source {
            Some(source) => {
                self.known(source)?;
                vec![source.clone()]
            }
            None => self.browse()?.sources(),
        };
        let (mut facts, mut seen) = (Vec::new(), Vec::new());
        for source in &sources {
            let (known, did) = self.estimate_one(source, wish.actor.as_deref())?;
            facts.push(known);
            seen.extend(did);
        }
        let facts = json!({
            "sources": facts,
            "assumption": "an identity that can write to a source is taken to reach everything in it; which rights it holds is not known here",
            "vault": "nobody can destroy recovery points with the credentials of a source",
        });
        Ok(Answer::of(facts).with(json!({ "seen": seen })))
    }

    fn estimate_one(
        &self,
        source: &SourceName,
        actor: Option<&str>,
    ) -> Result<(Value, Vec<Value>), DeskError> {
        let kind = self.known(source)?;
        let installation = self.installation()?;
        self.refresh(source);
        let head =
            installation.vault(&environment).and_then(|vault| Ok(vault.head(source)?)).map_err(failed)?;
        let newest = head.as_ref().map(|commit| commit.envelope.vault_time);
        let behind = newest.map(|at| self.context.clock().now().micros_since(at) / 1_000_000);
        // A cluster is stored as files and a log: how many rows that is nobody counted.
        let held = self.browse()?.streams(source, At::Latest).ok().filter(|_| kind != postgres::KIND);
        let sum = |count: fn(&service::browse::StreamEntry) -> u64| {
            held.as_ref().map_or(json!("unknown"), |held| {
                json!(held.streams.iter().filter(|stream| !stream.is_internal).map(count).sum::<u64>())
            })
        };
        let (did, looked_through) = self.deeds(source, actor)?;
        let facts = json!({
            "source": source,
            "kind": kind,
            "items": sum(|stream| stream.items),
            "bytes": sum(|stream| stream.bytes),
            "newest_moment": newest,
            "recoverable_until": newest,
            "would_be_lost_s": behind.map_or(json!("unknown"), |seconds| json!(seconds)),
            "proof": proof_of(&self.context, &installation, source),
            "destroyed_before": did.as_ref().map_or(json!("unknown"), |(count, _)| json!(count)),
            "events_looked_through": looked_through,
        });
        let seen = did.map(|(_, verbs)| json!({ "source": source, "actor": actor, "did": verbs }));
        Ok((facts, seen.into_iter().collect()))
    }

    /// Sums up what an identity was seen doing; unknown where no identity is named, or nobody is known in the events.
    #[expect(clippy::type_complexity, reason = "a sum and its parts")]
    fn deeds(
        &self,
        source: &SourceName,
        actor: Option<&str>,
    ) -> Result<(Option<(u64, Vec<Value>)>, u64), DeskError> {
        let Some(actor) = actor else { return Ok((None, 0)) };
        let catalog = self.installation()?.catalog(source).map_err(failed)?;
        let filter =
            catalog::EventFilter { from: None, until: None, severity: Severity::Routine, limit: EVENTS_MAX };
        let events = catalog.events(filter).map_err(failed)?;
        if !events.iter().any(|event| event.actor.is_some()) {
            return Ok((None, events.len() as u64));
        }
        let effects: Vec<_> = events
            .iter()
            .filter(|event| is_of(event, actor))
            .flat_map(|event| event.effects.clone())
            .collect();
        let sums = watch::Sums::of(&effects);
        let mut verbs: Vec<Verb> = sums.verbs().collect();
        verbs.dedup();
        let did = verbs.iter().map(|verb| json!({ "verb": verb, "count": sums.count(*verb) })).collect();
        Ok((Some((sums.destroyed(), did)), events.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns_fit() {
        for (pattern, name) in
            [("*", ""), ("agent*", "Agent-7"), ("*@x.org", "a@x.org"), ("a?c", "abc"), ("a*b*c", "aXbYc")]
        {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("agent", "agents"), ("a?c", "ac"), ("*x", "xy")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
