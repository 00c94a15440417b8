//! What a request asks for. The table of routes is all there is.

use blobs::remote::protocol::{LIST, LOCKED_UNTIL, LOCKS, OBJECTS, STATUS, TIME};
use hyper::{
    HeaderMap, Method, Uri,
    header::{CONTENT_LENGTH, HeaderName, RANGE, TRANSFER_ENCODING},
};
use model::Moment;
use ports::BlobName;

/// A request that makes sense. Whether it is granted is another matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Make an object.
    Create {
        /// Its name.
        name: BlobName,
        /// Its length.
        length: u64,
        /// Until when it is to be locked.
        asked: Option<Moment>,
    },
    /// Tell an object's size and lock.
    Head {
        /// Its name.
        name: BlobName,
    },
    /// Give an object's bytes.
    Read {
        /// Its name.
        name: BlobName,
        /// The first and the last byte wanted.
        range: Option<(u64, u64)>,
    },
    /// Lengthen a lock.
    Extend {
        /// The object's name.
        name: BlobName,
        /// Until when.
        asked: Moment,
    },
    /// List objects.
    List {
        /// What their names begin with.
        prefix: String,
        /// The name after which to go on.
        after: String,
    },
    /// Tell the time.
    Time,
    /// Tell quotas and what is used of them.
    Status,
}

/// Why a request makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// There is no such path.
    #[error("there is nothing here")]
    Path,
    /// The path knows other verbs.
    #[error("this server has no such verb; here it has {allow}")]
    Verb {
        /// Those it has.
        allow: &'static str,
    },
    /// A part is malformed.
    #[error("the {what} cannot be read")]
    Malformed {
        /// Which part.
        what: &'static str,
    },
    /// The length of the content must be said beforehand.
    #[error("content needs a Content-Length")]
    Length,
}

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Create,
    Head,
    Read,
    Extend,
    List,
    Time,
    Status,
}

/// A verb on a path; a path that ends with `/` is followed by an object's name.
#[derive(Debug)]
struct Route {
    verb: Method,
    path: &'static str,
    kind: Kind,
}

const fn route(verb: Method, path: &'static str, kind: Kind) -> Route {
    Route { verb, path, kind }
}

/// All that the server can be asked. Nothing here deletes or overwrites.
static ROUTES: [Route; 7] = [
    route(Method::PUT, OBJECTS, Kind::Create),
    route(Method::HEAD, OBJECTS, Kind::Head),
    route(Method::GET, OBJECTS, Kind::Read),
    route(Method::POST, LOCKS, Kind::Extend),
    route(Method::GET, LIST, Kind::List),
    route(Method::GET, TIME, Kind::Time),
    route(Method::GET, STATUS, Kind::Status),
];

const PREFIX_BYTES_MAX: usize = 255;

/// Reads a request's head. Its text is taken as it is: nothing is decoded, so nothing can be hidden.
pub fn parse(verb: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Request, RequestError> {
    let path = uri.path();
    if uri.scheme().is_some() {
        return Err(RequestError::Path);
    }
    let fits = |route: &&Route| match path.strip_prefix(route.path) {
        Some(name) => route.path.ends_with('/') != name.is_empty(),
        None => false,
    };
    let routes: Vec<&Route> = ROUTES.iter().filter(fits).collect();
    let first = routes.first().ok_or(RequestError::Path)?;
    let Some(route) = routes.iter().find(|route| route.verb == *verb) else {
        return Err(RequestError::Verb { allow: allowed(first.path) });
    };
    if route.kind != Kind::List && uri.query().is_some() {
        return Err(RequestError::Malformed { what: "query" });
    }
    let name = || {
        let text = path.strip_prefix(route.path).unwrap_or_default();
        BlobName::new(text).map_err(|_| RequestError::Malformed { what: "name" })
    };
    Ok(match route.kind {
        Kind::Create => {
            Request::Create { name: name()?, length: length(headers)?, asked: lock_date(headers)? }
        }
        Kind::Head => Request::Head { name: name()? },
        Kind::Read => Request::Read { name: name()?, range: range(headers)? },
        Kind::Extend => Request::Extend {
            name: name()?,
            asked: lock_date(headers)?.ok_or(RequestError::Malformed { what: "lock date" })?,
        },
        Kind::List => {
            let (prefix, after) = list_query(uri.query().unwrap_or_default())?;
            Request::List { prefix, after }
        }
        Kind::Time => Request::Time,
        Kind::Status => Request::Status,
    })
}

fn allowed(path: &str) -> &'static str {
    match path {
        OBJECTS => "PUT, HEAD, GET",
        LOCKS => "POST",
        _ => "GET",
    }
}

/// Takes the only value of a header.
fn single<'a>(
    headers: &'a HeaderMap,
    header: impl Into<HeaderName>,
    what: &'static str,
) -> Result<Option<&'a str>, RequestError> {
    let mut values = headers.get_all(header.into()).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(RequestError::Malformed { what });
    }
    first.map(|value| value.to_str().map_err(|_| RequestError::Malformed { what })).transpose()
}

/// Numbers in plain decimal: no sign but a leading minus, no space.
fn number<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T, RequestError> {
    if text.starts_with('+') || text.len() > 20 {
        return Err(RequestError::Malformed { what });
    }
    text.parse().map_err(|_| RequestError::Malformed { what })
}

fn length(headers: &HeaderMap) -> Result<u64, RequestError> {
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err(RequestError::Length);
    }
    number(single(headers, CONTENT_LENGTH, "length")?.ok_or(RequestError::Length)?, "length")
}

fn lock_date(headers: &HeaderMap) -> Result<Option<Moment>, RequestError> {
    let text = single(headers, HeaderName::from_static(LOCKED_UNTIL), "lock date")?;
    text.map(|text| number(text, "lock date").map(Moment::from_micros)).transpose()
}

fn range(headers: &HeaderMap) -> Result<Option<(u64, u64)>, RequestError> {
    let malformed = RequestError::Malformed { what: "range" };
    let Some(text) = single(headers, RANGE, "range")? else { return Ok(None) };
    let (first, last) =
        text.strip_prefix("bytes=").and_then(|range| range.split_once('-')).ok_or(malformed.clone())?;
    let (first, last) = (number(first, "range")?, number(last, "range")?);
    if first <= last { Ok(Some((first, last))) } else { Err(malformed) }
}

fn list_query(query: &str) -> Result<(String, String), RequestError> {
    let malformed = || RequestError::Malformed { what: "query" };
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_./".contains(&b);
    let (mut prefix, mut after) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(malformed)?;
        if value.len() > PREFIX_BYTES_MAX || !value.bytes().all(plain) || value.contains("..") {
            return Err(malformed());
        }
        let place = match key {
            "prefix" => &mut prefix,
            "after" => &mut after,
            _ => return Err(malformed()),
        };
        if place.replace(value.to_owned()).is_some() {
            return Err(malformed());
        }
    }
    Ok((prefix.unwrap_or_default(), after.unwrap_or_default()))
}

#[cfg(test)]
mod tests;
