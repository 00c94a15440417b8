//! What went wrong, for a person or for a program: one sentence, what is behind it, what would help.

use access::AccessError;
use approvals::Refusal;
use askama::Template;
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use ports::files;
use serde::Serialize;
use service::{
    ServiceError, WatchError,
    activity::ActivityError,
    cases::CaseError,
    jobs::JobError,
    plans::PlansError,
    proof::ProofError,
    workshop::{WorkError, WorkErrorKind},
};
use utoipa::ToSchema;

use crate::assets;

/// Why a request was not answered with what was asked for (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// The status code.
    pub(crate) status: u16,
    /// One sentence.
    pub(crate) title: String,
    /// What is behind it, the nearest cause first.
    pub(crate) causes: Vec<String>,
    /// What would help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    /// The page that shows how things are now, where the one that asked is behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub(crate) next: Option<String>,
    /// After so many seconds it may be asked again.
    #[serde(skip)]
    pub(crate) retry_after_s: Option<u64>,
}

impl Problem {
    /// Makes a problem out of a status and a sentence.
    pub(crate) fn new(status: StatusCode, title: impl Into<String>) -> Self {
        let title = title.into();
        Self {
            status: status.as_u16(),
            title,
            causes: Vec::new(),
            hint: None,
            next: None,
            retry_after_s: None,
        }
    }

    /// Makes a problem out of an error with its causes. Where a full disk is behind it, that is what is told.
    pub(crate) fn of(status: StatusCode, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut problem = Self::new(status, error.to_string());
        let mut found = Some(error);
        while let Some(cause) = found {
            if cause.downcast_ref().is_some_and(files::is_full) {
                problem.status = StatusCode::INSUFFICIENT_STORAGE.as_u16();
                problem.hint = Some("make room on the disk of the home folder, then do it again".to_owned());
            }
            found = cause.source();
            problem.causes.extend(found.map(ToString::to_string));
        }
        problem
    }

