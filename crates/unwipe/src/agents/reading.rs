//! What only reads.

use std::path::Path;

use mcp::{Answer, DeskError, DeskErrorKind, FindWish, ItemId, ItemWish, MomentsWish, QueryWish};
use model::StreamName;
use serde_json::{Value, json};
use service::{
    browse::{At, Entry, PageWish, SearchWish},
    certificate::{Certificate, CertificateError, Trust},
    proof,
    watching::WatchStore,
    workshop::{Question, Workshop},
};

use super::{HomeDesk, browse_failed, failed, work_failed};
use crate::{
    commands::drill::{proof_of, read_log},
    connectors::postgres,
    context::environment,
};

/// What a page's place is called among the names of items.
const PLACE: &str = "place";
/// So many of the newest commits are looked through.
const COMMITS_MAX: u32 = 10_000;
const INCIDENTS_MAX: usize = 50;

/// A place may quote keys; agents are given it as letters and digits.
fn sealed(place: Option<String>) -> Value {
    place.map_or(Value::Null, |place| json!(ItemId::of(PLACE, &place)))
}

fn opened(place: Option<&String>) -> Result<Option<String>, DeskError> {
    let Some(place) = place else { return Ok(None) };
    let read: Option<ItemId> = serde_json::from_value(json!(place)).ok();
    let parts = read.and_then(|id| id.parts()).filter(|(kind, _)| kind == PLACE);
    parts
        .map(|(_, place)| Some(place))
        .ok_or_else(|| DeskError::new(DeskErrorKind::Usage, "this cursor was not given out here"))
}

fn stream(text: &str) -> Result<StreamName, DeskError> {
    StreamName::new(text).map_err(|error| DeskError::new(DeskErrorKind::Usage, error.to_string()))
}

fn entry(entry: &Entry) -> Value {
    json!({
        "item": entry.is_item.then(|| ItemId::of(&entry.stream, &entry.key)),
        "stream": entry.stream,
        "kind": entry.kind,
        "title": entry.title,
        "subtitle": entry.subtitle,
        "folder": entry.folder,
        "size_bytes": entry.size_bytes,
        "commit": entry.commit,
        "at": entry.at,
        "is_readable": entry.is_readable,
    })
}

impl HomeDesk {
    pub(super) fn list_sources(&self) -> Result<Answer, DeskError> {
        let installation = self.installation()?;
        let vault = installation.vault(&environment).map_err(failed)?;
        let now = self.context.clock().now();
        read_log(&self.context, &installation);
        let mut sources = Vec::new();
        for (name, config) in &installation.config().sources {
            let head = vault.head(name).map_err(failed)?;
            let newest = head.as_ref().map(|commit| commit.envelope.vault_time);
            sources.push(json!({
                "name": name,
                "kind": config.kind,
                "commits": head.as_ref().map_or(0, |commit| commit.envelope.sequence),
                "newest_moment": newest,
                "behind_s": newest.map(|at| now.micros_since(at) / 1_000_000),
                "locked_until": head.map(|commit| commit.envelope.locked_until),
                "proof": proof_of(&self.context, &installation, name),
            }));
        }
        Ok(Answer::of(json!({ "sources": sources })))
    }

    pub(super) fn list_moments(&self, wish: &MomentsWish) -> Result<Answer, DeskError> {
        self.known(&wish.source)?;
        self.refresh(&wish.source);
        let catalog = self.installation()?.catalog(&wish.source).map_err(failed)?;
        let newest = catalog.last_sequence().map_err(failed)?;
        let before = wish.before.unwrap_or(u64::MAX).min(newest + 1);
        let skipped = (newest + 1 - before).min(u64::from(COMMITS_MAX)) as u32;
        let rows = catalog.commits((skipped + wish.limit()).min(COMMITS_MAX)).map_err(failed)?;
        let rows: Vec<_> =
            rows.into_iter().filter(|row| row.sequence < before).take(wish.limit() as usize).collect();
        let next = rows.last().map(|row| row.sequence).filter(|last| *last > 1);
        let commits: Vec<Value> = rows
            .iter()
            .map(|row| {
                json!({
                    "commit": row.sequence,
                    "at": row.vault_time,
                    "items_stored": row.ledger.stored,
                    "unreadable": row.ledger.unreadable,
                })
            })
            .collect();
        let (incidents, suspects) = self.incidents_of(wish)?;
        let facts =
            json!({ "source": wish.source, "commits": commits, "incidents": incidents, "next": next });
        Ok(Answer::of(facts).with(json!({ "suspects": suspects })).cut(next.is_some()))
    }

