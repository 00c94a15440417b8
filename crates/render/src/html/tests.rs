use proptest::prelude::*;

use super::*;

#[test]
fn a_page_becomes_what_a_person_would_read() {
    let page = "<html><head><title>no</title><style>p { color: red }</style></head><body>\
        <h1>Hello&nbsp;Anna</h1><p>One &amp; two<br>three &lt;four&gt;</p>\n\
        <script>alert('<p>never</p>')</script>\
        <ul><li>first<li>second</ul><!-- <p>hidden</p> -->\
        <a href='https://evil.test/login'>https://bank.test</a> <a href=\"mailto:a@x.test\">a@x.test</a>\
        <img alt='a cat' src=x onerror=alert(1)> 1 < 2 &bogus; &#x202e; end</body></html>";
    let text = to_text(page);
    assert_eq!(
        text,
        "Hello\u{a0}Anna\nOne & two\nthree <four>\n• first\n• second\nhttps://bank.test <https://evil.test/login> \
         a@x.test [a cat] 1 < 2 &bogus; \u{202e} end"
    );
}

#[test]
fn broken_pages_end() {
    assert_eq!(to_text("a <b"), "a");
    assert_eq!(to_text("a <p title=\"never closed> b"), "a\nb");
    assert_eq!(to_text("<script>never closed"), "");
    assert_eq!(to_text("<!-- never closed"), "");
    assert_eq!(to_text("<SCRIPT>x</sCript >y"), "y");
    assert_eq!(to_text("&#1114112;&#xd800;"), "\u{fffd}\u{fffd}");
    assert_eq!(to_text("<a href=javascript:alert(1)>x</a>"), "x <javascript:alert(1)>");
}

#[test]
fn a_large_page_takes_time_in_proportion_to_its_length() {
    // Each of these would take hours if every tag looked through all that follows.
    for part in
        ["<", "<a", "<p>", "<a href='", "<script>", "</", "&", "<!--", "<a href=\"x\">", "<a='>", "<img alt="]
    {
        let page = part.repeat(100_000);
        assert!(to_text(&page).len() <= 8 * page.len());
    }
}

proptest! {
    #[test]
    fn any_text_is_a_page(page in "([<>a&;'\" =/!-]|script|href|style|é){0,60}") {
        to_text(&page);
    }
}