    /// Says that there is no such thing.
    pub(crate) fn missing(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("There is no {what}."))
    }

    /// Says that whoever asks may not.
    pub(crate) fn forbidden(what: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, format!("You may not {what}."))
    }

    /// Says that a value cannot be used.
    pub(crate) fn unusable(what: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, what)
    }

    /// Adds what would help.
    pub(crate) fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = self.hint.or(hint);
        self
    }

    /// Returns what is wrong and what is behind it, as one line.
    pub(crate) fn sentence(&self) -> String {
        let causes = self.causes.iter().map(|cause| format!(": {cause}"));
        [self.title.clone()].into_iter().chain(causes).collect()
    }

    fn code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn finish(&self, mut response: Response) -> Response {
        *response.status_mut() = self.code();
        if let Some(seconds) = self.retry_after_s
            && let Ok(value) = HeaderValue::from_str(&seconds.to_string())
        {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let status = match &error {
            ServiceError::Config(service::ConfigError::UnknownSource { .. }) => StatusCode::NOT_FOUND,
            ServiceError::Busy { .. } => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::of(status, &error).hint(error.hint())
    }
}

impl From<WatchError> for Problem {
    fn from(error: WatchError) -> Self {
        let status = match &error {
            WatchError::NoIncident { .. } => StatusCode::NOT_FOUND,
            WatchError::Amend { .. } | WatchError::Busy => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::of(status, &error).hint(error.hint())
    }
}

impl From<WorkError> for Problem {
    fn from(error: WorkError) -> Self {
        let status = match error.kind {
            WorkErrorKind::Usage => StatusCode::UNPROCESSABLE_ENTITY,
            WorkErrorKind::Nothing => StatusCode::NOT_FOUND,
            WorkErrorKind::Authentication => StatusCode::FORBIDDEN,
            WorkErrorKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut problem = Self::new(status, error.sentence);
        problem.causes = error.causes;
        problem.hint = error.hint;
        problem
    }
}

impl From<CaseError> for Problem {
    fn from(error: CaseError) -> Self {
        let status = match &error {
            CaseError::NoCase { .. } => StatusCode::NOT_FOUND,
            CaseError::Refused(refusal) => match refusal {
                Refusal::Already { .. }
                | Refusal::Expired { .. }
                | Refusal::Over { .. }
                | Refusal::Begun { .. }
                | Refusal::NotApproved { .. }
                | Refusal::Delay { .. }
                | Refusal::NotThisRun { .. } => StatusCode::CONFLICT,
                _ => StatusCode::FORBIDDEN,
            },
            CaseError::Proof(_) | CaseError::Unsound { .. } => StatusCode::FORBIDDEN,
            CaseError::Running { .. }
            | CaseError::Asked { .. }
            | CaseError::Changed { .. }
            | CaseError::Plan(_)
            | CaseError::Document(_) => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::of(status, &error).hint(error.hint())
    }
}

impl From<PlansError> for Problem {
    fn from(error: PlansError) -> Self {
        let status = match &error {
            PlansError::NoPlan { .. } => StatusCode::NOT_FOUND,
            PlansError::Folder(_) | PlansError::Document(_) => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::of(status, &error).hint(error.hint())
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        use AccessError as E;
        let status = match &error {
            E::File(_) | E::Damaged { .. } | E::Party(_) => StatusCode::INTERNAL_SERVER_ERROR,
            E::Busy { .. } | E::TooManyCeremonies => StatusCode::SERVICE_UNAVAILABLE,
            E::NoPerson { .. } | E::NoPasskey { .. } => StatusCode::NOT_FOUND,
            E::Exists { .. } | E::Stale { .. } | E::PasskeyTaken => StatusCode::CONFLICT,
            E::NoRoles | E::Display => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::FORBIDDEN,
        };
        Self::of(status, &error).hint(error.hint())
    }
}

impl From<ActivityError> for Problem {
    fn from(error: ActivityError) -> Self {
        Self::of(StatusCode::INTERNAL_SERVER_ERROR, &error)
    }
}

impl From<ProofError> for Problem {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Service(error) => error.into(),
            ProofError::Nothing { .. } => Self::of(StatusCode::CONFLICT, &error),
            _ => Self::of(StatusCode::INTERNAL_SERVER_ERROR, &error).hint(error.hint()),
        }
    }
}

impl From<JobError> for Problem {
    fn from(error: JobError) -> Self {
        let (status, retry_after_s) = match &error {
            JobError::TooMany => (StatusCode::SERVICE_UNAVAILABLE, Some(10)),
            JobError::Same { .. } => (StatusCode::CONFLICT, None),
            JobError::File(_) | JobError::Thread(_) => (StatusCode::INTERNAL_SERVER_ERROR, None),
        };
        Self { retry_after_s, ..Self::of(status, &error) }
    }
}

impl From<tokio::task::JoinError> for Problem {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::of(StatusCode::INTERNAL_SERVER_ERROR, &error)
    }
}

/// A problem that a program reads.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Json(&self).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        self.finish(response)
    }
}

/// A problem that a person reads, or the way to the door.
#[derive(Debug)]
pub(crate) enum PageProblem {
    /// Nobody has logged in.
    Door {
        /// Where they wanted to go.
        next: String,
    },
    /// Something else.
    Problem(Problem),
}

impl<E: Into<Problem>> From<E> for PageProblem {
    fn from(error: E) -> Self {
        Self::Problem(error.into())
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'p> {
    problem: &'p Problem,
}

impl ProblemPage<'_> {
    fn asset(&self, name: &str) -> String {
        assets::address(name)
    }
}

impl IntoResponse for PageProblem {
    fn into_response(self) -> Response {
        match self {
            Self::Door { next } => {
                let next = serde_urlencoded::to_string([("next", next)]).unwrap_or_default();
                Redirect::to(&format!("/login?{next}")).into_response()
            }
            Self::Problem(problem) => {
                let text = ProblemPage { problem: &problem }.render();
                problem.finish(Html(text.unwrap_or_else(|_| problem.title.clone())).into_response())
            }
        }
    }
}
