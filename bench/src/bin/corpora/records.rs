//! Records as an interface gives them: one JSON document in each file.

use crate::{Folder, random::Random, text::Language};

const RECORDS: u64 = 1_000_000;
const PER_FOLDER: u64 = 2000;
const STATES: [&str; 6] = ["open", "paid", "shipped", "delivered", "returned", "cancelled"];

pub(crate) struct Records {
    language: Language,
    seed: u64,
}

impl Records {
    pub(crate) fn new(seed: u64) -> Self {
        Self { language: Language::new(seed ^ 0x1), seed }
    }

    pub(crate) fn write(&self, folder: &Folder, scale: f64) -> std::io::Result<()> {
        let count = (RECORDS as f64 * scale) as u64;
        (0..count).try_for_each(|number| folder.create(&path(number), &self.record(number, 0)))
    }

    pub(crate) fn change(&self, folder: &Folder, scale: f64, round: u64) -> std::io::Result<()> {
        let count = (RECORDS as f64 * scale) as u64;
        let mut random = Random::of(self.seed, 1 << 40 | round);
        for _ in 0..count / 100 {
            let number = random.below(count);
            folder.replace(&path(number), &self.record(number, round))?;
        }
        Ok(())
    }

    fn record(&self, number: u64, edition: u64) -> Vec<u8> {
        let mut random = Random::of(self.seed, number);
        let customer = random.below(90_000);
        let state = STATES[((random.below(6) + edition) % 6) as usize];
        let mut lines = String::new();
        let mut total = 0;
        for line in 0..random.between(1, 5) {
            let (product, price, amount) = (random.below(4000), random.below(50_000), random.between(1, 6));
            total += price * amount;
            let name = self.language.title(&mut Random::of(self.seed ^ 0x3, product), 3);
            lines.push_str(&format!(
                r#"{}{{"line":{line},"product_id":"prod_{product:06}","name":"{name}","quantity":{amount},"unit_price":"{}.{:02}","tax_rate":"0.19","discounts":[]}}"#,
                if line == 0 { "" } else { "," }, price / 100, price % 100,
            ));
        }
        let mut note = Vec::new();
        let note_bytes = random.log_normal(220.0, 0.7).min(2000.0) as usize;
        self.language.write(&mut random, note_bytes, 10_000, " ", &mut note);
        let (id, token) = (random.next(), random.next());
        format!(
            r#"{{"object":"order","id":"ord_{id:016x}","number":{number},"status":"{state}","currency":"EUR","created_at":"2026-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z","updated_at":"2026-04-{:02}T10:{:02}:00.000Z","customer":{{"id":"cus_{customer:08x}","email":"customer{customer}@example.org","name":"{}","phone":"+49 30 {:07}"}},"billing_address":{{"street":"{} {}","city":"{}","postal_code":"{:05}","country":"DE"}},"items":[{lines}],"total":"{}.{:02}","payment":{{"method":"card","brand":"visa","last4":"{:04}","token":"tok_{token:016x}"}},"notes":"{}","tags":["web","{}"],"metadata":{{}},"links":{{"self":"https://api.example.org/v1/orders/ord_{id:016x}","customer":"https://api.example.org/v1/customers/cus_{customer:08x}"}}}}"#,
            random.between(1, 13), random.between(1, 29), random.below(24), random.below(60), random.below(60),
            random.below(1000), edition + 1, random.below(60),
            self.language.title(&mut Random::of(self.seed ^ 0x2, customer), 2), customer * 37 % 10_000_000,
            self.language.title(&mut Random::of(self.seed ^ 0x4, customer % 3000), 1), customer % 180,
            self.language.title(&mut Random::of(self.seed ^ 0x6, customer % 400), 1), customer % 90_000,
            total / 100, total % 100, random.below(10_000),
            String::from_utf8_lossy(&note).trim(), random.pick(&["new", "returning", "wholesale"]),
        )
        .into_bytes()
    }
}

fn path(number: u64) -> String {
    format!("{:04}/{number:08}.json", number / PER_FOLDER)
}
