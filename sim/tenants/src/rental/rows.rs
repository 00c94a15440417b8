//! Rows: each one is a function of the seed, its table and its number.

use std::{
    fmt::Write as _,
    io::{self, Read},
};

use ports::SeededRandom;

use super::Rental;

const CITIES: [(&str, &str); 16] = [
    ("AMS", "Amsterdam"),
    ("ATH", "Athens"),
    ("BCN", "Barcelona"),
    ("BER", "Berlin"),
    ("CPH", "Copenhagen"),
    ("DUB", "Dublin"),
    ("GVA", "Genève"),
    ("HAM", "Hamburg"),
    ("KRK", "Kraków"),
    ("LIS", "Lisbon"),
    ("LYS", "Lyon"),
    ("MAD", "Madrid"),
    ("MUC", "München"),
    ("OSL", "Oslo"),
    ("VIE", "Vienna"),
    ("ZRH", "Zürich"),
];
const GIVEN: [&str; 24] = [
    "Anna",
    "Ben",
    "Clara",
    "David",
    "Elena",
    "Finn",
    "Greta",
    "Hugo",
    "Inés",
    "Jonas",
    "Katarzyna",
    "Liam",
    "Marta",
    "Nils",
    "Olivia",
    "Paul",
    "Quentin",
    "Rosa",
    "Søren",
    "Tereza",
    "Umberto",
    "Vera",
    "William",
    "Zoë",
];
const FAMILY: [&str; 24] = [
    "Almeida",
    "Berg",
    "Castro",
    "Dubois",
    "Eriksson",
    "Fischer",
    "García",
    "Hansen",
    "Ivanov",
    "Jensen",
    "Kowalski",
    "Lindqvist",
    "Müller",
    "Novak",
    "O'Brien",
    "Petersen",
    "Quinn",
    "Rossi",
    "Schmidt",
    "Tanaka",
    "Urban",
    "Virtanen",
    "Weber",
    "Zimmermann",
];
const MODELS: [(&str, &str); 8] = [
    ("Fiat 500", "mini"),
    ("Renault Clio", "compact"),
    ("VW Golf", "compact"),
    ("Škoda Octavia", "estate"),
    ("Volvo V60", "estate"),
    ("Toyota RAV4", "suv"),
    ("Kia Sportage", "suv"),
    ("Ford Transit", "van"),
];
const NOTES: [&str; 6] = [
    "child seat",
    "late pick-up, flight LH 2012",
    "second driver:\tspouse",
    "customer's own \\roof box\\",
    "deposit in cash\nreceipt mailed",
    "ski rack “extra”",
];
const METHODS: [&str; 4] = ["card", "transfer", "paypal", "cash"];

/// 2026-04-24 as days since 1970-01-01: the simulated tenant's today.
const TODAY: i64 = 20_567;

/// How many rows each table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RentalSize {
    /// Rental stations.
    pub locations: u64,
    /// Cars.
    pub vehicles: u64,
    /// Customers.
    pub customers: u64,
    /// Bookings.
    pub bookings: u64,
    /// Payments: one for each booking, and a deposit for every tenth.
    pub payments: u64,
}

impl RentalSize {
    pub(super) const fn of_bookings(bookings: u64) -> Self {
        let bookings = if bookings < 10 { 10 } else { bookings };
        Self {
            locations: CITIES.len() as u64,
            vehicles: if bookings / 200 < 20 { 20 } else { bookings / 200 },
            customers: if bookings / 4 < 10 { 10 } else { bookings / 4 },
            bookings,
            payments: bookings + bookings / 10,
        }
    }
}

/// The tables, in the order in which foreign keys want them loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RentalTable {
    /// Rental stations.
    Locations,
    /// Cars.
    Vehicles,
    /// Customers.
    Customers,
    /// Bookings.
    Bookings,
    /// Payments.
    Payments,
}

impl RentalTable {
    /// All tables, in loading order.
    pub const ALL: [Self; 5] =
        [Self::Locations, Self::Vehicles, Self::Customers, Self::Bookings, Self::Payments];

    /// Returns the table's name without its schema.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Locations => "locations",
            Self::Vehicles => "vehicles",
            Self::Customers => "customers",
            Self::Bookings => "bookings",
            Self::Payments => "payments",
        }
    }

    pub(super) const fn copy_statement(self) -> &'static str {
        match self {
            Self::Locations => "COPY public.locations (location_id, code, city, opening_hours) FROM STDIN",
            Self::Vehicles => {
                "COPY public.vehicles (vehicle_id, plate, model, class, location_id, daily_rate, features) FROM STDIN"
            }
            Self::Customers => {
                "COPY public.customers (customer_id, full_name, email, phones, address, loyalty_points, created_at) FROM STDIN"
            }
            Self::Bookings => {
                "COPY public.bookings (booking_id, customer_id, vehicle_id, pickup_location_id, return_location_id, starts_on, ends_on, status, daily_rate, notes) FROM STDIN"
            }
            Self::Payments => {
                "COPY public.payments (payment_id, booking_id, amount, method, reference, paid_at) FROM STDIN"
            }
        }
    }
}

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    pub(super) full_name: String,
    pub(super) email: String,
    pub(super) phone: String,
    pub(super) city: &'static str,
    pub(super) loyalty_points: u64,
    pub(super) created_at: String,
}

