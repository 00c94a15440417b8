//! What a person typed for what is meant: `SOURCE`, `SOURCE@MOMENT`, `SOURCE/STREAM@MOMENT`.

use model::Moment;
use service::StoredSource;

use crate::{exit::Exit, failure::Failure};

/// A source, perhaps a part of it, and a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Selector<'t> {
    pub(crate) source: &'t str,
    /// The stream: `gmail/anna@x.org`.
    pub(crate) stream: Option<&'t str>,
    /// `latest`, a time, or the number of a commit.
    pub(crate) moment: &'t str,
}

impl<'t> Selector<'t> {
    /// Reads what was typed. A stream's name may hold an at sign: what is behind the last one is a moment if it looks like
    /// one.
    pub(crate) fn of(text: &'t str) -> Self {
        let (source, rest) = text.split_at(text.find(['/', '@']).unwrap_or(text.len()));
        let (stream, moment) = match rest.strip_prefix('/') {
            None => (None, rest.strip_prefix('@')),
            Some(rest) => match rest.rsplit_once('@') {
                Some((stream, moment)) if is_moment(moment) => (Some(stream), Some(moment)),
                _ => (Some(rest), None),
            },
        };
        Self {
            source,
            stream: stream.filter(|stream| !stream.is_empty()),
            moment: moment.unwrap_or("latest"),
        }
    }
}

fn is_moment(text: &str) -> bool {
    text == "latest" || text.parse::<u64>().is_ok() || text.parse::<Moment>().is_ok()
}

/// Finds the commit that a moment means: the newest one no later than a time.
pub(crate) fn commit_of(stored: &StoredSource, source: &str, moment: &str) -> Result<u64, Failure> {
    let catalog = stored.catalog();
    let nothing = || Failure::new(Exit::Nothing, format!("nothing of {source} is stored as of {moment}"));
    if moment == "latest" {
        return match catalog.last_sequence()? {
            0 => Err(nothing().hint(format!("unwipe capture {source} --once"))),
            last => Ok(last),
        };
    }
    if let Ok(commit) = moment.parse() {
        let is_there = (1..=catalog.last_sequence()?).contains(&commit);
        return is_there.then_some(commit).ok_or_else(|| nothing().hint(format!("unwipe log {source}")));
    }
    let at: Moment = moment.parse().map_err(|error| {
        Failure::because(Exit::Usage, "the moment cannot be understood", error)
            .hint(format!("write {source}@latest, {source}@2026-04-25T14:00:08Z or a commit: {source}@7"))
    })?;
    catalog.commit_at(at)?.ok_or_else(|| nothing().hint(format!("unwipe log {source}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_streams_and_moments_are_told_apart() {
        let of = |text| {
            let Selector { source, stream, moment } = Selector::of(text);
            (source, stream, moment)
        };
        assert_eq!(of("acme"), ("acme", None, "latest"));
        assert_eq!(of("shop@before:0/5F3C9850"), ("shop", None, "before:0/5F3C9850"));
        assert_eq!(of("acme/gmail/anna@x.org"), ("acme", Some("gmail/anna@x.org"), "latest"));
        assert_eq!(of("acme/gmail/anna@x.org@latest"), ("acme", Some("gmail/anna@x.org"), "latest"));
        assert_eq!(of("acme/gmail/anna@x.org@7"), ("acme", Some("gmail/anna@x.org"), "7"));
        let timed = "acme/gmail/anna@x.org@2026-04-25T14:00:08Z";
        assert_eq!(of(timed), ("acme", Some("gmail/anna@x.org"), "2026-04-25T14:00:08Z"));
        assert_eq!(of("acme/directory@latest"), ("acme", Some("directory"), "latest"));
    }
}
