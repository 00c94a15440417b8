use ports::SeededRandom;
use proptest::prelude::*;

use super::*;
use crate::ChunkId;

fn chunk() -> impl Strategy<Value = Chunk> {
    let kind = prop_oneof![
        Just(ChunkKind::Plain),
        any::<[u8; 16]>().prop_map(|id| ChunkKind::Known(ChunkId(id))),
        any::<[u8; 16]>().prop_map(|id| ChunkKind::Delta(ChunkId(id))),
    ];
    (kind, 1..100_000_u32).prop_map(|(kind, length)| Chunk { kind, length })
}

proptest! {
    #[test]
    fn an_index_reads_back_and_finds_every_place(chunks in prop::collection::vec(chunk(), 1..50)) {
        let mut index = PackIndex::default();
        let mut sealed_end = HEADER_BYTES as u64;
        for chunk in &chunks {
            index.push_chunk(*chunk);
            index.push_frame(chunk.length / 2 + 1, chunk.length);
            sealed_end += u64::from(chunk.length / 2 + 1);
        }
        let bytes = index.encode();
        let read = PackIndex::parse(&bytes, sealed_end).unwrap();
        prop_assert_eq!(&read, &index);
        for (number, frame) in read.frames().iter().enumerate() {
            prop_assert_eq!(read.frame_at(frame.raw_offset).unwrap(), number);
            prop_assert_eq!(read.frame_at(frame.raw_offset + u64::from(frame.raw_length) - 1).unwrap(), number);
        }
        let end: u64 = chunks.iter().map(|chunk| u64::from(chunk.length)).sum();
        prop_assert!(read.frame_at(end).is_err());
        prop_assert!(PackIndex::parse(&bytes, sealed_end + 1).is_err());
    }

    #[test]
    fn foreign_bytes_never_panic(bytes: Vec<u8>, size: u64) {
        drop(PackIndex::parse(&bytes, size));
        drop(PackHeader::parse(&bytes));
        drop(PackTrailer::parse(&bytes, size));
    }
}

#[test]
fn a_pack_of_incompressible_frames_stays_below_the_limit() {
    let settings = PackSettings { vault: VaultId([1; 16]), data_recipient: [9; 32], compression_level: 1 };
    let random = SeededRandom::new(1);
    let mut builder = PackBuilder::new(settings, &random).unwrap();
    let mut page = vec![0; 1 << 20];
    ports::Random::fill(&random, &mut page);
    while builder.has_room_for(page.len()) {
        builder.add(ChunkKind::Plain, &page, 3);
        let frame = builder.cut(Vec::new).unwrap();
        builder.append(&frame.sealer.seal(&frame.raw, Vec::new()).unwrap(), frame.raw.len());
    }
    let pack = builder.finish().unwrap();
    assert!(pack.bytes.len() as u64 <= PACK_BYTES_MAX);
    assert!(pack.bytes.len() > 58 << 20);
}
