//! The W3C `tracestate` of a span: finds OpenTelemetry's `th` and `rv` in it, checks it, and writes it back.
//!
//! Grammar and limits: <https://www.w3.org/TR/trace-context/#tracestate-header> for the list,
//! <https://opentelemetry.io/docs/specs/otel/trace/tracestate-handling/> for its member `ot`.

use crate::threshold::{Randomness, Threshold};

/// Longest tracestate that is read, in bytes.
const MAX_LENGTH: usize = 1024;
/// From this many list members on, empty ones included, a tracestate counts as too long.
const TOO_MANY_MEMBERS: usize = 32;
/// Longest value of a member, in bytes.
const MAX_VALUE: usize = 256;
/// Longest key, and longest parts of a key with a tenant (`tenant@system`), in bytes.
const MAX_KEY: usize = 256;
const MAX_KEY_TENANT: usize = 241;
const MAX_KEY_SYSTEM: usize = 14;

/// A piece of the tracestate that was read. Positions fit because of [`MAX_LENGTH`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Piece {
    start: u16,
    end: u16,
}

/// The tracestate is not as the grammar demands, too long, or its `th` or `rv` is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// What a tracestate says; reusable, so that reading allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct TraceState {
    randomness: Option<(Randomness, Piece)>,
    threshold: Option<(Threshold, Piece)>,
    /// Members of `ot` other than `th` and `rv`.
    extras: Vec<Piece>,
    /// List members of other vendors.
    others: Vec<Piece>,
}

impl TraceState {
    /// Reads a tracestate. After an error it holds what could still be understood.
    pub(crate) fn read(&mut self, text: &str) -> Result<(), Malformed> {
        self.clear();
        if text.is_empty() {
            return Ok(());
        }
        if text.len() > MAX_LENGTH || !members(text).all(|(_, member)| member.is_empty() || is_member(member)) {
            return Err(Malformed);
        }
        let mut outcome = Ok(());
        for (number, (start, member)) in members(text).enumerate() {
            if number + 1 >= TOO_MANY_MEMBERS {
                return Err(Malformed);
            }
            let Some((key, value)) = member.split_once('=') else { continue };
            if !has_allowed_length(key) {
                outcome = Err(Malformed);
            } else if key == "ot" {
                let start = start + key.len() + 1;
                if self.read_ot(start, value).is_err() {
                    outcome = Err(Malformed);
                }
            } else {
                self.others.push(piece(start, member));
            }
        }
        outcome
    }

    /// The explicit randomness, `rv`.
    pub(crate) fn randomness(&self) -> Option<Randomness> {
        self.randomness.map(|(randomness, _)| randomness)
    }

    /// The threshold, `th`.
    pub(crate) fn threshold(&self) -> Option<Threshold> {
        self.threshold.map(|(threshold, _)| threshold)
    }

    /// Appends the tracestate that was read from `text` with its `ot` member first, perhaps with another `rv` and `th`;
    /// values that stay keep their spelling.
    pub(crate) fn write(
        &self,
        text: &str,
        randomness: Option<Randomness>,
        threshold: Option<Threshold>,
        out: &mut Vec<u8>,
    ) {
        let begin = out.len();
        let separate = |out: &mut Vec<u8>| out.extend_from_slice(if out.len() == begin { b"ot=" } else { b";" });
        let old = |piece: Piece| &text.as_bytes()[usize::from(piece.start)..usize::from(piece.end)];
        if let Some(randomness) = randomness {
            separate(out);
            out.extend_from_slice(b"rv:");
            out.extend_from_slice(&randomness.digits());
        } else if let Some((_, piece)) = self.randomness {
            separate(out);
            out.extend_from_slice(b"rv:");
            out.extend_from_slice(old(piece));
        }
        if let Some(threshold) = threshold {
            separate(out);
            out.extend_from_slice(b"th:");
            threshold.write(out);
        } else if let Some((_, piece)) = self.threshold {
            separate(out);
            out.extend_from_slice(b"th:");
            out.extend_from_slice(old(piece));
        }
        for extra in &self.extras {
            separate(out);
            out.extend_from_slice(old(*extra));
        }
        for other in &self.others {
            if out.len() > begin {
                out.push(b',');
            }
            out.extend_from_slice(old(*other));
        }
    }

    /// Reads the value of the member `ot`, which stands at `start`. A second `ot` replaces the first.
    fn read_ot(&mut self, start: usize, value: &str) -> Result<(), Malformed> {
        self.randomness = None;
        self.threshold = None;
        self.extras.clear();
        if !value.split(';').all(is_ot_member) {
            return Err(Malformed);
        }
        let mut outcome = Ok(());
        let mut at = start;
        for member in value.split(';') {
            match member.split_once(':') {
                Some(("rv", digits)) => {
                    self.randomness = Randomness::parse(digits).map(|parsed| (parsed, piece(at + 3, digits)));
                    outcome = outcome.and(self.randomness.map(|_| ()).ok_or(Malformed));
                }
                Some(("th", digits)) => {
                    self.threshold = Threshold::parse(digits).map(|parsed| (parsed, piece(at + 3, digits)));
                    outcome = outcome.and(self.threshold.map(|_| ()).ok_or(Malformed));
                }
                _ => self.extras.push(piece(at, member)),
            }
            at += member.len() + 1;
        }
        outcome
    }

    fn clear(&mut self) {
        self.randomness = None;
        self.threshold = None;
        self.extras.clear();
        self.others.clear();
    }
}

/// The list members with their positions, without white space around them. A comma at the end begins no member.
fn members(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    let list = text.strip_suffix(',').unwrap_or(text);
    list.split(',').map(move |member| {
        let blanks = member.len() - member.trim_start_matches([' ', '\t']).len();
        let start = at + blanks;
        at += member.len() + 1;
        (start, member.trim_matches([' ', '\t']))
    })
}

fn piece(start: usize, text: &str) -> Piece {
    Piece { start: start as u16, end: (start + text.len()) as u16 }
}

fn is_member(member: &str) -> bool {
    member.split_once('=').is_some_and(|(key, value)| is_key(key) && is_value(value))
}

fn is_key(key: &str) -> bool {
    match key.split_once('@') {
        Some((tenant, system)) => {
            tenant.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                && system.starts_with(|c: char| c.is_ascii_lowercase())
                && tenant.bytes().chain(system.bytes()).all(is_key_byte)
        }
        None => key.starts_with(|c: char| c.is_ascii_lowercase()) && key.bytes().all(is_key_byte),
    }
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'*' | b'/')
}

fn has_allowed_length(key: &str) -> bool {
    let (tenant, system) = key.split_once('@').unwrap_or_default();
    key.len() <= MAX_KEY && tenant.len() <= MAX_KEY_TENANT && system.len() <= MAX_KEY_SYSTEM
}

fn is_value(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= MAX_VALUE
        && !value.ends_with(' ')
        && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b',' && byte != b'=')
}

fn is_ot_member(member: &str) -> bool {
    member.split_once(':').is_some_and(|(key, value)| {
        key.starts_with(|c: char| c.is_ascii_lowercase())
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    })
}

#[cfg(test)]
mod tests;
