//! Searching for words in what things are called, over all sources.

use std::collections::BTreeMap;

use catalog::search::{Terms, Wish};
use model::SourceName;

use super::{Browse, BrowseError, Hit, SearchWish, Searched, pages, stand};

/// A source whose pages are at their end.
const AT_END: &str = "-";

/// What one source found.
struct Part {
    source: SourceName,
    hits: Vec<(i64, Hit)>,
    next: Option<i64>,
    is_behind: bool,
}

impl Browse {
    /// Searches. What somebody types is never an error; without a word nothing is found.
    ///
    /// A source in which nothing was stored yet at the asked moment, or that has no catalog, holds nothing.
    pub fn search(&self, wish: &SearchWish) -> Result<Searched, BrowseError> {
        let mut searched = Searched { hits: Vec::new(), next: None, behind: Vec::new() };
        let Some(terms) = Terms::parse(&wish.text) else { return Ok(searched) };
        let sources = if wish.sources.is_empty() { self.sources() } else { wish.sources.clone() };
        let mut places = read_places(wish.page.cursor.as_deref())?;
        let mut parts = Vec::new();
        for source in sources {
            if places.get(&source).is_some_and(|place| place == AT_END) {
                continue;
            }
            let before = places.get(&source).map(|place| place.parse()).transpose();
            let before = before.map_err(|_| BrowseError::Cursor)?;
            let part = self.search_one(&source, wish, &terms, before)?;
            if part.is_behind {
                searched.behind.push(source);
            }
            parts.push(part);
        }
        searched.hits = merge(&parts, wish.page.limit() as usize, &mut places);
        let goes_on = parts.iter().any(|part| places.get(&part.source).is_some_and(|place| place != AT_END));
        searched.next = goes_on.then(|| write_places(&places));
        Ok(searched)
    }

    fn search_one(
        &self,
        source: &SourceName,
        wish: &SearchWish,
        terms: &Terms,
        before: Option<i64>,
    ) -> Result<Part, BrowseError> {
        let mut part = Part { source: source.clone(), hits: Vec::new(), next: None, is_behind: false };
        let streams: Vec<String> = wish.streams.iter().map(|stream| stream.as_str().to_owned()).collect();
        let found = self.ask(source, |opened, kind| {
            let catalog = &opened.catalog;
            let at = match wish.at.map(|at| stand(catalog, source, at)).transpose() {
                Ok(stand) => stand.map(|stand| stand.commit),
                Err(BrowseError::NothingYet { .. }) => return Ok((Vec::new(), None, false)),
                Err(error) => return Err(error),
            };
            let index = match &opened.index {
                Some(index) if index.is_of(catalog)? => index,
                _ => return Ok((Vec::new(), None, true)),
            };
            let is_behind = index.last_row()? < catalog.last_row()?;
            let streams = (!streams.is_empty()).then_some(&streams[..]);
            let found = index.find(catalog, Wish { terms, streams, at, before, limit: wish.page.limit() })?;
            let hits = found.rows.into_iter().map(|row| {
                let (id, until_commit) = (row.id, row.until);
                let entry = pages::entry(catalog, kind, row)?;
                Ok((id, Hit { source: source.clone(), entry, until_commit }))
            });
            Ok((hits.collect::<Result<Vec<_>, BrowseError>>()?, found.next, is_behind))
        });
        match found {
            Ok((hits, next, is_behind)) => (part.hits, part.next, part.is_behind) = (hits, next, is_behind),
            Err(BrowseError::NoCatalog { .. }) => part.is_behind = true,
            Err(error) => return Err(error),
        }
        Ok(part)
    }
}

/// Puts what the sources found together, the newest first, and notes how far each one was taken.
fn merge(parts: &[Part], limit: usize, places: &mut BTreeMap<SourceName, String>) -> Vec<Hit> {
    let mut taken = vec![0; parts.len()];
    let mut hits = Vec::new();
    while hits.len() < limit {
        let newest = parts
            .iter()
            .enumerate()
            .filter_map(|(number, part)| part.hits.get(taken[number]).map(|(_, hit)| (hit.entry.at, number)))
            .max_by_key(|(at, number)| (*at, std::cmp::Reverse(*number)));
        let Some((_, number)) = newest else { break };
        hits.push(parts[number].hits[taken[number]].1.clone());
        taken[number] += 1;
    }
    for (part, taken) in parts.iter().zip(taken) {
        let place = if taken == part.hits.len() {
            part.next.map(|next| next.to_string())
        } else if taken > 0 {
            Some(part.hits[taken - 1].0.to_string())
        } else {
            // Nothing of it was shown: it begins again where it began, if there is anything at all.
            Some(places.get(&part.source).cloned().unwrap_or_else(|| i64::MAX.to_string()))
        };
        places.insert(part.source.clone(), place.unwrap_or_else(|| AT_END.to_owned()));
    }
    hits
}

fn read_places(text: Option<&str>) -> Result<BTreeMap<SourceName, String>, BrowseError> {
    let parts = text.unwrap_or_default().split(',').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (source, place) = part.split_once('=').ok_or(BrowseError::Cursor)?;
            let source = SourceName::new(source).map_err(|_| BrowseError::Cursor)?;
            Ok((source, place.to_owned()))
        })
        .collect()
}

fn write_places(places: &BTreeMap<SourceName, String>) -> String {
    let parts: Vec<String> = places.iter().map(|(source, place)| format!("{source}={place}")).collect();
    parts.join(",")
}
