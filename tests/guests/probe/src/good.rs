//! What good plugins do.

use std::time::Duration;

use sluice_sdk::{
    Batch, Bitmap, Entities, Field, Level, Matches, Outcome, Texts, Values, clock, counter, key_value, log,
    token_bucket,
};

use crate::evil::{SLOW_TURNS, spin};
use crate::{Act, Probe};

/// Stores a value while the stage is configured.
pub(crate) fn remember_setup() {
    if let Err(error) = key_value::set("setup", b"done", Duration::from_secs(60)) {
        log::error(&error);
    }
}

/// Takes so many MiB for good.
pub(crate) fn load(mebibytes: usize) {
    std::mem::forget(std::hint::black_box(vec![1_u8; mebibytes << 20]));
}

impl Probe {
    /// Does the act, if it is a good one.
    pub(crate) fn good(&self, batch: &Batch) -> Option<Outcome> {
        let config = &self.config;
        let field = Field::record(&config.key);
        let mut outcome = Outcome::unchanged();
        match config.act {
            Act::Nothing | Act::SlowInConfigure => {}
            Act::Slow | Act::CountSetups => spin(SLOW_TURNS),
            Act::DropValue => {
                let column = batch.dictionary(self.column);
                outcome.keep(Bitmap::from_fn(batch.rows(), |row| column.get(row) != Some(&config.value)));
            }
            Act::DropEven => {
                outcome.keep(Bitmap::from_fn(batch.rows(), |row| row % 2 == 1));
            }
            Act::Set => {
                outcome.set(field, Entities::All, config.value.as_str());
            }
            Act::SetOnResources => {
                outcome.set(Field::resource(&config.key), Entities::All, config.value.as_str());
            }
            Act::SetRowNumbers => {
                let rows: Vec<u32> = (0..batch.rows() as u32).collect();
                outcome.set_values(field, rows, (0..batch.rows() as i64).collect::<Vec<_>>());
            }
            Act::Remove => {
                outcome.remove(field, Entities::All);
            }
            Act::MaskPattern => {
                outcome.mask_matches(batch.find(self.pattern?, None), config.value.as_str());
            }
            Act::Partition => self.partition(batch, &mut outcome),
            Act::Replace => {
                outcome.replace_all(first_resource(batch.raw()).to_vec());
            }
            Act::CountCalls | Act::LargeInConfigure => {
                outcome.set(field, Entities::All, self.calls as i64);
            }
            Act::ReportSeen => self.report(batch, &mut outcome),
            Act::ReportHeader => {
                outcome.set(field, Entities::All, batch.header(self.header).unwrap_or("none"));
            }
            Act::KeepInStore => self.keep_in_store(batch, &mut outcome),
            Act::TakeTokens => {
                let taken = token_bucket::take("rows", batch.rows() as u32, 0.0, config.number as f64) as usize;
                outcome.keep(Bitmap::from_fn(batch.rows(), |row| row < taken));
            }
            Act::Count => counter::add("probe_rows", batch.rows() as u64),
            Act::Log => log::info(&config.value),
            _ => return self.rarely_used(batch),
        }
        Some(outcome)
    }

