//! The descriptor in a custom section of the component, so that it can be read without running code.
//!
//! `sluice plugin pack` writes what `describe` answers; a plugin whose section says otherwise is refused.

use serde::{Deserialize, Serialize};

use super::component::{Descriptor, Drops, OnError};
use crate::model::Signal;

/// The name of the section.
pub(super) const NAME: &str = "sluice:descriptor";

/// What every component begins with: the magic number, the version, and the layer.
const PREAMBLE: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];
const CUSTOM: u8 = 0;

/// The content of the section.
#[derive(Serialize, Deserialize)]
struct Page {
    name: String,
    aliases: Vec<String>,
    version: String,
    description: String,
    signals: Vec<String>,
    drops: Drops,
    on_error: OnError,
    config_schema: serde_json::Value,
}

/// The descriptor in a component's section, if it has one.
///
/// # Errors
/// Why the section can't be read.
pub(super) fn read(component: &[u8]) -> Result<Option<Descriptor>, String> {
    let Some(section) = sections(component).find(|section| section.is_descriptor()) else { return Ok(None) };
    let page: Page = serde_json::from_slice(section.content)
        .map_err(|error| format!("its section {NAME} is no descriptor: {error}"))?;
    let signals = page.signals.iter().map(|name| {
        let signal = Signal::ALL.into_iter().find(|signal| signal.name() == name);
        signal.ok_or_else(|| format!("its section {NAME} names the signal {name:?}, which nobody knows"))
    });
    let descriptor = Descriptor {
        signals: signals.collect::<Result<_, _>>()?,
        name: page.name,
        aliases: page.aliases,
        version: page.version,
        description: page.description,
        drops: page.drops,
        on_error: page.on_error,
        config_schema: page.config_schema,
    };
    descriptor.check()?;
    Ok(Some(descriptor))
}

/// The component with this descriptor in a section at its end, instead of any that it has.
pub(super) fn write(component: &[u8], descriptor: &Descriptor) -> Vec<u8> {
    let content = descriptor.to_json().to_string();
    let mut body = Vec::with_capacity(content.len() + 32);
    leb128(NAME.len(), &mut body);
    body.extend_from_slice(NAME.as_bytes());
    body.extend_from_slice(content.as_bytes());
    let mut out = without(component);
    out.push(CUSTOM);
    leb128(body.len(), &mut out);
    out.extend_from_slice(&body);
    out
}

/// The component without the section.
pub(super) fn without(component: &[u8]) -> Vec<u8> {
    let mut out = component.to_vec();
    let found: Vec<_> = sections(component).filter(Section::is_descriptor).map(|section| section.range).collect();
    found.into_iter().rev().for_each(|range| drop(out.drain(range)));
    out
}

/// A custom section at the top of a component.
struct Section<'a> {
    range: std::ops::Range<usize>,
    name: &'a [u8],
    content: &'a [u8],
}

impl Section<'_> {
    fn is_descriptor(&self) -> bool {
        self.name == NAME.as_bytes()
    }
}

/// Custom sections at the top of a component, up to where it can't be read; whoever compiles it says what is wrong.
fn sections(component: &[u8]) -> impl Iterator<Item = Section<'_>> {
    let mut at = if component.starts_with(&PREAMBLE) { PREAMBLE.len() } else { component.len() };
    let next = move || {
        let start = at;
        let id = *component.get(at)?;
        let (size, content) = take_leb128(component, at + 1)?;
        let body = component.get(content..content.checked_add(size)?)?;
        at = content + size;
        let custom = || {
            let (length, start) = take_leb128(body, 0)?;
            Some((body.get(start..start.checked_add(length)?)?, body.get(start + length..)?))
        };
        let (name, content) = if id == CUSTOM { custom()? } else { Default::default() };
        Some(Section { range: start..at, name, content })
    };
    std::iter::from_fn(next)
}

fn leb128(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A 32-bit number and where it ends.
fn take_leb128(bytes: &[u8], start: usize) -> Option<(usize, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.get(start..)?.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, start + index + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor() -> Descriptor {
        Descriptor {
            name: "probe".into(),
            aliases: vec!["probing".into()],
            version: "1.2.3".into(),
            description: "Größe".repeat(50),
            signals: vec![Signal::Logs, Signal::Traces],
            drops: Drops::Sampled,
            on_error: OnError::Reject,
            config_schema: serde_json::json!({ "type": "object" }),
        }
    }

    #[test]
    fn reads_what_it_writes_and_replaces_what_was_there() {
        let empty = PREAMBLE.to_vec();
        assert_eq!(read(&empty), Ok(None));
        let other = [&empty[..], &[CUSTOM, 3, 1, b'v', 7]].concat();
        let packed = write(&other, &descriptor());
        assert_eq!(read(&packed), Ok(Some(descriptor())));
        let newer = Descriptor { version: "2".into(), ..descriptor() };
        let again = write(&packed, &newer);
        assert_eq!(read(&again), Ok(Some(newer)));
        assert_eq!((without(&again), without(&other)), (other.clone(), other));
    }

    #[test]
    fn reads_nothing_from_what_is_no_component_or_cut_off() {
        let packed = write(&PREAMBLE, &descriptor());
        for end in 0..packed.len() {
            assert_eq!(read(&packed[..end]), Ok(None), "{end}");
        }
        assert_eq!(read(b"no component"), Ok(None));
        assert_eq!(read(&[&PREAMBLE[..], &[CUSTOM, 0xff, 0xff, 0xff, 0xff, 0xff]].concat()), Ok(None));
    }

    #[test]
    fn says_what_is_wrong_with_a_section() {
        let packed = |page: &str| {
            let body = [&[NAME.len() as u8][..], NAME.as_bytes(), page.as_bytes()].concat();
            [&PREAMBLE[..], &[CUSTOM, body.len() as u8], &body].concat()
        };
        assert!(read(&packed("{}")).expect_err("no name").contains("missing field `name`"));
        let forging = Descriptor { version: "1\n2".into(), ..descriptor() };
        let error = read(&write(&PREAMBLE, &forging)).expect_err("two lines");
        assert_eq!(error, "its version has control characters");
        let nameless = Descriptor { name: String::new(), ..descriptor() };
        assert!(read(&write(&PREAMBLE, &nameless)).expect_err("no type").contains("is no component type"));
    }
}
