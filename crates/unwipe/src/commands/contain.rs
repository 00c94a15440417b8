//! `unwipe contain`

use std::time::Duration;

use approvals::Principal;
use serde::Serialize;
use service::{
    Installation,
    let_in::{LetIn, let_in},
    watching::{self, Answer, Request, WatchStore},
};

use crate::{
    arguments::Contain,
    commands::cases,
    connectors::containment::watched,
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::printable,
};

/// How long the process that watches may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn run(context: &Context, options: &Contain) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let (incident, by) = (options.incident, context.person());
    let request = if options.keep {
        Request::Keep { incident, by }
    } else if options.take_back {
        return take_back(context, &installation, options);
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
    answered(context, request.incident(), answer(context, installation, request)?)
}

/// Has a request carried out.
fn answer(context: &Context, installation: &Installation, request: &Request) -> Result<Answer, Failure> {
    let name = context.random_text::<8>();
    let watched = watched(context, installation)?;
    Ok(watching::request(installation, &environment, watched, &name, request, PATIENCE)?)
}

fn answered(context: &Context, incident: u64, answer: Answer) -> Result<Exit, Failure> {
    match answer {
        Answer::Done(done) => {
            let answered = Answered { incident, done };
            context.output.result(&answered, || format!("{}\n", answered.done.join("\n")))?;
            Ok(Exit::Done)
        }
        Answer::Refused(why) => {
            Err(Failure::new(Exit::Failed, why).hint(format!("unwipe incidents {incident}")))
        }
    }
}

/// Lets somebody in again, as other people approved; asks them first.
fn take_back(context: &Context, installation: &Installation, options: &Contain) -> Result<Exit, Failure> {
    let incident = options.incident;
    WatchStore::of(installation.home()).incident(incident)?;
    let cases = cases::open(installation)?;
    let by = Principal::Host(context.person());
    let doing = |request: &Request| answer(context, installation, request);
    let around: (&Installation, service::secret::Environment<'_>) = (installation, &environment);
    match let_in(around, &cases, (incident, &by), &options.reason, doing)? {
        LetIn::Waits(case, step) => {
            context.output.result(&case, || cases::text(installation, &case))?;
            if let Some(step) = step {
                cases::announce(context, installation, &step);
            }
            let next = format!("unwipe approve {}, then unwipe contain {incident} --take-back", case.id);
            context.output.say(format!("nobody was let in: others approve it first; next: {next}"));
            Ok(Exit::Authentication)
        }
        LetIn::Tried(answer, step, unreached) => {
            if let Some(step) = step {
                cases::announce(context, installation, &step);
            }
            for why in unreached {
                context.output.say(format!("not told: {}", printable(&why)));
            }
            answered(context, incident, answer)
        }
    }
}
