use axum::http::StatusCode;
use connect::{QuotaOfLate, QuotaUnit, QuotaUse};
use model::{Item, Layout, Moment, SourceName, StreamName, UnreadableReason};
use service::{config::SourceConfig, quota::QuotaReport};

use super::{HOSTILE, House, NOWHERE};
use crate::keeper::Keeper;

/// A house with a source that nobody captures.
fn house() -> House {
    let house = House::new(1);
    let mut installation = house.site.installation().unwrap();
    installation
        .reconfigure(|config| {
            for name in ["shop", "tree"] {
                let source = SourceConfig { kind: "files".to_owned(), settings: toml::Table::new() };
                config.sources.insert(SourceName::new(name).unwrap(), source);
            }
            Ok(())
        })
        .unwrap();
    house
}

fn look(house: &House) {
    Keeper::default().look(&house.site);
}

fn write(house: &House, source: &str, uses: Vec<QuotaUse>) {
    let at = Moment::from_micros(1_700_000_000_000_000);
    let folder = house.folder.path().join("state").join(source);
    std::fs::create_dir_all(&folder).unwrap();
    let report = QuotaReport { at, since: at, uses };
    ports::files::replace(&folder.join("quota.json"), &serde_json::to_vec(&report).unwrap()).unwrap();
}

fn used(refused: u64) -> QuotaUse {
    QuotaUse {
        name: HOSTILE.to_owned(),
        subject: Some(HOSTILE.to_owned()),
        unit: QuotaUnit::Units,
        used: 4800,
        limit: 6000,
        per_s: Some(60),
        share_percent: Some(50),
        of_late: Some(QuotaOfLate { hour: 9000, day: 90_000, refused, waited_ms: 120_000 }),
    }
}

#[test]
fn what_capturing_takes_of_a_quota_is_seen_by_people_programs_and_monitoring() {
    let house = house();
    look(&house);
    assert!(house.get("vera", "/sources").text.contains("not known yet"));
    write(&house, "shop", vec![used(3)]);
    write(&house, "tree", Vec::new());
    look(&house);

    let page = house.get("vera", "/sources").text;
    assert!(
        page.contains("4,800 of 6,000 units a minute (80 %)") && page.contains("nearly used up"),
        "{page}"
    );
    assert!(page.contains("<td>none</td>"), "files have no quota");
    assert!(!page.contains("<script>alert"), "{page}");
    let page = house.get("vera", "/sources/shop").text;
    assert!(page.contains("90,000") && page.contains("2 minutes") && page.contains("50 %"), "{page}");
    assert!(!page.contains("<script>alert"), "{page}");
    assert!(house.get("vera", "/sources/tree").text.contains("has no quota"));

    let sources = house.get("bot", "/api/v1/sources").json();
    let pool = &sources[0]["quota"]["pools"][0];
    assert_eq!(
        (&pool["used"], &pool["refused"], &pool["waited_ms"]),
        (&4800.into(), &3.into(), &120_000.into())
    );
    assert_eq!(pool["unit"], "units");
    assert_eq!(sources[1]["quota"]["pools"], serde_json::json!([]));

    let metrics = house.get("bot", "/metrics").text;
    let told = |name: &str, value: &str| {
        metrics
            .lines()
            .any(|line| line.starts_with(&format!("unwipe_{name}{{source=\"shop\"")) && line.ends_with(value))
    };
    assert!(told("quota_used", " 4800") && told("quota_limit", " 6000"), "{metrics}");
    assert!(told("quota_refused", " 3") && told("quota_waited_seconds", " 120"), "{metrics}");
}

/// Stores a commit in which nothing of so many items could be read.
fn capture_unreadable(house: &House, number: usize) {
    struct Blind(usize);
    impl connect::SourceReader for Blind {
        fn changes(
            &mut self,
            _: Option<&connect::Cursor>,
            sink: &mut dyn connect::ChangeSink,
            _: &connect::Stop,
        ) -> Result<connect::ReadEnd, connect::ReadError> {
            let stream = StreamName::new("files").unwrap();
            sink.enumerated(self.0 as u64 + 1)?;
            let good = Item { stream: stream.clone(), key: "good".to_owned(), attributes: "{}".to_owned() };
            sink.upsert_bytes(good, Layout::Small, b"text")?;
            for number in 0..self.0 {
                let reason = UnreadableReason::Denied { detail: HOSTILE.to_owned() };
                sink.unreadable(stream.clone(), format!("{number:03}{HOSTILE}"), reason)?;
            }
            sink.checkpoint(&connect::Cursor("1".to_owned()))?;
            Ok(connect::ReadEnd::UpToDate)
        }
    }
    let installation = house.site.installation().unwrap();
    let source = SourceName::new("shop").unwrap();
    installation.capture(&source, &mut Blind(number), NOWHERE, &connect::Stop::default()).unwrap();
}

#[test]
fn everything_that_could_not_be_read_is_listed_with_its_reason_page_by_page() {
    let house = house();
    assert!(house.get("vera", "/sources/shop/unread").text.contains("Everything could be read"));
    capture_unreadable(&house, 120);
    look(&house);
    let page = house.get("vera", "/sources").text;
    assert!(page.contains("120 unreadable of late") && page.contains("/sources/shop/unread"), "{page}");
    assert!(house.get("vera", "/sources/shop").text.contains("All that could not be read"));

    let (mut path, mut seen) = ("/sources/shop/unread".to_owned(), 0);
    loop {
        let page = house.get("vera", &path).text;
        assert!(!page.contains("<script>alert"), "{page}");
        seen += page.matches("reading it is not allowed").count();
        let Some(at) = page.find("/sources/shop/unread?after=") else { break };
        path = page[at..].split('"').next().unwrap().to_owned();
    }
    assert_eq!(seen, 120);

    let first = house.get("bot", "/api/v1/sources/shop/unread").json();
    assert_eq!(first["items"].as_array().unwrap().len(), 50);
    assert_eq!(first["items"][0]["stream"], "files");
    let second = house.get("bot", &format!("/api/v1/sources/shop/unread?after={}", first["next"])).json();
    assert_ne!(first["items"][0]["key"], second["items"][0]["key"]);
    assert_eq!(house.get("vera", "/sources/none/unread").status, StatusCode::NOT_FOUND);
    assert_eq!(house.get("vera", "/sources/shop/unread?after=x").status, StatusCode::BAD_REQUEST);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the vault is taken away and put back")]
fn nothing_is_read_again_while_nothing_has_changed() {
    let house = house();
    let mut keeper = Keeper::default();
    // The first look makes the catalogs, which is a change.
    keeper.look(&house.site);
    keeper.look(&house.site);
    let first = house.site.overview().unwrap();
    // Whoever reads the vault or a certificate now fails, and counts it.
    let manifest = house.folder.path().join("vault/vault.json");
    let aside = house.folder.path().join("aside.json");
    std::fs::rename(&manifest, &aside).unwrap();
    for _ in 0..3 {
        keeper.look(&house.site);
    }
    assert!(std::sync::Arc::ptr_eq(&first, &house.site.overview().unwrap()));
    assert_eq!(house.site.metrics.overview_failures.get(), 0);
    // What has changed is read, and so it is found out that this cannot be.
    write(&house, "shop", vec![used(0)]);
    keeper.look(&house.site);
    assert_eq!(house.site.metrics.overview_failures.get(), 1);
    std::fs::rename(&aside, &manifest).unwrap();
    keeper.look(&house.site);
    let second = house.site.overview().unwrap();
    assert!(second.sources[0].quota.is_some());
}
