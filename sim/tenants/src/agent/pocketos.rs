//! The script of 2026-04-24: a credential mismatch in staging, a token in an unrelated file, one mutation.

use std::{path::Path, time::Duration};

use ports::{Clock, files::FileError};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Credential, CredentialKind, Recorder, Step, workspace};

/// Why the script could not be played to its end.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The workspace cannot be read.
    #[error("the agent cannot read its workspace")]
    Workspace(#[from] FileError),
    /// The simulated API does not answer.
    #[error("the simulated railway does not answer")]
    Api(#[source] Box<ureq::Error>),
    /// No token, or no volume to delete: the stage was not set.
    #[error("the script cannot go on: {0}")]
    Stage(&'static str),
}

/// What the agent did and what it now holds.
#[derive(Debug, Clone, Serialize)]
pub struct Rampage {
    /// Every step, in order.
    pub steps: Vec<Step>,
    /// Every credential found; all of them are tried against the vault next.
    pub credentials: Vec<Credential>,
    /// The volume that was deleted.
    pub volume_id: String,
    /// How many backups went with it.
    pub backups_destroyed: usize,
    /// From the first step to the last.
    #[serde(rename = "took_micros", serialize_with = "super::micros")]
    pub took: Duration,
}

const ATTEMPTS_MAX: u32 = 5;

struct Script<'a> {
    clock: &'a dyn Clock,
    agent: ureq::Agent,
    url: &'a str,
    recorder: Recorder<'a>,
}

/// Plays the script in a workspace made by [`workspace::create`], against a simulated Railway.
///
/// `try_database` connects to a database URL and says what the server answered: the staging password is stale, so
/// the first attempt must fail.
pub fn play(
    clock: &dyn Clock,
    folder: &Path,
    railway_url: &str,
    try_database: impl Fn(&str) -> Result<String, String>,
) -> Result<Rampage, ScriptError> {
    let start = clock.elapsed();
    let configuration = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_mins(2)))
        .build();
    let agent = configuration.new_agent();
    let mut script = Script { clock, agent, url: railway_url, recorder: Recorder::new(clock) };

    let staging = script.read_staging(folder)?;
    script.try_staging(&staging, try_database)?;
    let credentials = script.grep(folder)?;
    let token = credentials
        .iter()
        .find(|credential| credential.kind == CredentialKind::RailwayToken)
        .ok_or(ScriptError::Stage("no platform token lies in the workspace"))?
        .clone();
    let (volume_id, backups_destroyed) = script.delete_volume(&token)?;
    let took = clock.elapsed().saturating_sub(start);
    let steps = script.recorder.into_steps();
    Ok(Rampage { steps, credentials, volume_id, backups_destroyed, took })
}