    /// Edits and imports that no other act has.
    fn rarely_used(&self, batch: &Batch) -> Option<Outcome> {
        let config = &self.config;
        let field = Field::record(&config.key);
        let rows = 0..batch.rows() as u32;
        let mut outcome = Outcome::unchanged();
        match config.act {
            Act::RenameEverywhere => {
                for level in [Level::Resource, Level::Scope, Level::Metric, Level::Record] {
                    outcome.rename(level, &config.key, &config.value, Entities::All);
                }
            }
            Act::MaskColumn => {
                let (texts, pattern) = (batch.text(self.text).texts(), self.pattern?);
                let found = texts.map_or_else(Matches::default, |texts| pattern.find_all(texts));
                let Matches { entries, starts, ends } = found;
                outcome.mask_field(field, entries, starts, ends, &config.value);
            }
            Act::SetDoubles => {
                let doubles: Vec<f64> = rows.clone().map(|row| f64::from(row) + 0.5).collect();
                outcome.set_values(field, rows.collect(), doubles);
            }
            Act::SetBooleans => {
                let odd: Vec<bool> = rows.clone().map(|row| row % 2 == 1).collect();
                outcome.set_values(field, rows.collect(), odd);
            }
            Act::SetBytes => {
                let mut bytes = Texts::new();
                rows.clone().for_each(|row| bytes.push_bytes(&[row as u8, 0xff]));
                outcome.set_values(field, rows.collect(), Values::Bytes(bytes));
            }
            Act::SetOnScopesAndMetrics => {
                outcome.set(Field::scope(&config.key), Entities::All, config.value.as_str());
                let metrics = 0..batch.metrics() as u32;
                let numbers: Vec<i64> = metrics.clone().map(i64::from).collect();
                outcome.set_values(Field::metric(&config.key), metrics.collect(), numbers);
            }
            Act::ReportTime => {
                outcome.set(field, Entities::All, clock::now_unix_nano() as i64);
            }
            Act::LogMuch => {
                (0..100).for_each(|_| log::debug(&config.value));
                (0..config.number).for_each(|_| log::warn(&config.value));
            }
            Act::PrintPieces => {
                eprint!("{} of", 1);
                eprintln!(" {}, {}", 2, config.value);
                eprint!("and the rest");
            }
            Act::RememberSetup => {
                outcome.set(field, Entities::All, format!("{:?}", key_value::get("setup")));
            }
            Act::ForgetInStore => {
                let kept = key_value::set("forget", b"me", Duration::from_secs(60)).is_ok();
                let before = key_value::get("forget");
                key_value::delete("forget");
                let seen = format!("{kept} {before:?} {:?}", key_value::get("forget"));
                outcome.set(field, Entities::All, seen);
            }
            _ => return None,
        }
        Some(outcome)
    }

    /// Gives each row to the tenant whose name is its text, or all to the configured one.
    fn partition(&self, batch: &Batch, outcome: &mut Outcome) {
        if !self.config.value.is_empty() {
            outcome.belongs_to(&*self.config.value);
            return;
        }
        let column = batch.dictionary(self.column);
        let mut tenants = vec!["nobody".to_owned()];
        tenants.extend(column.texts().iter().map(str::to_owned));
        outcome.partition(tenants, (0..column.len()).map(|row| column.code(row)).collect());
    }

    /// Writes into each row what this stage sees of the batch.
    fn report(&self, batch: &Batch, outcome: &mut Outcome) {
        let (text, resource) = (batch.text(self.text), batch.text(self.resource));
        let seen = |row: usize| {
            let rows = batch.rows();
            let text = text.get(row).unwrap_or("-");
            let resource = resource.get(batch.resource_of(row)).unwrap_or("-");
            format!("{row}/{rows} {text} {resource}")
        };
        let texts: Texts = (0..batch.rows()).map(seen).collect();
        outcome.set_values(Field::record(&self.config.key), (0..batch.rows() as u32).collect(), texts);
    }

    /// Counts the calls of all instances.
    fn keep_in_store(&self, batch: &Batch, outcome: &mut Outcome) {
        let before = key_value::get("calls").and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
        let calls = before + 1;
        if let Err(error) = key_value::set("calls", &calls.to_le_bytes(), Duration::from_millis(self.config.number)) {
            log::error(&error);
        }
        let rows = 0..batch.rows() as u32;
        outcome.set_values(Field::record(&self.config.key), rows.collect(), vec![calls as i64; batch.rows()]);
    }
}

/// A request's first resource: a tag of one byte, the length as a varint, and so many bytes.
fn first_resource(request: &[u8]) -> &[u8] {
    let width = request.iter().skip(1).take_while(|byte| **byte >= 0x80).count() + 1;
    let digits = request.iter().skip(1).take(width).rev();
    let length = digits.fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
    &request[..request.len().min(1 + width + length)]
}
