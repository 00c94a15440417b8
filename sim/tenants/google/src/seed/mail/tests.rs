//! What seeded mailboxes are like.

use mail_parser::MessageParser;

use super::*;

fn correspondence(count: u32) -> Correspondence {
    let people: Vec<(String, String)> =
        (0..20).map(|n| (format!("Zoë {n}"), format!("person{n}@supplier.example"))).collect();
    Correspondence {
        seed: 5,
        end: 1_772_409_600_000,
        count,
        owner: ("Anna".to_owned(), "anna@acme.test".to_owned()),
        others: Arc::new(people),
        domain: "acme.test".to_owned(),
    }
}

#[test]
fn the_same_bytes_are_written_each_time_and_their_head_is_what_the_mailbox_knows() {
    let own = correspondence(300);
    for number in 0..300 {
        let raw = own.write(number);
        assert_eq!(raw, own.write(number));
        let head = crate::gmail::head(&raw);
        assert_eq!(head.message_id, own.message_id(number), "{number}");
        assert_eq!(head.subject.trim(), own.subject(number).trim(), "{number}");
        assert_eq!(head.from, own.sender(number).1);
        let dated = own.oddity(number) != Oddity::Undated;
        assert_eq!(head.date.map(stamp::millis), dated.then(|| own.millis(number)));
        assert!(own.millis(number) < own.end);
    }
}

#[test]
fn sizes_are_those_of_real_mail() {
    let own = correspondence(1000);
    let mut sizes: Vec<usize> = (0..1000).map(|number| own.write(number).len()).collect();
    sizes.sort_unstable();
    assert!((4 << 10..9 << 10).contains(&sizes[500]), "{}", sizes[500]);
    assert!((20..90).contains(&sizes.iter().filter(|size| **size > 100 << 10).count()));
    assert!(sizes[999] > 1 << 20 && sizes[999] < 8 << 20, "{}", sizes[999]);
}

#[test]
fn there_are_threads_twins_broken_and_undated_messages_and_parts_that_can_be_read() {
    let own = correspondence(1000);
    let odd = |oddity| (0..1000).filter(|number| own.oddity(*number) == oddity).count();
    assert!(odd(Oddity::Twin) > 0 && odd(Oddity::Broken) > 0 && odd(Oddity::Undated) > 0);
    assert!((300..700).contains(&(0..1000).filter(|n| own.first_of(*n) == *n).count()));
    for number in (0..1000).filter(|number| own.oddity(*number) == Oddity::None) {
        let raw = own.write(number);
        let parsed = MessageParser::default().parse(&raw[..]).unwrap();
        assert!(parsed.parts.iter().all(|part| !part.is_encoding_problem), "{number}");
        let text = parsed.body_text(0).unwrap();
        assert!(text.contains("Hello Anna"), "{number}: {text}");
    }
}
