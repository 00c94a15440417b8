//! Proofs: what is known about restoring each source, its certificates, and the next drills.

use std::sync::Arc;

use access::Permission;
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use model::{Moment, SourceName};
use service::{
    certificate::{Certificate, Statement},
    drill::{CheckResult, Outcome, Standing},
    proof::{self, Kept, Proof},
    words,
};

use super::{
    Page, elsewhere,
    frame::{Frame, Section},
    show,
};
use crate::{
    problem::Problem,
    site::Site,
    visitor::{Member, Posted},
};

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/drills", get(drills))
        .route("/drills/{source}", get(drills_of))
        .route("/drills/{source}/acknowledge", post(acknowledge))
        .route("/drills/{source}/{certificate}", get(certificate))
        .route("/drills/{source}/{certificate}/download", get(download))
}

/// So many certificates of a source are listed.
const LISTED: usize = 100;

/// What is known about a source, as a line.
struct Line {
    proof: Proof,
    now: Moment,
}

impl Line {
    /// The vault's own drills are kept under the name of the operation log.
    fn name(&self) -> &str {
        if self.is_vault() { "the vault's packs" } else { self.proof.source.as_str() }
    }

    fn is_vault(&self) -> bool {
        proof::vault_source().is_some_and(|vault| vault == self.proof.source)
    }

    fn class(&self) -> &'static str {
        match self.proof.standing {
            Standing::Proven { .. } => "good",
            Standing::Hypothesis { .. } => "warning",
            Standing::Failed { .. } => "bad",
        }
    }

    fn word(&self) -> &'static str {
        self.proof.standing.word()
    }

    fn why(&self) -> String {
        match &self.proof.standing {
            Standing::Hypothesis { was_proven: None } => "nobody has restored it and compared".to_owned(),
            Standing::Hypothesis { was_proven: Some(at) } => {
                format!("it was proven {}, which is too long ago to count", words::ago(*at, self.now))
            }
            Standing::Proven { at, until, extent } => format!(
                "{}, {}; counts until {}",
                words::ago(*at, self.now),
                extent.describe(),
                words::moment(*until)
            ),
            Standing::Failed { failures } => {
                let waits = failures.iter().filter(|failure| !failure.acknowledged).count();
                let open = failures.iter().filter(|failure| !failure.passed_since).count();
                let drills = if failures.len() == 1 { "drill" } else { "drills" };
                let problems: String =
                    self.proof.standing.problems().iter().map(|problem| format!("; {problem}")).collect();
                format!(
                    "{} failed {drills}: {open} without a later drill that passed, {waits} that nobody has \
                     acknowledged{problems}",
                    failures.len()
                )
            }
        }
    }

    fn next(&self) -> String {
        match &self.proof.next {
            None => "by hand only".to_owned(),
            Some(planned) if planned.at <= self.now => "due now".to_owned(),
            Some(planned) => words::ago(planned.at, self.now),
        }
    }

    fn waits_for_a_person(&self) -> bool {
        matches!(&self.proof.standing, Standing::Failed { failures }
            if failures.iter().any(|failure| !failure.acknowledged))
    }

    fn command(&self) -> String {
        let what = if self.is_vault() { "vault".to_owned() } else { format!("{}@latest", self.proof.source) };
        format!("unwipe drill run {what}")
    }
}

#[derive(Template)]
#[template(path = "drills.html")]
struct DrillsPage {
    frame: Frame,
    lines: Vec<Line>,
    may_drill: bool,
}

async fn drills(State(site): State<Arc<Site>>, Member(visitor, person): Member, headers: HeaderMap) -> Page {
    visitor.require(Permission::See)?;
    let now = site.now();
    let proofs = elsewhere(&site, move |site| Ok(proof::proofs(&site.installation()?, now)?)).await?;
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Drills, "Drills");
    let lines = proofs.into_iter().map(|proof| Line { proof, now }).collect();
    show(&DrillsPage { frame, lines, may_drill: visitor.may(Permission::Drill) })
}

#[derive(Template)]
#[template(path = "drills_of.html")]
struct DrillsOfPage {
    frame: Frame,
    line: Line,
    kept: Vec<Kept>,
    may_drill: bool,
}

impl DrillsOfPage {
    fn when(&self, statement: &Statement) -> String {
        words::moment(statement.at)
    }
}

/// Returns an outcome as a class and as a word.
fn outcome_words(outcome: Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Proven => ("good", "proven"),
        Outcome::Failed => ("bad", "failed"),
        Outcome::Hypothesis => ("warning", "hypothesis"),
    }
}

