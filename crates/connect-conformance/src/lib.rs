//! The specification of a connector, as a test suite.
//!
//! The words MUST and SHOULD are those of RFC 2119. The specification is three tables, [`READING`] for readers,
//! [`RESTORING`] for writers and [`DRILLING`] for restore tests: each rule with its number, its level, its text, and the function that checks it. The
//! tables are made of one list, so that a rule cannot be without its check, nor a check without its rule.
//!
//! A connector's tests implement [`Subject`] over a simulator of its service, [`Restorable`] if it can write, and
//! [`Drillable`] for what proves that it can. Then
//!
//! ```ignore
//! fn start(furnishing: &Furnishing) -> Arc<dyn Subject> { Arc::new(MySource::start(furnishing)) }
//! connect_conformance::reading_tests!(start);
//! ```
//!
//! makes a test of each rule. Where a source has no such thing as a rule speaks of, [`Subject::act`] says
//! [`Never`] with the reason, and the rule does not apply. A SHOULD that is not kept has its reason in
//! [`Subject::excuses`]. A MUST has no excuse.
//!
//! `docs/guide/writing-a-connector.md` leads through all of it.

mod drillable;
mod drilling;
mod reading;
mod restoring;
mod rule;
mod sink;
mod stage;
mod subject;
mod tap;

pub use drillable::{DrillGround, Drillable, Planted, Wanted};
pub use rule::{
    Check, Level, Outcome, Rule, Start, StartDrillable, StartRestorable, Unmet, document, table, tell,
};
pub use subject::{
    Act, Conditions, Fact, Furnishing, Never, Place, Restorable, Spending, State, Subject, Undo,
};

use drilling::{finding, ground};
use reading::{absent, capture, cost, faults, feed, kills, lost, positions, secrets};
use restoring::{apply, broken, owner, plans};

/// Returns the rule of a number.
pub fn find(id: &str) -> Option<&'static Rule> {
    READING.iter().chain(RESTORING).chain(DRILLING).find(|rule| rule.id == id)
}

