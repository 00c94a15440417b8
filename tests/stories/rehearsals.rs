//! The incidents, replayed: nothing that was acknowledged is lost.

use crate::unwipe::{Unwipe, exit};

#[test]
fn nine_seconds_of_a_rogue_agent_cost_no_acknowledged_write() {
    let unwipe = Unwipe::nowhere();
    let account = unwipe.json(&["rehearse", "pocketos", "--rows", "5000"]);
    assert_eq!(account["volume_destroyed"], true);
    assert!(account["backups_destroyed"].as_u64().unwrap() > 0);
    assert!(account["writes_acknowledged"].as_u64().unwrap() > 0);
    assert_eq!(account["transactions_lost"], 0, "{account}");
    for none in ["rows_missing", "rows_different"] {
        assert_eq!(account[none], 0, "{none}: {account}");
    }
    assert_eq!(account["rows_identical"], account["rows_expected"]);
    assert_eq!(account["vault_sound_after_attacks"], true);
    assert!(!account["attacks"].as_array().unwrap().is_empty());
    assert!(account["agent"].as_array().unwrap().iter().any(|step| step["destructive"] == true));
}

#[test]
fn the_account_of_the_nine_seconds_holds_the_facts() {
    let text = Unwipe::nowhere().run(&["rehearse", "pocketos", "--rows", "2000"]).expect(exit::DONE).stdout;
    for fact in ["gone", "newest restorable moment", "acknowledged writes lost", "serv", "held", "tier 0"] {
        assert!(text.to_lowercase().contains(fact), "nothing about {fact:?}:\n{text}");
    }
}

#[test]
fn fake_rows_go_and_deleted_rows_return_in_a_database_that_lives_on() {
    let account = Unwipe::nowhere().json(&["rehearse", "replit"]);
    assert_ne!(account["rows_before"], account["rows_after_agent"], "{account}");
    assert!(account["rows_put_back"].as_u64().unwrap() > 0, "{account}");
    assert!(account["rows_removed"].as_u64().unwrap() > 0, "{account}");
    assert_eq!(account["rows_wrong"], 0, "{account}");
    assert!(account["later_rows_kept"].as_u64().unwrap() > 0, "{account}");
    let found = account["found"].as_array().unwrap();
    assert!(found.iter().any(|event| event["effects"].as_str().unwrap().contains("delete")), "{account}");
}

#[test]
fn an_emptied_inbox_is_found_while_it_happens_and_exactly_that_is_undone() {
    let account = Unwipe::nowhere().json(&["rehearse", "openclaw", "--messages", "400"]);
    assert_eq!(account["inbox_after_agent"], 0, "{account}");
    assert!(account["found"]["after_items"].as_u64().unwrap() > 0, "{account}");
    assert!(account["set_back"].as_u64().unwrap() > 100, "{account}");
    assert!(account["put_in_again"].as_u64().unwrap() > 0, "{account}");
    assert!(account["later_work_kept"].as_u64().unwrap() > 0, "{account}");
    assert_eq!(account["messages_wrong"], 0, "{account}");
    let actor = account["attributed"]["actor"].as_str().unwrap();
    assert!(actor.contains("OpenClaw") && actor.contains("audit log"), "{account}");
}

#[test]
fn an_assistant_that_may_do_everything_walks_through_a_drive_and_exactly_that_is_undone() {
    let account = Unwipe::nowhere().json(&["rehearse", "vercel", "--files", "100"]);
    assert!(account["found"]["after_items"].as_u64().unwrap() > 0, "{account}");
    let actor = account["attributed"]["actor"].as_str().unwrap();
    assert!(actor.contains("AI Office Suite (110671459871-"), "{account}");
    for undone in ["links_left", "outsiders_left", "files_wrong"] {
        assert_eq!(account[undone], 0, "{account}");
    }
    for done in ["read", "linked", "invited", "trashed", "deleted_for_good", "later_work_kept"] {
        assert!(account[done].as_u64().unwrap() > 0, "{account}");
    }
}

/// Returns what the first incident of a rehearsal says.
fn first_alarm(account: &serde_json::Value) -> serde_json::Value {
    account["alarms"].as_array().and_then(|alarms| alarms.first()).cloned().unwrap_or_default()
}

#[test]
fn a_delete_of_everything_is_stopped_and_leaves_no_row_missing() {
    let account = Unwipe::nowhere().json(&["rehearse", "bulk-delete", "--rows", "600000"]);
    let alarm = first_alarm(&account);
    assert!(alarm["stopped_after_ms"].is_number(), "{account}");
    assert!(alarm["who"][0].as_str().unwrap().contains("agent-at-work"), "{account}");
    // On a machine that does much else the statement may be through before anybody looks; then everything comes back.
    let lost = account["rows_lost_before_undo"].as_u64().unwrap();
    assert!(lost == 0 || account["undone"][0]["counts"]["inserted"] == lost, "{account}");
    assert_eq!(account["rows_wrong"], 0, "{account}");
}

