use proptest::prelude::*;

use super::*;
use crate::LineEnding;

fn place() -> impl Strategy<Value = Place> {
    (0..4_u8, 0..1_u64 << 40)
        .prop_map(|(pack, offset)| Place { pack: PackRef::written(PackId([pack; 32])), offset })
}

fn extent() -> impl Strategy<Value = Extent> {
    let length = 1..1_u64 << 30;
    prop_oneof![
        length.clone().prop_map(|length| Extent::Zero { length }),
        (place(), length.clone()).prop_map(|(place, length)| Extent::Data { place, length }),
        (place(), place(), length).prop_map(|(delta, base, length)| Extent::Delta { delta, base, length }),
        (place(), 1_u64..1 << 24, 1_u16..=256, any::<bool>(), any::<u64>(), any::<u64>()).prop_map(
            |(place, decoded_length, quads, lf, skip, length)| base64(
                place,
                decoded_length,
                quads,
                lf,
                skip,
                length
            )
        ),
    ]
}

fn base64(place: Place, decoded_length: u64, quads: u16, lf: bool, skip: u64, length: u64) -> Extent {
    let ending = if lf { LineEnding::Lf } else { LineEnding::CrLf };
    let shape = LineShape { width: quads * 4, ending };
    let whole = shape.text_length(decoded_length);
    let skip = skip % whole;
    Extent::Base64 { place, decoded_length, shape, skip, length: 1 + length % (whole - skip) }
}

fn content() -> impl Strategy<Value = Content> {
    (prop::collection::vec(extent(), 0..40), 9..=20_u32, any::<[u8; 32]>()).prop_map(
        |(extents, shift, digest)| Content {
            length: extents.iter().map(Extent::length).sum(),
            leaf_bytes: 1 << shift,
            digest: LeafHash(digest),
            extents,
        },
    )
}

proptest! {
    #[test]
    fn a_content_decodes_to_what_was_encoded(content in content()) {
        let bytes = content.to_bytes().unwrap();
        prop_assert_eq!(Content::from_bytes(&bytes).unwrap(), content);
    }

    #[test]
    fn foreign_bytes_are_refused_or_decoded_but_never_panic(bytes: Vec<u8>, content in content(), at: prop::sample::Index, value: u8) {
        drop(Content::from_bytes(&bytes));
        let mut changed = content.to_bytes().unwrap();
        let at = at.index(changed.len());
        changed[at] = value;
        drop(Content::from_bytes(&changed));
    }

    #[test]
    fn ranges_put_together_give_the_whole(content in content(), cut: prop::sample::Index) {
        let cut = cut.index(content.length as usize + 1) as u64;
        let mut joined = Vec::new();
        let parts = content.range(0, cut).into_iter().chain(content.range(cut, content.length - cut));
        let mut merged = Vec::new();
        parts.for_each(|part| push_extent(&mut joined, part));
        content.extents.iter().for_each(|whole| push_extent(&mut merged, whole.clone()));
        prop_assert_eq!(joined, merged);
    }
}

#[test]
fn leaves_are_the_ranges_of_the_leaf_size() {
    let place = |offset| Place { pack: PackRef::written(PackId([1; 32])), offset };
    let extents = vec![
        Extent::Data { place: place(0), length: 700 },
        Extent::Zero { length: 1500 },
        Extent::Delta { delta: place(9), base: place(5000), length: 1000 },
    ];
    let content = Content { length: 3200, leaf_bytes: 512, digest: LeafHash([0; 32]), extents };
    let leaves: Vec<_> = content.leaves().collect();
    assert_eq!(leaves.len(), 7);
    for (number, leaf) in (0..).zip(&leaves) {
        assert_eq!(*leaf, content.range(number * 512, 512));
    }
}

#[test]
fn a_content_of_an_abandoned_commit_cannot_be_encoded() {
    let place = Place { pack: PackRef::unwritten(), offset: 0 };
    let extents = vec![Extent::Data { place, length: 1 }];
    let content = Content { length: 1, leaf_bytes: 512, digest: LeafHash([0; 32]), extents };
    assert_eq!(content.to_bytes(), Err(UnwrittenPack));
}
