//! What the bucket says about itself, and whether that can be changed.

use super::{Bench, Outcome, text_of};

impl Bench {
    pub(super) fn bucket(&mut self) {
        self.lock_rule();
        self.versioning();
        self.lifecycle();
        self.stranger();
    }

    fn lock_rule(&mut self) {
        let document = match self.client.bucket_document("object-lock") {
            Ok(document) => document,
            Err(error) => {
                // A credential may be kept from looking; what is locked shows on the objects.
                let outcome = if error.status() == Some(403) { Outcome::Remark } else { Outcome::Fails };
                return self.note("object-lock", "the bucket has Object Lock", text_of(&error), outcome);
            }
        };
        let enabled = document.contains("<ObjectLockEnabled>Enabled<");
        let rule = document.contains("<DefaultRetention>");
        let seen = match (enabled, rule) {
            (false, _) => "it is not enabled",
            (true, false) => "enabled, without a default rule; each object carries its own lock",
            (true, true) => "enabled, with a default rule",
        };
        let outcome = if enabled { Outcome::Holds } else { Outcome::Fails };
        self.note("object-lock", "the bucket has Object Lock", seen, outcome);
        if rule {
            // Written back as it is: shows who may change it, and changes nothing.
            let seen = match self.attacker.set_lock_rule(&document) {
                Ok(()) => "the credential used here may change it; each object carries its own lock as well",
                Err(_) => "the credential used here may not change it",
            };
            self.note("default-rule", "no lock depends on the bucket's default rule", seen, Outcome::Holds);
        }
    }

    fn versioning(&mut self) {
        const EXPECTED: &str = "the bucket keeps every version";
        let status = |document: &str| document.contains("<Status>Enabled<");
        match self.client.bucket_document("versioning") {
            Ok(document) if status(&document) => self.note("versioning", EXPECTED, "enabled", Outcome::Holds),
            Ok(_) => self.note("versioning", EXPECTED, "it does not", Outcome::Fails),
            Err(error) if error.status() == Some(403) => {
                self.note("versioning", EXPECTED, text_of(&error), Outcome::Remark);
            }
            Err(error) => self.note("versioning", EXPECTED, text_of(&error), Outcome::Fails),
        }
        let (seen, outcome) = match self.attacker.set_versioning("Suspended") {
            Err(error) if error.status().is_some_and(|status| (400..500).contains(&status)) => {
                (text_of(&error), Outcome::Holds)
            }
            Err(error) => (text_of(&error), Outcome::Remark),
            Ok(()) => {
                let restored = self.attacker.set_versioning("Enabled");
                let rest = restored.map_or_else(
                    |error| format!("NOT restored: {}", text_of(&error)),
                    |()| "restored".to_owned(),
                );
                (format!("they were suspended, and {rest}"), Outcome::Fails)
            }
        };
        self.note("suspend-versioning", "the bucket's versions cannot be suspended", seen, outcome);
    }

    fn lifecycle(&mut self) {
        const EXPECTED: &str = "no lifecycle rule removes what has lapsed behind the vault's back";
        let (seen, outcome) = match self.client.bucket_document("lifecycle") {
            Err(error) if error.status() == Some(404) => ("there are no rules".to_owned(), Outcome::Holds),
            Err(error) => (text_of(&error), Outcome::Remark),
            Ok(document) => {
                let rules = document.matches("<Rule>").count();
                let outcome = if rules == 0 { Outcome::Holds } else { Outcome::Remark };
                (format!("{rules} rules; what is locked survives them"), outcome)
            }
        };
        self.note("lifecycle", EXPECTED, seen, outcome);
    }

    fn stranger(&mut self) {
        let (seen, outcome) = match self.stranger.bucket_document("versioning") {
            Err(error) if matches!(error.status(), Some(401 | 403)) => (text_of(&error), Outcome::Holds),
            Err(error) => (text_of(&error), Outcome::Remark),
            Ok(_) => ("it answered: anybody can sign in".to_owned(), Outcome::Fails),
        };
        self.note("wrong-secret", "a wrong secret is refused", seen, outcome);
    }
}
