use std::time::Duration;

use ureq::http::header::AUTHORIZATION;

use super::{
    stage::{broken, call, cut, stage},
    *,
};
use crate::{quota::Charge, testing::answer};

#[test]
fn a_call_carries_its_token_and_reads_its_answer() {
    let stage = stage(|request, _| {
        assert_eq!(request.headers[AUTHORIZATION], "Bearer anna-0");
        Ok(answer(200, &[], "{\"id\": 7}"))
    });
    let value: serde_json::Value = stage.client.json(&call()).unwrap();
    assert_eq!(value["id"], 7);
    assert_eq!(stage.clock.elapsed(), Duration::ZERO);
}

#[test]
fn what_passes_is_waited_out() {
    let stage = stage(|_, number| match number {
        0 => Ok(answer(502, &[], "")),
        1 => broken(),
        2 => Err(TransportError::Unreachable { source: "refused".into() }),
        _ => Ok(answer(200, &[], "ok")),
    });
    assert_eq!(stage.client.call(&call()).unwrap().body.text(10).unwrap(), "ok");
    assert!(stage.clock.elapsed() > Duration::ZERO);
    // One call is not tried more often than settings say.
    let stage = super::stage::stage(|_, _| Ok(answer(502, &[], "bad gateway")));
    let error = stage.client.call(&call()).unwrap_err();
    assert!(matches!(error, CallError::Failing { attempts: 4, .. }) && error.is_passing(), "{error}");
    assert_eq!(stage.transport.sent().len(), 4);
}

#[test]
fn a_body_that_breaks_off_is_asked_for_again() {
    let stage = stage(|_, number| {
        let whole = answer(200, &[], "abc");
        Ok(if number == 0 { cut(whole, b"ab") } else { whole })
    });
    assert_eq!(stage.client.call(&call()).unwrap().body.text(10).unwrap(), "abc");
    assert_eq!(stage.transport.sent().len(), 2);
}

#[test]
fn what_must_not_be_made_twice_is_made_again_only_when_nothing_was_done() {
    let made = |script: fn(usize) -> Result<Response, TransportError>| {
        let stage = stage(move |_, number| script(number));
        (stage.client.call(&call().once()), stage.transport.sent().len())
    };
    for script in [
        (|_| broken()) as fn(usize) -> _,
        |_| Ok(answer(500, &[], "")),
        |_| Err(TransportError::TimedOut { phase: "answer".to_owned() }),
        |_| Err(TransportError::TooLarge { what: "the head", limit: 1 }),
    ] {
        let (result, sent) = made(script);
        assert!(matches!(result, Err(CallError::Unknown { .. })) && sent == 1);
    }
    for script in [
        (|number| if number == 0 { Ok(answer(503, &[], "")) } else { Ok(answer(200, &[], "")) })
            as fn(usize) -> _,
        |number| if number == 0 { Ok(answer(429, &[], "")) } else { Ok(answer(200, &[], "")) },
        |number| {
            if number == 0 {
                Err(TransportError::Unreachable { source: "refused".into() })
            } else {
                Ok(answer(200, &[], ""))
            }
        },
    ] {
        let (result, sent) = made(script);
        assert!(result.is_ok() && sent == 2);
    }
}

#[test]
fn a_refusal_is_final_and_keeps_its_words() {
    let stage = stage(|_, _| Ok(answer(404, &[], "notFound")));
    let error = stage.client.call(&call()).unwrap_err();
    assert!(error.is(RefusalKind::NotFound) && !error.is_passing());
    assert_eq!(error.to_string(), "the service refuses: 404 notFound");
    assert_eq!(stage.transport.sent().len(), 1);
}

#[test]
fn a_token_that_is_not_taken_is_replaced_once() {
    let stage = stage(|request, _| {
        let fresh = request.headers[AUTHORIZATION] == "Bearer anna-1";
        Ok(if fresh { answer(200, &[], "") } else { answer(401, &[], "expired") })
    });
    assert!(stage.client.call(&call()).is_ok());
    assert_eq!(stage.transport.sent().len(), 2);
    let stage = super::stage::stage(|_, _| Ok(answer(401, &[], "no")));
    assert!(stage.client.call(&call()).unwrap_err().is(RefusalKind::Unauthorized));
    assert_eq!(stage.transport.sent().len(), 2);
}

#[test]
fn what_the_service_asks_for_is_waited_by_everyone_who_shares_the_pool() {
    let stage = stage(|_, number| {
        Ok(if number == 0 { answer(429, &[("retry-after", "30")], "rate") } else { answer(200, &[], "") })
    });
    stage.client.call(&call()).unwrap();
    let waited = stage.clock.elapsed();
    assert!(waited >= Duration::from_secs(30) && waited < Duration::from_secs(33), "{waited:?}");
    // Another one is not held up.
    let other = Call { charges: vec![Charge::of("user", "berta", 1)], ..call() };
    stage.client.call(&other).unwrap();
    assert_eq!(stage.clock.elapsed(), waited);
}

#[test]
fn a_wait_beyond_patience_is_named_and_not_waited() {
    let stage = stage(|_, _| Ok(answer(429, &[("retry-after", "7200")], "daily")));
    let error = stage.client.call(&call()).unwrap_err();
    let CallError::Throttled { attempts: 1, after: Some(after), .. } = error else { panic!("{error}") };
    assert!(after >= Duration::from_hours(2));
    assert_eq!(stage.clock.elapsed(), Duration::ZERO);
}

#[test]
fn a_stop_ends_the_waits() {
    let stage = stage(|_, _| Ok(answer(502, &[], "")));
    stage.stop.request();
    assert!(matches!(stage.client.call(&call()), Err(CallError::Stopped)));
    assert!(stage.transport.sent().is_empty());
}

#[test]
fn a_streamed_body_keeps_its_place_until_it_is_dropped() {
    let stage = stage(|_, _| Ok(answer(200, &[], "abc")));
    let response = stage.client.call(&call().taking(Taking::Stream)).unwrap();
    std::thread::scope(|scope| {
        // One call may run at once: this one ends only when the body above is gone.
        let second = scope.spawn(|| stage.client.call(&call()).map(|_| stage.transport.sent().len()));
        assert_eq!(stage.transport.sent().len(), 1);
        assert_eq!(response.body.text(10).unwrap(), "abc");
        assert_eq!(second.join().unwrap().unwrap(), 2);
    });
}

#[test]
fn a_call_without_what_it_needs_says_so() {
    let stage = stage(|_, _| Ok(answer(200, &[], "")));
    let unknown = Call { charges: vec![Charge::shared("writes", 1)], ..call() };
    let error = stage.client.call(&unknown).unwrap_err();
    assert!(matches!(&error, CallError::Quota(_)) && !error.is_passing());
    let text = stage.client.json::<serde_json::Value>(&call()).unwrap_err();
    assert!(matches!(text, CallError::Body(TransportError::Invalid { .. })));
}

#[test]
fn refusals_and_the_waits_after_them_are_counted_and_other_failures_are_not() {
    let stage = stage(|_, number| Ok(answer([429, 503, 429, 200][number], &[], "")));
    stage.client.call(&call()).unwrap();
    let uses = stage.client.parts().quota.uses();
    let of_late = uses[0].of_late.unwrap();
    assert_eq!((uses[0].name.as_str(), uses[0].subject.as_deref()), ("user", Some("anna")));
    assert_eq!((of_late.day, of_late.refused), (4, 2), "every attempt costs; two were too many");
    assert!(of_late.waited_ms > 0);
    assert!(u128::from(of_late.waited_ms) <= stage.clock.elapsed().as_millis());
}
