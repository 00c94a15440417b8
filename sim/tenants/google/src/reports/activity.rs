//! Activities as resources.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::Agent;
use crate::{
    audit::{Activity, Parameter, ParameterValue},
    directory::with_etag,
    stamp,
    tenant::Tenant,
    text,
};

impl Parameter {
    /// Makes the resource.
    fn resource(&self) -> Value {
        let mut value = json!({ "name": self.name });
        match &self.value {
            ParameterValue::Text(text) => value["value"] = text.clone().into(),
            ParameterValue::Number(number) => value["intValue"] = number.to_string().into(),
            ParameterValue::Flag(flag) => value["boolValue"] = (*flag).into(),
            ParameterValue::Texts(texts) => value["multiValue"] = json!(texts),
            ParameterValue::Messages(messages) => {
                let message = |parameters: &Vec<Self>| json!({ "parameter": parameters.iter().map(Self::resource).collect::<Vec<_>>() });
                value["multiMessageValue"] = messages.iter().map(message).collect();
            }
        }
        value
    }
}

impl Activity {
    /// Returns a parameter that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|parameter| parameter.name == name)?;
        match &found.value {
            ParameterValue::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Tenant {
    /// Returns the agent whose program did something.
    pub(super) fn agent_of(&self, activity: &Activity) -> Option<&Agent> {
        self.reports.agents.get(activity.client_id.as_deref()?)
    }

    /// Returns the parameters of an activity. What a program's calls have in common is not stored with each of them.
    pub(super) fn parameters<'a>(&self, activity: &'a Activity) -> Cow<'a, [Parameter]> {
        let (Some(id), Some(name)) = (&activity.client_id, &activity.client_name) else {
            return Cow::Borrowed(&activity.parameters);
        };
        if activity.application != "token" || activity.name != "activity" {
            return Cow::Borrowed(&activity.parameters);
        }
        let mut parameters = activity.parameters.clone();
        parameters.push(Parameter::text("client_id", id.to_string()));
        parameters.push(Parameter::text("app_name", name.to_string()));
        let grant = self.oauth.grants_of(&activity.profile).find(|grant| *grant.app.client_id == **id);
        let kind = if grant.is_some_and(|grant| grant.app.native) { "NATIVE_DESKTOP" } else { "WEB" };
        parameters.push(Parameter::text("client_type", kind));
        if let Some(grant) = grant {
            parameters.push(Parameter::texts("scope", grant.scopes.iter().cloned().collect()));
        }
        Cow::Owned(parameters)
    }

    /// Makes the resource of an activity.
    pub(super) fn activity(&self, activity: &Activity) -> Value {
        let mut actor = json!({ "email": *activity.actor, "profileId": *activity.profile });
        // A service account that acts for itself is a key and no user.
        let is_key = activity.client_id.is_some() && self.directory.any_user(&activity.profile).is_none();
        if is_key {
            actor = json!({ "callerType": "KEY", "key": *activity.actor });
        } else {
            actor["callerType"] = "USER".into();
        }
        if let Some(client) = &activity.client_id {
            let name = activity.client_name.as_deref().unwrap_or_default();
            actor["applicationInfo"] = json!({ "oauthClientId": **client, "applicationName": name });
            if activity.impersonation {
                actor["applicationInfo"]["impersonation"] = true.into();
            }
        }
        let mut event = json!({
            "type": activity.kind,
            "name": activity.name,
            "status": { "eventStatus": "SUCCEEDED", "httpStatusCode": 200 },
        });
        let parameters = self.parameters(activity);
        if !parameters.is_empty() {
            event["parameters"] = parameters.iter().map(Parameter::resource).collect();
        }
        let networks = &self.settings.reports.networks;
        let drawn = text::drawn(activity.address.to_string().as_bytes());
        let network = networks.get(&activity.address).copied().unwrap_or(64_496 + (drawn % 16) as u32);
        let mut value = json!({
            "kind": "admin#reports#activity",
            "id": {
                "time": stamp::rfc3339(activity.time),
                "uniqueQualifier": activity.qualifier.to_string(),
                "applicationName": activity.application,
                "customerId": self.directory.customer,
            },
            "ipAddress": activity.address.to_string(),
            "networkInfo": { "ipAsn": [network], "regionCode": self.settings.reports.region },
        });
        if let Some(agent) = self.agent_of(activity) {
            actor["agentAttributionInfo"] = json!({
                "agentId": agent.id,
                "agentName": agent.name,
                "agentType": agent.kind,
                "agentOwner": { "email": agent.owner },
            });
            value["isAgenticAction"] = true.into();
        }
        if let Some(id) = activity.text("doc_id") {
            event["resourceIds"] = json!([id]);
            value["resourceDetails"] = json!([{
                "id": id,
                "title": activity.text("doc_title").unwrap_or_default(),
                "type": activity.text("doc_type").unwrap_or_default(),
            }]);
            value["ownerDomain"] = self.settings.domain.clone().into();
        }
        value["actor"] = actor;
        value["events"] = json!([event]);
        with_etag(value)
    }
}