/// A booking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    pub(super) customer_id: u64,
    pub(super) vehicle_id: u64,
    pub(super) pickup_location_id: u64,
    pub(super) return_location_id: u64,
    pub(super) starts_on: i64,
    pub(super) days: i64,
    pub(super) status: &'static str,
    pub(super) daily_rate_cents: u64,
    pub(super) notes: Option<&'static str>,
    pub(super) revision: u32,
}

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub(super) booking_id: u64,
    pub(super) amount_cents: i64,
    pub(super) method: &'static str,
    pub(super) reference: String,
    pub(super) paid_at: String,
}

impl Customer {
    pub(super) fn text(&self) -> String {
        format!(
            "{}|{}|{}|{}|{}|{}",
            self.full_name, self.email, self.phone, self.city, self.loyalty_points, self.created_at
        )
    }
}

impl Booking {
    pub(super) const fn total_cents(&self) -> i64 {
        self.daily_rate_cents as i64 * self.days
    }

    pub(super) fn text(&self) -> String {
        format!(
            "{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}",
            self.customer_id,
            self.vehicle_id,
            self.pickup_location_id,
            self.return_location_id,
            date(self.starts_on),
            date(self.starts_on + self.days),
            self.status,
            money(self.daily_rate_cents as i64),
            self.days,
            money(self.total_cents()),
            self.notes.unwrap_or(""),
            self.revision
        )
    }
}

impl Payment {
    pub(super) fn text(&self) -> String {
        format!(
            "{}|{}|{}|{}|{}",
            self.booking_id,
            money(self.amount_cents),
            self.method,
            self.reference,
            self.paid_at
        )
    }
}

/// Picks one of a list.
pub(super) fn pick<T: Copy>(random: &SeededRandom, list: &[T]) -> T {
    list[random.below(list.len() as u64) as usize]
}

/// Makes a customer from a source of chance.
pub(super) fn customer_from(random: &SeededRandom, id: u64, created_at: String) -> Customer {
    let (given, family) = (pick(random, &GIVEN), pick(random, &FAMILY));
    Customer {
        full_name: format!("{given} {family}"),
        email: format!("customer-{id}@mail.example"),
        phone: format!("+49 30 {:07}", random.below(10_000_000)),
        city: pick(random, &CITIES).1,
        loyalty_points: random.below(5_000),
        created_at,
    }
}

impl Rental {
    fn random(&self, table: RentalTable, id: u64) -> SeededRandom {
        // One draw spreads neighbouring numbers over the whole range of states.
        let start = self.seed ^ ((table as u64 + 1) << 56) ^ id.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        SeededRandom::new(SeededRandom::new(start).next_u64())
    }

    /// Returns a loaded customer; numbers start at 1.
    pub fn customer(&self, id: u64) -> Customer {
        let random = self.random(RentalTable::Customers, id);
        let created_at = timestamp(TODAY - 30 - random.below(1_500) as i64, random.below(86_400));
        customer_from(&random, id, created_at)
    }

    fn vehicle_rate_cents(&self, id: u64) -> u64 {
        2_500 + self.random(RentalTable::Vehicles, id).below(160) * 50
    }

    /// Returns a loaded booking; numbers start at 1.
    pub fn booking(&self, id: u64) -> Booking {
        let random = self.random(RentalTable::Bookings, id);
        let mut booking = self.booking_from(&random, TODAY + 30 - random.below(1_000) as i64);
        let (starts, ends) = (booking.starts_on, booking.starts_on + booking.days);
        booking.status = match random.below(20) {
            0 => "cancelled",
            _ if ends < TODAY => "completed",
            _ if starts <= TODAY => "active",
            _ => "reserved",
        };
        booking
    }

    /// Makes a reserved booking from a source of chance.
    pub(super) fn booking_from(&self, random: &SeededRandom, starts_on: i64) -> Booking {
        let vehicle_id = 1 + random.below(self.size.vehicles);
        let pickup_location_id = 1 + random.below(self.size.locations);
        let one_way = random.below(10) == 0;
        Booking {
            customer_id: 1 + random.below(self.size.customers),
            vehicle_id,
            pickup_location_id,
            return_location_id: if one_way {
                1 + random.below(self.size.locations)
            } else {
                pickup_location_id
            },
            starts_on,
            days: 1 + random.below(14) as i64,
            status: "reserved",
            daily_rate_cents: self.vehicle_rate_cents(vehicle_id),
            notes: (random.below(8) == 0).then(|| pick(random, &NOTES)),
            revision: 0,
        }
    }

    /// Returns a loaded payment; numbers start at 1.
    pub fn payment(&self, id: u64) -> Payment {
        let random = self.random(RentalTable::Payments, id);
        let is_deposit = id > self.size.bookings;
        let booking_id = if is_deposit { (id - self.size.bookings) * 10 } else { id };
        let booking = self.booking(booking_id);
        Payment {
            booking_id,
            amount_cents: if is_deposit { 20_000 } else { booking.total_cents() },
            method: pick(&random, &METHODS),
            reference: format!("P-{id:010}"),
            paid_at: timestamp(booking.starts_on - random.below(20) as i64, random.below(86_400)),
        }
    }

