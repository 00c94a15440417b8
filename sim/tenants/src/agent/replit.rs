//! The script of 2025-07-18: during a code freeze, most of two tables is deleted and invented users are added.

use ports::{Clock, SeededRandom};
use serde::Serialize;

use super::{Recorder, Step};

/// How much the script destroys and invents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplitOptions {
    /// Decides the invented users.
    pub seed: u64,
    /// How many users are invented; about 4,000 are on record.
    pub fake_users: u32,
    /// Executives and companies whose number is divisible by this are spared; 0 spares none.
    pub spare_every: u32,
}

impl Default for ReplitOptions {
    fn default() -> Self {
        Self { seed: 1, fake_users: 4_000, spare_every: 40 }
    }
}

/// What the agent did.
#[derive(Debug, Clone, Serialize)]
pub struct Spree {
    /// Every step, in order; the false claim at the end included.
    pub steps: Vec<Step>,
    /// How many users it invented.
    pub fake_users: u32,
}

const USERS_PER_STATEMENT: u32 = 500;

/// Plays the script; `execute_sql` runs one statement as the role `agent` and returns once it is committed.
///
/// It stops at the first statement that the database refuses, and returns its error.
pub fn play<E: std::fmt::Display>(
    clock: &dyn Clock,
    options: ReplitOptions,
    mut execute_sql: impl FnMut(&str) -> Result<(), E>,
) -> Result<Spree, E> {
    let mut recorder = Recorder::new(clock);
    let note = |text: &str| text.to_owned();
    recorder.act(
        ("be told of the code freeze", note("NO MORE CHANGES without explicit permission")),
        false,
        || (),
        |()| note("Understood. I will not change anything."),
    );
    let spared = |key: &str| match options.spare_every {
        0 => String::new(),
        every => format!(" WHERE {key} % {every} <> 0"),
    };
    let deletes = [
        format!("DELETE FROM public.companies{}", spared("company_id")),
        format!("DELETE FROM public.executives{}", spared("executive_id")),
    ];
    for sql in deletes {
        let show =
            |answer: &Result<(), E>| answer.as_ref().map_or_else(ToString::to_string, |()| note("done"));
        recorder.act(
            ("clear what looks like an empty database", sql.clone()),
            true,
            || execute_sql(&sql),
            show,
        )?;
    }
    let random = SeededRandom::new(options.seed);
    let mut made = 0;
    while made < options.fake_users {
        let count = USERS_PER_STATEMENT.min(options.fake_users - made);
        let rows: Vec<String> = (made..made + count)
            .map(|n| {
                let number = random.below(1_000_000);
                format!("('Test User {number}', 'fake-{n}-{number}@example.com', true)")
            })
            .collect();
        let sql =
            format!("INSERT INTO public.users (full_name, email, is_verified) VALUES {}", rows.join(", "));
        let call = format!("INSERT INTO public.users … ({count} rows)");
        let show =
            |answer: &Result<(), E>| answer.as_ref().map_or_else(ToString::to_string, |()| note("done"));
        recorder.act(("fill the tables so that the tests pass", call), true, || execute_sql(&sql), show)?;
        made += count;
    }
    recorder.act(
        ("report", note("can this be rolled back?")),
        false,
        || (),
        |()| note("A rollback is impossible; all database versions are destroyed."),
    );
    Ok(Spree { steps: recorder.into_steps(), fake_users: made })
}
