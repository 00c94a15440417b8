use proptest::prelude::*;

use super::*;

fn text(decoded: &[u8], width: u16, ending: LineEnding) -> Vec<u8> {
    let shape = LineShape { width, ending };
    let mut text = Vec::new();
    shape.write(decoded, 0, shape.text_length(decoded.len() as u64), &mut text);
    text
}

/// Puts a text together again from what its runs decode to; returns it and how many bytes came from runs.
fn round_trip(input: &[u8]) -> (Vec<u8>, usize) {
    let (mut out, mut position, mut covered, mut decoder) = (Vec::new(), 0, 0, RunDecoder::default());
    for run in find_runs(input) {
        assert!(run.start >= position, "runs overlap");
        let Some(decoded) = decoder.decode(input, &run) else { continue };
        out.extend_from_slice(&input[position..run.start]);
        assert_eq!(run.shape.text_length(decoded.len() as u64), run.length as u64);
        run.shape.write(decoded, 0, run.length as u64, &mut out);
        covered += run.length;
        position = run.start + run.length;
    }
    out.extend_from_slice(&input[position..]);
    (out, covered)
}

#[test]
fn an_attachment_in_a_message_is_found_whole() {
    let attachment: Vec<u8> = (0..50_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for (width, ending) in
        [(76, LineEnding::CrLf), (76, LineEnding::Lf), (64, LineEnding::Lf), (1024, LineEnding::CrLf)]
    {
        for length in [1000, 49_998, 49_999, 50_000] {
            if usize::from(width) == 1024 && length == 1000 {
                continue; // A single line is no run.
            }
            let body = text(&attachment[..length], width, ending);
            let message =
                [b"Subject: x\r\n\r\nSome words, and more.\r\n\r\n".as_slice(), &body, b"--end--\r\n"]
                    .concat();
            let (again, covered) = round_trip(&message);
            assert!(again == message);
            assert_eq!(covered, body.len(), "{width} {ending:?} {length}");
        }
    }
}

#[test]
fn any_part_of_a_text_can_be_written_alone() {
    let decoded: Vec<u8> = (0..=255).collect();
    let shape = LineShape { width: 76, ending: LineEnding::CrLf };
    let whole = text(&decoded, 76, LineEnding::CrLf);
    for skip in 0..whole.len() {
        for length in [1, 2, 77, 78, 79, whole.len() - skip] {
            let length = length.min(whole.len() - skip);
            let mut part = b"kept".to_vec();
            shape.write(&decoded, skip as u64, length as u64, &mut part);
            assert_eq!(part, [b"kept", &whole[skip..skip + length]].concat());
        }
    }
}

#[test]
fn a_long_run_is_cut_at_the_same_places_wherever_it_lies() {
    let attachment: Vec<u8> =
        (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    let body = text(&attachment, 76, LineEnding::CrLf);
    let pieces = |before: usize| {
        let message = [vec![b' '; before], b"\r\n".to_vec(), body.clone()].concat();
        find_runs(&message).into_iter().map(|run| (run.length, run.decoded_length)).collect::<Vec<_>>()
    };
    assert_eq!(pieces(10).len(), 3);
    assert_eq!(pieces(10), pieces(777));
}

#[test]
fn text_that_only_looks_like_base64_stays_text() {
    // Not zero bits behind the last character: another encoder's mistake, which must come back as it was.
    let mut body = text(&[7; 2000], 76, LineEnding::Lf);
    let last = body.iter().rposition(|byte| *byte == b'=').unwrap();
    body[last - 1] = b'B';
    assert!(round_trip(&body).0 == body);
    for input in
        [vec![b'A'; 100_000], b"AAAA\n".repeat(1000), b"words and spaces\n".repeat(500), vec![b'\n'; 9000]]
    {
        let (again, covered) = round_trip(&input);
        assert!(again == input);
        assert_eq!(covered, 0);
    }
}

fn arbitrary_text() -> impl Strategy<Value = Vec<u8>> {
    let line_ending = prop_oneof![Just(LineEnding::Lf), Just(LineEnding::CrLf)];
    let encoded = (proptest::collection::vec(any::<u8>(), 0..6000), 1_u16..40, line_ending)
        .prop_map(|(decoded, quads, ending)| text(&decoded, quads * 4, ending));
    let noise =
        proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'A'), Just(b'=')], 0..300);
    let piece = prop_oneof![encoded, noise];
    (
        proptest::collection::vec(piece, 1..5),
        proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    )
        .prop_map(|(pieces, damage)| {
            let mut text = pieces.concat();
            for (place, byte) in damage {
                if !text.is_empty() {
                    let at = place.index(text.len());
                    if byte % 3 == 0 { text.truncate(at) } else { text[at] = byte }
                }
            }
            text
        })
}

proptest! {
    #[test]
    fn whatever_is_found_comes_back_byte_for_byte(input in arbitrary_text()) {
        let (again, _) = round_trip(&input);
        prop_assert!(again == input);
    }
}

#[test]
fn a_run_that_would_come_back_otherwise_is_not_decoded() {
    let body = text(&[7; 3000], 76, LineEnding::CrLf);
    let run = find_runs(&body).remove(0);
    let mut decoder = RunDecoder::default();
    assert_eq!(decoder.decode(&body, &run), Some(&[7; 3000][..]));
    let refused = |change: &dyn Fn(&mut Vec<u8>, &mut Run)| {
        let (mut body, mut run) = (body.clone(), run.clone());
        change(&mut body, &mut run);
        RunDecoder::default().decode(&body, &run).is_none()
    };
    assert!(refused(&|body, _| body[76] = b'A'), "a line that does not end");
    assert!(refused(&|body, _| body[10] = b'-'), "a character of another alphabet");
    assert!(refused(&|body, _| body[75] = b'='), "padding inside");
    assert!(refused(&|_, run| run.decoded_length -= 1), "another length");
    assert!(refused(&|_, run| run.length += 1), "more than there is");
    assert!(refused(&|_, run| run.shape.width = 72), "other lines");
    // An empty last line would not be written again, nor would bits that nothing stands for.
    let (mut longer, mut longer_run) = (body.clone(), run.clone());
    longer.extend_from_slice(b"\r\n");
    longer_run.length += 2;
    assert!(RunDecoder::default().decode(&longer, &longer_run).is_none());
    let mut loose = text(&[7; 3001], 76, LineEnding::CrLf);
    let loose_run = find_runs(&loose).remove(0);
    let last = loose.iter().rposition(|byte| *byte == b'=').unwrap() - 2;
    assert!(decoder.decode(&loose, &loose_run).is_some());
    loose[last] += 1;
    assert!(decoder.decode(&loose, &loose_run).is_none());
}
