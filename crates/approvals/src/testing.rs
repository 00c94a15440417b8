//! A verifier for tests: a proof says whose it is and which statement it is over, and holds for that statement alone.

use std::convert::Infallible;

use model::Moment;
use serde::Serialize;

use crate::{
    Case, CaseId, Decision, Now, Policy, Principal, Running, Signed, Signer, Subject, Verifier, Weakening,
    statement,
};

/// A signature that anybody can read.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Pen {
    pub(crate) who: Principal,
    pub(crate) key: String,
    pub(crate) approver: bool,
}

/// Believes every pen.
#[derive(Debug)]
pub(crate) struct Credulous;

impl Verifier for Credulous {
    type Proof = Pen;
    type Error = Infallible;

    fn verify(&self, _: &[u8], proof: &Pen) -> Result<Signer, Infallible> {
        Ok(Signer { who: proof.who.clone(), key: proof.key.clone(), approver: proof.approver })
    }
}

/// Believes a pen for one statement alone.
#[derive(Debug)]
pub(crate) struct Exact(pub(crate) Vec<u8>);

impl Verifier for Exact {
    type Proof = Pen;
    type Error = ();

    fn verify(&self, statement: &[u8], proof: &Pen) -> Result<Signer, ()> {
        if statement != self.0 {
            return Err(());
        }
        Credulous.verify(statement, proof).map_err(|error| match error {})
    }
}

pub(crate) fn person(name: &str) -> Principal {
    Principal::Person(name.to_owned())
}

pub(crate) fn service(name: &str) -> Principal {
    Principal::Service(name.to_owned())
}

pub(crate) fn host() -> Principal {
    Principal::Host("serve".to_owned())
}

/// Returns the moment at a second.
pub(crate) fn at(second: i64) -> Moment {
    Moment::from_micros(second * 1_000_000)
}

/// Returns what clocks say that lie at nothing: the machine was started at second 0.
pub(crate) fn honest(moment: Moment) -> Now {
    Now { at: moment, running: Some(Running { memory: at(0), micros: moment.as_micros() }) }
}

/// Returns an approver's pen.
pub(crate) fn pen(who: &Principal) -> Pen {
    Pen { who: who.clone(), key: format!("key of {}", who.name()), approver: true }
}

pub(crate) fn sign_with(case: &Case, pen: &Pen, decision: Decision) -> Signed {
    match Signed::verify(&Credulous, case, decision, "", pen) {
        Ok(signed) => signed,
        Err(error) => match error {},
    }
}

pub(crate) fn sign(case: &Case, who: &str, decision: Decision) -> Signed {
    sign_with(case, &pen(&person(who)), decision)
}

pub(crate) fn restore() -> Subject {
    Subject::Restore {
        plan: connect::plan::PlanHash([7; 32]),
        folder: "plans/7".to_owned(),
        title: "put back the table orders".to_owned(),
        sources: Vec::new(),
    }
}

pub(crate) fn weakening() -> Subject {
    Subject::Weakening(Weakening::LiftHold { hold: "7".to_owned() })
}

pub(crate) fn policy(needed: u32) -> Policy {
    Policy { needed, weakening_delay_s: 2, let_in_delay_s: 0, lifetime_s: 4 }
}

pub(crate) fn case(id: &str, subject: Subject, by: Principal, policy: &Policy) -> Case {
    let id = CaseId::new(id).expect("a name");
    Case::request(id, subject, by, "because", policy, honest(at(0)))
}

pub(crate) fn statement_of(case: &Case, decision: Decision) -> Vec<u8> {
    statement(&case.id, case.subject.hash(), decision)
}