    fn incidents_of(&self, wish: &MomentsWish) -> Result<(Vec<Value>, Vec<Value>), DeskError> {
        let all = WatchStore::of(&self.context.home).incidents().map_err(failed)?;
        let touched =
            all.iter().rev().filter_map(|incident| Some((incident, incident.touched.get(&wish.source)?)));
        let (mut incidents, mut suspects) = (Vec::new(), Vec::new());
        for (incident, touched) in touched.take(INCIDENTS_MAX) {
            incidents.push(json!({
                "incident": incident.id,
                "state": incident.state,
                "severity": incident.severity,
                "from": touched.from,
                "until": touched.until,
                "destroyed": touched.effects.destroyed(),
            }));
            suspects.push(
                json!({ "incident": incident.id, "scopes": touched.scopes, "suspects": incident.suspects }),
            );
        }
        Ok((incidents, suspects))
    }

    pub(super) fn ask(&self, wish: &QueryWish) -> Result<Answer, DeskError> {
        let is_database = self.known(&wish.source)? == postgres::KIND;
        match (is_database, &wish.sql, &wish.database) {
            (true, Some(sql), Some(database)) => self.ask_database(wish, database, sql),
            (true, ..) => {
                Err(DeskError::new(DeskErrorKind::Usage, "this source is a database: give database and sql"))
            }
            (false, Some(_), _) => Err(DeskError::new(
                DeskErrorKind::Usage,
                "this source is no database: leave sql and database out",
            )),
            (false, ..) => self.list(wish),
        }
    }

    fn ask_database(&self, wish: &QueryWish, database: &str, sql: &str) -> Result<Answer, DeskError> {
        let question = Question {
            source: wish.source.clone(),
            moment: wish.moment.clone().unwrap_or_else(|| "latest".to_owned()),
            database: database.to_owned(),
            sql: sql.to_owned(),
            rows_max: wish.limit(),
        };
        let table = self.workshop.query(&question, &Self::silent()).map_err(work_failed)?;
        // Rows with the names of their columns: a value is masked by its name as well.
        let rows: Vec<Value> = table
            .rows
            .iter()
            .map(|row| {
                Value::Array(
                    table
                        .columns
                        .iter()
                        .zip(row)
                        .map(|(name, value)| json!({ name.as_str(): value }))
                        .collect(),
                )
            })
            .collect();
        let facts = json!({ "source": wish.source, "next": null });
        let untrusted = json!({ "columns": table.columns, "rows": rows });
        Ok(Answer::of(facts).with(untrusted).cut(table.truncated))
    }

    fn list(&self, wish: &QueryWish) -> Result<Answer, DeskError> {
        self.refresh(&wish.source);
        let at = Self::at(wish.moment.as_ref())?;
        let Some(name) = &wish.stream else {
            let streams = self.browse()?.streams(&wish.source, at).map_err(browse_failed)?;
            let shown: Vec<Value> = streams
                .streams
                .iter()
                .filter(|stream| !stream.is_internal)
                .map(
                    |stream| json!({ "stream": stream.stream, "items": stream.items, "bytes": stream.bytes }),
                )
                .collect();
            let facts = json!({ "source": wish.source, "next": null });
            return Ok(Answer::of(facts).with(json!({ "streams": shown })));
        };
        let page = PageWish { cursor: opened(wish.cursor.as_ref())?, limit: wish.limit() };
        let folder = wish.folder.as_deref().unwrap_or_default();
        let listing = self
            .browse()?
            .children(&wish.source, &stream(name)?, (folder, at), &page)
            .map_err(browse_failed)?;
        let entries: Vec<Value> = listing.entries.iter().map(entry).collect();
        let cut = listing.next.is_some();
        let facts = json!({ "source": wish.source, "next": sealed(listing.next) });
        Ok(Answer::of(facts).with(json!({ "entries": entries })).cut(cut))
    }