fn source_named(name: &str) -> Result<SourceName, Problem> {
    SourceName::new(name).map_err(|_| Problem::missing(format!("source {name}")))
}

async fn drills_of(
    State(site): State<Arc<Site>>,
    Member(visitor, person): Member,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Page {
    visitor.require(Permission::See)?;
    let source = source_named(&name)?;
    let now = site.now();
    let (proof, kept) = elsewhere(&site, move |site| {
        let installation = site.installation()?;
        let is_known = installation.config().sources.contains_key(&source)
            || proof::vault_source().is_some_and(|vault| vault == source);
        if !is_known {
            return Err(Problem::missing(format!("source {source}")));
        }
        let known = proof::proof(&installation, source.clone(), now)?;
        let mut kept = proof::certificates(&installation, &source)?;
        kept.truncate(LISTED);
        Ok((known, kept))
    })
    .await?;
    let line = Line { proof, now };
    let title = format!("Drills of {}", line.name());
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Drills, title);
    show(&DrillsOfPage { frame, line, kept, may_drill: visitor.may(Permission::Drill) })
}

/// Notes that a person has seen that drills failed. That alone turns nothing green: a later drill must pass as well.
async fn acknowledge(State(site): State<Arc<Site>>, Path(name): Path<String>, posted: Posted) -> Page {
    let Posted(Member(visitor, person), fields) = posted;
    visitor.require(Permission::Drill)?;
    let source = source_named(&name)?;
    let reason = fields.required("reason")?.to_owned();
    let by = person.person.to_string();
    elsewhere(&site, move |site| {
        proof::acknowledge(&site.installation()?, &source, &by, &reason, site.environment)?;
        Ok(())
    })
    .await?;
    Ok(Redirect::to(&format!("/drills/{name}")).into_response())
}

#[derive(Template)]
#[template(path = "certificate.html")]
struct CertificatePage {
    frame: Frame,
    certificate: Certificate,
    id: String,
    name: String,
}

impl CertificatePage {
    fn statement(&self) -> &Statement {
        &self.certificate.statement
    }

    fn outcome(&self) -> (&'static str, &'static str) {
        outcome_words(self.statement().outcome)
    }

    fn check(&self, result: CheckResult) -> (&'static str, &'static str) {
        match result {
            CheckResult::Passed => ("good", "passed"),
            CheckResult::Failed => ("bad", "failed"),
            CheckResult::NotChecked => ("", "not checked"),
        }
    }

    /// Says how much was read in full.
    fn content(&self) -> String {
        let tables = &self.statement().tables;
        let rows = tables.values().map(|(rows, _)| rows).sum();
        format!("{}, {}", words::counted(tables.len() as u64, "table"), words::counted(rows, "row"))
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates hand over references")]
    fn moment(&self, at: &Moment) -> String {
        words::moment(*at)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates hand over references")]
    fn counted(&self, number: &u64, noun: &str) -> String {
        words::counted(*number, noun)
    }

    fn verify(&self) -> String {
        format!("unwipe drill verify {}.json", self.id)
    }
}

async fn kept_certificate(site: &Arc<Site>, name: &str, id: &str) -> Result<Certificate, Problem> {
    let (source, id) = (source_named(name)?, id.to_owned());
    elsewhere(site, move |site| {
        let missing = || Problem::missing(format!("certificate {id}"));
        let kept = proof::certificates(&site.installation()?, &source)?;
        let found = kept.into_iter().find(|kept| kept.id == id).ok_or_else(missing)?;
        found.certificate.map_err(|why| Problem::unusable(format!("This certificate does not count: {why}.")))
    })
    .await
}

async fn certificate(
    State(site): State<Arc<Site>>,
    Member(visitor, person): Member,
    headers: HeaderMap,
    Path((name, id)): Path<(String, String)>,
) -> Page {
    visitor.require(Permission::See)?;
    let certificate = kept_certificate(&site, &name, &id).await?;
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Drills, "Certificate of a drill");
    show(&CertificatePage { frame, certificate, id, name })
}

async fn download(
    State(site): State<Arc<Site>>,
    Member(visitor, _): Member,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, crate::problem::PageProblem> {
    visitor.require(Permission::See)?;
    let text = kept_certificate(&site, &name, &id)
        .await?
        .to_text()
        .map_err(|error| Problem::of(axum::http::StatusCode::INTERNAL_SERVER_ERROR, &error))?;
    // The id is hexadecimal: a file's name that needs no quoting.
    let name = format!(
        "attachment; filename=\"{}.json\"",
        id.chars().filter(char::is_ascii_hexdigit).collect::<String>()
    );
    let headers =
        [(header::CONTENT_TYPE, "application/json".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, text).into_response())
}
