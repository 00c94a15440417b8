//! What a collector is told: OpenTelemetry's own definitions of the protocol read it, and nothing of what is kept is in it.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command},
};

use serde_json::Value;

use super::{
    Stage,
    stage::{configure, root},
};
use crate::unwipe::{Unwipe, exit, wait_until};

/// Is in the names and the contents of files, in what is asked for, and in secrets: nowhere in what is sent.
const CANARY: &str = "kanarienvogel";
/// The value of the collector's header, which alone it may see.
const KEY: &str = "word-for-the-collector";

/// `tools/judges/collector.py` and its folder.
struct Judge {
    folder: PathBuf,
    child: Child,
}

impl Judge {
    fn start(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let child = Command::new(root().join(".tools/python/bin/python"))
            .args(["-B", "-W", "ignore"])
            .arg(root().join("tools/judges/collector.py"))
            .arg(folder)
            .spawn()
            .expect("python runs; tools/install_python");
        let judge = Self { folder: folder.to_owned(), child };
        wait_until("the collector", || judge.folder.join("address").exists());
        judge
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.join(name)).unwrap_or_default()).into_owned()
    }

    fn spans(&self) -> Vec<Value> {
        // The last line may be under way.
        self.text("spans").lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn wait_for(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let mut found = None;
        wait_until(&format!("a span of {what}"), || {
            found = self.spans().into_iter().find(&is_it);
            found.is_some()
        });
        found.unwrap()
    }

    fn named(&self, name: &str) -> Value {
        self.wait_for(name, |span| span["name"] == name)
    }

    /// Does not answer as it should, or does again.
    fn away(&self, away: bool) {
        let path = self.folder.join("away");
        if away { std::fs::write(path, "").unwrap() } else { std::fs::remove_file(path).unwrap() }
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn write(unwipe: &Unwipe, number: u32, bytes: &[u8]) {
    std::fs::write(unwipe.path(&format!("papers/{CANARY}-{number}.txt")), bytes).unwrap();
}

/// A folder that is full of what must not get out, a mirror, drills, and a collector.
fn watched_by(judge: &Judge) -> Unwipe {
    let unwipe = Unwipe::initialised();
    std::fs::create_dir_all(unwipe.path("papers")).unwrap();
    for number in 0..8 {
        write(
            &unwipe,
            number,
            format!("{CANARY} owes {number} to anna@example.org\n").repeat(500).as_bytes(),
        );
    }
    unwipe.json(&["protect", "papers", "files", "--path", &unwipe.argument("papers"), "--every-s", "1"]);
    // A drill is due at once, and needs something that is stored.
    unwipe.json(&["capture", "papers", "--once"]);
    write(&unwipe, 8, CANARY.as_bytes());
    unwipe.json(&["mirror", "add", "second", "--folder", &unwipe.argument("second")]);
    std::fs::write(unwipe.home().join("collector.key"), KEY).unwrap();
    let endpoint = judge.text("address");
    configure(
        &unwipe,
        &format!(
            "[telemetry]\nendpoint = '{endpoint}'\nservice_name = 'vault-keeper'\nrequests = true\n\
             headers = {{ x-key = 'file:collector.key' }}\n[drills.sources.papers]\nevery = '7d'\n"
        ),
    );
    unwipe
}

fn ask(stage: &Stage, path: &str) -> u16 {
    let request = ureq::get(format!("{}{path}", stage.origin()))
        .config()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .build();
    let request = request.header("authorization", format!("Bearer unwipe_{CANARY}"));
    request.header("cookie", format!("{CANARY}=1")).call().unwrap().status().as_u16()
}

/// A span belongs to a trace, ends after it began, and comes from where it should.
fn assert_sound(spans: &[Value]) {
    for span in spans {
        let length = |key: &str| span[key].as_str().unwrap().len();
        assert!(length("trace") == 32 && length("id") == 16, "{span}");
        assert!(span["began"].as_u64().unwrap() <= span["ended"].as_u64().unwrap(), "{span}");
        assert_eq!(span["resource"]["service.name"], "vault-keeper");
        assert_eq!(span["headers"]["x-key"], KEY);
        let parent = &span["parent"];
        let is_parent = |other: &Value| other["id"] == *parent && other["trace"] == span["trace"];
        assert!(parent == "" || spans.iter().any(is_parent), "no parent: {span}");
    }
}

#[test]
fn a_collector_is_told_how_work_went_and_nothing_of_what_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let judge = Judge::start(folder.path());
    let unwipe = watched_by(&judge);
    let stage = Stage::open(&unwipe);

    let commit = judge.named("commit");
    let known = &commit["attributes"];
    assert_eq!((&known["unwipe.source"], &known["unwipe.commit.number"]), (&"papers".into(), &2.into()));
    assert_eq!(known["unwipe.commit.completeness"], "complete");
    assert!(known["unwipe.commit.items"].as_u64() >= Some(8) && known["unwipe.commit.new_bytes"] != 0);
    for phase in ["waiting", "storing", "catalog", "tree head"] {
        judge.wait_for(phase, |span| span["name"] == phase && span["parent"] == commit["id"]);
    }
    assert_eq!(judge.named("retention")["status"], "STATUS_CODE_UNSET");
    assert_eq!(judge.named("mirror")["attributes"]["unwipe.mirror"], "second");
    assert_eq!(judge.named("drill")["attributes"]["unwipe.drill.different"], 0);

    let status = ask(&stage, &format!("/sources/{CANARY}?q={CANARY}"));
    ask(&stage, &format!("/{CANARY}"));
    ask(&stage, &format!("/api/v1/jobs/{CANARY}"));
    let request = judge.wait_for("a request", |span| span["name"] == "GET /sources/{name}");
    assert_eq!(request["kind"], "SPAN_KIND_SERVER");
    assert_eq!(request["attributes"]["http.response.status_code"], status);
    judge.wait_for("a request for nothing", |span| span["name"] == "GET");

    // A collector that is away holds no capture up; what happened meanwhile is told when it is back.
    judge.away(true);
    for number in 0..8 {
        let mut noise = vec![0; 20_000];
        ports::Random::fill(&ports::SystemRandom, &mut noise);
        write(&unwipe, number, &noise);
    }
    wait_until("the capture", || {
        unwipe.json(&["versions", "papers", &format!("--item={CANARY}-7.txt")])["versions"]
            .as_array()
            .is_some_and(|versions| versions.len() > 1)
    });
    wait_until("the alarm", || stage.said().contains("ALARM"));
    wait_until("the complaint", || stage.said().contains("takes no spans"));
    judge.away(false);
    let alarm = judge.named("alarm");
    assert_eq!(alarm["attributes"]["unwipe.source"], "papers");

    // What goes on until the end is told at the end.
    let outcome = stage.close().expect(exit::DONE);
    assert_eq!(outcome.stderr.matches("takes no spans").count(), 1, "{}", outcome.stderr);
    assert_eq!(outcome.stderr.matches("takes spans again; 0 were dropped").count(), 1, "{}", outcome.stderr);
    assert_eq!(judge.named("capture")["attributes"]["unwipe.source"], "papers");

    let spans = judge.spans();
    assert_sound(&spans);
    assert_eq!(judge.text("problems"), "");
    let sent = judge.text("bytes").to_lowercase();
    assert!(sent.contains("papers") && sent.contains(KEY), "nothing was looked through");
    for secret in [CANARY, "owes", "anna", "example.org", unwipe.home().to_str().unwrap()] {
        assert!(!sent.contains(&secret.to_lowercase()), "{secret} was sent");
    }
}
