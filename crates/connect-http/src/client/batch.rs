//! Many calls in one request, each with an end of its own.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    batch::{Batch, BatchError, PartError},
    call::{Call, CallError, Verdict},
    client::{Client, Failure, give_up, repeatable},
    pause::pause,
    quota::{Charge, PoolKey},
    retry::Next,
    transport::{Response, TransportError},
};

impl Client {
    /// Makes calls in one batch that is sent to `url`. The answers are in the order of the calls.
    ///
    /// All calls need the same access. Each is charged, judged and tried again by itself: what was throttled travels in
    /// a smaller batch later. The error is the batch's own.
    pub fn batch(&self, url: &str, calls: &[Call]) -> Result<Vec<Result<Response, CallError>>, CallError> {
        let mut ends: Vec<Option<Result<Response, CallError>>> = calls.iter().map(|_| None).collect();
        let mut waiting: Vec<usize> = (0..calls.len()).collect();
        let mut retry = self.attempts();
        let mut renewed = false;
        while !waiting.is_empty() {
            let mut failures = Vec::new();
            let answers = self.send_batch(url, calls, &waiting)?;
            for (number, answer) in waiting.drain(..).zip(answers) {
                match self.part(&calls[number], answer) {
                    Ok(response) => ends[number] = Some(Ok(response)),
                    Err(Failure::Answered { verdict: Verdict::Unauthorized { .. }, .. }) if !renewed => {
                        failures.push((number, None));
                    }
                    Err(failure) => match repeatable(&calls[number], failure) {
                        Ok(failure) => failures.push((number, Some(failure))),
                        Err(error) => ends[number] = Some(Err(error)),
                    },
                }
            }
            if failures.iter().any(|(_, failure)| failure.is_none()) {
                renewed = true;
                self.renew(&calls[0]);
            }
            let asked = failures.iter().filter_map(|(_, failure)| asked(failure.as_ref()?)).max();
            let wait = if failures.iter().all(|(_, failure)| failure.is_none()) {
                Next::Wait(Duration::ZERO)
            } else {
                retry.failed(asked)
            };
            match wait {
                Next::Wait(wait) => {
                    waiting.extend(failures.iter().map(|(number, _)| *number));
                    if !waiting.is_empty() && !pause(&*self.parts().clock, wait, &|| self.is_stopped()) {
                        return Err(CallError::Stopped);
                    }
                }
                Next::Exhausted | Next::TooLate(_) => {
                    for (number, failure) in failures {
                        match failure {
                            Some(failure) => {
                                ends[number] = Some(Err(give_up(failure, retry.attempts(), asked)));
                            }
                            None => waiting.push(number),
                        }
                    }
                }
            }
        }
        let lost = || Err(CallError::Body(TransportError::Invalid { what: PartError::Missing.to_string() }));
        Ok(ends.into_iter().map(|end| end.unwrap_or_else(lost)).collect())
    }

    fn send_batch(
        &self,
        url: &str,
        calls: &[Call],
        numbers: &[usize],
    ) -> Result<Vec<Result<Response, PartError>>, CallError> {
        let mut batch = Batch::new(&*self.parts().random);
        let mut prices: BTreeMap<PoolKey, u64> = BTreeMap::new();
        let mut idempotent = true;
        for &number in numbers {
            let call = &calls[number];
            batch.push(&call.request).map_err(|error| unusable(&error))?;
            idempotent &= call.idempotent;
            for charge in &call.charges {
                *prices.entry(charge.key.clone()).or_default() += charge.units;
            }
        }
        let mut whole = Call::new(batch.request(url).map_err(|error| unusable(&error))?);
        whole.idempotent = idempotent;
        whole.charges = prices.into_iter().map(|(key, units)| Charge { key, units }).collect();
        whole.access = numbers.first().and_then(|&number| calls[number].access.clone());
        let response = self.call(&whole)?;
        let headers = response.headers.clone();
        let body = response.body.bytes(crate::call::ANSWER_BYTES_MAX).map_err(CallError::Body)?;
        batch.answers(&headers, &body).map_err(|error| unusable(&error))
    }

    fn part(&self, call: &Call, answer: Result<Response, PartError>) -> Result<Response, Failure> {
        let response = answer.map_err(|error| {
            // The batch came whole, so whether this call was made is not known either.
            Failure::Silent(TransportError::Broken { source: Box::new(error) })
        })?;
        if call.is_good(response.status) { Ok(response) } else { Err(self.refused(response)) }
    }

    /// Lets go of the token that an inner call was refused with.
    fn renew(&self, call: &Call) {
        if let (Some(tokens), Some(access)) = (&self.parts().tokens, &call.access)
            && let Ok(secret) = tokens.get(access)
        {
            tokens.invalidate(access, &secret);
        }
    }
}

fn asked(failure: &Failure) -> Option<Duration> {
    match failure {
        Failure::Answered { verdict: Verdict::Throttled { after, .. }, .. } => *after,
        _ => None,
    }
}

fn unusable(error: &BatchError) -> CallError {
    CallError::Body(TransportError::Invalid { what: error.to_string() })
}
