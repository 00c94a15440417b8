//! What the store checks when something is written.

use model::Moment;

use super::{
    super::{
        connection::S3Error,
        encoding::{base64, lock_date, sha256, whole_second},
    },
    Bench, LOCK_MICROS, Outcome, SECOND_MICROS,
    attacker::{OddPut, checksum},
    lock_damage, text_of,
};

const CONTENT: &[u8] = b"a throw-away object of an attestation";

/// How many write one name at once.
const RACERS: usize = 16;

impl Bench {
    pub(super) fn writing(&mut self, store_now: Moment) {
        let until = whole_second(store_now.plus_micros(LOCK_MICROS));
        self.condition(until);
        self.race(until);
        self.checksums(until);
        self.past_lock(store_now);
        self.parts(until);
    }

    fn condition(&mut self, until: Moment) {
        const EXPECTED: &str = "a name that is taken is not written again";
        let key = self.key("condition");
        let put = |content: &[u8]| self.client.put_locked(&key, content, &sha256(content), until);
        let (first, second) = (put(CONTENT), put(b"second"));
        let (seen, outcome) = match (first, second) {
            (Ok(_), Err(error)) if error.status() == Some(412) => (text_of(&error), Outcome::Holds),
            (Ok(_), Ok(_)) => {
                ("the condition is ignored; the oldest version counts".to_owned(), Outcome::Remark)
            }
            (Err(error), _) | (_, Err(error)) => (text_of(&error), Outcome::Remark),
        };
        self.note("if-none-match", EXPECTED, seen, outcome);
    }

    fn race(&mut self, until: Moment) {
        const EXPECTED: &str = "of many that write one name at once, one succeeds";
        let key = self.key("race");
        let client = &self.client;
        let won: usize = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..RACERS)
                .map(|number| {
                    let key = &key;
                    scope.spawn(move || {
                        let content = format!("racer {number}");
                        client.put_locked(key, content.as_bytes(), &sha256(content.as_bytes()), until).is_ok()
                    })
                })
                .collect();
            racers.into_iter().map(|racer| usize::from(racer.join().unwrap_or(false))).sum()
        });
        let outcome = if won == 1 { Outcome::Holds } else { Outcome::Remark };
        self.note("race", EXPECTED, format!("{won} of {RACERS} succeeded"), outcome);
    }

    fn checksums(&mut self, until: Moment) {
        let lock = || {
            vec![
                ("x-amz-object-lock-mode", "COMPLIANCE".to_owned()),
                ("x-amz-object-lock-retain-until-date", lock_date(until)),
            ]
        };
        let wrong = [
            ("wrong-sha256", "bytes that differ from their SHA-256 are refused", checksum(b"other")),
            ("wrong-md5", "bytes that differ from their MD5 are refused", ("content-md5", base64(&[7; 16]))),
        ];
        for (id, expected, header) in wrong {
            let mut headers = lock();
            headers.push(header);
            let key = self.key(id);
            let (seen, outcome) = refused(
                self.attacker.put(OddPut { key: &key, content: CONTENT, headers }),
                "they are stored",
            );
            self.note(id, expected, seen, outcome);
        }
        let key = self.key("checksum");
        let told = self.client.put_locked(&key, CONTENT, &sha256(CONTENT), until).and_then(|version_id| {
            let version_id = version_id.ok_or(S3Error::Nonsense { what: "a write without a version" })?;
            self.client.head_version(&key, &version_id)
        });
        let (seen, outcome) = match told {
            Ok(head) if head.sha256 == Some(sha256(CONTENT)) => ("it does", Outcome::Holds),
            Ok(head) if head.sha256.is_none() => {
                ("it does not; what is written is read back", Outcome::Remark)
            }
            Ok(_) => ("it tells another", Outcome::Fails),
            Err(_) => ("it could not be asked", Outcome::Remark),
        };
        self.note("checksum-told", "the store tells the checksum of what it keeps", seen, outcome);
    }

    fn past_lock(&mut self, store_now: Moment) {
        let past = store_now.plus_micros(-3600 * SECOND_MICROS);
        let headers = vec![
            ("x-amz-object-lock-mode", "COMPLIANCE".to_owned()),
            ("x-amz-object-lock-retain-until-date", lock_date(past)),
            checksum(CONTENT),
        ];
        let key = self.key("past-lock");
        let put = self.attacker.put(OddPut { key: &key, content: CONTENT, headers });
        let (seen, outcome) = refused(put, "it is accepted");
        self.note("past-lock", "a lock that lies in the past is refused", seen, outcome);
    }

    /// A vault uploads nothing in parts; a store that does not lock those is worth a word.
    fn parts(&mut self, until: Moment) {
        const EXPECTED: &str = "an object uploaded in parts is locked (a vault uploads none)";
        let key = self.key("parts");
        let head = self.attacker.put_in_parts(&key, CONTENT, until).and_then(|version_id| {
            let version_id = version_id.ok_or(S3Error::Nonsense { what: "a write without a version" })?;
            self.client.head_version(&key, &version_id)
        });
        let (seen, outcome) = match head {
            Ok(head) => match lock_damage(&head, until) {
                None => ("it is".to_owned(), Outcome::Holds),
                Some(damage) => (damage, Outcome::Remark),
            },
            Err(error) => (text_of(&error), Outcome::Remark),
        };
        self.note("parts-locked", EXPECTED, seen, outcome);
    }
}

/// What a refusal shows; a vault checks afterwards what was stored, so it does not rest on it.
fn refused<T>(result: Result<T, S3Error>, otherwise: &str) -> (String, Outcome) {
    match result {
        Err(error) if error.status().is_some_and(|status| (400..500).contains(&status) && status != 403) => {
            (text_of(&error), Outcome::Holds)
        }
        Err(error) => (text_of(&error), Outcome::Remark),
        Ok(_) => (otherwise.to_owned(), Outcome::Remark),
    }
}
