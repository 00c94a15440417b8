//! Who may see what.

use serde_json::{Value, json};

use super::{file, plan, share, stage, tree};
use crate::stage::Stage;

fn granted(stage: &Stage, id: &str) -> Vec<String> {
    let file = file(stage, &stage.user, id);
    let all = file["permissions"].as_array().unwrap();
    let text = |one: &Value| {
        let who = one["emailAddress"].as_str().or(one["domain"].as_str()).unwrap_or("anyone").to_owned();
        format!("{who} {}", one["role"].as_str().unwrap())
    };
    let mut all: Vec<String> = all.iter().map(text).collect();
    all.sort();
    all
}

#[test]
fn who_may_see_what_goes_back_and_never_farther() {
    let mut stage = stage();
    let (user, other) = (stage.user.clone(), stage.other.clone());
    let hand = stage.domain.hand(&user);
    let tree = tree(&hand);
    let other_permission =
        share(&hand, &tree.inner, &json!({ "type": "user", "role": "reader", "emailAddress": other }));
    let file_link = share(&hand, &tree.document, &json!({ "type": "anyone", "role": "writer" }));
    let partner = share(
        &hand,
        &tree.shortcut,
        &json!({ "type": "user", "role": "reader", "emailAddress": "p@partner.test" }),
    );
    let loose = hand.make(&json!({ "name": "loose", "mimeType": "text/plain" }));
    let link = share(&hand, &loose, &json!({ "type": "anyone", "role": "writer" }));
    let earlier = stage.capture();
    let before: Vec<_> =
        [&tree.inner, &tree.bytes, &tree.document, &tree.outer].map(|id| granted(&stage, id)).into();
    let hand = stage.domain.hand(&user);
    // A public link to the folder, and to a file in it by itself.
    share(&hand, &tree.outer, &json!({ "type": "anyone", "role": "reader" }));
    share(&hand, &tree.bytes, &json!({ "type": "anyone", "role": "reader" }));
    share(
        &hand,
        &tree.inner,
        &json!({ "type": "user", "role": "writer", "emailAddress": "thief@evil.test" }),
    );
    hand.patch(&format!("files/{}/permissions/{other_permission}", tree.inner), &json!({ "role": "writer" }));
    hand.delete(&format!("files/{}/permissions/{file_link}", tree.document));
    hand.delete(&format!("files/{}/permissions/{partner}", tree.shortcut));
    hand.delete(&format!("files/{loose}/permissions/{link}"));
    let after = stage.capture();
    // The owner gives less to everybody than there was.
    share(&stage.domain.hand(&user), &loose, &json!({ "type": "anyone", "role": "reader" }));
    let now = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, now);
    assert!(plan.steps[0].title.contains("take away"), "{:#?}", plan.steps);
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    let is: Vec<_> =
        [&tree.inner, &tree.bytes, &tree.document, &tree.outer].map(|id| granted(&stage, id)).into();
    assert_eq!(is, before);
    assert!(granted(&stage, &tree.shortcut).iter().any(|one| one == "p@partner.test reader"));
    assert!(granted(&stage, &loose).contains(&"anyone reader".to_owned()), "narrower stays narrower");
    assert!(plan.conflicts.iter().any(|conflict| conflict.key == loose));
    assert!(stage.domain.running.with_tenant(|tenant| tenant.drive_mails().is_empty()));
    stage.assert_verified(&plan, &folder);
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.removed, again.counts.objects), (0, 0), "{again:#?}");
}
