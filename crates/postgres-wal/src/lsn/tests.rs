use super::{Lsn, SegmentSize, Timeline};

#[test]
fn text_round_trips() {
    for (number, text) in [(0x5F3C_9850, "0/5F3C9850"), (0x16_B374_D848, "16/B374D848"), (0, "0/0")] {
        assert_eq!(Lsn(number).to_string(), text);
        assert_eq!(text.parse(), Ok(Lsn(number)));
        let json = serde_json::to_string(&Lsn(number)).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<Lsn>(&json).unwrap(), Lsn(number));
    }
}

#[test]
fn malformed_text_is_refused() {
    for text in ["", "/", "0/", "/0", "0", "0/123456789", "0/+1", "-1/0", "0/0/0", "0x1/0", "g/0"] {
        assert!(text.parse::<Lsn>().is_err(), "{text:?}");
    }
}

#[test]
fn sortable_text_sorts_as_positions() {
    let positions = [Lsn(0x9), Lsn(0x10), Lsn(0xFFFF_FFFF), Lsn(0x1_0000_0000), Lsn(u64::MAX)];
    assert!(positions.is_sorted_by_key(|lsn| lsn.sortable()));
}

#[test]
fn segment_file_names_follow_the_size() {
    let timeline = Timeline(2);
    let name = |lsn, mebibytes: u64| {
        Lsn(lsn).segment_file_name(timeline, SegmentSize::new(mebibytes << 20).unwrap())
    };
    assert_eq!(name(0x1_0200_0028, 16), "000000020000000100000002");
    assert_eq!(name(0x1_0200_0028, 1), "000000020000000100000020");
    assert_eq!(name(0x1_0800_0000, 64), "000000020000000100000002");
}

#[test]
fn only_postgresql_segment_sizes_are_allowed() {
    for bytes in [0, 1, 1 << 19, (1 << 20) + 1, 3 << 20, 1 << 31, u64::MAX] {
        assert!(SegmentSize::new(bytes).is_err(), "{bytes}");
    }
    assert!(SegmentSize::new(1 << 30).is_ok());
}
