//! Another user, and only what was chosen.

use google_recovery::{Destination, Request, Selection};
use serde_json::json;

use super::{Seen, request, seen, seen_of, share, stage, tree};

#[test]
fn a_drive_comes_to_another_user_once_in_a_folder_of_its_own() {
    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let tree = tree(&hand);
    share(&hand, &tree.inner, &json!({ "type": "anyone", "role": "reader" }));
    let now = stage.capture();
    let (was, other) = (seen(&stage), stage.other.clone());
    let own = seen_of(&stage, &other);
    let request = Request {
        destination: Destination::OtherUser { email: other.clone() },
        ..request(&stage, now, now, now)
    };
    let settings = stage.settings();
    let (plan, folder) = stage.plan_with(&settings, |planner| planner.drive(&request));
    assert!(plan.losses.iter().any(|loss| loss.target.contains("permissions")), "{:#?}", plan.losses);
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    stage.assert_verified(&plan, &folder);
    let again = stage.apply(&plan, &folder);
    assert_eq!(again.counts.inserted, 0);
    let is = seen_of(&stage, &other);
    for (id, file) in &own {
        assert_eq!(is.get(id), Some(file), "what was there is as it was");
    }
    let top = format!("My Drive / From {}", stage.user);
    let come: Vec<&Seen> = is.iter().filter(|(id, _)| !own.contains_key(*id)).map(|(_, file)| file).collect();
    assert_eq!(come.len() as u64, plan.counts.inserted);
    for file in &come {
        assert!(file.path.starts_with(&top) && file.permissions.len() == 1, "{}", file.path);
    }
    let names = |seen: &Seen| seen.path.trim_start_matches(&top).trim_start_matches("My Drive").to_owned();
    let (mut come, mut wanted): (Vec<_>, Vec<_>) = (
        come.iter().filter(|file| file.path != top).map(|file| (names(file), file.content.clone())).collect(),
        was.values()
            .filter(|file| !file.trashed && file.path != "My Drive")
            .filter(|file| !["form", "site", "map"].iter().any(|kind| file.media_type.ends_with(kind)))
            .map(|file| (names(file), file.content.clone()))
            .collect(),
    );
    // A drawing becomes a picture, and what may not be downloaded is not stored.
    let lost = plan.losses.iter().filter(|loss| loss.reason.contains("could not be read")).count();
    assert!(wanted.len() - come.len() <= lost);
    come.sort();
    wanted.sort();
    let found = wanted.iter().filter(|file| come.binary_search(file).is_ok()).count();
    assert!(found + lost + 3 >= wanted.len() && found > 12, "{found} of {}", wanted.len());
    assert_eq!(seen(&stage), was, "whose files they are keeps them");
}

#[test]
fn only_what_was_chosen_comes_back_with_what_is_in_it() {
    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let (one, two) = (tree(&hand), tree(&hand));
    let earlier = stage.capture();
    let hand = stage.domain.hand(&stage.user);
    hand.delete(&format!("files/{}", one.outer));
    hand.delete(&format!("files/{}", two.outer));
    let after = stage.capture();
    let settings = stage.settings();
    for (key, count) in [(&one.inner, 3), (&two.document, 1)] {
        let chosen = Selection { keys: vec![format!("file/{key}")], ..Selection::default() };
        let request = Request { selection: chosen, ..request(&stage, earlier, after, after) };
        let (plan, folder) = stage.plan_with(&settings, |planner| planner.drive(&request));
        assert_eq!(plan.counts.inserted, count, "{plan:#?}");
        assert!(plan.notes.iter().any(|note| note.contains("top folder")), "{:?}", plan.notes);
        stage.apply(&plan, &folder);
        stage.assert_verified(&plan, &folder);
    }
    let is = seen(&stage);
    assert!(
        is.values().any(|file| file.path == "My Drive / in/ner / notes.txt"),
        "{:#?}",
        is.values().map(|file| &file.path).collect::<Vec<_>>()
    );
    assert!(is.values().any(|file| file.path == "My Drive / Plan"));
}
