use super::*;

#[test]
fn each_form_is_read_and_written() {
    let cases = [
        ("latest", Target::Latest),
        ("lsn:0/5F3C9850", Target::Lsn(0x5F3C_9850)),
        ("before:0/5F3C9850", Target::BeforeLsn(0x5F3C_9850)),
        ("transaction:7569", Target::Transaction(7569)),
        ("before-transaction:7569", Target::BeforeTransaction(7569)),
        ("2026-04-25T14:00:09.000000Z", Target::Moment(Moment::from_micros(1_777_125_609_000_000))),
    ];
    for (text, target) in cases {
        assert_eq!(text.parse::<Target>().unwrap(), target, "{text}");
        assert_eq!(target.to_string(), text);
    }
}

#[test]
fn what_people_also_write_is_understood() {
    assert_eq!("before transaction:7569".parse(), Ok(Target::BeforeTransaction(7569)));
    assert_eq!("before:transaction:7569".parse(), Ok(Target::BeforeTransaction(7569)));
    assert_eq!("before:lsn:0/10".parse(), Ok(Target::BeforeLsn(0x10)));
    assert_eq!("before lsn:0/10".parse(), Ok(Target::BeforeLsn(0x10)));
}

#[test]
fn anything_else_is_refused_with_the_forms() {
    for text in ["", "yesterday", "lsn:5", "before:", "transaction:x", "0/10", "before:latest"] {
        let error = text.parse::<Target>().unwrap_err();
        assert!(error.hint().contains("before-transaction:7569"), "{text}");
    }
}
