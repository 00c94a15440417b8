use super::*;
use crate::{
    client::stage::{Stage, Sum, call, cut, stage, sum},
    testing::answer,
};

const CONTENT: &[u8] = b"the quick brown fox jumps over the lazy dog";

/// Serves the content; each answer but the last one breaks off after ten bytes.
fn serve(breaks: usize, etag: &'static str, ranges: bool) -> Stage {
    stage(move |request, number| {
        assert_eq!(request.headers[ACCEPT_ENCODING], "identity");
        let asked = request.headers.get(RANGE).and_then(|range| range.to_str().ok());
        let start = asked.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let start: usize = start.filter(|_| ranges).unwrap_or(0);
        let rest = &CONTENT[start..];
        let (length, range) = (rest.len().to_string(), format!("bytes {start}-42/43"));
        let mut headers = vec![("content-length", length.as_str())];
        if start > 0 {
            headers.push(("content-range", &range));
        }
        if !etag.is_empty() {
            headers.push(("etag", etag));
        }
        let whole = answer(if start > 0 { 206 } else { 200 }, &headers, rest);
        Ok(if number < breaks {
            cut(whole, &rest[..10 + if ranges { 0 } else { 3 * number }])
        } else {
            whole
        })
    })
}

fn read(
    stage: &Stage,
    breaks: u32,
    length: Option<u64>,
    digest: Option<Vec<u8>>,
) -> Result<Vec<u8>, DownloadError> {
    let digest = digest.map(|value| (Box::new(Sum::default()) as Box<dyn Digest + Send>, value));
    let mut download = Download::open(&stage.client, &call(), breaks, Expected { length, digest })?;
    let mut bytes = Vec::new();
    match download.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(error.downcast().unwrap()),
    }
}

#[test]
fn a_download_goes_on_after_each_break() {
    for etag in ["", "\"a\""] {
        let stage = serve(3, etag, true);
        assert_eq!(read(&stage, 3, Some(43), Some(sum(CONTENT))).unwrap(), CONTENT);
        let sent = stage.transport.sent();
        assert_eq!(sent.len(), 4);
        assert_eq!(sent[3].headers[RANGE], "bytes=30-");
        assert_eq!(sent[3].headers.get(IF_RANGE).is_some(), !etag.is_empty());
    }
}

#[test]
fn breaks_are_put_up_with_only_so_often() {
    let error = read(&serve(3, "\"a\"", true), 2, None, None).unwrap_err();
    assert!(matches!(error, DownloadError::Broken { offset: 30, .. }), "{error}");
}

#[test]
fn a_server_without_ranges_is_read_again_when_the_content_is_surely_the_same() {
    assert_eq!(read(&serve(2, "\"a\"", false), 2, None, None).unwrap(), CONTENT);
    assert_eq!(read(&serve(2, "", false), 2, None, Some(sum(CONTENT))).unwrap(), CONTENT);
    let error = read(&serve(2, "", false), 2, None, None).unwrap_err();
    assert!(matches!(error, DownloadError::Changed { offset: 10 }), "{error}");
}

#[test]
fn changed_content_is_never_mixed() {
    let change = |tag: &'static str, range: &'static str| {
        stage(move |_, number| {
            let first = answer(200, &[("content-length", "43"), ("etag", "\"a\"")], CONTENT);
            let then = answer(206, &[("content-range", range), ("etag", tag)], &CONTENT[10..]);
            Ok(if number == 0 { cut(first, &CONTENT[..10]) } else { then })
        })
    };
    assert_eq!(read(&change("\"a\"", "bytes 10-42/43"), 1, None, None).unwrap(), CONTENT);
    for (tag, range) in [
        ("\"b\"", "bytes 10-42/43"),
        ("\"a\"", "bytes 9-42/43"),
        ("\"a\"", "bytes 10-43/44"),
        ("\"a\"", "nonsense"),
    ] {
        let error = read(&change(tag, range), 1, None, None).unwrap_err();
        assert!(matches!(error, DownloadError::Changed { offset: 10 }), "{tag} {range}: {error}");
    }
}

#[test]
fn what_is_not_what_it_should_be_is_named() {
    let error = read(&serve(0, "", true), 0, Some(44), None).unwrap_err();
    assert!(matches!(error, DownloadError::Length { expected: 44, actual: 43 }), "{error}");
    let error = read(&serve(0, "", true), 0, None, Some(vec![1, 2])).unwrap_err();
    assert!(matches!(&error, DownloadError::Digest { expected, .. } if *expected == [1, 2]), "{error}");
    // A body whose length nobody told.
    let unmarked = |length| read(&stage(|_, _| Ok(answer(200, &[], CONTENT))), 0, Some(length), None);
    assert_eq!(unmarked(43).unwrap(), CONTENT);
    assert!(matches!(unmarked(42), Err(DownloadError::Length { expected: 42, .. })));
    assert!(matches!(unmarked(50), Err(DownloadError::Length { expected: 50, actual: 43 })));
}

#[test]
fn a_refusal_comes_before_the_first_byte() {
    let stage = stage(|_, _| Ok(answer(404, &[], "gone")));
    let error = Download::open(&stage.client, &call(), 3, Expected::default()).unwrap_err();
    assert!(matches!(error, DownloadError::Call(CallError::Refused(_))));
}
