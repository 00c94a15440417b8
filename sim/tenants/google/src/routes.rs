//! The table of everything that can be called.
//!
//! To add a service: make a module with a `pub(crate) const ROUTES: [&[Route]; 1]`, add it to [`TABLES`], and give
//! [`Tenant`] a field for its state. A handler gets the tenant and the call and returns a reply; tokens, scopes, faults,
//! quota, `fields`, batches, compression and the record of traffic are dealt with before and after it.

use std::{collections::HashMap, fmt};

use hyper::Method;

use crate::{
    calendar,
    call::{Answer, Call},
    directory, drive, gmail, oauth, people, reports,
    tenant::Tenant,
    text,
};

/// What answers a call.
pub(crate) type Handler = fn(&mut Tenant, &Call) -> Answer;

/// One method of a service.
pub(crate) struct Route {
    /// Its name in the discovery document: `gmail.users.messages.get`.
    pub(crate) id: &'static str,
    /// The verb.
    pub(crate) method: Method,
    /// The path, with parameters in braces; the last one may be `{+name}`, which takes the rest of the path. A
    /// parameter may be followed by a custom verb: `{id}:updateContact`.
    pub(crate) path: &'static str,
    /// The scopes of which a token needs one; none: anyone may call.
    pub(crate) scopes: &'static [&'static str],
    /// The price in units of quota.
    pub(crate) units: u32,
    /// Whose quota is charged: `gmail`, `drive`, `admin`.
    pub(crate) service: &'static str,
    /// What answers.
    pub(crate) handler: Handler,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("id", &self.id).field("path", &self.path).finish_non_exhaustive()
    }
}

/// What can be called, as it stands in the simulator's tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The method's name in the discovery document: `gmail.users.messages.get`. Uploads and downloads have the name of
    /// their method, and what is no method of an API has a name of its own.
    pub id: &'static str,
    /// The verb: `GET`.
    pub verb: String,
    /// The path after the host, with parameters in braces.
    pub path: &'static str,
    /// The scopes of which a token needs one; none: anyone may call.
    pub scopes: &'static [&'static str],
}

/// Returns everything that can be called.
pub fn offered() -> Vec<Offered> {
    let routes = TABLES.iter().copied().flatten().copied().flatten();
    routes
        .map(|route| Offered {
            id: route.id,
            verb: route.method.to_string(),
            path: route.path,
            scopes: route.scopes,
        })
        .collect()
}

/// The tables of all services.
const TABLES: &[&[&[Route]]] = &[
    &[oauth::ROUTES],
    &directory::ROUTES,
    &gmail::ROUTES,
    &[drive::ROUTES],
    &calendar::ROUTES,
    &people::ROUTES,
    &[reports::ROUTES],
];

/// The table, made ready for finding.
#[derive(Debug)]
pub(crate) struct Routes {
    /// By verb and number of segments; those with more literal segments first.
    exact: HashMap<(Method, usize), Vec<Pattern>>,
    /// Those whose last parameter takes the rest.
    open: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    route: &'static Route,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment {
    Literal(&'static str),
    /// A parameter with what follows it in the segment.
    Parameter(&'static str, &'static str),
    Rest(&'static str),
}

/// A route that was found, with what stands in its braces.
pub(crate) type Found = (&'static Route, Vec<(&'static str, String)>);

impl Routes {
    /// Makes the table of all services ready.
    pub(crate) fn new() -> Self {
        let mut routes = Self { exact: HashMap::new(), open: Vec::new() };
        for route in TABLES.iter().copied().flatten().copied().flatten() {
            let segments: Vec<Segment> = route.path.trim_start_matches('/').split('/').map(segment).collect();
            let pattern = Pattern { route, segments };
            if matches!(pattern.segments.last(), Some(Segment::Rest(_))) {
                routes.open.push(pattern);
            } else {
                let key = (route.method.clone(), pattern.segments.len());
                routes.exact.entry(key).or_default().push(pattern);
            }
        }
        for patterns in routes.exact.values_mut() {
            patterns
                .sort_by_key(|pattern| pattern.segments.iter().map(|s| s.vagueness()).collect::<Vec<_>>());
        }
        routes
    }

    /// Finds the route of a request.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Option<Found> {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let exact = self.exact.get(&(method.clone(), parts.len())).into_iter().flatten();
        let open = self.open.iter().filter(|pattern| pattern.route.method == method);
        exact.chain(open).find_map(|pattern| Some((pattern.route, pattern.read(&parts)?)))
    }
}

fn segment(text: &'static str) -> Segment {
    let Some((name, after)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
        return Segment::Literal(text);
    };
    name.strip_prefix('+').map_or(Segment::Parameter(name, after), Segment::Rest)
}

impl Segment {
    const fn vagueness(self) -> u8 {
        match self {
            Self::Literal(_) => 0,
            Self::Parameter(_, after) if !after.is_empty() => 1,
            Self::Parameter(..) => 2,
            Self::Rest(_) => 3,
        }
    }
}

impl Pattern {
    fn read(&self, parts: &[&str]) -> Option<Vec<(&'static str, String)>> {
        if parts.len() < self.segments.len() {
            return None;
        }
        let mut found = Vec::new();
        for (at, segment) in self.segments.iter().enumerate() {
            match *segment {
                Segment::Literal(text) if text == parts[at] => {}
                Segment::Literal(text) => {
                    // Colons of custom verbs are sometimes escaped.
                    if text::percent_decoded(parts[at], false) != text {
                        return None;
                    }
                }
                Segment::Parameter(name, "") if !parts[at].is_empty() => {
                    found.push((name, text::percent_decoded(parts[at], false)));
                }
                Segment::Parameter(name, after) => {
                    let decoded = text::percent_decoded(parts[at], false);
                    let value = decoded.strip_suffix(after).filter(|value| !value.is_empty())?;
                    found.push((name, value.to_owned()));
                }
                Segment::Rest(name) => {
                    found.push((name, text::percent_decoded(&parts[at..].join("/"), false)));
                }
            }
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_is_found_by_its_own_path_and_has_a_name_of_its_own() {
        let routes = Routes::new();
        let mut ids = BTreeSet::new();
        for route in TABLES.iter().copied().flatten().copied().flatten() {
            let path = route.path.replace('{', "x").replace("}:", "x:").replace(['}', '+'], "x");
            let (found, _) = routes.find(&route.method, &path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(found.path, route.path);
            // An upload is another path of the same method.
            assert!(ids.insert((route.id, route.method.clone(), route.path)), "{} twice", route.id);
        }
    }

    #[test]
    fn parameters_are_decoded_and_literals_come_first() {
        let pattern = Pattern {
            route: &oauth::ROUTES[0],
            segments: "v1/{id}:update".split('/').map(segment).collect(),
        };
        assert_eq!(pattern.read(&["v1", "a%40b:update"]), Some(vec![("id", "a@b".to_owned())]));
        assert_eq!(pattern.read(&["v1", "a"]), None);
        let (route, parameters) =
            Routes::new().find(&Method::GET, "/admin/directory/v1/users/a%40b.c").unwrap();
        assert_eq!((route.id, parameters[0].1.as_str()), ("directory.users.get", "a@b.c"));
        assert!(Routes::new().find(&Method::PUT, "/admin/directory/v1/nothing").is_none());
    }
}