#[test]
fn a_loop_that_deletes_row_by_row_is_stopped_and_what_it_took_is_back() {
    let account = Unwipe::nowhere().json(&["rehearse", "row-by-row", "--rows", "50000"]);
    let lost = account["rows_lost_before_undo"].as_u64().unwrap();
    assert!(lost > 0 && lost < 50_000, "{account}");
    assert!(first_alarm(&account)["stopped_after_ms"].is_number(), "{account}");
    assert_eq!(account["undone"][0]["counts"]["inserted"], lost, "{account}");
    assert_eq!(account["rows_wrong"], 0, "{account}");
}

#[test]
fn whole_tables_are_refused_to_a_guarded_role_and_brought_back_after_another() {
    let account = Unwipe::nowhere().json(&["rehearse", "truncate-drop", "--rows", "20000"]);
    let attempts = account["attempts"].as_array().unwrap();
    assert!(attempts[0]["ended_by"].is_string() && attempts[0]["calls"] == 0, "{account}");
    assert_eq!(account["rows_lost_before_undo"], account["rows_before"], "{account}");
    assert!(!account["undone"].as_array().unwrap().is_empty(), "{account}");
    assert_eq!(account["rows_wrong"], 0, "{account}");
}

#[test]
fn incidents_that_cannot_be_replayed_yet_are_listed_with_why() {
    let known = Unwipe::nowhere().json(&["rehearse"]);
    let known = known.as_array().unwrap();
    assert_eq!(known.len(), 20);
    let (can, cannot): (Vec<_>, Vec<_>) = known.iter().partition(|known| known["rehearsal"].is_string());
    assert!(can.len() >= 11 && !cannot.is_empty());
    assert!(known.iter().all(|known| !known["remark"].as_str().unwrap().is_empty()));
}

/// Replays an incident of a domain, and looks at what all of them must show.
fn domain(arguments: &[&str]) -> serde_json::Value {
    let account = Unwipe::nowhere().json(&[&["rehearse"], arguments].concat());
    assert!(account["destroyed"].as_u64().unwrap() > 0, "{account}");
    assert!(account["incidents"].as_u64().unwrap() > 0, "{account}");
    assert!(account["alarm"]["actions"].as_array().unwrap().len() == 1, "{account}");
    assert!(account["alarm"]["notices"].as_u64().unwrap() > 0, "{account}");
    assert!(account["refused_afterwards"].as_str().unwrap().contains("401"), "{account}");
    assert!(account["later_work_kept"].as_u64().unwrap() > 0, "{account}");
    assert_eq!(account["things_wrong"], 0, "{account}");
    account
}

#[test]
fn a_drive_that_follows_an_emptied_folder_is_put_back_file_by_file() {
    let account = domain(&["antigravity"]);
    assert_eq!(account["stopped_by"], "policy", "{account}");
    assert!(account["attributed"]["actor"].as_str().unwrap().contains("Folder Sync"), "{account}");
    assert!(account["undone"]["counts"]["reverted"].as_u64().unwrap() > 400, "{account}");
}

#[test]
fn a_mailbox_that_was_deleted_past_the_trash_is_put_in_again() {
    let account = domain(&["hard-delete", "--messages", "1100"]);
    assert_eq!(account["stopped_by"], "policy", "{account}");
    assert_eq!(account["undone"]["counts"]["inserted"], account["destroyed"], "{account}");
}

#[test]
fn files_that_turn_into_ciphertext_raise_an_alarm_and_have_their_contents_and_names_again() {
    let account = domain(&["ransomware"]);
    // Who changed a file last is a guess: a person is asked.
    assert!(account["stopped_by"].as_str().unwrap().contains("owner"), "{account}");
    assert!(account["destroyed_until_alarm"].as_u64().unwrap() > 0, "{account}");
}

#[test]
fn thirty_deletions_an_hour_raise_an_alarm_within_a_day() {
    let account = domain(&["low-and-slow", "--files", "60"]);
    assert_eq!(account["stopped_by"], "policy", "{account}");
    assert!(account["alarm"]["raised_after_ms"].as_u64().unwrap() < 24 * 3_600_000, "{account}");
}

#[test]
fn a_tidying_that_was_announced_wakes_and_stops_nobody() {
    let account = Unwipe::nowhere().json(&["rehearse", "clean-up", "--files", "60"]);
    assert_eq!(account["trashed"], 3000, "{account}");
    assert_eq!(account["incidents"], 0, "{account}");
    assert!(account["notices"].as_u64().unwrap() <= 1, "{account}");
    assert_eq!(account["still_let_in"], true, "{account}");
}
