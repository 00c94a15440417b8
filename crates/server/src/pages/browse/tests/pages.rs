use std::collections::BTreeSet;

use access::{Role, Scope};
use axum::http::{StatusCode, header};
use service::workshop::RestoreWish;

use super::world::{EVIL, MAIL, Somebody, World, address_of, file, gone, mail, picks, record, source, table};

/// What a page is before what was stored, at most.
const PAGE_BYTES_MAX: usize = 100_000;

fn encoded(pairs: &[(&str, &str)]) -> String {
    serde_urlencoded::to_string(pairs).unwrap()
}

fn hostile() -> (World, Somebody) {
    let world = World::new();
    world.capture("acme", vec![mail("1", EVIL), mail("2", "Lunch"), record("1", "before")]);
    world.capture(
        "acme",
        vec![mail("1", &format!("{EVIL} again")), gone(MAIL, "message/2"), record("1", EVIL)],
    );
    world.capture("home", vec![file(&format!("docs/{EVIL}.txt"), "one\ntwo\n"), file("docs/a.txt", EVIL)]);
    world.capture("home", vec![file("docs/a.txt", "one\ntwo\n")]);
    world.capture("shop", vec![table(EVIL), table("bookings")]);
    let olga = world.somebody("olga", Role::Operator);
    (world, olga)
}

