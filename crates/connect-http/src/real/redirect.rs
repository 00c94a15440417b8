//! Where a redirected request goes, and what it may take along.

use ureq::http::{
    HeaderName, Method, StatusCode, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, IF_RANGE, LOCATION, RANGE, USER_AGENT},
};

use crate::transport::{Request, Response, TransportError};

/// What is sent to a host that the caller did not choose. Everything else may be a credential.
const HARMLESS: [HeaderName; 5] = [ACCEPT, ACCEPT_ENCODING, IF_RANGE, RANGE, USER_AGENT];

/// Returns the request that an answer asks for, if it is a redirect that may be followed.
pub(super) fn next(request: &Request, response: &Response) -> Result<Option<Request>, TransportError> {
    let is_redirect = matches!(
        response.status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    // A redirected write would be done by a server that nobody chose.
    if !is_redirect || !matches!(request.method, Method::GET | Method::HEAD) {
        return Ok(None);
    }
    let Some(location) = response.headers.get(LOCATION) else { return Ok(None) };
    let location = location.to_str().map_err(|_| invalid("it redirects to no address"))?;
    let from: Uri = request.url.parse().map_err(|_| invalid("it redirects from no address"))?;
    let url = resolve(&from, location).ok_or_else(|| invalid("it redirects to no address"))?;
    let to: Uri = url.parse().map_err(|_| invalid("it redirects to no address"))?;
    if from.scheme_str() == Some("https") && to.scheme_str() != Some("https") {
        return Err(invalid("it redirects from TLS to none"));
    }
    let mut next = Request::new(request.method.clone(), url);
    let same = from.scheme() == to.scheme() && from.authority() == to.authority();
    for (name, value) in &request.headers {
        if same || HARMLESS.contains(name) {
            next.headers.append(name, value.clone());
        }
    }
    Ok(Some(next))
}

fn resolve(from: &Uri, location: &str) -> Option<String> {
    let (scheme, authority) = (from.scheme_str()?, from.authority()?);
    let location = location.split('#').next()?;
    if location.starts_with("//") {
        Some(format!("{scheme}:{location}"))
    } else if location.starts_with('/') {
        Some(format!("{scheme}://{authority}{location}"))
    } else if location.contains("://") {
        Some(location.to_owned())
    } else {
        None
    }
}

fn invalid(what: &str) -> TransportError {
    TransportError::Invalid { what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use ureq::http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

    use super::*;

    fn redirect(from: &Request, to: &str) -> Result<Option<Request>, TransportError> {
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_str(to).unwrap())]);
        next(from, &Response::new(StatusCode::FOUND, headers, Vec::new()))
    }

    fn request() -> Request {
        Request::get("https://api.example.org/a")
            .header(AUTHORIZATION, HeaderValue::from_static("Bearer x"))
            .header(HeaderName::from_static("x-api-key"), HeaderValue::from_static("y"))
            .header(RANGE, HeaderValue::from_static("bytes=5-"))
    }

    #[test]
    fn credentials_stay_with_their_host() {
        let same = redirect(&request(), "/b?c=d#e").unwrap().unwrap();
        assert_eq!(same.url, "https://api.example.org/b?c=d");
        assert_eq!(same.headers.len(), 3);
        for other in ["https://files.example.org/b", "//files.example.org/b", "https://api.example.org:444/b"]
        {
            let other = redirect(&request(), other).unwrap().unwrap();
            assert_eq!(other.headers.keys().collect::<Vec<_>>(), [&RANGE]);
        }
    }

    #[test]
    fn what_is_unsafe_is_not_followed() {
        assert!(redirect(&request(), "http://api.example.org/b").is_err());
        assert!(redirect(&request(), "b").is_err());
        let put = Request { method: Method::PUT, ..request() };
        assert!(redirect(&put, "/b").unwrap().is_none());
    }
}
