//! One instance's side of the host: its limits, its patterns, the call that runs, and what it may import.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use wasmtime::component::{HasSelf, Linker};

use super::bindings::sluice::plugin as contract;
use super::bindings::{Plugin, PluginImports};
use super::edition::Edition;
use super::engine::Engine;
use super::limits::MemoryLimiter;
use super::patterns::{Bounds, Found, Haystack, Overrun, Pattern};
use super::shared::lock;
use contract::log::Level;
use contract::types;

/// Patterns that one stage may compile.
pub(super) const MAX_PATTERNS: usize = 1_024;
/// What one match of a search takes in the guest's memory.
const MATCH_BYTES: usize = 12;
/// Bytes of standard output and error that one instance may write in its life; it has `log` for the rest.
const MAX_STDIO_BYTES: usize = 16 << 10;
/// Bytes of a line of these that are kept until its end comes; no message of the log is longer.
const MAX_LINE_BYTES: usize = 1 << 10;

/// What wasmtime keeps beside an instance.
pub(super) struct Guest {
    engine: Engine,
    pub(super) memory: MemoryLimiter,
    edition: Arc<Edition>,
    /// The texts of the attribute table; there only during a call that may search them.
    pub(super) table: Haystack,
    /// When the batch of the call was received; before the first, when the instance was made.
    pub(super) now_unix_nano: u64,
    /// When the call must have come back; the engine stops the guest, this stops the host on its behalf.
    pub(super) deadline: Instant,
    /// Whether a search had not.
    pub(super) is_late: bool,
    /// Where the guest panicked.
    pub(super) panic: Option<String>,
    pub(super) phase: Phase,
    patterns: Vec<Arc<Pattern>>,
    stdio_bytes: usize,
    /// What was written to standard output or error since the last line ended.
    line: Vec<u8>,
}

/// What the guest is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Saying what it is, or checking a configuration.
    Setup,
    /// Processing a batch.
    Call,
}

impl Guest {
    pub(super) fn new(engine: Engine, edition: Arc<Edition>, memory_bytes: usize) -> Self {
        Self {
            engine,
            memory: MemoryLimiter::new(memory_bytes),
            edition,
            table: Haystack::default(),
            now_unix_nano: unix_nano(SystemTime::now()),
            deadline: Instant::now(),
            is_late: false,
            panic: None,
            phase: Phase::Setup,
            patterns: Vec::new(),
            stdio_bytes: 0,
            line: Vec::new(),
        }
    }

    /// Takes what the guest writes to standard output or error, in pieces of any length.
    pub(super) fn stdio(&mut self, bytes: &[u8]) {
        let had_room = self.stdio_bytes <= MAX_STDIO_BYTES;
        let room = MAX_STDIO_BYTES.saturating_sub(self.stdio_bytes);
        self.stdio_bytes = self.stdio_bytes.saturating_add(bytes.len());
        for piece in bytes[..bytes.len().min(room)].split_inclusive(|byte| *byte == b'\n') {
            let room = MAX_LINE_BYTES - self.line.len();
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.end_line();
            }
        }
        if had_room && self.stdio_bytes > MAX_STDIO_BYTES {
            self.end_line();
            let limit_kib = MAX_STDIO_BYTES >> 10;
            self.log(Level::Warn, &format!("an instance printed more than {limit_kib} KiB, the rest is not shown"));
        }
    }

    /// Logs what was printed since the last line ended.
    pub(super) fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if !line.trim().is_empty() {
            self.log(Level::Info, line.trim_end());
        }
    }

    /// Messages of a level that nobody sees take nothing of the stage's rate.
    fn log(&self, level: Level, message: &str) {
        if !is_shown(level) {
            return;
        }
        let stage = self.edition.shared.stage.as_str();
        if self.phase == Phase::Setup && !self.engine.is_news(stage, &self.edition.shared.shown(message)) {
            return;
        }
        let Some((message, suppressed)) = self.edition.shared.admit_message(message) else { return };
        let suppressed = (suppressed > 0).then_some(suppressed);
        match level {
            Level::Debug => tracing::debug!(target: "sluice::plugin", stage, suppressed, "{message}"),
            Level::Info => tracing::info!(target: "sluice::plugin", stage, suppressed, "{message}"),
            Level::Warn => tracing::warn!(target: "sluice::plugin", stage, suppressed, "{message}"),
            Level::Error => tracing::error!(target: "sluice::plugin", stage, suppressed, "{message}"),
        }
    }

    /// What a search may take: the rest of the call's time, and matches that fit into the guest's memory.
    fn bounds(&self) -> Bounds {
        Bounds { deadline: self.deadline, max_matches: self.memory.limit_bytes() / MATCH_BYTES }
    }

    fn overrun(&mut self, overrun: Overrun) -> wasmtime::Error {
        self.is_late |= overrun == Overrun::Time;
        wasmtime::Error::new(overrun)
    }

    fn pattern(&self, pattern: u32) -> wasmtime::Result<Arc<Pattern>> {
        let found = self.patterns.get(pattern as usize).cloned();
        found.ok_or_else(|| wasmtime::format_err!("the plugin used pattern {pattern}, which it has not compiled"))
    }
}

