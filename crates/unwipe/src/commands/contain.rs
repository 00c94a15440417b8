//! `unwipe contain`

use std::time::Duration;

use serde::Serialize;
use service::{
    Installation,
    watching::{self, Answer, Request},
};

use crate::{
    arguments::Contain,
    connectors::containment::watched,
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
};

/// How long the process that watches may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn run(context: &Context, options: &Contain) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let (incident, by) = (options.incident, context.person());
    let request = if options.keep {
        Request::Keep { incident, by }
    } else if options.take_back {
        Request::TakeBack { incident, by }
    } else {
        Request::Contain { incident, by }
    };
    ask(context, &installation, &request)
}

#[derive(Serialize)]
struct Answered {
    incident: u64,
    done: Vec<String>,
}

/// Has a request carried out, and says what came of it.
pub(crate) fn ask(
    context: &Context,
    installation: &Installation,
    request: &Request,
) -> Result<Exit, Failure> {
    let name = context.random_text::<8>();
    let watched = watched(context, installation)?;
    let answer = watching::request(installation, &environment, watched, &name, request, PATIENCE)?;
    match answer {
        Answer::Done(done) => {
            let answered = Answered { incident: request.incident(), done };
            context.output.result(&answered, || format!("{}\n", answered.done.join("\n")))?;
            Ok(Exit::Done)
        }
        Answer::Refused(why) => {
            Err(Failure::new(Exit::Failed, why).hint(format!("unwipe incidents {}", request.incident())))
        }
    }
}
