//! What a host must survive.

use std::hint::black_box;
use std::time::Duration;

use sluice_sdk::{
    Batch, Bitmap, ConfigErrors, Entities, Failure, Field, Outcome, Pattern, Setup, Texts, Value, Values, key_value,
};

use crate::{Act, Probe};

/// Some ten milliseconds at least, wherever it runs.
pub(crate) const SLOW_TURNS: u64 = 100_000_000;

/// Misbehaves while it is configured, if that is the act.
pub(crate) fn configure(act: Act, setup: &mut Setup) -> Result<(), ConfigErrors> {
    match act {
        Act::SpinInConfigure => spin(u64::MAX),
        Act::SlowInConfigure => spin(SLOW_TURNS),
        Act::SpinInSecondConfigure | Act::SlowInSecondConfigure => match key_value::get("configured") {
            Some(_) => spin(if act == Act::SlowInSecondConfigure { SLOW_TURNS } else { u64::MAX }),
            None => drop(key_value::set("configured", b"", Duration::from_secs(60))),
        },
        Act::RefuseSilently => return Err(ConfigErrors::new()),
        Act::PanicInConfigure => panic!("no configuration is good enough"),
        Act::TooManyPatterns => {
            for i in 0..1_100 {
                setup.regex(&format!("a{i}")).map_err(|error| ConfigErrors::one("pattern", error))?;
            }
        }
        Act::TooManyReads => {
            for i in 0..1_100 {
                setup.text(Field::record(i.to_string()));
            }
        }
        _ => {}
    }
    Ok(())
}

impl Probe {
    /// Does the act, which is an evil one.
    pub(crate) fn evil(&self, batch: &Batch) -> Result<Outcome, Failure> {
        match self.config.act {
            Act::Fail => return Err(Failure::error("does not want to")),
            Act::Refuse => return Err(Failure::refused("unknown tenant")),
            _ => {}
        }
        self.ends();
        let mut outcome = Outcome::unchanged();
        self.answers(batch, &mut outcome);
        Ok(outcome)
    }

    /// Acts that do not come back.
    fn ends(&self) {
        match self.config.act {
            Act::Spin => spin(u64::MAX),
            Act::Panic => panic!("ä panic"),
            Act::SpinInSecondConfigure | Act::SlowInSecondConfigure => panic!("so that another instance is made"),
            Act::PanicOnce => panic_once(),
            Act::Overflow => drop(black_box(overflow(black_box(1)))),
            Act::Memory => eat_memory(self.config.number as usize),
            Act::RefusedThenTrap if self.calls == 1 => ask_for_too_much(),
            Act::RefusedThenTrap | Act::Unreachable => unreachable(),
            Act::RefusedAndPanic => {
                ask_for_too_much();
                panic!("for another reason");
            }
            Act::Exit => std::process::exit(3),
            Act::ReadFile => read_file(),
            Act::ReadEnvironment => read_environment(),
            Act::Print => (0..10_000).for_each(|i| println!("line {i} {}", "x".repeat(1_000))),
            Act::PatternInProcess => drop(Pattern::compile_now("a")),
            _ => {}
        }
    }

