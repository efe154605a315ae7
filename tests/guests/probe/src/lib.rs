//! A plugin that does what its configuration says: what good plugins do, and everything that a host must survive.

mod evil;
mod good;

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_sdk::{
    Batch, ConfigErrors, Descriptor, Dictionary, Failure, Field, Level, OnError, Outcome, Pattern, Setup, Stage,
    TableRequest, Text, Writes,
};

/// What to read, what to declare, and what to do.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The attribute of rows that `act` is about.
    #[serde(default = "key")]
    key: String,
    /// What `act` writes.
    #[serde(default)]
    value: String,
    /// A number that `act` needs.
    #[serde(default)]
    number: u64,
    /// A pattern to search for.
    #[serde(default)]
    pattern: Option<String>,
    /// Which writes to declare.
    #[serde(default)]
    writes: Declared,
    /// Calls are only worth making if a row has this attribute.
    #[serde(default)]
    when: Option<String>,
    /// What to do.
    act: Act,
}

/// Which writes to declare.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Declared {
    /// None.
    Nothing,
    /// The key, at all levels.
    #[default]
    Key,
    /// The key of rows, and bodies.
    KeyAndBody,
    /// All attributes.
    Attributes,
    /// Everything.
    Everything,
}

/// What to do with a batch, or while it is configured.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Act {
    // good
    Nothing,
    DropValue,
    DropEven,
    Set,
    SetOnResources,
    SetRowNumbers,
    Remove,
    MaskPattern,
    Partition,
    Replace,
    CountCalls,
    ReportSeen,
    ReportHeader,
    KeepInStore,
    TakeTokens,
    Count,
    Log,
    RenameEverywhere,
    MaskColumn,
    SetDoubles,
    SetBooleans,
    SetBytes,
    SetOnScopesAndMetrics,
    ReportTime,
    ForgetInStore,
    RememberSetup,
    SlowInConfigure,
    LargeInConfigure,
    Slow,
    CountSetups,
    LogMuch,
    PrintPieces,
    // evil
    SpinInConfigure,
    PanicInConfigure,
    RefuseSilently,
    SpinInSecondConfigure,
    SlowInSecondConfigure,
    Spin,
    Unreachable,
    Panic,
    PanicOnce,
    Overflow,
    Memory,
    RefusedThenTrap,
    RefusedAndPanic,
    Huge,
    HugeTimesRows,
    ManyEdits,
    Fail,
    Refuse,
    ShortKeep,
    LongKeep,
    RowOutOfRange,
    ResourceOutOfRange,
    EntryOutOfRange,
    CutCharacter,
    OverlappingRanges,
    UnevenLists,
    BadOffsets,
    BadUtf8,
    Undeclared,
    UnknownField,
    TenantOutOfRange,
    BadTenant,
    FewTenantCodes,
    UndeclaredReplacement,
    BadReplacement,
    LargerReplacement,
    HugeReplacement,
    ReplacementAndKeep,
    PatternInProcess,
    UnknownPattern,
    BadTableText,
    TooMuchText,
    ReadFile,
    ReadEnvironment,
    Exit,
    Print,
    TooManyPatterns,
    TooManyReads,
}

/// The stage.
#[derive(Debug)]
pub struct Probe {
    config: Config,
    column: Dictionary,
    text: Text,
    resource: Text,
    header: sluice_sdk::Header,
    pattern: Option<Pattern>,
    calls: u64,
}

impl Stage for Probe {
    type Config = Config;
    const DESCRIPTOR: Descriptor = Descriptor::new("probe")
        .aliases(&["probing"])
        .version(env!("CARGO_PKG_VERSION"))
        .description("Does what its configuration says.")
        .on_error(OnError::Pass);

    fn configure(config: Config, setup: &mut Setup) -> Result<Self, ConfigErrors> {
        evil::configure(config.act, setup)?;
        if config.act == Act::CountSetups {
            sluice_sdk::counter::add("setups", 1);
        }
        if config.act == Act::RememberSetup {
            good::remember_setup();
        }
        if config.act == Act::LargeInConfigure {
            good::load(config.number as usize);
        }
        setup.starts();
        let key = config.key.clone();
        let column = setup.dictionary(Field::record(&key));
        let text = setup.text(Field::record(&key));
        let resource = setup.text(Field::resource(&key));
        let header = setup.header("X-Probe");
        if config.pattern.is_some() || matches!(config.act, Act::EntryOutOfRange | Act::BadTableText | Act::TooMuchText)
        {
            setup.table(TableRequest { records: true, bodies: true, ..Default::default() });
        }
        let pattern = config.pattern.as_deref().map(|pattern| setup.regex(pattern)).transpose();
        let pattern = pattern.map_err(|error| ConfigErrors::one("pattern", error))?;
        setup.writes(match config.writes {
            Declared::Nothing => Writes::Nothing,
            Declared::Key => Writes::Fields(
                [Level::Record, Level::Scope, Level::Resource].map(|level| Field::attribute(level, &key)).to_vec(),
            ),
            Declared::KeyAndBody => Writes::Fields(vec![Field::record(&key), Field::record_intrinsic("body")]),
            Declared::Attributes => Writes::AttributesAnd(Vec::new()),
            Declared::Everything => Writes::Everything,
        });
        if matches!(config.act, Act::Replace | Act::LargerReplacement | Act::HugeReplacement | Act::ReplacementAndKeep)
        {
            setup.raw();
        }
        if let Some(when) = &config.when {
            setup.when_attributes([Field::record(when)]);
        }
        Ok(Self { config, column, text, resource, header, pattern, calls: 0 })
    }

    fn process(&mut self, batch: &Batch) -> Result<Outcome, Failure> {
        self.calls += 1;
        match self.good(batch) {
            Some(outcome) => Ok(outcome),
            None => self.evil(batch),
        }
    }
}

fn key() -> String {
    "k".to_owned()
}

sluice_sdk::export!(Probe);