fn item(source: &str, stream: &str, key: &str, more: &[(&str, &str)]) -> String {
    let all = [&[("source", source), ("stream", stream), ("key", key)], more].concat();
    format!("/items?{}", encoded(&all))
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_stay_text_on_every_page() {
    let (world, olga) = hostile();
    let evil_file = format!("docs/{EVIL}.txt");
    let pages = [
        "/browse".to_owned(),
        format!("/browse?{}", encoded(&[("q", "alert"), ("deleted", "1")])),
        format!("/browse?{}", encoded(&[("q", EVIL)])),
        "/browse/acme".to_owned(),
        "/browse/home".to_owned(),
        "/browse/shop".to_owned(),
        format!("/browse/acme/{MAIL}?folder=message%2F"),
        format!("/browse/acme/{MAIL}?deleted=1"),
        "/browse/home/files?folder=docs%2F".to_owned(),
        "/browse/shop/relations?folder=1%2F".to_owned(),
        item("acme", MAIL, "message/1", &[]),
        item("acme", MAIL, "message/2", &[("at", "1")]),
        item("acme", MAIL, "message/2", &[]),
        item("acme", MAIL, "message/1", &[("from", "1"), ("to", "2")]),
        item("acme", "calendar/anna@acme.test", "event/1", &[]),
        item("acme", "calendar/anna@acme.test", "event/1", &[("from", "1"), ("to", "2")]),
        item("home", "files", &evil_file, &[]),
        item("home", "files", "docs/a.txt", &[("from", "1"), ("to", "2")]),
        item("shop", "relations", &format!("1/{EVIL}"), &[]),
    ];
    for address in pages {
        let page = world.get(&olga, &address).await.page();
        assert!(page.len() < PAGE_BYTES_MAX, "{address} has {} bytes", page.len());
        // Pages that have a hostile name in them show it, as text.
        let has_none = !address.contains('?') || address.ends_with("message%2F2");
        assert!(has_none || page.contains("&#60;script"), "{address}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_is_what_was_stored() {
    let (world, olga) = hostile();
    let found = world.get(&olga, "/browse?q=lunch").await.page();
    assert!(found.contains("Nothing was found"), "{found}");
    let found = world.get(&olga, "/browse?q=lunch&deleted=1").await.page();
    assert!(found.contains("Lunch") && found.contains("deleted "), "{found}");
    let then = world.get(&olga, "/browse?q=lunch&at=1").await.page();
    assert!(then.contains("Lunch") && then.contains("commit 1"), "{then}");

    let mail_page = world.get(&olga, &item("acme", MAIL, "message/1", &[])).await.page();
    assert!(
        mail_page.contains("&#60;script&#62;alert(1)&#60;/script&#62;.pdf"),
        "the attachment: {mail_page}"
    );
    assert!(mail_page.contains("Versions (2)") && mail_page.contains("restore hypothesis"));
    let absent = world.get(&olga, &item("acme", MAIL, "message/2", &[])).await.page();
    assert!(absent.contains("It was not there at this moment."));

    let compared = item("home", "files", "docs/a.txt", &[("from", "1"), ("to", "2")]);
    let compared = world.get(&olga, &compared).await.page();
    assert!(compared.contains("visually-hidden\">added: "), "{compared}");
    assert!(compared.contains("<ins><span class=\"visually-hidden\">added </span>two</ins>"), "{compared}");
    assert!(compared.contains("<del>"));
    let same = item("home", "files", "docs/a.txt", &[("from", "2"), ("to", "2")]);
    assert!(world.get(&olga, &same).await.page().contains("the same, byte by byte"));

    let tables = world.get(&olga, "/browse/shop/relations?folder=1%2F").await.page();
    assert!(tables.contains("shop.public.bookings"), "{tables}");
    assert!(picks(&tables).is_empty(), "rows come back by table, not as items");
    let index = world.get(&olga, "/browse").await.page();
    assert!(index.contains("up to commit 2, "), "{index}");
    // The moment stays with whoever goes on from here.
    let then = world.get(&olga, "/browse/acme?at=1").await.page();
    assert!(then.contains(&format!("/browse/acme/{MAIL}?at=1")), "{then}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_questions_are_answered() {
    let (world, olga) = hostile();
    for text in ["\"", "a AND OR NOT (", "*", "\u{0}", "' OR 1=1 --", "NEAR(", "col:a", "\u{202e}", "%"] {
        let page = world.get(&olga, &format!("/browse?{}", encoded(&[("q", text)]))).await;
        page.page();
    }
    for (query, status) in [
        ("q=a&at=yesterday", StatusCode::UNPROCESSABLE_ENTITY),
        ("q=a&cursor=x", StatusCode::UNPROCESSABLE_ENTITY),
        ("q=a&source=nowhere", StatusCode::NOT_FOUND),
        ("q=a&source=NO%20NAME", StatusCode::NOT_FOUND),
        ("q=%ff%fe&at=incident:9", StatusCode::NOT_FOUND),
    ] {
        let answered = world.get(&olga, &format!("/browse?{query}")).await;
        assert_eq!(answered.status, status, "{query}: {}", answered.text());
        assert!(answered.text().contains("<h1>"), "designed: {query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_was_is_not_found_and_says_so() {
    let (world, olga) = hostile();
    for address in [
        "/browse/nowhere".to_owned(),
        "/browse/acme/nothing".to_owned(),
        "/browse/home/files?folder=never%2F".to_owned(),
        item("acme", MAIL, "message/9", &[]),
        item("acme", "nothing", "message/1", &[]),
        item("nowhere", MAIL, "message/1", &[]),
        item("acme", MAIL, "message/9", &[("from", "1"), ("to", "2")]),
        item("acme", MAIL, "message/2", &[("from", "1"), ("to", "2")]),
        item("acme", MAIL, "message/9", &[]).replace("/items", "/items/content"),
        "/questions/7".to_owned(),
        "/browse/acme?at=99".to_owned(),
    ] {
        let answered = world.get(&olga, &address).await;
        assert_eq!(answered.status, StatusCode::NOT_FOUND, "{address}: {}", answered.text());
        assert!(answered.text().contains("<h1>") && !answered.text().contains("<script>"), "{address}");
    }
    // A folder that was full before is empty now, and no error.
    world.capture("home", vec![gone("files", "docs/a.txt"), gone("files", &format!("docs/{EVIL}.txt"))]);
    let page = world.get(&olga, "/browse/home/files?folder=docs%2F").await.page();
    assert!(page.contains("Nothing here at this moment"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_joined_are_the_whole_folder_forward_and_back() {
    let world = World::new();
    world.capture("home", (0..250).map(|number| file(&format!("many/{number:04}"), "x")).collect());
    let olga = world.somebody("olga", Role::Operator);
    let mut address = "/browse/home/files?folder=many%2F".to_owned();
    let mut seen = Vec::new();
    let mut pages = vec![address.clone()];
    loop {
        let page = world.get(&olga, &address).await.page();
        assert!(page.len() < PAGE_BYTES_MAX, "{} bytes", page.len());
        seen.extend(picks(&page));
        match address_of(&page, "next") {
            Some(next) => address = next,
            None => break,
        }
        pages.push(address.clone());
    }
    assert_eq!((seen.len(), pages.len()), (250, 3));
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 250, "each once");
    assert!(seen.is_sorted());
    let last = world.get(&olga, &address).await.page();
    let before = address_of(&last, "prev").unwrap();
    let back = picks(&world.get(&olga, &before).await.page());
    assert_eq!(back, seen[100..200]);

    let mut address = "/browse?q=00*".to_owned();
    let mut found = BTreeSet::new();
    loop {
        let page = world.get(&olga, &address).await.page();
        found.extend(picks(&page));
        match address_of(&page, "next") {
            Some(next) => address = next,
            None => break,
        }
    }
    assert_eq!(found.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_basket_is_planned_group_by_group() {
    let (world, olga) = hostile();
    let list = world.get(&olga, &format!("/browse/acme/{MAIL}?folder=message%2F&at=1")).await.page();
    let chosen = picks(&list);
    assert_eq!(chosen.len(), 2);
    let files = world.get(&olga, "/browse/home/files?folder=docs%2F").await.page();
    let file_pick = picks(&files).remove(0);
    let back = format!("/browse/acme/{MAIL}");
    let fields = [("back", back.as_str()), ("pick", &chosen[0]), ("pick", &chosen[1]), ("pick", &file_pick)];
    assert_eq!(world.post(&olga, "/basket", &fields).await.location(), back);

    let basket = world.get(&olga, "/basket").await.page();
    assert!(basket.contains("&#60;script&#62;alert(1)"), "{basket}");
    assert!(basket.len() < PAGE_BYTES_MAX);
    assert!(basket.contains("--to FOLDER") && basket.contains("Plan the restore"), "{basket}");
    let other = world.somebody("otto", Role::Approver);
    assert!(world.get(&other, "/basket").await.page().contains("Your basket is empty"));
    let group = [("source", "acme"), ("stream", MAIL), ("commit", "1")];
    assert_eq!(world.post(&other, "/basket/plan", &group).await.status, StatusCode::FORBIDDEN);

    let job = world.post(&olga, "/basket/plan", &group).await.location();
    world.job(&job).await;
    let wishes = world.workshop.wishes.lock().unwrap().clone();
    let [RestoreWish::Items { source: from, stream, moment, keys }] = &wishes[..] else {
        panic!("{wishes:?}")
    };
    assert_eq!((from, stream.as_str(), keys.len()), (&source("acme"), MAIL, 2));
    assert!(moment.parse::<model::Moment>().is_ok(), "{moment}");
    let of_files = [("source", "home"), ("stream", "files"), ("commit", "2")];
    let refused = world.post(&olga, "/basket/plan", &of_files).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text().contains("unwipe rewind home@"));

    // What is not stored, and whatever else somebody makes up, cannot be put into a basket.
    let never = encoded(&[("source", "acme"), ("stream", MAIL), ("commit", "1"), ("key", "message/9")]);
    let refused = world.post(&olga, "/basket", &[("pick", &never)]).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    assert_eq!(
        world.post(&olga, "/basket", &[("pick", "x=1")]).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    world.post(&olga, "/basket/remove", &[("pick", &file_pick)]).await.location();
    assert_eq!(world.site.browsing.baskets.count(&olga.csrf), 2);
    world.post(&olga, "/basket/clear", &[]).await.location();
    assert!(world.get(&olga, "/basket").await.page().contains("Your basket is empty"));
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_asked_compared_and_shown_escaped() {
    let (world, olga) = hostile();
    let fields = [
        ("source", "shop"),
        ("database", "shop"),
        ("sql", "SELECT * FROM bookings -- <script>alert(1)</script>"),
        ("moment", "1"),
        ("other", "2"),
        ("key", "id"),
    ];
    let location = world.post(&olga, "/questions", &fields).await.location();
    world.job(&location).await;
    let id = location.rsplit('/').next().unwrap();
    assert!(world.get(&olga, &location).await.page().contains(&format!("/questions/{id}")));
    let page = world.get(&olga, &format!("/questions/{id}")).await.page();
    for told in ["3 rows different, 1 the same", "id = 2", "id = 3", "id = 4", "NULL", ">old<", ">new<"] {
        assert!(page.contains(told) || page.contains(&told.replace('>', "</span>")), "{told}: {page}");
    }
    assert!(page.contains("text&#60;script&#62;alert(1)"), "the name of a column: {page}");
    assert!(page.len() < PAGE_BYTES_MAX);
    assert_eq!(world.workshop.questions.lock().unwrap().len(), 2);
    assert!(world.workshop.questions.lock().unwrap().iter().all(|question| question.rows_max == 200));

    for (fields, status) in [
        (vec![("source", "acme"), ("database", "a"), ("sql", "SELECT 1")], StatusCode::UNPROCESSABLE_ENTITY),
        (vec![("source", "nowhere"), ("database", "a"), ("sql", "SELECT 1")], StatusCode::NOT_FOUND),
        (vec![("source", "shop"), ("database", "a")], StatusCode::UNPROCESSABLE_ENTITY),
        (
            vec![("source", "shop"), ("database", "a"), ("sql", "SELECT 1"), ("other", "2")],
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        assert_eq!(world.post(&olga, "/questions", &fields).await.status, status, "{fields:?}");
    }
    let rows = [("source", "shop"), ("table", "shop.public.bookings"), ("where", "id = 3"), ("moment", "1")];
    let job = world.post(&olga, "/rows", &rows).await.location();
    world.job(&job).await;
    let undo = [("source", "shop"), ("transaction", "7569")];
    let job = world.post(&olga, "/undo", &undo).await.location();
    world.job(&job).await;
    let wishes = world.workshop.wishes.lock().unwrap().clone();
    assert!(
        matches!(&wishes[0], RestoreWish::Rows { predicate: Some(where_), changed: false, .. } if where_ == "id = 3")
    );
    assert!(
        matches!(&wishes[1], RestoreWish::Transactions { transactions, .. } if transactions == &["7569"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_original_is_only_ever_downloaded() {
    let (world, olga) = hostile();
    let address = item("home", "files", "docs/a.txt", &[("at", "1")]).replace("/items", "/items/content");
    let answered = world.get(&olga, &address).await;
    assert_eq!((answered.status, answered.bytes.as_slice()), (StatusCode::OK, EVIL.as_bytes()));
    let told = |name: &str| answered.headers[name].to_str().unwrap().to_owned();
    assert_eq!(told("content-type"), "application/octet-stream");
    assert_eq!(told("x-content-type-options"), "nosniff");
    assert_eq!(told("content-length"), EVIL.len().to_string());
    assert!(told("content-disposition").starts_with("attachment; filename=\"a.txt\""));
    assert!(answered.headers.contains_key(header::CONTENT_SECURITY_POLICY));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_sees_no_content_and_a_form_needs_its_session() {
    let (world, olga) = hostile();
    let victor = world.somebody("victor", Role::Viewer);
    let download = item("home", "files", "docs/a.txt", &[]).replace("/items", "/items/content");
    let location = world
        .post(&olga, "/questions", &[("source", "shop"), ("database", "shop"), ("sql", "SELECT 1")])
        .await
        .location();
    let job = world.job(&location).await;
    let answer = format!("/questions/{}", job.id);
    for address in [
        "/browse",
        "/browse?q=lunch",
        "/browse/acme",
        &format!("/browse/acme/{MAIL}"),
        &item("acme", MAIL, "message/1", &[]),
        &item("acme", MAIL, "message/1", &[("from", "1"), ("to", "2")]),
        &download,
        "/basket",
        &answer,
    ] {
        let answered = world.get(&victor, address).await;
        assert_eq!(answered.status, StatusCode::FORBIDDEN, "{address}");
        assert!(!answered.text().contains("Lunch"));
    }
    let stranger = Somebody { cookie: olga.cookie.clone(), csrf: "made up".to_owned() };
    for address in
        ["/basket", "/basket/remove", "/basket/clear", "/basket/plan", "/questions", "/rows", "/undo"]
    {
        let fields = [
            ("source", "shop"),
            ("database", "a"),
            ("sql", "SELECT 1"),
            ("table", "a.b.c"),
            ("transaction", "1"),
        ];
        let answered = world.post(&victor, address, &fields).await;
        assert_eq!(answered.status, StatusCode::FORBIDDEN, "{address}");
        let answered = world.post(&stranger, address, &fields).await;
        assert_eq!(answered.status, StatusCode::FORBIDDEN, "{address}");
    }
    assert!(world.workshop.wishes.lock().unwrap().is_empty());
    // Rows that somebody asked for are content in the list of jobs as well.
    let (see, content) = (world.token("see", Scope::See), world.token("content", Scope::Content));
    let (status, told) = world.call(&see, &format!("/jobs/{}", job.id)).await;
    assert_eq!((status, &told["result"]), (StatusCode::OK, &serde_json::Value::Null));
    let (_, told) = world.call(&see, "/jobs").await;
    assert!(told.as_array().unwrap().iter().all(|job| job["result"].is_null()));
    let (status, _) = world.call(&content, "/search?q=lunch").await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_ask_for_the_same_things() {
    let (world, _) = hostile();
    let (see, content) = (world.token("see", Scope::See), world.token("content", Scope::Content));
    let one = |more: &[(&str, &str)]| {
        encoded(&[&[("source", "acme"), ("stream", MAIL), ("key", "message/1")], more].concat())
    };
    let calls = [
        "/search?q=lunch&deleted=true".to_owned(),
        "/sources/acme/streams".to_owned(),
        format!("/items?{}", encoded(&[("source", "acme"), ("stream", MAIL), ("folder", "message/")])),
        format!("/item?{}", one(&[])),
        format!("/versions?{}", one(&[])),
        format!("/difference?{}", one(&[("from", "1"), ("to", "2")])),
    ];
    let mut told = Vec::new();
    for call in &calls {
        assert_eq!(world.call(&see, call).await.0, StatusCode::FORBIDDEN, "{call}");
        let (status, value) = world.call(&content, call).await;
        assert_eq!(status, StatusCode::OK, "{call}: {value}");
        told.push(value);
    }
    assert_eq!(told[0]["hits"][0]["entry"]["title"], "Lunch");
    assert_eq!(told[0]["hits"][0]["until_commit"], 2);
    assert!(told[1]["streams"].as_array().unwrap().iter().any(|stream| stream["stream"] == MAIL));
    assert_eq!(told[2]["entries"].as_array().unwrap().len(), 1);
    assert_eq!(told[3]["document"]["attachments"][0]["media_type"], "application/pdf");
    assert_eq!((&told[4]["total"], told[4]["versions"].as_array().unwrap().len()), (&2.into(), 2));
    assert!(!told[5]["fields"].as_array().unwrap().is_empty());
    for (call, status) in [
        ("/search?q=a&limit=x", StatusCode::UNPROCESSABLE_ENTITY),
        ("/search?q=a&cursor=x", StatusCode::UNPROCESSABLE_ENTITY),
        ("/items", StatusCode::UNPROCESSABLE_ENTITY),
        ("/sources/nowhere/streams", StatusCode::NOT_FOUND),
        ("/item?source=acme&stream=x&key=y", StatusCode::NOT_FOUND),
        ("/versions?source=acme&stream=x&key=y", StatusCode::NOT_FOUND),
    ] {
        let (told, value) = world.call(&content, call).await;
        assert_eq!(told, status, "{call}: {value}");
        assert!(value["title"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_leaves_a_catalog_alone_that_somebody_else_is_writing() {
    let (world, _) = hostile();
    let (browsing, acme) = (&world.site.browsing, source("acme"));
    assert!(browsing.is_at(&acme, 2) && !browsing.is_at(&acme, 3));
    assert!(browsing.is_for_us(&world.site, &acme, 2));
    // A commit that the catalog does not have yet is being written by its capture, unless nothing moves.
    world.capture("acme", vec![mail("3", "Dinner")]);
    assert!(!browsing.is_for_us(&world.site, &acme, 4), "it moved since the last look");
    assert!(browsing.is_for_us(&world.site, &acme, 4), "it did not");
}