rule::rules! {
    $
    /// What is demanded of readers.
    READING, reading_tests, Reading, of_reader:
    "R-01" Must capture::a_first_capture_holds_everything_and_fetches_it_once
        "A capture into an empty vault MUST hold every item that may be read, its content byte for byte and its attributes, and MUST fetch each content once.";
    "R-02" Must capture::every_ledger_balances
        "Every item that a listing or a change feed names MUST be listed and then stored, unchanged or unreadable by the next position; every commit's ledger MUST balance.";
    "R-03" Must capture::several_workers_hold_what_one_holds
        "What is held MUST NOT depend on how many units are read at a time.";
    "R-04" Must capture::the_same_seed_gives_the_same_commits
        "One worker over equal sources MUST hand over the same changes in the same order: keys, attributes and positions hold nothing of chance, of the time of reading, or of the order of a hash map.";
    "R-05" Must cost::a_quiet_source_stores_nothing_and_costs_little
        "Where nothing happened, nothing MUST be stored and no content fetched; a look MUST cost at most 3 requests for each unit, and 3 for the source beside its units. A batch counts as one.";
    "R-06" Must feed::the_change_feed_and_a_full_capture_agree
        "What is held after following the change feed MUST be what a full capture would hold, attributes included.";
    "R-07" Must feed::a_change_of_attributes_fetches_no_content
        "A change of attributes alone, or a move, MUST be stored and MUST NOT fetch content.";
    "R-08" Must feed::new_content_is_fetched_once
        "New or changed content MUST be fetched once, and no other content with it.";
    "R-09" Must feed::what_is_removed_is_told_and_nothing_else
        "An item that the source removed for good MUST be told to be removed, once; one that lies in a trash MUST NOT.";
    "R-10" Must feed::a_change_during_a_capture_is_not_lost
        "What changes while a capture runs MUST be held after the next run at the latest: a feed's position is taken before the listing begins.";
    "R-11" Must lost::a_lost_feed_costs_no_content_and_deletes_nothing
        "A feed that forgot its past MUST NOT lead to fetching content that is held, nor to any removal by itself.";
    "R-12" Must lost::a_lost_feed_hides_no_change
        "After a lost feed everything MUST be found by comparison that changed or was removed meanwhile, and nothing else told to be removed.";
    "R-13" Must lost::a_suspended_owner_is_blinded_and_loses_nothing
        "A unit that cannot be seen MUST be told as blinded, with the reason, once and not in each pass; nothing in it MUST be taken for deleted; once it is seen again, that MUST be taken back.";
    "R-14" Must lost::a_right_that_is_taken_away_deletes_nothing
        "A right that is taken away MUST NOT remove anything; the units MUST be told as blinded, or the run MUST fail with a hint for people.";
    "R-15" Must absent::what_vanishes_before_it_is_read_is_told
        "An item that is gone between listing and reading MUST be told as vanished; it MUST NOT be held with an empty content.";
    "R-16" Must absent::a_denied_item_is_told_once_with_its_reason
        "An item that may not be read MUST be told as denied, in the source's words, once and not in each pass; the others of its unit MUST be held.";
    "R-17" Must absent::an_unsupported_item_is_told_once_with_its_reason
        "An item that cannot be had in any form MUST be told as unsupported, in the source's words, once and not in each pass.";
    "R-18" Must absent::a_failed_item_is_told_and_tried_again
        "An item whose reading failed for a cause that may pass MUST be told as failed, not again in each pass, and MUST be tried again and held once it can be read.";
    "R-19" Should absent::what_fails_again_is_not_told_again
        "An item that fails again in the same way SHOULD NOT be told again, however many runs try it.";
    "R-20" Must kills::a_kill_during_a_first_capture_loses_nothing
        "After a kill at any call of the sink during a first capture, the next run MUST hold everything, and MUST NOT fetch content that was committed.";
    "R-21" Must kills::a_kill_during_a_later_capture_loses_nothing
        "The same MUST hold for a kill while changes are followed.";
    "R-22" Must kills::a_request_to_end_is_heard_soon
        "After a request to end, each worker MUST make at most one more request; the run MUST end as stopped and not as failed, and the next one MUST go on.";
    "R-23" Must faults::a_refused_connection_changes_nothing
        "A refused connection at any request MUST lead to the same held state after the next run, MUST NOT remove anything, and MUST NOT be told as a permanent cause.";
    "R-24" Must faults::a_broken_connection_changes_nothing
        "The same MUST hold for a connection that breaks before the answer.";
    "R-25" Must faults::silence_changes_nothing
        "The same MUST hold for an answer that does not come in time.";
    "R-26" Must faults::being_asked_to_wait_changes_nothing
        "The same MUST hold for being asked to wait (429).";
    "R-27" Must faults::a_failing_server_changes_nothing
        "The same MUST hold for a server that fails (503).";
    "R-28" Must faults::a_token_that_is_not_taken_changes_nothing
        "The same MUST hold for a token that is not taken once (401).";
    "R-29" Must faults::an_answer_that_breaks_off_changes_nothing
        "The same MUST hold for an answer that breaks off: part of a page is no page, part of a content is no content.";
    "R-30" Must faults::an_answer_of_somebody_else_changes_nothing
        "The same MUST hold for an answer with a good status and a body that is none: the page of a proxy.";
    "R-31" Must faults::a_wrong_bit_in_a_content_is_found
        "Where the source states a digest of a content, it MUST be compared, and a content that differs MUST NOT be held.";
    "R-32" Should faults::a_passing_fault_is_overcome_within_the_run
        "A single passing fault at any request SHOULD be overcome within the run.";
    "R-33" Must positions::a_position_is_json_and_read_by_its_members
        "A position MUST be a JSON object, and MUST be read by its members whatever their order and spaces.";
    "R-34" Must positions::an_old_position_leads_to_the_present
        "A position that an older run left MUST lead to the present, however often it was gone on from meanwhile.";
    "R-35" Must positions::a_position_of_another_version_is_a_lost_feed
        "A position that is not understood MUST be treated as a lost feed.";
    "R-36" Must secrets::secrets_show_nowhere
        "Keys and tokens MUST NOT show in items, positions, reasons, errors or their debug output.";
    "R-37" Must cost::the_quota_is_used_and_not_exceeded
        "At a modelled quota a capture that has enough to do MUST use at least 95 % of what comes in, and at most one request of twenty MAY be refused for want of it.";
}

