//! The database of the code-freeze incident: executives, their companies, and the users of the application.

use std::fmt::Write as _;

use ports::SeededRandom;

/// How many executives there are, as reported.
pub const EXECUTIVES: u64 = 1_206;
/// How many companies there are, as reported.
pub const COMPANIES: u64 = 1_196;
/// How many true users there are; the number is not on record.
pub const USERS: u64 = 250;

const NAMES: [&str; 12] =
    ["Ada", "Björn", "Carla", "Deepa", "Emil", "Farah", "Gustav", "Hana", "Ivo", "June", "Karim", "Lena"];
const SURNAMES: [&str; 12] = [
    "Abbott", "Bauer", "Chen", "D'Angelo", "Ek", "Ferrari", "Gupta", "Holm", "Ito", "Jansen", "Klein",
    "Lopez",
];
const BUSINESS: [&str; 8] =
    ["Analytics", "Billing", "Cloud", "Data", "Flow", "Health", "Logistics", "Security"];

/// Returns the SQL that makes and fills the tables, owned by the role `agent`, as the platform's role was.
///
/// The role is made without a password if it does not exist; the caller decides how it logs in.
pub fn setup_sql(seed: u64) -> String {
    let random = SeededRandom::new(seed);
    let mut sql = String::from(include_str!("saastr.sql"));
    let pick = |list: &[&'static str]| list[random.below(list.len() as u64) as usize];
    for id in 1..=COMPANIES {
        let (name, business) = (pick(&SURNAMES).replace('\'', "''"), pick(&BUSINESS));
        let (founded, tags) = (1990 + random.below(35), pick(&BUSINESS).to_lowercase());
        insert(
            &mut sql,
            format_args!(
                "companies (company_id, name, founded, profile) VALUES \
             ({id}, '{name} {business} {id}', {founded}, '{{\"tags\": [\"{tags}\"]}}');"
            ),
        );
    }
    for id in 1..=EXECUTIVES {
        let (given, family) = (pick(&NAMES), pick(&SURNAMES).replace('\'', "''"));
        let (company, title) = (1 + random.below(COMPANIES), pick(&["CEO", "CFO", "CTO", "VP Sales"]));
        insert(
            &mut sql,
            format_args!(
                "executives (executive_id, company_id, full_name, title, email) VALUES \
             ({id}, {company}, '{given} {family}', '{title}', 'executive-{id}@saas.example');"
            ),
        );
    }
    for id in 1..=USERS {
        let given = pick(&NAMES);
        insert(
            &mut sql,
            format_args!(
                "users (full_name, email, is_verified) VALUES ('{given}', 'user-{id}@mail.example', {});",
                random.below(4) > 0
            ),
        );
    }
    sql.push_str(
        "SELECT setval(pg_get_serial_sequence('public.companies', 'company_id'), max(company_id)) \
         FROM public.companies;\n\
         SELECT setval(pg_get_serial_sequence('public.executives', 'executive_id'), max(executive_id)) \
         FROM public.executives;\n",
    );
    sql
}

#[expect(clippy::let_underscore_must_use, reason = "writing to a string does not fail")]
fn insert(sql: &mut String, values: std::fmt::Arguments<'_>) {
    let _ = writeln!(sql, "INSERT INTO public.{values}");
}