    /// Returns how many rows a table has after loading.
    pub const fn count(&self, table: RentalTable) -> u64 {
        match table {
            RentalTable::Locations => self.size.locations,
            RentalTable::Vehicles => self.size.vehicles,
            RentalTable::Customers => self.size.customers,
            RentalTable::Bookings => self.size.bookings,
            RentalTable::Payments => self.size.payments,
        }
    }

    /// Returns what a loaded row says, in the form of [`super::WitnessLog::queries`]; only witnessed tables have it.
    pub(super) fn text(&self, table: RentalTable, id: u64) -> Option<String> {
        match table {
            RentalTable::Customers => Some(self.customer(id).text()),
            RentalTable::Bookings => Some(self.booking(id).text()),
            RentalTable::Payments => Some(self.payment(id).text()),
            RentalTable::Locations | RentalTable::Vehicles => None,
        }
    }

    fn copy_line(&self, table: RentalTable, id: u64, line: &mut String) -> std::fmt::Result {
        match table {
            RentalTable::Locations => {
                let (code, city) = CITIES[(id as usize - 1) % CITIES.len()];
                let hours = r#"{"mon-fri": ["07:00", "21:00"], "sat": ["08:00", "16:00"], "sun": null}"#;
                writeln!(line, "{id}\t{code}\t{city}\t{hours}")
            }
            RentalTable::Vehicles => {
                let random = self.random(table, id);
                random.next_u64(); // The rate's draw, which bookings share.
                let (model, class) = pick(&random, &MODELS);
                let location = 1 + random.below(self.size.locations);
                let rate = money(self.vehicle_rate_cents(id) as i64);
                let features = if random.below(2) == 0 { "{gps,automatic}" } else { "{}" };
                writeln!(line, "{id}\tRC-{id:06}\t{model}\t{class}\t{location}\t{rate}\t{features}")
            }
            RentalTable::Customers => {
                let c = self.customer(id);
                let (name, city) = (&c.full_name, c.city);
                write!(line, "{id}\t{name}\t{}\t{{\"{}\"}}\t", c.email, c.phone)?;
                writeln!(line, "{{\"city\": \"{city}\"}}\t{}\t{}+00", c.loyalty_points, c.created_at)
            }
            RentalTable::Bookings => {
                let b = self.booking(id);
                let (vehicle, from, to) = (b.vehicle_id, b.pickup_location_id, b.return_location_id);
                write!(line, "{id}\t{}\t{vehicle}\t{from}\t{to}\t{}\t", b.customer_id, date(b.starts_on))?;
                let rate = money(b.daily_rate_cents as i64);
                write!(line, "{}\t{}\t{rate}\t", date(b.starts_on + b.days), b.status)?;
                match b.notes {
                    None => line.push_str("\\N"),
                    Some(notes) => copy_escape(notes, line),
                }
                line.push('\n');
                Ok(())
            }
            RentalTable::Payments => {
                let p = self.payment(id);
                let amount = money(p.amount_cents);
                write!(line, "{id}\t{}\t{amount}\t{}\t", p.booking_id, p.method)?;
                writeln!(line, "{}\t{}+00", p.reference, p.paid_at)
            }
        }
    }
}

fn copy_escape(text: &str, line: &mut String) {
    for c in text.chars() {
        match c {
            '\\' => line.push_str("\\\\"),
            '\t' => line.push_str("\\t"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            c => line.push(c),
        }
    }
}

/// A table's content in COPY text format, made while it is read.
#[derive(Debug)]
pub struct CopyStream {
    rental: Rental,
    table: RentalTable,
    next: u64,
    chunk: String,
    read: usize,
}

const CHUNK_BYTES: usize = 64 * 1024;

impl CopyStream {
    pub(super) const fn new(rental: Rental, table: RentalTable) -> Self {
        Self { rental, table, next: 1, chunk: String::new(), read: 0 }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.chunk.clear();
        self.read = 0;
        while self.chunk.len() < CHUNK_BYTES && self.next <= self.rental.count(self.table) {
            self.rental.copy_line(self.table, self.next, &mut self.chunk).map_err(io::Error::other)?;
            self.next += 1;
        }
        Ok(())
    }
}

impl Read for CopyStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.chunk.len() {
            self.refill()?;
        }
        let rest = &self.chunk.as_bytes()[self.read..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.read += count;
        Ok(count)
    }
}

pub(super) fn money(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
}

/// Formats a day number as a date of the Gregorian calendar.
pub(super) fn date(days: i64) -> String {
    // Counted from 0000-03-01, so that the leap day is the last of its year.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

pub(super) fn timestamp(days: i64, second: u64) -> String {
    format!("{} {:02}:{:02}:{:02}", date(days), second / 3_600, second / 60 % 60, second % 60)
}

/// Returns the tenant's today as a day number.
pub(super) const fn today() -> i64 {
    TODAY
}