rule::rules! {
    $
    /// What is demanded of plans and writers.
    RESTORING, restoring_tests, Restoring, of_writer:
    "W-01" Must apply::what_happened_is_undone
        "Applying a plan MUST bring back the state before the window, each item once, and verifying it MUST say so.";
    "W-02" Must apply::applying_twice_does_nothing_twice
        "Applying a plan again MUST change nothing, and MUST say that it changed nothing.";
    "W-03" Must apply::a_rehearsal_changes_nothing
        "A rehearsal MUST change nothing in the source, and MUST tell what would be done; applying afterwards MUST work.";
    "W-04" Must apply::what_came_in_the_window_and_other_streams_stay
        "What came into being within the window, and what is not part of the plan, MUST stay.";
    "W-05" Must apply::the_stated_duration_holds
        "A plan MUST state how long applying and verifying it takes at the modelled quota, within 15 %.";
    "W-06" Must apply::a_writer_shows_no_secrets
        "Keys and tokens MUST NOT show in plans, reports, errors or their debug output.";
    "W-07" Must broken::a_kill_before_a_request_leads_to_no_twins
        "After a kill just before any request, applying the plan again MUST bring back everything, each item once.";
    "W-08" Must broken::a_kill_after_a_request_leads_to_no_twins
        "After a kill just after any request, before its answer or any note of it, the same MUST hold.";
    "W-09" Must broken::a_lost_answer_leads_to_no_twins
        "After an answer to any request was lost, the same MUST hold.";
    "W-10" Must broken::an_answer_that_is_cut_leads_to_no_twins
        "After an answer to any request broke off, the same MUST hold.";
    "W-11" Must broken::a_failing_server_leads_to_no_twins
        "After a server failed at any request (503), the same MUST hold.";
    "W-12" Must owner::what_changed_since_the_plan_is_left_alone_and_listed
        "What somebody changed after planning MUST be left alone and listed as a conflict; everything else MUST come back.";
    "W-13" Must owner::a_restore_opens_nothing_that_is_closed
        "A restore MUST NOT open a link or permission that was closed, whenever it was closed.";
    "W-14" Must plans::where_nothing_happened_the_plan_is_empty
        "Where nothing happened, a plan MUST have no steps.";
    "W-15" Must plans::planning_twice_gives_the_same_plan
        "The same past MUST give the same plan, to the byte.";
    "W-16" Must plans::a_plan_promises_what_becomes_of_each_kind
        "A plan MUST promise what becomes of each aspect of what it brings back, with a reason for what is not exact.";
}

rule::rules! {
    $
    /// What is demanded of restore tests.
    DRILLING, drilling_tests, Drilling, of_drill:
    "D-01" Must finding::everything_is_compared_and_equal
        "A drill of everything MUST restore and compare every stored thing of which anything is promised, and MUST say that it was everything.";
    "D-02" Must finding::a_sample_is_compared_and_says_how_much_it_is
        "A drill of a sample MUST compare what was drawn, and MUST say how much of how much that is.";
    "D-03" Must finding::a_changed_thing_is_found_and_named
        "A thing that came back with another content MUST be a difference that names it; everything else MUST be equal.";
    "D-04" Must finding::a_missing_thing_is_found_and_named
        "A thing that did not come back MUST be a difference that names it.";
    "D-05" Must finding::one_thing_too_many_is_found_and_named
        "A thing that is there and was not stored MUST fail the drill, by its name.";
    "D-06" Must finding::a_promise_that_is_not_kept_is_found_with_its_aspect
        "A thing of which an aspect is otherwise that the promise does not call lost MUST be a difference that names the aspect.";
    "D-07" Must finding::what_cannot_be_compared_is_said_and_never_equal
        "What cannot be compared MUST be counted or named as not compared; it MUST NOT count as equal, nor as a difference.";
    "D-08" Must finding::a_drill_leaves_production_alone
        "A drill MUST NOT change anything in the place that was captured.";
    "D-09" Must ground::a_drill_leaves_nothing_and_takes_nothing_of_others
        "After a drill, also one that came to no end, nothing of it MUST be left; what somebody else has there MUST stay.";
    "D-10" Must ground::what_a_killed_drill_left_goes_with_the_next_one
        "What a drill left that was killed after putting everything in MUST be taken away by the next one, which MUST say so.";
    "D-11" Must ground::what_a_drill_left_that_was_killed_while_putting_goes
        "The same MUST hold for a drill that was killed at any write.";
    "D-12" Must ground::the_place_that_was_captured_is_refused
        "A drill that is aimed at the place that was captured, or at a part of it, MUST be refused before anything is written.";
}
