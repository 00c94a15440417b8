//! The original bytes of an item, to keep. A browser never shows them.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use access::Permission;
use axum::{
    body::{Body, Bytes},
    extract::{RawQuery, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use connect::Silent;
use tokio::{runtime::Handle, sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    Page, elsewhere,
    item::{Place, title_at},
    query,
};
use crate::{browsing::browse, moments::Chosen, problem::Problem, site::Site, visitor::Member};

/// So many portions wait for a reader that is slow.
const PORTIONS_WAITING: usize = 4;
/// A reader that takes nothing for so long is gone.
const PATIENCE: Duration = Duration::from_mins(1);
/// Of a title so many characters are in a file's name.
const NAME_CHARACTERS: usize = 100;

/// Sends what an item had at a moment.
pub(super) async fn content(
    State(site): State<Arc<Site>>,
    Member(visitor, _): Member,
    RawQuery(asked): RawQuery,
) -> Page {
    visitor.require(Permission::Content)?;
    let fields = query(asked.as_deref())?;
    let Ok(permit) = Arc::clone(&site.browsing.downloads).try_acquire_owned() else {
        let mut problem =
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Other contents are being sent right now.");
        problem.retry_after_s = Some(10);
        return Err(problem.into());
    };
    let (browse, place, at, entry) = elsewhere(&site, move |site| {
        let browse = browse(site)?;
        let place = Place::read(&fields)?;
        browse.kind(&place.source)?;
        let chosen = Chosen::read(site, fields.get("at"))?;
        let (entry, stand) = title_at(&browse, &place, chosen.at)?;
        Ok((browse, place, service::browse::At::Commit(stand.commit), entry))
    })
    .await?;
    if !entry.is_readable {
        return Err(Problem::from(service::browse::BrowseError::NoContent).into());
    }
    let (sender, receiver) = mpsc::channel(PORTIONS_WAITING);
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut out = Out { sender: sender.clone(), runtime };
        let sink = (&mut out as &mut dyn Write, &Silent as &dyn connect::Progress);
        let sent = browse.content(&place.source, (&place.stream, &place.key), at, sink);
        if let Err(error) = sent {
            // The reader sees that the content broke off: it never comes to its whole length.
            sender.try_send(Err(io::Error::other(error))).ok();
        }
        drop(permit);
    });
    Ok(attachment(
        &entry.title,
        entry.kind,
        entry.size_bytes,
        Body::from_stream(ReceiverStream::new(receiver)),
    ))
}

fn attachment(title: &str, kind: render::Kind, bytes: u64, body: Body) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    let disposition = HeaderValue::from_str(&disposition(title, kind));
    headers
        .insert(header::CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment")));
    response
}

/// Says how the file is to be called: plain letters for all, and the whole name for those who know how to read it.
fn disposition(title: &str, kind: render::Kind) -> String {
    let ending = if kind == render::Kind::Mail { ".eml" } else { "" };
    let last = title.rsplit('/').next().unwrap_or_default();
    let name: String = last.chars().filter(|c| !c.is_control()).take(NAME_CHARACTERS).collect();
    let name = name.trim().trim_start_matches('.');
    let name = format!("{}{ending}", if name.is_empty() { "item" } else { name });
    let keep = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ');
    let plain: String = name.chars().map(|c| if keep(c) { c } else { '_' }).collect();
    let mut whole = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            whole.push(char::from(byte));
        } else {
            whole.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}")
}

/// Hands portions on to whoever reads them.
struct Out {
    sender: mpsc::Sender<io::Result<Bytes>>,
    runtime: Handle,
}

impl Write for Out {
    fn write(&mut self, portion: &[u8]) -> io::Result<usize> {
        let sent = self.sender.send(Ok(Bytes::copy_from_slice(portion)));
        match self.runtime.block_on(timeout(PATIENCE, sent)) {
            Ok(Ok(())) => Ok(portion.len()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_title_is_only_a_name() {
        let told = disposition("../../etc/pass\"wd\r\nSet-Cookie: a=b", render::Kind::File);
        assert_eq!(
            told,
            "attachment; filename=\"pass_wdSet-Cookie_ a_b\"; filename*=UTF-8''pass%22wdSet-Cookie%3A%20a%3Db"
        );
        assert_eq!(
            disposition("Rechnung für Ä", render::Kind::Mail),
            "attachment; filename=\"Rechnung f_r _.eml\"; filename*=UTF-8''Rechnung%20f%C3%BCr%20%C3%84.eml"
        );
        assert!(disposition("..", render::Kind::File).contains("\"item\""));
    }
}
