//! What a stage answers: rows to keep, bulk edits, a partition.

use crate::bindings::sluice::plugin::types as wit;
use crate::bitmap::Bitmap;
use crate::field::{Field, Level};
use crate::pattern::Matches;
use crate::texts::Texts;
pub use wit::{Failure, Value, Values};

/// What shall become of a batch. Edits apply in the order in which they were added.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    inner: wit::Outcome,
    /// For how many rows `keep` was told what becomes of them.
    kept_of: Option<usize>,
}

/// The entities that an edit concerns: resources, scopes, metrics or rows, by the level of its field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entities {
    /// All of them.
    All,
    /// Those whose bit is set.
    Some(Bitmap),
}

impl Outcome {
    /// Keeps everything as it is.
    pub fn unchanged() -> Self {
        let inner = wit::Outcome { keep: None, edits: Vec::new(), partition: None, replacement: None };
        Self { inner, kept_of: None }
    }

    /// Keeps the rows whose bit is set and drops the others. There is a bit for each row of the batch, or the call fails.
    pub fn keep(&mut self, rows: Bitmap) -> &mut Self {
        self.kept_of = Some(rows.len());
        self.inner.keep = (!rows.is_full()).then(|| rows.into_words());
        self
    }

    /// Writes one value to several entities; adds the attribute where it does not exist.
    pub fn set(&mut self, field: Field, entities: impl Into<Entities>, value: impl Into<Value>) -> &mut Self {
        let (entities, value) = (entities.into().into_words(), value.into());
        self.edit(wit::Edit::SetConstant(wit::SetConstant { field, entities, value }))
    }

    /// Writes to each of these entities a value of its own.
    pub fn set_values(&mut self, field: Field, entities: Vec<u32>, values: impl Into<Values>) -> &mut Self {
        self.edit(wit::Edit::SetValues(wit::SetValues { field, entities, values: values.into() }))
    }

    /// Removes an attribute, or clears a field of the protocol.
    pub fn remove(&mut self, field: Field, entities: impl Into<Entities>) -> &mut Self {
        let entities = entities.into().into_words();
        self.edit(wit::Edit::Remove(wit::Remove { field, entities }))
    }

    /// Renames an attribute; one that already has the new key is replaced.
    pub fn rename(
        &mut self,
        level: Level,
        from: impl Into<String>,
        to: impl Into<String>,
        entities: impl Into<Entities>,
    ) -> &mut Self {
        let (from, to, entities) = (from.into(), to.into(), entities.into().into_words());
        self.edit(wit::Edit::Rename(wit::Rename { level, from, to, entities }))
    }

    /// Replaces byte ranges of texts in the attribute table. The ranges of an entry ascend and do not overlap.
    pub fn mask(
        &mut self,
        entries: Vec<u32>,
        starts: Vec<u32>,
        ends: Vec<u32>,
        replacement: impl Into<String>,
    ) -> &mut Self {
        self.edit(wit::Edit::Mask(wit::Mask { entries, starts, ends, replacement: replacement.into() }))
    }

    /// Replaces everything that a pattern found in the attribute table.
    pub fn mask_matches(&mut self, matches: Matches, replacement: impl Into<String>) -> &mut Self {
        self.mask(matches.entries, matches.starts, matches.ends, replacement)
    }

    /// Replaces byte ranges of texts in a column that was asked for as text or as a dictionary.
    pub fn mask_field(
        &mut self,
        field: Field,
        entities: Vec<u32>,
        starts: Vec<u32>,
        ends: Vec<u32>,
        replacement: impl Into<String>,
    ) -> &mut Self {
        let replacement = replacement.into();
        self.edit(wit::Edit::MaskField(wit::MaskField { field, entities, starts, ends, replacement }))
    }

    /// Replaces the values of entries of the attribute table with texts.
    pub fn replace_entries(&mut self, entries: Vec<u32>, texts: Texts) -> &mut Self {
        self.edit(wit::Edit::ReplaceEntries(wit::ReplaceEntries { entries, texts }))
    }

    /// Removes entries of the attribute table.
    pub fn remove_entries(&mut self, entries: Vec<u32>) -> &mut Self {
        self.edit(wit::Edit::RemoveEntries(entries))
    }

    /// Says whose rows they are: for each row the position of its tenant in `tenants`.
    pub fn partition(&mut self, tenants: Vec<String>, codes: Vec<u32>) -> &mut Self {
        self.inner.partition = Some(wit::Partition { tenants, codes });
        self
    }

    /// Says that all rows are those of one tenant.
    pub fn belongs_to(&mut self, tenant: impl Into<String>) -> &mut Self {
        self.partition(vec![tenant.into()], Vec::new())
    }

    /// Puts another request, as OTLP protobuf, in the place of the whole batch. Needs `Writes::Everything`.
    pub fn replace_all(&mut self, request: Vec<u8>) -> &mut Self {
        self.inner.replacement = Some(request);
        self
    }

    /// Keeps rows by the words of a bitmap as they are; for tests that break the contract.
    #[doc(hidden)]
    pub fn force_keep(&mut self, words: Vec<u64>) -> &mut Self {
        self.inner.keep = Some(words);
        self
    }

    /// Whether nothing was asked for.
    pub fn is_unchanged(&self) -> bool {
        self.inner == Self::unchanged().inner
    }

    /// The answer to a batch of so many rows, as the contract has it, where bitmaps have no length.
    ///
    /// # Errors
    /// If `keep` was about another number of rows.
    pub(crate) fn into_wit(self, rows: usize) -> Result<wit::Outcome, String> {
        match self.kept_of.filter(|bits| *bits != rows) {
            Some(bits) => Err(format!("keep has {bits} bits, the batch has {rows} rows")),
            None => Ok(self.inner),
        }
    }

    fn edit(&mut self, edit: wit::Edit) -> &mut Self {
        self.inner.edits.push(edit);
        self
    }
}

impl Default for Outcome {
    fn default() -> Self {
        Self::unchanged()
    }
}

impl Entities {
    fn into_words(self) -> Option<Vec<u64>> {
        match self {
            Self::All => None,
            Self::Some(bitmap) => Some(bitmap.into_words()),
        }
    }
}

impl From<Bitmap> for Entities {
    fn from(bitmap: Bitmap) -> Self {
        Self::Some(bitmap)
    }
}

impl From<&Bitmap> for Entities {
    fn from(bitmap: &Bitmap) -> Self {
        Self::Some(bitmap.clone())
    }
}

impl Failure {
    /// Something went wrong; the host applies the stage's `on_error` policy.
    pub fn error(message: impl Into<String>) -> Self {
        Self::Error(message.into())
    }

    /// The batch must not be accepted; the sender learns why and does not send it again.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::Refused(message.into())
    }
}

macro_rules! conversions {
    ($target:ident $($source:ty => $variant:ident $convert:expr;)*) => {
        $(
            impl From<$source> for $target {
                fn from(value: $source) -> Self {
                    Self::$variant($convert(value))
                }
            }
        )*
    };
}

conversions! {
    Value
    &str => Text str::to_owned;
    String => Text std::convert::identity;
    i64 => S64 std::convert::identity;
    f64 => F64 std::convert::identity;
    bool => Boolean std::convert::identity;
    Vec<u8> => Bytes std::convert::identity;
}

conversions! {
    Values
    Texts => Text std::convert::identity;
    Vec<i64> => S64 std::convert::identity;
    Vec<f64> => F64 std::convert::identity;
    Vec<bool> => Boolean std::convert::identity;
}
