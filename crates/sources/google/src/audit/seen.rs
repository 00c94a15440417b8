//! Which activities were handed over, in little space.

use std::collections::{BTreeMap, BTreeSet};

use base64_simd::URL_SAFE_NO_PAD;
use model::Moment;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

const HOUR_MICROS: i64 = 3_600_000_000;
/// So many are kept at most; with more of them the log is read again less far back.
pub(super) const KEYS_MAX: usize = 100_000;
/// A key has so many bits: that two of a hundred thousand are the same is next to impossible.
pub(super) const KEY_BITS: u32 = 48;

/// Keys of activities by the hour in which they happened, counted from 1970. As text an hour is the differences of its
/// sorted keys, seven bits to a byte, in base64.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    hours: BTreeMap<i64, BTreeSet<u64>>,
    count: usize,
}

/// Returns the hour of a moment.
pub(super) const fn hour_of(moment: Moment) -> i64 {
    moment.as_micros().div_euclid(HOUR_MICROS)
}

/// Returns when an hour begins.
pub(super) const fn hour_start(hour: i64) -> Moment {
    Moment::from_micros(hour.saturating_mul(HOUR_MICROS))
}

impl Seen {
    /// Adds the key of what happened at a moment; tells whether it is new.
    pub(super) fn insert(&mut self, at: Moment, key: u64) -> bool {
        let new = self.hours.entry(hour_of(at)).or_default().insert(key);
        self.count += usize::from(new);
        new
    }

    /// Forgets what happened before a moment, and more where there is too much. Returns from when on all is known.
    pub(super) fn forget_before(&mut self, moment: Moment) -> Moment {
        let mut first = hour_of(moment);
        self.hours = self.hours.split_off(&first);
        self.recount();
        while self.count > KEYS_MAX && self.hours.len() > 1 {
            let Some((hour, keys)) = self.hours.pop_first() else { break };
            self.count -= keys.len();
            first = hour + 1;
        }
        hour_start(first)
    }

    fn recount(&mut self) {
        self.count = self.hours.values().map(BTreeSet::len).sum();
    }
}

fn packed(keys: &BTreeSet<u64>) -> String {
    let (mut bytes, mut last) = (Vec::new(), 0);
    for key in keys {
        let mut difference = key - last;
        last = *key;
        while difference >= 0x80 {
            bytes.push(difference as u8 | 0x80);
            difference >>= 7;
        }
        bytes.push(difference as u8);
    }
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

fn unpacked(text: &str) -> Option<BTreeSet<u64>> {
    let bytes = URL_SAFE_NO_PAD.decode_to_vec(text.as_bytes()).ok()?;
    let (mut keys, mut last, mut difference, mut shift) = (BTreeSet::new(), 0_u64, 0_u64, 0);
    for byte in bytes {
        if shift > KEY_BITS {
            return None;
        }
        difference |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            last = last.checked_add(difference)?;
            keys.insert(last);
            (difference, shift) = (0, 0);
        }
    }
    (shift == 0).then_some(keys)
}

impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.hours.iter().map(|(hour, keys)| (hour, packed(keys))))
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hours = BTreeMap::<i64, String>::deserialize(deserializer)?;
        let read = hours.into_iter().map(|(hour, text)| Some((hour, unpacked(&text)?)));
        let hours = read.collect::<Option<BTreeMap<i64, BTreeSet<u64>>>>();
        let mut seen = Self { hours: hours.ok_or_else(|| D::Error::custom("keys are none"))?, count: 0 };
        seen.recount();
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(number: i64) -> Moment {
        hour_start(number).plus_micros(1)
    }

    #[test]
    fn what_was_handed_over_is_known_until_it_is_forgotten() {
        let mut seen = Seen::default();
        assert!(seen.insert(hour(5), 9) && !seen.insert(hour(5), 9) && seen.insert(hour(7), 9));
        assert_eq!(seen.forget_before(hour(6)), hour_start(6));
        assert!(seen.insert(hour(5), 9) && !seen.insert(hour(7), 9));
    }

    #[test]
    fn it_is_read_as_it_was_written_and_takes_little_space() {
        let mut seen = Seen::default();
        let mut drawn = 1_u64;
        for number in 0..10_000 {
            drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seen.insert(hour(number / 1000), drawn >> (64 - KEY_BITS));
        }
        seen.insert(hour(-3), 0);
        seen.insert(hour(-3), (1 << KEY_BITS) - 1);
        let text = serde_json::to_string(&seen).unwrap();
        assert_eq!(serde_json::from_str::<Seen>(&text).unwrap(), seen);
        assert!(text.len() < 8 * 10_000, "{}", text.len());
    }

    #[test]
    fn where_there_is_too_much_the_oldest_hours_are_forgotten_first() {
        let mut seen = Seen::default();
        for key in 0..KEYS_MAX as u64 + 10 {
            seen.insert(hour(if key < 20 { 1 } else { 2 }), key);
        }
        assert_eq!(seen.forget_before(hour(0)), hour_start(2));
        assert_eq!(seen.count, KEYS_MAX - 10);
    }

    #[test]
    fn a_text_that_is_none_is_refused() {
        for text in [r#"{"1":"!"}"#, r#"{"1":"gA"}"#, r#"{"1":"gICAgICAgICAgICAgAE"}"#, r#"{"x":""}"#] {
            assert!(serde_json::from_str::<Seen>(text).is_err(), "{text}");
        }
        assert_eq!(serde_json::from_str::<Seen>(r#"{"1":""}"#).unwrap().count, 0);
    }
}
