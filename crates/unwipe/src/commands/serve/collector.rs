//! Telling a collector what `unwipe serve` does.

use std::{sync::Arc, time::Duration};

use connect_http::{HttpSettings, HttpTransport};
use ports::Tracing;
use service::{Installation, Secrets};
use telemetry::{Exporter, Pace, Settings};

use crate::{
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
};

/// How long a collector may take; meanwhile spans wait.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// How long ending waits for the last spans to arrive.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// Carries spans while `unwipe serve` runs, where the configuration names a collector.
pub(super) struct Collector {
    exporter: Option<Exporter>,
    tracing: Tracing,
}

impl Collector {
    /// Begins to tell. Captures are worth more than what is told of them: where nothing can be told, that is said, and
    /// all else goes on.
    pub(super) fn start(context: &Context, installation: &Installation) -> Self {
        let exporter = start(context, installation).unwrap_or_else(|failure| {
            context.output.say(format!("telemetry: nothing is sent: {failure}"));
            None
        });
        let tracing = exporter
            .as_ref()
            .map(|exporter| Tracing::new(context.clock(), exporter.spans()))
            .unwrap_or_default();
        Self { exporter, tracing }
    }

    /// Returns what work is told to.
    pub(super) fn tracing(&self) -> Tracing {
        self.tracing.clone()
    }

    /// Sends what waits, for a short time.
    pub(super) fn stop(self) {
        if let Some(exporter) = self.exporter {
            exporter.stop(STOP_PATIENCE);
        }
    }
}

fn start(context: &Context, installation: &Installation) -> Result<Option<Exporter>, Failure> {
    let config = &installation.config().telemetry;
    let Some(endpoint) = config.endpoint.clone() else { return Ok(None) };
    let secrets = Secrets::new(installation.home(), &environment);
    let settings = Settings {
        endpoint,
        headers: config.headers(&secrets).map_err(service::ServiceError::from)?,
        service_name: config.service_name.clone(),
        version: env!("CARGO_PKG_VERSION"),
    };
    let http = HttpSettings {
        connections: 1,
        connect: ANSWER_PATIENCE,
        first_byte: ANSWER_PATIENCE,
        idle: ANSWER_PATIENCE,
        body: Some(ANSWER_PATIENCE),
        redirects: 0,
        // Answers are not looked at beyond their first bytes.
        unmarked_ends: true,
        ..HttpSettings::default()
    };
    let transport = HttpTransport::new(http)
        .map_err(|error| Failure::because(Exit::Usage, "no connection can be made", error))?;
    let output = context.output;
    let exporter = Exporter::start(
        &settings,
        Pace::default(),
        Arc::clone(&context.ports.random),
        Box::new(transport),
        Box::new(move |line| output.say(format!("telemetry: {line}"))),
    );
    exporter.map(Some).map_err(|error| Failure::because(Exit::Usage, "[telemetry] cannot be used", error))
}