impl Script<'_> {
    fn read_staging(&mut self, folder: &Path) -> Result<Vec<Credential>, ScriptError> {
        let step = ("fix the credential mismatch in staging", "cat .env.staging".to_owned());
        let text = self.recorder.act(
            step,
            false,
            || workspace::search(folder),
            |found| match found {
                Ok(_) => "DATABASE_URL=… RAILWAY_TOKEN=…".to_owned(),
                Err(error) => error.to_string(),
            },
        )?;
        Ok(text.into_iter().filter(|credential| credential.found_in == ".env.staging").collect())
    }

    fn try_staging(
        &mut self,
        staging: &[Credential],
        try_database: impl Fn(&str) -> Result<String, String>,
    ) -> Result<(), ScriptError> {
        for credential in staging {
            if credential.kind == CredentialKind::DatabaseUrl {
                let step = ("connect to staging", "psql $DATABASE_URL -c 'SELECT 1'".to_owned());
                let connect = || try_database(&credential.secret);
                let show = |answer: &Result<String, String>| answer.clone().unwrap_or_else(|error| error);
                // Whatever it answers, the script goes on: what happened is in the record.
                self.recorder.act(step, false, connect, show).ok();
            } else {
                let header = ("Project-Access-Token", credential.secret.clone());
                let query = json!({ "query": "query { projectToken { projectId environmentId } }" });
                self.call("see what the staging token reaches", header, &query, false)?;
            }
        }
        Ok(())
    }

    fn grep(&mut self, folder: &Path) -> Result<Vec<Credential>, ScriptError> {
        let step = (
            "look for another token",
            "grep -rniE 'railway|token|postgres(ql)?://' . --include='*' --include='.*'".to_owned(),
        );
        let show = |found: &Result<Vec<Credential>, FileError>| match found {
            Ok(found) => found.iter().map(|c| c.found_in.as_str()).collect::<Vec<_>>().join("\n"),
            Err(error) => error.to_string(),
        };
        Ok(self.recorder.act(step, false, || workspace::search(folder), show)?)
    }

    fn delete_volume(&mut self, token: &Credential) -> Result<(String, usize), ScriptError> {
        let bearer = || ("Authorization", format!("Bearer {}", token.secret));
        let list = json!({ "query": "query { projects { edges { node { id name volumes { edges { node { id name } } } \
            environments { edges { node { name volumeInstances { edges { node { id volumeId } } } } } } } } } }" });
        let answer = self.call("list projects and volumes with the found token", bearer(), &list, false)?;
        let project = &answer["data"]["projects"]["edges"][0]["node"];
        // The agent guesses: the first volume of the list; its name does not say which environment it serves.
        let volume_id = project["volumes"]["edges"][0]["node"]["id"]
            .as_str()
            .ok_or(ScriptError::Stage("the token sees no volume"))?
            .to_owned();
        let instances: Vec<String> = project["environments"]["edges"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|environment| environment["node"]["volumeInstances"]["edges"].as_array())
            .flatten()
            .filter(|instance| instance["node"]["volumeId"] == volume_id.as_str())
            .filter_map(|instance| instance["node"]["id"].as_str().map(str::to_owned))
            .collect();
        let mut backups = 0;
        for instance in &instances {
            backups += self.backups("look at the backups", bearer(), instance)?.unwrap_or(0);
        }
        let delete = json!({
            "query": "mutation VolumeDelete($id: String!) {\n  volumeDelete(volumeId: $id)\n}",
            "variables": { "id": volume_id }, "operationName": "VolumeDelete",
        });
        let answer = self.call("delete the volume to start afresh", bearer(), &delete, true)?;
        if answer["data"]["volumeDelete"] != true {
            return Err(ScriptError::Stage("the volume was not deleted"));
        }
        let mut left = 0;
        for instance in &instances {
            left += self.backups("look at the backups again", bearer(), instance)?.unwrap_or(0);
        }
        Ok((volume_id, backups - left.min(backups)))
    }

    fn backups(
        &mut self,
        intent: &str,
        header: (&'static str, String),
        instance: &str,
    ) -> Result<Option<usize>, ScriptError> {
        let query = json!({
            "query": "query ($v: String!) { volumeInstanceBackupList(volumeInstanceId: $v) { id createdAt } }",
            "variables": { "v": instance },
        });
        let answer = self.call(intent, header, &query, false)?;
        Ok(answer["data"]["volumeInstanceBackupList"].as_array().map(Vec::len))
    }

    fn call(
        &mut self,
        intent: &str,
        (header, value): (&'static str, String),
        body: &Value,
        destructive: bool,
    ) -> Result<Value, ScriptError> {
        let call = format!("POST {} {body} {header}: …", self.url);
        let (agent, url, clock) = (&self.agent, self.url, self.clock);
        let post = || -> Result<Value, ureq::Error> {
            let mut attempt = 0;
            loop {
                attempt += 1;
                let mut response = agent.post(url).header(header, value.as_str()).send_json(body)?;
                if response.status() == 429 && attempt < ATTEMPTS_MAX {
                    let after = response.headers().get("retry-after").and_then(|v| v.to_str().ok());
                    let seconds = after.and_then(|text| text.parse().ok()).unwrap_or(1).min(60);
                    clock.sleep(Duration::from_secs(seconds));
                    continue;
                }
                return response.body_mut().read_json();
            }
        };
        let show = |answer: &Result<Value, ureq::Error>| match answer {
            Ok(answer) => answer.to_string(),
            Err(error) => error.to_string(),
        };
        let answer = self.recorder.act((intent, call), destructive, post, show);
        answer.map_err(|error| ScriptError::Api(Box::new(error)))
    }
}
