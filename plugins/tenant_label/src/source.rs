//! Where the tenant may stand: the columns and headers that hold it, and what they hold in a batch.

use std::collections::BTreeMap;

use sluice_sdk::{Batch, Dictionary, DictionaryColumn, Field, Header, S64, S64Column, Setup};

use crate::config::{Place, SourceConfig};

/// A configured source.
#[derive(Debug)]
pub(crate) enum Source {
    /// An attribute of resources.
    Resource(Attribute),
    /// An attribute of rows.
    Record(Attribute),
    /// A header of the request.
    Header(Header),
    /// Always this tenant.
    Constant(String),
}

/// An attribute that is text or an integer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute {
    text: Dictionary,
    integer: S64,
}

impl Source {
    /// Declares what the source reads.
    pub(crate) fn new(config: &SourceConfig, setup: &mut Setup) -> Self {
        match config.from {
            Place::Resource => Self::Resource(Attribute::new(setup, Field::resource(config.key.as_str()))),
            Place::Record => Self::Record(Attribute::new(setup, Field::record(config.key.as_str()))),
            Place::Header => Self::Header(setup.header(&config.key)),
            Place::Constant => Self::Constant(config.value.clone()),
        }
    }
}

impl Attribute {
    fn new(setup: &mut Setup, field: Field) -> Self {
        Self { text: setup.dictionary(field.clone()), integer: setup.s64(field) }
    }

    /// Its values in a batch; `resolve` is asked once for all that are distinct, and answers for each.
    pub(crate) fn read<'a, T: Copy>(self, batch: &'a Batch, resolve: impl FnOnce(&[&str]) -> Vec<T>) -> Values<'a, T> {
        let (texts, integers) = (batch.dictionary(self.text), batch.s64(self.integer));
        let distinct: BTreeMap<i64, String> =
            (0..integers.len()).filter_map(|i| integers.get(i)).map(|number| (number, number.to_string())).collect();
        let values: Vec<&str> = texts.texts().iter().chain(distinct.values().map(String::as_str)).collect();
        // An empty text is no tenant; asking about it would only complicate the answer.
        let asked: Vec<&str> = values.iter().copied().filter(|value| !value.is_empty()).collect();
        let mut answers = resolve(&asked).into_iter();
        let mut answer = |value: &str| if value.is_empty() { None } else { answers.next() };
        let by_code = values[..texts.values()].iter().map(|value| answer(value)).collect();
        let by_integer = distinct.iter().map(|(number, text)| (*number, answer(text))).collect();
        Values { texts, integers, by_code, by_integer }
    }
}

/// What an attribute means for each entity.
pub(crate) struct Values<'a, T> {
    texts: DictionaryColumn<'a>,
    integers: S64Column<'a>,
    by_code: Vec<Option<T>>,
    by_integer: BTreeMap<i64, Option<T>>,
}

impl<T: Copy> Values<'_, T> {
    /// The answer for an entity, unless it has no such attribute.
    #[inline]
    pub(crate) fn get(&self, entity: usize) -> Option<T> {
        match self.texts.code(entity) {
            0 if self.by_integer.is_empty() => None,
            0 => *self.by_integer.get(&self.integers.get(entity)?)?,
            code => self.by_code[code as usize - 1],
        }
    }
}
