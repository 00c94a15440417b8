//! HTTP: the simulator's thread, its endpoint, its rate limits.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use apollo_compiler::{Schema, validation::Valid};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{
    Plan, RailwayError,
    estate::{Token, TokenKind},
    execution::{self, SCHEMA},
    world::{HOUR_MICROS, RateWindow, World},
};

/// A started simulator. Dropping it stops it.
#[derive(Debug)]
pub struct RunningRailway {
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Context {
    world: Arc<Mutex<World>>,
    schema: &'static Valid<Schema>,
}

pub(super) fn start(world: World) -> Result<RunningRailway, RailwayError> {
    let schema = SCHEMA.as_ref().map_err(|text| RailwayError::Schema(text.clone()))?;
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(RailwayError::Listen)?;
    listener.set_nonblocking(true).map_err(RailwayError::Listen)?;
    let address = listener.local_addr().map_err(RailwayError::Listen)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RailwayError::Listen)?;
    let listener = {
        let _context = runtime.enter();
        tokio::net::TcpListener::from_std(listener).map_err(RailwayError::Listen)?
    };
    let world = Arc::new(Mutex::new(world));
    let context = Context { world: Arc::clone(&world), schema };
    let (stop, stopped) = oneshot::channel::<()>();
    let serve = async move {
        let router = Router::new().route("/graphql/v2", post(answer)).with_state(context);
        tokio::select! {
            // A failed accept loop and a stop mean the same here: the simulator is gone.
            _ = async { axum::serve(listener, router).await } => {}
            _ = stopped => {}
        }
    };
    let thread = std::thread::Builder::new()
        .name("railway-simulator".to_owned())
        .spawn(move || runtime.block_on(serve))
        .map_err(RailwayError::Listen)?;
    Ok(RunningRailway { address, world, stop: Some(stop), thread: Some(thread) })
}

impl RunningRailway {
    /// Returns the endpoint's address.
    pub fn url(&self) -> String {
        format!("http://{}/graphql/v2", self.address)
    }

    /// Looks into the tenant, or changes it behind the API's back.
    pub fn with_world<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let (result, hooks) = {
            let mut world = lock(&self.world);
            let result = act(&mut world);
            (result, std::mem::take(&mut world.due_hooks))
        };
        for hook in hooks {
            hook();
        }
        result
    }

    /// Carries out what has become due by the clock, as the next request would.
    pub fn settle(&self) {
        self.with_world(World::sweep);
    }

    /// Stops the simulator and waits for its thread.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself; then nobody listens, and that is fine.
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Drop for RunningRailway {
    fn drop(&mut self) {
        self.shut_down();
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(State(context): State<Context>, headers: HeaderMap, body: Bytes) -> Response {
    let (response, hooks) = {
        let mut world = lock(&context.world);
        world.sweep();
        let token = caller(&world, &headers);
        let limit = token.as_ref().map(|token| count_request(&mut world, token));
        let response = match &limit {
            Some(limit) if limit.retry_after_seconds.is_some() => reply(
                StatusCode::TOO_MANY_REQUESTS,
                &json!({ "errors": [{ "message": "Too Many Requests" }] }),
            ),
            _ => respond(context.schema, &mut world, token.as_ref(), &body),
        };
        let response = with_limit_headers(response, limit.as_ref());
        (response, std::mem::take(&mut world.due_hooks))
    };
    // The bytes are destroyed before the caller hears of it, and without holding the state.
    for hook in hooks {
        hook();
    }
    response
}

fn respond(schema: &Valid<Schema>, world: &mut World, token: Option<&Token>, body: &[u8]) -> Response {
    match serde_json::from_slice::<execution::Request>(body) {
        Ok(request) => reply(StatusCode::OK, &execution::execute(schema, world, token, request)),
        Err(error) => {
            let message = format!("the body is no GraphQL request: {error}");
            reply(StatusCode::BAD_REQUEST, &json!({ "errors": [{ "message": message }] }))
        }
    }
}

fn reply(status: StatusCode, body: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8")),
        (HeaderName::from_static("x-simulator"), HeaderValue::from_static("railway")),
    ];
    (status, headers, body.to_string()).into_response()
}

/// Finds the caller's token: a project token in its own header, every other kind as a bearer.
fn caller(world: &World, headers: &HeaderMap) -> Option<Token> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(secret) = text("project-access-token") {
        return world.token(secret, true);
    }
    world.token(text("authorization")?.strip_prefix("Bearer ")?, false)
}

struct Limit {
    per_hour: u32,
    remaining: u32,
    reset_seconds: i64,
    retry_after_seconds: Option<i64>,
}

fn count_request(world: &mut World, token: &Token) -> Limit {
    let now = world.now();
    // A token that spans workspaces counts against the most generous plan it reaches.
    let plans = world.reachable_workspaces(token).into_iter().map(|workspace| workspace.plan);
    let project_plan = match &token.kind {
        TokenKind::Project { environment_id, .. } => world
            .project_of_environment(environment_id)
            .and_then(|project| world.workspaces.iter().find(|w| w.id == project.workspace_id))
            .map(|workspace| workspace.plan),
        _ => None,
    };
    let plan = plans.chain(project_plan).max_by_key(|plan| plan.requests_per_hour()).unwrap_or(Plan::Free);
    let fresh = RateWindow { hour_start: now, hour_count: 0, second_start: now, second_count: 0 };
    let window = world.rates.entry(token.id.clone()).or_insert(fresh);
    if now.micros_since(window.hour_start) >= HOUR_MICROS {
        *window = fresh;
    }
    if now.micros_since(window.second_start) >= 1_000_000 {
        (window.second_start, window.second_count) = (now, 0);
    }
    let reset_micros = HOUR_MICROS - now.micros_since(window.hour_start);
    let reset_seconds = (reset_micros + 999_999) / 1_000_000;
    let retry_after_seconds = if window.hour_count >= plan.requests_per_hour() {
        Some(reset_seconds)
    } else if window.second_count >= plan.requests_per_second() {
        Some(1)
    } else {
        window.hour_count += 1;
        window.second_count += 1;
        None
    };
    let per_hour = plan.requests_per_hour();
    Limit {
        per_hour,
        remaining: per_hour.saturating_sub(window.hour_count),
        reset_seconds,
        retry_after_seconds,
    }
}

fn with_limit_headers(mut response: Response, limit: Option<&Limit>) -> Response {
    let Some(limit) = limit else { return response };
    let headers = response.headers_mut();
    headers.insert("x-ratelimit-limit", limit.per_hour.into());
    headers.insert("x-ratelimit-remaining", limit.remaining.into());
    headers.insert("x-ratelimit-reset", limit.reset_seconds.into());
    if let Some(seconds) = limit.retry_after_seconds {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
