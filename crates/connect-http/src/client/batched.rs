//! Many calls in one request, each tried as often as it would be alone.

use std::time::Duration;

use crate::{
    batch::Batch,
    call::{Call, CallError, Taking, Verdict},
    client::{Client, Failure, give_up, is_throttled, repeatable},
    retry::Next,
    transport::{Response, TransportError},
};

/// What became of the calls of a batch.
#[derive(Debug)]
pub struct Batched {
    /// What each call answered, in their order; absent: it has no answer, because the batch broke.
    pub answers: Vec<Option<Result<Response, CallError>>>,
    /// Why some calls have no answer. Those that may not be made twice may have been done if this says so.
    pub broke: Option<CallError>,
}

impl Client {
    /// Makes calls in one request, and those of them that failed in passing again in another one.
    ///
    /// The envelope says where batches go, with whose token, and what one costs by itself; each call costs what it
    /// would alone. A call's own access and way of taking its body do not count. In a pool with a limit of running
    /// calls the batch counts as one.
    pub fn batch(&self, envelope: &Call, calls: &[Call]) -> Batched {
        let mut answers: Vec<Option<Result<Response, CallError>>> = calls.iter().map(|_| None).collect();
        let broke = self.rounds(envelope, calls, &mut answers).err();
        Batched { answers, broke }
    }

    fn rounds(
        &self,
        envelope: &Call,
        calls: &[Call],
        answers: &mut [Option<Result<Response, CallError>>],
    ) -> Result<(), CallError> {
        let mut retry = self.attempts();
        let mut pending: Vec<usize> = (0..calls.len()).collect();
        while !pending.is_empty() {
            let chosen: Vec<&Call> = pending.iter().filter_map(|index| calls.get(*index)).collect();
            let (batch, whole) = self.pack(envelope, &chosen)?;
            let parts = match self.attempt(&whole).and_then(|response| unpack(&batch, response)) {
                Ok(parts) => parts,
                Err(failure) => {
                    self.wait_or_fail(&whole, failure, &mut retry)?;
                    continue;
                }
            };
            let mut failures = Vec::new();
            for (index, part) in pending.iter().zip(parts) {
                match self.settle(&calls[*index], part) {
                    Ok(answer) => answers[*index] = Some(answer),
                    Err(failure) => failures.push((*index, failure)),
                }
            }
            pending = self.wait_for_others(calls, failures, &mut retry, answers)?;
        }
        Ok(())
    }

    fn pack(&self, envelope: &Call, calls: &[&Call]) -> Result<(Batch, Call), CallError> {
        let unsendable =
            |error| CallError::Body(TransportError::Unsendable { what: format!("a batch is none: {error}") });
        let mut batch = Batch::new(&*self.parts().random);
        for call in calls {
            batch.push(&call.request).map_err(unsendable)?;
        }
        let mut whole = envelope.clone();
        let mut request = batch.request(envelope.request.url.as_str()).map_err(unsendable)?;
        for (name, value) in &envelope.request.headers {
            request.headers.entry(name).or_insert_with(|| value.clone());
        }
        whole.request = request;
        whole.idempotent = calls.iter().all(|call| call.idempotent);
        whole.charges.extend(calls.iter().flat_map(|call| call.charges.iter().cloned()));
        if whole.taking == Taking::Stream {
            whole.taking = Taking::Whole(crate::call::ANSWER_BYTES_MAX);
        }
        Ok((batch, whole))
    }