fn is_shown(level: Level) -> bool {
    match level {
        Level::Debug => tracing::enabled!(target: "sluice::plugin", tracing::Level::DEBUG),
        Level::Info => tracing::enabled!(target: "sluice::plugin", tracing::Level::INFO),
        Level::Warn => tracing::enabled!(target: "sluice::plugin", tracing::Level::WARN),
        Level::Error => tracing::enabled!(target: "sluice::plugin", tracing::Level::ERROR),
    }
}

/// A time as plugins have it; 1970 at the earliest.
pub(super) fn unix_nano(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn matches(found: Found) -> contract::regex::Matches {
    contract::regex::Matches { entries: found.values, starts: found.starts, ends: found.ends }
}

/// Offers the interfaces of the contract to plugins.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    Plugin::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)
}

impl types::Host for Guest {}

impl PluginImports for Guest {
    fn panicked(&mut self, message: String, file: String, line: u32) -> wasmtime::Result<()> {
        self.panic =
            Some(format!("{} at {}:{line}", self.edition.shared.shown(&message), self.edition.shared.shown(&file)));
        Ok(())
    }
}

impl contract::log::Host for Guest {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        Guest::log(self, level, &message);
        Ok(())
    }
}

impl contract::counter::Host for Guest {
    fn add(&mut self, name: String, delta: u64) -> wasmtime::Result<()> {
        if !self.edition.count(&name, delta) {
            Guest::log(self, Level::Warn, &format!("counter {name:?} is refused: the name, or one too many"));
        }
        Ok(())
    }
}

impl contract::clock::Host for Guest {
    fn now_unix_nano(&mut self) -> wasmtime::Result<u64> {
        Ok(self.now_unix_nano)
    }
}

impl contract::key_value::Host for Guest {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(lock(&self.edition.shared.key_value).get(&key, self.now_unix_nano).map(<[u8]>::to_vec))
    }

    fn set(&mut self, key: String, value: Vec<u8>, ttl_ms: u64) -> wasmtime::Result<Result<(), String>> {
        Ok(lock(&self.edition.shared.key_value).set(key, value, ttl_ms, self.now_unix_nano))
    }

    fn delete(&mut self, key: String) -> wasmtime::Result<()> {
        lock(&self.edition.shared.key_value).delete(&key);
        Ok(())
    }
}

impl contract::token_bucket::Host for Guest {
    fn take(&mut self, bucket: String, wanted: u32, per_second: f64, burst: f64) -> wasmtime::Result<u32> {
        Ok(lock(&self.edition.shared.token_buckets).take(&bucket, wanted, per_second, burst, self.now_unix_nano))
    }
}

impl contract::regex::Host for Guest {
    fn compile(&mut self, pattern: String) -> wasmtime::Result<Result<u32, String>> {
        if self.phase != Phase::Setup {
            wasmtime::bail!("the plugin compiled a pattern outside of configure");
        }
        if self.patterns.len() == MAX_PATTERNS {
            return Ok(Err(format!("a stage can have {MAX_PATTERNS} patterns and no more")));
        }
        Ok(self.edition.pattern(&pattern).map(|pattern| {
            self.patterns.push(pattern);
            self.patterns.len() as u32 - 1
        }))
    }

    fn is_match(&mut self, pattern: u32, offsets: Vec<u32>, bytes: Vec<u8>) -> wasmtime::Result<Vec<u64>> {
        let texts = Haystack::from_guest(&offsets, &bytes).map_err(wasmtime::Error::msg)?;
        let matching = self.pattern(pattern)?.is_match(&texts, self.bounds());
        matching.map_err(|overrun| self.overrun(overrun))
    }

    fn find_in_table(&mut self, pattern: u32, entries: Option<Vec<u64>>) -> wasmtime::Result<contract::regex::Matches> {
        let found = self.pattern(pattern)?.find(&self.table, entries.as_deref(), self.bounds());
        found.map(matches).map_err(|overrun| self.overrun(overrun))
    }

    fn find(&mut self, pattern: u32, offsets: Vec<u32>, bytes: Vec<u8>) -> wasmtime::Result<contract::regex::Matches> {
        let texts = Haystack::from_guest(&offsets, &bytes).map_err(wasmtime::Error::msg)?;
        let found = self.pattern(pattern)?.find(&texts, None, self.bounds());
        found.map(matches).map_err(|overrun| self.overrun(overrun))
    }

    fn table_text(&mut self, entries: Vec<u32>) -> wasmtime::Result<contract::regex::Texts> {
        let (mut offsets, mut bytes) = (Vec::with_capacity(entries.len() + 1), Vec::new());
        offsets.push(0);
        for entry in entries {
            match self.table.text(entry) {
                Ok(text) => bytes.extend_from_slice(text),
                Err(entries) => wasmtime::bail!("the plugin asked for the text of table entry {entry} of {entries}"),
            }
            if bytes.len() > self.memory.limit_bytes() {
                wasmtime::bail!("the plugin asked for more text than fits into its memory");
            }
            offsets.push(u32::try_from(bytes.len())?);
        }
        Ok(contract::regex::Texts { offsets, bytes })
    }
}
