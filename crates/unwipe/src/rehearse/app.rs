//! A program that somebody in the simulated domain let in.

use connect_http::{
    ANSWER_BYTES_MAX, HttpSettings, HttpTransport, Request, Transport as _, http::Method as Verb,
};
use google_tenant::App;
use model::Redacted;
use serde_json::Value;

use super::workspace::Workspace;
use crate::{exit::Exit, failure::Failure};

/// A program's access to one account.
pub(crate) struct Access<'w> {
    workspace: &'w Workspace,
    transport: HttpTransport,
    token: Redacted<String>,
    /// The id under which the domain knows the program.
    pub(crate) client_id: String,
}

impl<'w> Access<'w> {
    /// Lets a program in, as its user does with one click.
    pub(crate) fn grant(
        workspace: &'w Workspace,
        user: &str,
        name: &str,
        scopes: &[&str],
    ) -> Result<Self, Failure> {
        let name_in_id = name.to_lowercase().replace(' ', "-");
        Self::grant_as(
            workspace,
            user,
            name,
            &format!("881203355011-{name_in_id}.apps.googleusercontent.com"),
            scopes,
        )
    }

    /// Lets a program in that has this id.
    pub(crate) fn grant_as(
        workspace: &'w Workspace,
        user: &str,
        name: &str,
        client_id: &str,
        scopes: &[&str],
    ) -> Result<Self, Failure> {
        let app = App {
            client_id: client_id.to_owned(),
            client_secret: workspace.context.random_text::<12>(),
            display_text: name.to_owned(),
            native: true,
        };
        let token = workspace.running.with_tenant(|tenant| {
            let grant = tenant.authorize(user, &app, scopes)?;
            tenant.access_token(&grant)
        });
        let token = token.ok_or_else(|| Failure::new(Exit::Failed, "the domain lets no program in"))?;
        let transport = HttpTransport::new(HttpSettings::default()).map_err(|error| {
            Failure::because(Exit::Failed, "the simulated domain cannot be spoken to", error)
        })?;
        Ok(Self { workspace, transport, token: Redacted::new(token), client_id: app.client_id })
    }

    /// Returns the access of a program that somebody, who is no administrator, let in long ago, and who that is.
    pub(crate) fn known(workspace: &'w Workspace, name: &str) -> Result<(Self, String), Failure> {
        let found = workspace.running.with_tenant(|tenant| {
            let users: Vec<_> = tenant
                .users()
                .iter()
                .filter(|user| {
                    user.has_mailbox && !user.is_admin && !user.suspended && user.deleted.is_none()
                })
                .map(|user| (user.id.clone(), user.primary_email.clone()))
                .collect();
            let grants: Vec<_> =
                tenant.grants().iter().filter(|grant| grant.app.display_text == name).cloned().collect();
            let known = |grant: &google_tenant::Grant| {
                let user = users.iter().find(|(id, _)| **id == *grant.user)?;
                Some((user.1.clone(), grant.clone()))
            };
            let (user, grant) = grants.iter().find_map(known)?;
            Some((tenant.access_token(&grant)?, grant.app.client_id, user))
        });
        let (token, client_id, user) =
            found.ok_or_else(|| Failure::new(Exit::Failed, format!("nobody has let {name} in")))?;
        let transport = HttpTransport::new(HttpSettings::default()).map_err(|error| {
            Failure::because(Exit::Failed, "the simulated domain cannot be spoken to", error)
        })?;
        Ok((Self { workspace, transport, token: Redacted::new(token), client_id }, user))
    }

    /// Returns an address of the domain.
    pub(crate) fn request(&self, verb: Verb, path: &str) -> Request {
        Request::new(verb, format!("{}/{path}", self.workspace.running.url()))
    }

    /// Sends a request, and returns the bytes of its answer.
    pub(crate) fn bytes(&self, request: Request) -> Result<Vec<u8>, Refused> {
        let failed = |error: connect_http::TransportError| Refused(error.to_string());
        let request = request.bearer(&self.token).map_err(failed)?;
        let response = self.transport.send(&request).map_err(failed)?;
        let status = response.status;
        let body = response.body.bytes(ANSWER_BYTES_MAX).map_err(failed)?;
        if status.is_success() { Ok(body) } else { Err(Refused(status.to_string())) }
    }

    /// Sends a request, and reads its answer.
    pub(crate) fn send(&self, request: Request) -> Result<Value, Refused> {
        Ok(serde_json::from_slice(&self.bytes(request)?).unwrap_or_default())
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value, Refused> {
        self.send(self.request(Verb::GET, path))
    }

    /// Sends a body to an address.
    pub(crate) fn change(&self, verb: Verb, path: &str, body: &Value) -> Result<Value, Refused> {
        let request = self.request(verb, path).json(body).map_err(|error| Refused(error.to_string()))?;
        self.send(request)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Refused> {
        self.change(Verb::POST, path, body)
    }
}

/// A call that the domain did not carry out.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(String);

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::because(Exit::Failed, "the simulated domain refused", refused)
    }
}