    /// Acts that break the contract with their answer.
    fn answers(&self, batch: &Batch, outcome: &mut Outcome) {
        let field = Field::record(&self.config.key);
        let rows = batch.rows();
        let last = rows as u32 - 1;
        match self.config.act {
            Act::Huge => {
                outcome.set(field, Bitmap::from_fn(rows, |row| row == 0), "x".repeat(self.config.number as usize));
            }
            Act::HugeTimesRows => {
                outcome.set(field, Entities::All, "x".repeat(self.config.number as usize));
            }
            Act::ManyEdits => (0..self.config.number as i64).for_each(|i| {
                outcome.set(field.clone(), Entities::All, i);
            }),
            Act::ShortKeep => {
                outcome.force_keep(Vec::new());
            }
            Act::LongKeep => {
                outcome.force_keep(vec![1; rows.div_ceil(64) + 1]);
            }
            Act::RowOutOfRange => {
                outcome.set_values(field, vec![0, rows as u32], vec![1, 2]);
            }
            Act::ResourceOutOfRange => {
                let resource = Field::resource(&self.config.key);
                outcome.set_values(resource, vec![u32::MAX], vec![1]);
            }
            Act::EntryOutOfRange => {
                outcome.remove_entries(vec![batch.table().len() as u32]);
            }
            Act::CutCharacter => {
                outcome.mask_field(field, vec![last], vec![1], vec![2], "*");
            }
            Act::OverlappingRanges => {
                outcome.mask_field(field, vec![last, last], vec![0, 0], vec![2, 2], "*");
            }
            Act::UnevenLists => {
                outcome.mask_field(field, vec![last, last], vec![0], vec![1], "*");
            }
            Act::BadOffsets => {
                let texts = Texts { offsets: vec![0, 5], bytes: b"a".to_vec() };
                outcome.set_values(field, vec![0], Values::Text(texts));
            }
            Act::BadUtf8 => {
                let texts = Texts { offsets: vec![0, 1], bytes: vec![0xff] };
                outcome.set_values(field, vec![0], Values::Text(texts));
            }
            Act::Undeclared => {
                outcome.set(Field::record("undeclared"), Entities::All, Value::Boolean(true));
            }
            Act::UnknownField => {
                outcome.set(Field::record_intrinsic("no_such_field"), Entities::All, 1_i64);
            }
            Act::TenantOutOfRange => {
                outcome.partition(vec!["a".to_owned()], vec![1; rows]);
            }
            Act::BadTenant => {
                outcome.partition(vec!["a\nb".to_owned()], vec![0; rows]);
            }
            Act::FewTenantCodes => {
                outcome.partition(vec!["a".to_owned()], vec![0; rows - 1]);
            }
            Act::UndeclaredReplacement => {
                outcome.replace_all(Vec::new());
            }
            Act::BadReplacement => {
                outcome.replace_all(vec![0xff; 9]);
            }
            Act::HugeReplacement => {
                outcome.replace_all(padded(batch.raw(), self.config.number as usize));
            }
            Act::ReplacementAndKeep => {
                outcome.force_keep(Bitmap::new(rows, true).into_words()).replace_all(batch.raw().to_vec());
            }
            Act::LargerReplacement => {
                outcome.replace_all([batch.raw(), batch.raw()].concat());
            }
            Act::UnknownPattern => drop(batch.find(Pattern::from_number(99), None)),
            Act::BadTableText => drop(batch.table_text(&[u32::MAX])),
            Act::TooMuchText => drop(batch.table_text(&vec![0; 1 << 20])),
            _ => {}
        }
    }
}

/// The request with an unknown field at its end, which makes it so long: some hundred thousand bytes or more.
fn padded(request: &[u8], len: usize) -> Vec<u8> {
    let mut padded = [request, &[0x7a]].concat();
    let padding = len - padded.len() - 4;
    padded.extend((0..4).map(|i| (padding >> (7 * i) & 0x7f) as u8 | if i < 3 { 0x80 } else { 0 }));
    padded.resize(len, 0);
    padded
}

pub(crate) fn spin(turns: u64) {
    let mut i = 0_u64;
    while black_box(i) < turns {
        i += 1;
    }
}

/// Panics, unless some instance did so before.
fn panic_once() {
    if key_value::get("panicked").is_none() {
        let kept = key_value::set("panicked", b"", Duration::from_secs(60));
        panic!("this once: {kept:?}");
    }
}

#[expect(unconditional_recursion, reason = "that is the point")]
fn overflow(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    overflow(black_box(frame[0] + 1)) + black_box(frame[63])
}

/// Takes so many MiB.
fn eat_memory(mebibytes: usize) {
    let mut eaten = Vec::new();
    for _ in 0..mebibytes {
        eaten.push(black_box(vec![1_u8; 1 << 20]));
    }
    drop(black_box(eaten));
}

/// Asks for more than any plugin may have, and gets over it.
fn ask_for_too_much() {
    assert!(Vec::<u8>::new().try_reserve(3 << 30).is_err());
}

fn unreachable() {
    #[cfg(target_family = "wasm")]
    core::arch::wasm32::unreachable();
}

fn read_environment() {
    let variables: Vec<(String, String)> = std::env::vars().collect();
    let arguments: Vec<String> = std::env::args().collect();
    panic!("there are {} variables and {} arguments", variables.len(), arguments.len());
}

fn read_file() {
    let read = std::fs::read("/etc/passwd");
    panic!("reading a file gave {read:?}");
}
