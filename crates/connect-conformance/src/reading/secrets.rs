//! Secrets, and where they do not show.

use std::{collections::BTreeSet, sync::Arc};

use connect::testing::MemorySink;
use connect_http::{Fault, Faulty, Transport, When, http::StatusCode};

use crate::{
    rule::Start,
    stage::{Checked, Scene, chain, demand},
    subject::Act,
};

/// Demands that no secret is in a text.
pub(crate) fn clean(text: &str, secrets: &BTreeSet<String>, place: &str) -> Checked {
    let shown = secrets.iter().any(|secret| !secret.is_empty() && text.contains(secret.as_str()));
    demand(!shown, || format!("a secret shows in {place}"))
}

pub(crate) fn secrets(scene: &Scene) -> BTreeSet<String> {
    let mut secrets = scene.tap.secrets();
    secrets.extend(scene.subject.secrets());
    secrets
}

pub(crate) fn secrets_show_nowhere(start: &Start<'_>) -> Checked {
    let mut scene = Scene::new(start);
    scene.threads = 1;
    let requests = scene.capture()?.requests;
    demand(!secrets(&scene).is_empty(), || {
        "neither the subject nor its requests have any secret".to_owned()
    })?;
    let mut shown = vec![("what is held", format!("{:?}", scene.sink))];
    for item in scene.sink.held.values() {
        let content = item.content.as_deref().unwrap_or_default();
        shown.push(("a content", String::from_utf8_lossy(content).into_owned()));
    }
    for fault in [Fault::Fail(StatusCode::UNAUTHORIZED), Fault::Fail(StatusCode::FORBIDDEN), Fault::Replace] {
        for at in 0..requests {
            scene.sink = MemorySink::new();
            let faulty = Faulty::new(Arc::clone(&scene.tap), scene.subject.clock(), at);
            let faulty = faulty.rule(When::Call(at), fault);
            let mut reader = scene.reader_through(Arc::new(faulty) as Arc<dyn Transport>);
            let run = scene.run(&mut *reader);
            if let Some(Err(error)) = &run.ended {
                let hint = error.hint().unwrap_or_default();
                shown.push(("an error", format!("{} {error:?} {hint}", chain(error))));
            }
            shown.push(("what the sink was told", format!("{:?}", run.told)));
        }
    }
    if scene.subject.act(Act::DenyScope).is_ok() {
        scene.sink = MemorySink::new();
        let mut reader = scene.reader();
        let run = scene.run(&mut *reader);
        shown.push(("a refusal", format!("{:?} {:?}", run.told, run.ended)));
    }
    let secrets = secrets(&scene);
    shown.iter().try_for_each(|(place, text)| clean(text, &secrets, place))
}
