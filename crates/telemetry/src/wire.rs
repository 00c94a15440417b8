//! Spans in the words of the protocol.

use std::{sync::Arc, time::Duration};

use model::Moment;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span as WireSpan, Status, span::SpanKind, status::StatusCode},
};
use ports::{
    Random,
    span::{Fact, Outcome, Span, Subject},
};
use prost::Message as _;

pub(crate) type Answer = ExportTraceServiceResponse;

/// Puts spans into requests; gives each a trace of its own.
pub(crate) struct Encoder {
    resource: Resource,
    scope: InstrumentationScope,
    random: Arc<dyn Random>,
}

impl Encoder {
    pub(crate) fn new(service_name: &str, version: &str, random: Arc<dyn Random>) -> Self {
        let attributes =
            vec![attribute("service.name", text(service_name)), attribute("service.version", text(version))];
        let scope = InstrumentationScope {
            name: "unwipe".to_owned(),
            version: version.to_owned(),
            ..InstrumentationScope::default()
        };
        Self { resource: Resource { attributes, ..Resource::default() }, scope, random }
    }

    pub(crate) fn encode(&self, spans: &[Span]) -> Vec<u8> {
        let scope_spans = ScopeSpans {
            scope: Some(self.scope.clone()),
            spans: spans.iter().flat_map(|span| self.trace(span)).collect(),
            ..ScopeSpans::default()
        };
        let resource_spans = ResourceSpans {
            resource: Some(self.resource.clone()),
            scope_spans: vec![scope_spans],
            ..ResourceSpans::default()
        };
        ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
    }

    /// Returns the span and, below it, its phases.
    fn trace(&self, span: &Span) -> Vec<WireSpan> {
        let trace_id = self.identity::<16>();
        let span_id = self.identity::<8>();
        let (name, kind, mut attributes) = subject(&span.subject);
        attributes.extend(span.facts.iter().map(|(key, fact)| attribute(key, value(fact))));
        let status = match span.outcome {
            Outcome::Done => Status::default(),
            Outcome::Failed(why) => Status { message: why.to_owned(), code: StatusCode::Error as i32 },
        };
        let whole = WireSpan {
            name,
            kind: kind as i32,
            attributes,
            status: Some(status),
            ..timed(&trace_id, span_id.clone(), span.began_at, span.took)
        };
        let phases = span.phases.iter().map(|phase| WireSpan {
            name: phase.name.to_owned(),
            kind: SpanKind::Internal as i32,
            parent_span_id: span_id.clone(),
            ..timed(&trace_id, self.identity::<8>(), phase.began_at, phase.took)
        });
        std::iter::once(whole).chain(phases).collect()
    }

    /// Returns random bytes that are not all zero: those would say that there is no id.
    fn identity<const BYTES: usize>(&self) -> Vec<u8> {
        let mut bytes = [0; BYTES];
        self.random.fill(&mut bytes);
        if bytes == [0; BYTES] {
            bytes[BYTES - 1] = 1;
        }
        bytes.to_vec()
    }
}

fn timed(trace_id: &[u8], span_id: Vec<u8>, began_at: Moment, took: Duration) -> WireSpan {
    let start = nanoseconds(began_at);
    let end = start.saturating_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    WireSpan {
        trace_id: trace_id.to_vec(),
        span_id,
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        ..WireSpan::default()
    }
}

/// Names a span as the conventions have it: work by what is done, a request by verb and pattern.
fn subject(subject: &Subject) -> (String, SpanKind, Vec<KeyValue>) {
    match subject {
        Subject::Work(name) => ((*name).to_owned(), SpanKind::Internal, Vec::new()),
        Subject::Request { method, route } => {
            let mut attributes = vec![attribute("http.request.method", text(method))];
            let name = match route {
                None => (*method).to_owned(),
                Some(route) => {
                    attributes.push(attribute("http.route", text(route.as_str())));
                    format!("{method} {}", route.as_str())
                }
            };
            (name, SpanKind::Server, attributes)
        }
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn value(fact: &Fact) -> Value {
    match fact {
        Fact::Number(number) => Value::IntValue(i64::try_from(*number).unwrap_or(i64::MAX)),
        Fact::Flag(flag) => Value::BoolValue(*flag),
        Fact::Word(word) => text(word),
        Fact::Name(name) => text(name.as_str()),
    }
}

fn text(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

fn nanoseconds(moment: Moment) -> u64 {
    u64::try_from(moment.as_micros()).unwrap_or(0).saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use ports::{
        SeededRandom,
        span::{Phase, Route},
    };

    use super::*;

    fn encoder() -> Encoder {
        Encoder::new("unwipe", "1.2", Arc::new(SeededRandom::new(1)))
    }

    fn at(micros: i64) -> Moment {
        Moment::from_micros(micros)
    }

    fn span(subject: Subject) -> Span {
        Span {
            subject,
            began_at: at(5),
            took: Duration::from_micros(7),
            outcome: Outcome::Done,
            facts: vec![("unwipe.items", Fact::Number(u64::MAX))],
            phases: vec![Phase { name: "storing", began_at: at(6), took: Duration::from_micros(2) }],
        }
    }

    #[test]
    fn a_span_and_its_phases_are_one_trace() {
        let failed = Span { outcome: Outcome::Failed("why"), ..span(Subject::Work("commit")) };
        let bytes = encoder().encode(&[failed, span(Subject::Work("drill"))]);
        let request = ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap();
        let resource = request.resource_spans[0].resource.as_ref().unwrap();
        assert_eq!(resource.attributes[0], attribute("service.name", text("unwipe")));
        let spans = &request.resource_spans[0].scope_spans[0].spans;
        let [commit, storing, drill, _] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!((commit.name.as_str(), storing.name.as_str()), ("commit", "storing"));
        assert_eq!((commit.start_time_unix_nano, commit.end_time_unix_nano), (5_000, 12_000));
        assert_eq!((storing.start_time_unix_nano, storing.end_time_unix_nano), (6_000, 8_000));
        assert_eq!((&storing.trace_id, &storing.parent_span_id), (&commit.trace_id, &commit.span_id));
        assert!(commit.parent_span_id.is_empty() && drill.trace_id != commit.trace_id);
        assert_eq!((commit.trace_id.len(), commit.span_id.len()), (16, 8));
        assert_eq!(commit.status, Some(Status { message: "why".to_owned(), code: 2 }));
        assert_eq!(drill.status.as_ref().map(|status| status.code), Some(0));
        assert_eq!(commit.attributes, [attribute("unwipe.items", Value::IntValue(i64::MAX))]);
    }

    #[test]
    fn a_request_is_named_by_verb_and_pattern() {
        let named = |route: Option<Route>| {
            let trace = encoder().trace(&span(Subject::Request { method: "GET", route }));
            (trace[0].name.clone(), trace[0].kind)
        };
        let server = SpanKind::Server as i32;
        assert_eq!(named(Some(Route::pattern("/jobs/{id}"))), ("GET /jobs/{id}".to_owned(), server));
        assert_eq!(named(None), ("GET".to_owned(), server));
    }

    #[test]
    fn an_id_is_never_all_zero() {
        struct Nothing;
        impl Random for Nothing {
            fn fill(&self, buffer: &mut [u8]) {
                buffer.fill(0);
            }
        }
        let encoder = Encoder::new("unwipe", "1", Arc::new(Nothing));
        assert_eq!(encoder.identity::<8>(), [0, 0, 0, 0, 0, 0, 0, 1]);
    }
}
