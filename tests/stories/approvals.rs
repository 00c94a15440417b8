//! People who must agree: several of them, never the one who asked.

use std::{fs, path::Path};

use connect::plan::{Bundle, PlanFolder};
use model::Moment;

use crate::unwipe::{Unwipe, exit};

/// Two people of whom both must approve, and a plan; that it changes nothing does not matter to them.
struct Office {
    unwipe: Unwipe,
}

impl Office {
    fn new(needed: u32) -> Self {
        let unwipe = Unwipe::initialised();
        let office = Self { unwipe };
        office.plan("plan", "the orders");
        let config = office.unwipe.home().join("unwipe.toml");
        let listed: String = ["anna", "ben"]
            .map(|name| {
                // The key is made by the first approval, which does not count yet.
                office.plan(name, name);
                let signed = office.approve(&office.unwipe.argument(name), name, None);
                format!("{name} = \"{}\"\n", signed["approval"]["approver"].as_str().unwrap())
            })
            .concat();
        let text = fs::read_to_string(&config).unwrap();
        let (before, _) = text.split_once("[approvers]").unwrap();
        let after = format!("{before}[approvers]\n{listed}\n[approvals]\nneeded = {needed}\n");
        fs::write(&config, after).unwrap();
        office
    }

    fn plan(&self, folder: &str, title: &str) {
        let at = Moment::from_micros(0);
        let bundle = Bundle::new(title.to_owned(), title.to_owned(), at, Vec::new(), Vec::new());
        PlanFolder::new(self.unwipe.path(folder)).write_bundle(&bundle).unwrap();
    }

    fn folder(&self) -> String {
        self.unwipe.argument("plan")
    }

    /// Approves as somebody; `code` is what the command must end with, if that is known.
    fn approve(&self, what: &str, who: &str, code: Option<i32>) -> serde_json::Value {
        let key = self.unwipe.argument(&format!("{who}.key"));
        let arguments = ["approve", what, "--key", key.as_str(), "--yes"];
        match code {
            Some(code) => self.unwipe.json_with(code, &arguments),
            None => {
                let mut all = vec!["--json"];
                all.extend(arguments);
                serde_json::from_str(&self.unwipe.run(&all).stdout).unwrap()
            }
        }
    }
}

#[test]
fn two_people_sign_a_plan_and_what_is_missing_is_said_until_then() {
    let office = Office::new(2);
    let apply = || office.unwipe.run(&["apply", &office.folder()]);
    apply().refused(exit::AUTHENTICATION, "0 of 2 approvals; missing: anna, ben");
    let first = office.approve(&office.folder(), "anna", Some(exit::DONE));
    assert_eq!(first["missing"], serde_json::json!(["ben"]));
    office.approve(&office.folder(), "anna", Some(exit::DONE));
    apply().refused(exit::AUTHENTICATION, "1 of 2 approvals; missing: ben");
    let second = office.approve(&office.folder(), "ben", Some(exit::DONE));
    assert_eq!(second["approvers"], serde_json::json!(["anna", "ben"]));
    apply().expect(exit::DONE);
}

#[test]
fn a_plan_waits_in_a_case_and_is_applied_once() {
    let office = Office::new(2);
    let unwipe = &office.unwipe;
    let asked = unwipe.json(&["cases", "request", &office.folder(), "--reason", "they are gone"]);
    let id = asked["id"].as_str().unwrap();
    assert!(Path::new(&office.folder()).join("request.json").exists());
    // By the case's name or by the plan's folder: it is the same case.
    office.approve(id, "anna", Some(exit::DONE));
    unwipe.run(&["apply", &office.folder()]).refused(exit::AUTHENTICATION, "1 of 2 approvals; missing: ben");
    let key = unwipe.argument("anna.key");
    unwipe
        .run(&["approve", id, "--key", &key, "--yes"])
        .refused(exit::AUTHENTICATION, "anna has approved this already");
    let approved = office.approve(&office.folder(), "ben", Some(exit::DONE));
    assert_eq!(approved["state"]["state"], "approved");
    unwipe.run(&["apply", &office.folder()]).expect(exit::DONE);
    let shown = unwipe.json(&["cases", "show", id]);
    assert_eq!(shown["state"]["state"], "applied");
    assert_eq!(shown["state"]["verified"], true);
    unwipe.run(&["apply", &office.folder()]).refused(exit::AUTHENTICATION, "is over: applied");
    let logged = unwipe.json(&["log", "unwipe"]);
    // Two keys were made by an approval each; that the first one counted, and two names that an edit of the configuration
    // let count; five steps of the case; what was applied.
    assert_eq!(logged.as_array().unwrap().len(), 11, "{logged}");
}

#[test]
fn a_refused_plan_is_not_applied_and_says_who_refused() {
    let office = Office::new(1);
    let unwipe = &office.unwipe;
    let asked = unwipe.json(&["cases", "request", &office.folder()]);
    let id = asked["id"].as_str().unwrap();
    office.approve(id, "anna", Some(exit::DONE));
    let key = unwipe.argument("ben.key");
    unwipe.json(&["cases", "refuse", id, "--reason", "not before the audit", "--key", &key]);
    // The approval is there, and holds; the case is over all the same.
    unwipe.run(&["apply", &office.folder()]).refused(exit::AUTHENTICATION, "is over: refused");
    let list = unwipe.run(&["cases"]).expect(exit::DONE);
    assert!(list.stdout.contains(id) && list.stdout.contains("refused"), "{}", list.stdout);
    let again = unwipe.json(&["cases", "request", &office.folder()]);
    unwipe.json(&["cases", "withdraw", again["id"].as_str().unwrap()]);
    unwipe.run(&["cases", "show", "none"]).refused(exit::NOTHING, "there is no case");
}
