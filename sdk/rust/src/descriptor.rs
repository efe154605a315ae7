//! What a plugin says about itself before it is configured.

use crate::bindings::sluice::plugin::types as wit;
pub use wit::{Drops, OnError, Signal};

/// What a plugin is. Built in a constant: `Descriptor::new("filter").version("1.0.0").signals(&[Signal::Traces])`.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// The component type that configurations use. For a file in `plugins::directory` that is the file's name.
    pub name: &'static str,
    /// Other component types that mean this plugin; only for those that are built into the host.
    pub aliases: &'static [&'static str],
    /// Its version, as in semantic versioning.
    pub version: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// The signals that it can process.
    pub signals: &'static [Signal],
    /// How dropped rows are booked in the ledger.
    pub drops: Drops,
    /// What happens to a batch whose call failed, unless the configuration says otherwise.
    pub on_error: OnError,
}

impl Descriptor {
    /// Describes a plugin for all three signals that filters and lets a batch pass when it fails.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            version: "0.1.0",
            description: "",
            signals: &[Signal::Traces, Signal::Metrics, Signal::Logs],
            drops: Drops::Filtered,
            on_error: OnError::Pass,
        }
    }

    /// Other component types that mean this plugin; only for those that are built into the host.
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The version, mostly `env!("CARGO_PKG_VERSION")`.
    pub const fn version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    /// One sentence that says what it does.
    pub const fn description(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    /// The signals that it can process.
    pub const fn signals(mut self, signals: &'static [Signal]) -> Self {
        self.signals = signals;
        self
    }

    /// How dropped rows are booked in the ledger.
    pub const fn drops(mut self, drops: Drops) -> Self {
        self.drops = drops;
        self
    }

    /// What happens to a batch whose call failed, unless the configuration says otherwise.
    pub const fn on_error(mut self, on_error: OnError) -> Self {
        self.on_error = on_error;
        self
    }

    #[cfg(target_family = "wasm")]
    pub(crate) fn to_wit(self, config_schema: String) -> wit::Descriptor {
        wit::Descriptor {
            name: self.name.into(),
            aliases: self.aliases.iter().map(|alias| (*alias).into()).collect(),
            version: self.version.into(),
            description: self.description.into(),
            signals: self.signals.to_vec(),
            drops: self.drops,
            on_error: self.on_error,
            config_schema,
        }
    }
}
