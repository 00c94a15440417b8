//! An incident in the words of the Open Cybersecurity Schema Framework: a Detection Finding.

use model::{Attribution, Moment};
use serde_json::{Value, json};

use crate::{ActionStatus, Incident, IncidentSeverity, IncidentState, Rules, SuspectNote};

const VERSION: &str = "1.3.0";
const CATEGORY_FINDINGS: u32 = 2;
const CLASS_DETECTION_FINDING: u32 = 2004;

/// What is told: that there is a finding, that it changed, or that it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It is new.
    Create,
    /// There is more of it.
    Update,
    /// It is closed.
    Close,
}

/// Writes a notice as a Detection Finding that is no alert.
pub fn notice(notice: &crate::Notice, version: &str, now: Moment) -> Value {
    json!({
        "activity_id": 1,
        "activity_name": "Create",
        "category_uid": CATEGORY_FINDINGS,
        "category_name": "Findings",
        "class_uid": CLASS_DETECTION_FINDING,
        "class_name": "Detection Finding",
        "type_uid": u64::from(CLASS_DETECTION_FINDING) * 100 + 1,
        "type_name": "Detection Finding: Create",
        "time": millis(now),
        "start_time": millis(notice.at),
        "severity_id": 2,
        "severity": "Low",
        "status_id": 1,
        "status": "New",
        "message": notice.explanation,
        "is_alert": false,
        "metadata": {
            "version": VERSION,
            "product": { "name": "unwipe", "vendor_name": "unwipe", "version": version },
        },
        "finding_info": {
            "uid": format!("{}-{}-{}", notice.rule, notice.source, notice.at.as_micros()),
            "title": notice.title,
            "analytic": { "uid": notice.rule, "type_id": 1, "type": "Rule" },
        },
    })
}

/// Writes an incident as a Detection Finding (class 2004), for whoever reads OCSF 1.3: only attributes that are in the
/// schema, times in milliseconds. `version` is that of the program, `now` the time of the finding.
pub fn finding(incident: &Incident, rules: &Rules, activity: Activity, version: &str, now: Moment) -> Value {
    let (activity_id, activity_name) = match activity {
        Activity::Create => (1, "Create"),
        Activity::Update => (2, "Update"),
        Activity::Close => (3, "Close"),
    };
    let (severity_id, severity) = match incident.severity {
        IncidentSeverity::High => (4, "High"),
        IncidentSeverity::Critical => (5, "Critical"),
    };
    let (status_id, status) = match incident.state {
        IncidentState::Open => (1, "New"),
        IncidentState::Contained | IncidentState::Undone => (2, "In Progress"),
        IncidentState::Closed => (4, "Resolved"),
    };
    let explanations: Vec<&str> = incident.firings.iter().map(|f| f.explanation.as_str()).collect();
    json!({
        "activity_id": activity_id,
        "activity_name": activity_name,
        "category_uid": CATEGORY_FINDINGS,
        "category_name": "Findings",
        "class_uid": CLASS_DETECTION_FINDING,
        "class_name": "Detection Finding",
        "type_uid": u64::from(CLASS_DETECTION_FINDING) * 100 + activity_id,
        "type_name": format!("Detection Finding: {activity_name}"),
        "time": millis(now),
        "start_time": millis(incident.first_seen_at),
        "end_time": millis(incident.last_seen_at),
        "count": incident.suspects.iter().map(|suspect| suspect.deeds).sum::<u64>(),
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "status_detail": incident.history.last().map(|change| change.why.as_str()),
        "message": explanations.join("; "),
        "is_alert": true,
        "metadata": {
            "version": VERSION,
            "product": { "name": "unwipe", "vendor_name": "unwipe", "version": version },
        },
        "finding_info": {
            "uid": format!("unwipe-incident-{}", incident.id),
            "title": incident.summary(),
            "desc": explanations.join("; "),
            "created_time": millis(incident.opened_at),
            "modified_time": millis(incident.last_seen_at),
            "first_seen_time": millis(incident.first_seen_at),
            "last_seen_time": millis(incident.last_seen_at),
            "types": incident.verbs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "related_analytics": analytics(incident, rules),
        },
        "evidences": incident.suspects.iter().map(evidence).collect::<Vec<_>>(),
        "resources": resources(incident),
        "unmapped": {
            "delay_ms": incident.delay_ms,
            "destroyed": incident.destroyed(),
            "actions": incident.actions.iter().map(|note| json!({
                "title": note.action.title,
                "status": action_status(note.status),
                "time": millis(note.at),
            })).collect::<Vec<_>>(),
        },
    })
}

const fn millis(moment: Moment) -> i64 {
    moment.as_micros().div_euclid(1000)
}

const fn action_status(status: ActionStatus) -> &'static str {
    match status {
        ActionStatus::Proposed => "proposed",
        ActionStatus::Taken => "taken",
        ActionStatus::Refused => "refused",
        ActionStatus::TakenBack => "taken back",
    }
}

fn analytics(incident: &Incident, rules: &Rules) -> Vec<Value> {
    let mut ids: Vec<&str> = incident.firings.iter().map(|firing| firing.rule.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    let analytic = |id: &str| {
        let rule = rules.get(id);
        json!({
            "uid": id,
            "name": rule.map_or(id, |rule| rule.title.as_str()),
            "desc": rule.map(|rule| rule.why.as_str()),
            "type_id": 1,
            "type": "Rule",
        })
    };
    ids.into_iter().map(analytic).collect()
}

fn evidence(suspect: &SuspectNote) -> Value {
    let effects: Vec<Value> = suspect
        .effects
        .iter()
        .chain(suspect.underway.iter())
        .map(|effect| json!({ "verb": effect.verb, "target": effect.target, "count": effect.count }))
        .collect();
    let mut evidence = json!({
        "data": {
            "effects": effects,
            "actor_kind": suspect.kind,
            "attribution": suspect.attribution,
            "is_guess": matches!(suspect.attribution, Attribution::Inferred | Attribution::Unknown),
        },
    });
    if let Some(actor) = &suspect.actor {
        let mut told = json!({ "user": { "name": actor.identity } });
        if let Some(name) = actor.agent.as_ref().or(actor.application.as_ref()) {
            told["app_name"] = json!(name);
        }
        if let Some(client) = &actor.client {
            told["app_uid"] = json!(client);
        }
        evidence["actor"] = told;
        if let Some(address) = &actor.address {
            evidence["src_endpoint"] = json!({ "ip": address });
        }
    }
    evidence
}

fn resources(incident: &Incident) -> Vec<Value> {
    let scopes = incident.touched.iter().flat_map(|(source, touched)| {
        touched.scopes.iter().take(100).map(move |scope| {
            json!({ "uid": format!("{source}/{scope}"), "name": scope, "group": { "name": source.as_str() } })
        })
    });
    scopes.collect()
}
