//! Any bytes as a log of any major version, and as a record whose checksum is taken as right.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| postgres_wal::fuzzing::fuzz_one(data));
