//! Random choices from a seed, so that a failing case can be had again.

use proptest::prelude::*;

/// A source of choices.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ value >> 31
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// True in one of `times` cases.
    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub(crate) fn text(&mut self) -> String {
        match self.below(12) {
            0 => String::new(),
            1 => "käse €5 🚀 ok".into(),
            2 => "x".repeat(120 + self.below(20)),
            3 => format!("card 4{:015} of user{}@example.com", self.below(1 << 40), self.below(100)),
            _ => (0..self.below(14)).map(|_| (b'a' + self.below(26) as u8) as char).collect(),
        }
    }

    pub(crate) fn key(&mut self) -> String {
        let keys = ["http.route", "tenant", "a", "user.email", "", "schlüssel", "url.full", "server.port"];
        match self.below(20) {
            0 => "long.key.".repeat(15),
            1 => self.text(),
            _ => (*self.pick(&keys)).into(),
        }
    }

    pub(crate) fn double(&mut self) -> f64 {
        *self.pick(&[0.0, 1.5, -2.25, 1e300, f64::MIN_POSITIVE, f64::INFINITY])
    }

    pub(crate) fn number(&mut self) -> u64 {
        match self.below(5) {
            0 => 0,
            1 => self.next(),
            2 => u64::MAX,
            _ => self.next() % 300,
        }
    }
}

/// Seeds, with a size that shrinks.
pub(crate) fn seeds() -> impl Strategy<Value = (u64, usize)> {
    (any::<u64>(), 0usize..5)
}

/// How many cases a property gets; `PROPTEST_CASES` overrides it.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(cases);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
