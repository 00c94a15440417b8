//! An activity of the log, as far as it is understood.

use model::{Actor, Moment};
use serde_json::{Value, json};

use super::seen::KEY_BITS;

/// Of a text so many characters are kept.
const CHARACTERS_MAX: usize = 200;

/// An activity: what somebody did at a time.
#[derive(Debug, Clone)]
pub(super) struct Activity {
    pub(super) at: Moment,
    /// What tells it from others of the same time.
    pub(super) qualifier: String,
    pub(super) actor: Actor,
    pub(super) happenings: Vec<Happening>,
    key: u64,
}

/// One thing that happened in an activity.
#[derive(Debug, Clone)]
pub(super) struct Happening {
    /// What kind of thing: `acl_change`.
    pub(super) kind: String,
    /// What: `trash`.
    pub(super) name: String,
    parameters: Vec<Value>,
}

impl Activity {
    /// Reads an activity; `None` when it lacks what every activity has.
    pub(super) fn of(application: &str, document: &Value) -> Option<Self> {
        let id = &document["id"];
        let time = id["time"].as_str()?;
        let qualifier = match &id["uniqueQualifier"] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let happenings: Vec<Happening> =
            document["events"].as_array().into_iter().flatten().map(Happening::of).collect();
        let mut actor = actor(document);
        if actor.client.is_none() {
            // A project's number is what all its clients' ids begin with.
            let project = happenings.iter().find_map(|happening| happening.text("originating_app_id"));
            actor.client = project.map(str::to_owned);
        }
        let named = blake3::hash(format!("{time}\n{qualifier}\n{application}").as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&named.as_bytes()[..8]);
        let key = u64::from_be_bytes(first) >> (64 - KEY_BITS);
        Some(Self { at: time.parse().ok()?, qualifier, actor, happenings, key })
    }

    /// Returns what tells it from all others, shortened to a number.
    pub(super) const fn key(&self) -> u64 {
        self.key
    }
}

fn shortened(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(|text| text.chars().take(CHARACTERS_MAX).collect())
}

fn actor(document: &Value) -> Actor {
    let actor = &document["actor"];
    let program = &actor["applicationInfo"];
    let agent = &actor["agentAttributionInfo"];
    let named = shortened(&agent["agentName"]).or_else(|| shortened(&agent["agentId"]));
    let unnamed = || (document["isAgenticAction"] == json!(true)).then(|| "without a name".to_owned());
    let identity = [&actor["email"], &actor["key"], &actor["profileId"]];
    Actor {
        identity: identity
            .into_iter()
            .find_map(shortened)
            .unwrap_or_else(|| "nobody who is named".to_owned()),
        application: shortened(&program["applicationName"]),
        address: shortened(&document["ipAddress"]),
        client: shortened(&program["oauthClientId"]),
        impersonated: program["impersonation"] == json!(true),
        agent: named.or_else(unnamed),
    }
}

impl Happening {
    fn of(document: &Value) -> Self {
        Self {
            kind: shortened(&document["type"]).unwrap_or_default(),
            name: shortened(&document["name"]).unwrap_or_default(),
            parameters: document["parameters"].as_array().cloned().unwrap_or_default(),
        }
    }

    fn find(&self, name: &str) -> Option<&Value> {
        self.parameters.iter().find(|parameter| parameter["name"] == name)
    }

    /// Returns the value of a parameter that is a text, or the first of several.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.find(name)?;
        let text = found["value"].as_str().or_else(|| found["multiValue"][0].as_str());
        text.filter(|text| !text.is_empty())
    }

    /// Returns the values of a parameter that is several texts.
    pub(super) fn texts(&self, name: &str) -> Vec<&str> {
        let Some(found) = self.find(name) else { return Vec::new() };
        match found["multiValue"].as_array() {
            Some(texts) => texts.iter().filter_map(Value::as_str).collect(),
            None => found["value"].as_str().into_iter().collect(),
        }
    }

    /// Returns the value of a parameter that is a number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        let value = &self.find(name)?["intValue"];
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    }

    /// Returns the value of a parameter that is a flag.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        let found = self.find(name)?;
        found["boolValue"].as_bool()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        json!({
            "id": { "time": "2026-03-02T01:15:42.118Z", "uniqueQualifier": "-47", "applicationName": "drive" },
            "actor": { "callerType": "USER", "email": "anna@acme.test", "profileId": "1000" },
            "ipAddress": "203.0.113.24",
            "events": [{ "type": "access", "name": "trash", "parameters": [
                { "name": "primary_event", "boolValue": true },
                { "name": "doc_id", "value": "1AbC" },
                { "name": "size", "intValue": "12" },
                { "name": "scope", "multiValue": ["a", "b"] },
            ] }],
        })
    }

    #[test]
    fn who_did_it_is_read_as_far_as_the_log_says() {
        let plain = Activity::of("drive", &document()).unwrap();
        let address = Some("203.0.113.24".to_owned());
        let anna = Actor { identity: "anna@acme.test".to_owned(), address, ..Actor::default() };
        assert_eq!(plain.actor, anna);
        let mut with = document();
        with["actor"]["applicationInfo"] =
            json!({ "oauthClientId": "1.apps", "applicationName": "Claw", "impersonation": true });
        with["actor"]["agentAttributionInfo"] = json!({ "agentName": "Helper" });
        let told = Activity::of("drive", &with).unwrap().actor;
        assert_eq!((told.client.as_deref(), told.application.as_deref()), (Some("1.apps"), Some("Claw")));
        assert_eq!((told.impersonated, told.agent.as_deref()), (true, Some("Helper")));
        let mut key = document();
        key["actor"] = json!({ "callerType": "KEY", "key": "robot@project" });
        key["isAgenticAction"] = true.into();
        let told = Activity::of("drive", &key).unwrap().actor;
        assert_eq!(
            (told.identity.as_str(), told.agent.as_deref()),
            ("robot@project", Some("without a name"))
        );
    }

    #[test]
    fn an_activity_is_told_from_others_by_time_qualifier_and_application() {
        let key = |application, document: &Value| Activity::of(application, document).unwrap().key();
        let mut other = document();
        other["id"]["uniqueQualifier"] = "-48".into();
        let own = key("drive", &document());
        assert_eq!(own, key("drive", &document()));
        assert!(own != key("token", &document()) && own != key("drive", &other));
        assert!(own < 1 << KEY_BITS);
    }

    #[test]
    fn values_are_read_in_whatever_form_they_come() {
        let activity = Activity::of("drive", &document()).unwrap();
        let happening = &activity.happenings[0];
        assert_eq!((happening.text("doc_id"), happening.number("size")), (Some("1AbC"), Some(12)));
        assert_eq!((happening.texts("scope"), happening.text("scope")), (vec!["a", "b"], Some("a")));
        assert_eq!((happening.flag("primary_event"), happening.flag("doc_id")), (Some(true), None));
    }

    #[test]
    fn what_is_no_activity_is_passed_over() {
        for document in [json!({}), json!({ "id": { "time": "now", "uniqueQualifier": "1" } }), json!([])] {
            assert!(Activity::of("drive", &document).is_none());
        }
    }
}