    pub(super) fn search(&self, wish: &FindWish) -> Result<Answer, DeskError> {
        let sources = match &wish.source {
            Some(source) => {
                self.known(source)?;
                vec![source.clone()]
            }
            None => self.browse()?.sources(),
        };
        for source in &sources {
            self.refresh(source);
        }
        let page = PageWish { cursor: opened(wish.cursor.as_ref())?, limit: wish.limit() };
        let asked = SearchWish { text: wish.text.clone(), sources, page, ..SearchWish::default() };
        let found = self.browse()?.search(&asked).map_err(browse_failed)?;
        let hits: Vec<Value> = found
            .hits
            .iter()
            .map(|hit| json!({ "source": hit.source, "entry": entry(&hit.entry), "ended_by_commit": hit.until_commit }))
            .collect();
        let cut = found.next.is_some();
        let facts = json!({ "next": sealed(found.next), "behind": found.behind });
        Ok(Answer::of(facts).with(json!({ "hits": hits })).cut(cut))
    }

    pub(super) fn item(&self, wish: &ItemWish) -> Result<Answer, DeskError> {
        self.known(&wish.source)?;
        self.refresh(&wish.source);
        let nothing = || DeskError::new(DeskErrorKind::Usage, "this is no item");
        let (name, key) = wish.item.parts().ok_or_else(nothing)?;
        let at: At = Self::at(wish.moment.as_ref())?;
        let view = self.browse()?.item(&wish.source, (&stream(&name)?, &key), at).map_err(browse_failed)?;
        let document = view.document;
        let facts = json!({
            "source": wish.source,
            "commit": view.entry.commit,
            "at": view.entry.at,
            "versions": view.versions,
            "size_bytes": view.entry.size_bytes,
        });
        let fields: Vec<Value> =
            document.fields.iter().map(|field| json!({ field.name.as_str(): field.value })).collect();
        // One text, so that a key of several lines is masked as a whole.
        let untrusted = json!({
            "kind": document.kind,
            "title": document.title,
            "subtitle": document.subtitle,
            "fields": fields,
            "body": document.body.join("\n"),
            "attachments": document.attachments,
            "notes": document.notes,
        });
        Ok(Answer::of(facts).with(untrusted))
    }

    pub(super) fn verify(&self, text: &str) -> Result<Answer, DeskError> {
        let signers = proof::signers(&*self.installation()?).map_err(failed)?;
        let parsed = Certificate::parse(text.as_bytes(), Path::new("the certificate"));
        let any = Trust { signers: Vec::new(), vault_keys: Vec::new() };
        let checked =
            parsed.and_then(|certificate| certificate.verify(&any).map(|verified| (certificate, verified)));
        let (certificate, verified) = match checked {
            Ok(checked) => checked,
            Err(error) => return Ok(not_verified(&error)),
        };
        let signed_here = signers.iter().any(|signer| signer.eq_ignore_ascii_case(&certificate.signer));
        let statement = &certificate.statement;
        let facts = json!({
            "verified": signed_here,
            "signed_here": signed_here,
            "signature_holds": true,
            "commit_in_tree": verified.commit_in_tree,
            "outcome": statement.outcome,
            "commit": statement.commit,
            "ended_at": statement.at,
        });
        let untrusted = json!({ "source": statement.source, "kind": statement.kind, "moment": statement.moment, "differences_total": statement.differences_total });
        Ok(Answer::of(facts).with(untrusted))
    }
}

fn not_verified(error: &CertificateError) -> Answer {
    let facts = json!({ "verified": false, "signed_here": false, "signature_holds": false });
    Answer::of(facts).with(json!({ "why": error.to_string() }))
}