    /// Takes one part for what it says; a failure may pass.
    fn settle(
        &self,
        call: &Call,
        part: Result<Response, TransportError>,
    ) -> Result<Result<Response, CallError>, Failure> {
        let failure = match part {
            Ok(response) if call.is_good(response.status) => return Ok(Ok(response)),
            Ok(response) => self.refused(response),
            Err(error) => Failure::Silent(error),
        };
        self.note_refusal(call, &failure);
        match repeatable(call, failure) {
            Ok(passing) => Err(passing),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Waits once for all that failed in passing, and returns them, or gives them up.
    fn wait_for_others(
        &self,
        calls: &[Call],
        failures: Vec<(usize, Failure)>,
        retry: &mut crate::retry::Retry<'_>,
        answers: &mut [Option<Result<Response, CallError>>],
    ) -> Result<Vec<usize>, CallError> {
        if failures.is_empty() {
            return Ok(Vec::new());
        }
        let after = |failure: &Failure| match failure {
            Failure::Answered { verdict: Verdict::Throttled { after, .. }, .. } => *after,
            _ => None,
        };
        let asked: Option<Duration> = failures.iter().filter_map(|(_, failure)| after(failure)).max();
        let next = retry.failed(asked);
        let Next::Wait(wait) = next else {
            let allowed = if let Next::TooLate(wait) = next { Some(wait) } else { asked };
            for (index, failure) in failures {
                answers[index] = Some(Err(give_up(failure, retry.attempts(), allowed)));
            }
            return Ok(Vec::new());
        };
        for (index, failure) in &failures {
            if let Failure::Answered { verdict: Verdict::Throttled { pool: Some(pool), .. }, .. } = failure {
                self.penalise(&calls[*index], pool, wait)?;
            }
        }
        let before = self.parts().clock.elapsed();
        let waited = self.wait(wait);
        let took = self.parts().clock.elapsed().saturating_sub(before);
        // They wait together: each pool waits once.
        let throttled = failures.iter().filter(|(_, failure)| is_throttled(failure));
        let charges: Vec<_> =
            throttled.flat_map(|(index, _)| calls[*index].charges.iter().cloned()).collect();
        self.parts().quota.waited(&charges, took);
        waited?;
        Ok(failures.into_iter().map(|(index, _)| index).collect())
    }
}

fn unpack(batch: &Batch, response: Response) -> Result<Vec<Result<Response, TransportError>>, Failure> {
    let Response { headers, body, .. } = response;
    let bytes = body.bytes(u64::MAX)?;
    let parts = batch
        .answers(&headers, &bytes)
        .map_err(|error| TransportError::Invalid { what: error.to_string() })?;
    Ok(parts.into_iter().map(|part| part.map_err(TransportError::broken)).collect())
}

#[cfg(test)]
mod tests {
    use ports::Clock;
    use ureq::http::{StatusCode, header::AUTHORIZATION};

    use super::*;
    use crate::{
        call::RefusalKind,
        client::stage::{Stage, broken, call, stage},
        quota::Charge,
        testing::answer,
        transport::Request,
    };

    /// Answers each call by the last part of its address, in the number of the batch: `200-503` is good at first.
    fn serve(request: &Request, number: usize) -> Response {
        let sent = String::from_utf8(request.body.clone()).unwrap();
        let ids = sent.lines().filter_map(|line| line.strip_prefix("Content-ID: <"));
        let paths = sent.lines().filter_map(|line| line.strip_prefix("GET /")?.strip_suffix(" HTTP/1.1"));
        let parts = ids.zip(paths).map(|(id, path)| {
            let statuses: Vec<&str> = path.split('-').collect();
            let status = statuses.get(number).or(statuses.last()).unwrap();
            let id = id.strip_suffix('>').unwrap();
            if *status == "none" {
                return String::new();
            }
            format!("--b\r\nContent-ID: <response-{id}>\r\n\r\nHTTP/1.1 {status} x\r\n\r\n{path}\r\n")
        });
        // Answers come in another order.
        let body = parts.collect::<Vec<_>>().into_iter().rev().collect::<String>() + "--b--";
        answer(200, &[("content-type", "multipart/mixed; boundary=b")], body)
    }

    fn calls(paths: &[&str]) -> Vec<Call> {
        let one = |path: &&str| Call::new(Request::get(format!("https://api.example.org/{path}")));
        paths.iter().map(|path| one(path).charged(Charge::of("user", "anna", 2))).collect()
    }

    fn envelope() -> Call {
        let call = call();
        Call { request: Request::post("https://api.example.org/batch"), charges: Vec::new(), ..call }
    }

    fn run(stage: &Stage, calls: &[Call]) -> Vec<Result<String, CallError>> {
        let batched = stage.client.batch(&envelope(), calls);
        assert!(batched.broke.is_none(), "{:?}", batched.broke);
        let text =
            |answer: Result<Response, CallError>| answer.map(|response| response.body.text(100).unwrap());
        batched.answers.into_iter().map(|answer| text(answer.unwrap())).collect()
    }

    #[test]
    fn each_call_gets_its_own_answer_and_only_what_failed_is_sent_again() {
        let stage = stage(|request, number| Ok(serve(request, number)));
        let answers = run(&stage, &calls(&["200", "404", "429-200", "503-503-200", "none-200"]));
        let words: Vec<_> = answers
            .iter()
            .map(|answer| match answer {
                Ok(text) => text.as_str(),
                Err(error) if error.is(RefusalKind::NotFound) => "not found",
                Err(_) => "failed",
            })
            .collect();
        assert_eq!(words, ["200", "not found", "429-200", "503-503-200", "none-200"]);
        let counts: Vec<_> = stage
            .transport
            .sent()
            .iter()
            .map(|request| String::from_utf8_lossy(&request.body).matches("GET /").count())
            .collect();
        assert_eq!(counts, [5, 3, 1]);
        assert!(stage.transport.sent()[0].headers.contains_key(AUTHORIZATION));
    }

    #[test]
    fn a_batch_costs_what_its_calls_cost() {
        let stage = stage(|request, number| Ok(serve(request, number)));
        // Twenty units, ten of them at once, ten more in a second.
        run(&stage, &calls(&["200"; 10]));
        assert_eq!(stage.clock.elapsed(), Duration::from_secs(1));
    }

    #[test]
    fn what_keeps_failing_is_given_up_by_itself() {
        let stage = stage(|request, number| Ok(serve(request, number)));
        let answers = run(&stage, &calls(&["200", "502", "429"]));
        assert!(answers[0].is_ok());
        assert!(matches!(
            answers[1],
            Err(CallError::Failing { attempts: 4, status: StatusCode::BAD_GATEWAY, .. })
        ));
        assert!(matches!(answers[2], Err(CallError::Throttled { attempts: 4, .. })));
    }

    #[test]
    fn what_may_have_been_done_is_not_sent_again() {
        let stage = stage(|request, number| Ok(serve(request, number)));
        let mut calls = calls(&["none-200", "502-200", "429-200"]);
        for call in &mut calls {
            call.idempotent = false;
        }
        let answers = run(&stage, &calls);
        assert!(matches!(answers[0], Err(CallError::Unknown { .. })));
        assert!(matches!(answers[1], Err(CallError::Unknown { .. })));
        assert!(answers[2].is_ok());
    }

    #[test]
    fn a_batch_that_breaks_is_sent_again_as_a_whole_or_not_at_all() {
        let flaky = |request: &Request, number: usize| {
            if number == 0 { broken() } else { Ok(serve(request, number)) }
        };
        assert!(run(&stage(flaky), &calls(&["200", "200"])).iter().all(Result::is_ok));
        let mut calls = calls(&["200", "200"]);
        calls[1].idempotent = false;
        let batched = stage(flaky).client.batch(&envelope(), &calls);
        assert!(matches!(batched.broke, Some(CallError::Unknown { .. })));
        assert!(batched.answers.iter().all(Option::is_none));
    }

    #[test]
    fn an_answer_that_is_no_batch_is_an_error() {
        let stage = stage(|_, _| Ok(answer(200, &[], "{}")));
        let batched = stage.client.batch(&envelope(), &calls(&["200"]));
        assert!(matches!(batched.broke, Some(CallError::Body(TransportError::Invalid { .. }))));
    }
}
