use super::*;

fn message(user: &str, address: Option<&str>) -> WitnessMessage {
    let address = address.map_or("null".to_owned(), |a| format!("\"{a}\""));
    let json = format!(
        r#"{{"op":"DROP TABLE","user":"{user}","role":"{user}","app":"cursor-agent","addr":{address},
        "q":"drop table customers","count":1,"objects":[{{"type":"table","id":"public.customers"}}]}}"#
    );
    WitnessMessage::parse(json.as_bytes()).unwrap()
}

#[test]
fn a_message_names_the_actor_and_the_objects() {
    let message = message("agent", Some("203.0.113.9"));
    assert_eq!(message.actor().identity, "agent");
    assert_eq!(message.actor().application.as_deref(), Some("cursor-agent"));
    assert_eq!(message.objects[0].identity, "public.customers");
    let borrowed = WitnessMessage { current_role: "owner".into(), ..message };
    assert_eq!(borrowed.actor().identity, "agent as owner");
}

#[test]
fn a_contradiction_makes_all_messages_void() {
    let (mine, theirs) = (message("agent", None), message("dana", None));
    assert_eq!(testimony(&[mine.clone(), mine.clone()]).unwrap().0.identity, "agent");
    assert!(testimony(&[mine, theirs]).is_none());
    assert!(testimony(&[]).is_none());
}

#[test]
fn other_applications_messages_are_not_ours() {
    assert!(WitnessMessage::parse(b"hello").is_none());
    assert!(WitnessMessage::parse(br#"{"op":"x"}"#).is_none());
    assert!(WitnessMessage::parse(&[0xFF, 0xFE]).is_none());
}
