//! A plugin: a component that was checked, compiled, and asked what it is.

use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};

use super::bindings::PluginPre;
use super::bindings::sluice::plugin::types;
use super::code_cache::Digest;
use super::descriptor_section;
use super::edition::Edition;
use super::engine::{CompileError, Engine};
use super::guest::{self, Guest};
use super::instance::{CallError, Instance};
use super::limits::StageLimits;
use super::outline;
use super::shared::Shared;
use super::wasi;
use crate::model::Signal;

/// The contract's package and its version here.
const PACKAGE: &str = "sluice:plugin";
const VERSION: &str = "0.1.0";
/// The interfaces of the contract that a plugin may import; `types` has no function.
const INTERFACES: [&str; 7] = ["types", "log", "counter", "clock", "key-value", "token-bucket", "regex"];
const EXPORTS: [&str; 3] = ["describe", "configure", "process"];
/// Bytes of a descriptor's texts, except for the schema.
const MAX_DESCRIPTOR_TEXT: usize = 1_024;
const MAX_SCHEMA: usize = 1 << 20;
/// Keys of a stage that the host takes for itself, as `config/plugin_block.rs` has them.
const HOST_KEYS: [&str; 3] = ["on_error", "limits", "capabilities"];

/// A plugin that can be instantiated.
pub struct Plugin {
    pub(super) engine: Engine,
    pub(super) pre: PluginPre<Guest>,
    digest: Digest,
    origin: Origin,
    size_bytes: u64,
    capabilities: Vec<String>,
    descriptor: Descriptor,
}

/// Where a plugin comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This executable.
    BuiltIn,
    /// A file of the plugin directory.
    File(PathBuf),
}

/// What can be said of a plugin without configuring it.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// What it says about itself.
    pub descriptor: Descriptor,
    /// Whether that was read from the component's section, without running its code.
    pub is_read: bool,
    /// The interfaces of the host that it uses.
    pub capabilities: Vec<String>,
    /// The SHA-256 of the component.
    pub digest: Digest,
    /// The size of the component.
    pub size_bytes: u64,
}

/// What a plugin says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The component type that configurations use.
    pub name: String,
    /// Other component types that mean it.
    pub aliases: Vec<String>,
    /// Its version.
    pub version: String,
    /// One sentence.
    pub description: String,
    /// The signals that it can process.
    pub signals: Vec<Signal>,
    /// How dropped rows are booked.
    pub drops: Drops,
    /// What happens to a batch whose call failed, unless the configuration says otherwise.
    pub on_error: OnError,
    /// The JSON Schema of its configuration.
    pub config_schema: serde_json::Value,
}

impl Descriptor {
    /// Whether it can process a signal.
    ///
    /// # Errors
    /// Says that it can't.
    pub fn takes(&self, signal: Signal) -> Result<(), String> {
        if self.signals.contains(&signal) {
            return Ok(());
        }
        let taken: Vec<&str> = self.signals.iter().map(|signal| signal.name()).collect();
        Err(format!("stage {:?} can't process {}; it takes {}", self.name, signal.name(), taken.join(" and ")))
    }
}

/// What it means when a plugin drops a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Drops {
    /// The row was not wanted.
    Filtered,
    /// The row was not among those that stand for all.
    Sampled,
}

/// What happens to a batch whose call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// It goes on as if the stage were not there.
    Pass,
    /// It is dropped, and booked as such.
    Drop,
    /// It is not accepted; the sender may try again later.
    Reject,
}

impl OnError {
    /// The word in configurations and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Drop => "drop",
            Self::Reject => "reject",
        }
    }
}

/// Bytes are not accepted as a plugin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The file is too large.
    #[error("it has {size_bytes} bytes, the limit (limits::binary) is {limit_mib}MiB")]
    TooLarge {
        /// Its size.
        size_bytes: u64,
        /// The most that any stage may have.
        limit_mib: u32,
    },
    /// There is no such file, or it is not to be read.
    #[error("it can't be read: {0}")]
    Unreadable(String),
    /// It is no component, or half of one.
    #[error("it is no valid WebAssembly component: {0}")]
    Invalid(String),
    /// It consists of more core instances, memories or tables than one plugin can have.
    #[error("it has more parts than the host has room for: {0}")]
    TooManyParts(String),
    /// One of its functions would take the compiler too much memory.
    #[error(
        "its function {function} has {size_bytes} bytes and {values} locals and operands, which takes too much memory to \
         compile; the product may be about {}",
        outline::MAX_FUNCTION
    )]
    TooComplex {
        /// Its number in its core module.
        function: u32,
        /// Bytes of its body.
        size_bytes: usize,
        /// Parameters, locals and the most operands at a time.
        values: u32,
    },
    /// It wants something that no plugin can have.
    #[error("it imports {0}, which no plugin can use")]
    ForbiddenImport(String),
    /// It was made for another version of the contract.
    #[error("it imports {0}, but this host offers {PACKAGE}@{VERSION}")]
    OtherVersion(String),
    /// It is a component, but no plugin.
    #[error("it exports no function {0}, so it is no Sluice plugin")]
    MissingExport(&'static str),
    /// Imports or exports have other types than the contract's.
    #[error("it does not fit the contract {PACKAGE}@{VERSION}: {0}")]
    Misfit(String),
    /// It could not say what it is.
    #[error("describe failed: {0}")]
    Describe(CallError),
    /// What it says about itself makes no sense.
    #[error("its descriptor is not valid: {0}")]
    Descriptor(String),
}

impl Plugin {
    /// Checks and compiles a component.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub(super) fn load(engine: &Engine, bytes: &[u8], digest: Digest, origin: Origin) -> Result<Arc<Self>, LoadError> {
        let component = engine.compile(bytes, &digest, || outline::check(bytes))?;
        let plugin = Self::from_component(engine, &component, digest, origin, bytes.len() as u64)?;
        match descriptor_section::read(bytes).map_err(LoadError::Descriptor)? {
            Some(written) if written != plugin.descriptor => {
                let name = descriptor_section::NAME;
                let message =
                    format!("its section {name} says otherwise than the plugin; `sluice plugin pack` renews it");
                Err(LoadError::Descriptor(message))
            }
            _ => Ok(plugin),
        }
    }

    /// Looks at a component; runs its code only if it has no section with its descriptor.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub(super) fn inspect(engine: &Engine, bytes: &[u8]) -> Result<Inspection, LoadError> {
        let digest = Digest::of(bytes);
        let size_bytes = bytes.len() as u64;
        let Some(descriptor) = descriptor_section::read(bytes).map_err(LoadError::Descriptor)? else {
            let plugin = Self::load(engine, bytes, digest, Origin::BuiltIn)?;
            let (descriptor, capabilities) = (plugin.descriptor.clone(), plugin.capabilities.clone());
            return Ok(Inspection { descriptor, is_read: false, capabilities, digest, size_bytes });
        };
        let capabilities = check(&engine.compile(bytes, &digest, || outline::check(bytes))?)?;
        Ok(Inspection { descriptor, is_read: true, capabilities, digest, size_bytes })
    }

    /// A component with its descriptor in a section.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub(super) fn pack(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
        let bare = descriptor_section::without(bytes);
        let plugin = Self::load(engine, &bare, Digest::of(&bare), Origin::BuiltIn)?;
        Ok(descriptor_section::write(&bare, &plugin.descriptor))
    }

    /// Makes a plugin of a component that is compiled.
    pub(super) fn from_component(
        engine: &Engine,
        component: &Component,
        digest: Digest,
        origin: Origin,
        size_bytes: u64,
    ) -> Result<Arc<Self>, LoadError> {
        let capabilities = check(component)?;
        let misfit = |error: wasmtime::Error| LoadError::Misfit(format!("{error:#}"));
        let mut linker = Linker::new(engine.wasmtime());
        guest::add_to_linker(&mut linker).map_err(misfit)?;
        wasi::link(&mut linker, component).map_err(misfit)?;
        let pre = linker.instantiate_pre(component).and_then(PluginPre::new).map_err(misfit)?;
        let descriptor = describe(engine, &pre)?;
        let engine = engine.clone();
        Ok(Arc::new(Self { engine, pre, digest, origin, size_bytes, capabilities, descriptor }))
    }

    /// The same plugin, as that of another file with the same content.
    pub(super) fn of_origin(self: Arc<Self>, origin: Origin) -> Arc<Self> {
        if self.origin == origin {
            return self;
        }
        let Self { engine, pre, digest, size_bytes, capabilities, descriptor, .. } = &*self;
        let (engine, pre, digest, size_bytes) = (engine.clone(), pre.clone(), *digest, *size_bytes);
        let (capabilities, descriptor) = (capabilities.clone(), descriptor.clone());
        Arc::new(Self { engine, pre, digest, origin, size_bytes, capabilities, descriptor })
    }

    /// What it says about itself.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The SHA-256 of the component.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Where it comes from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The size of the component.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The interfaces of the host that it uses, for example `regex`.
    pub fn capabilities(&self) -> &[String] {
        &self.capabilities
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = &self.descriptor.name;
        f.debug_struct("Plugin").field("name", name).field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl From<CompileError> for LoadError {
    fn from(error: CompileError) -> Self {
        match error {
            CompileError::Invalid(message) => Self::Invalid(message),
            CompileError::TooManyParts(message) => Self::TooManyParts(message),
        }
    }
}

/// Refuses what is no plugin by its imports and exports; says which interfaces are used.
fn check(component: &Component) -> Result<Vec<String>, LoadError> {
    let ty = component.component_type();
    let imports = ty.imports(component.engine());
    let capabilities =
        check_imports(imports.map(|(name, item)| (name, matches!(item.ty, ComponentItem::ComponentFunc(_)))))?;
    check_exports(|name| component.get_export_index(None, name).is_some())?;
    Ok(capabilities)
}

/// Refuses a component without all functions of the contract.
pub(super) fn check_exports(has: impl Fn(&str) -> bool) -> Result<(), LoadError> {
    EXPORTS.into_iter().find(|name| !has(name)).map_or(Ok(()), |missing| Err(LoadError::MissingExport(missing)))
}

/// Refuses whatever is not of the contract and not harmless; says which interfaces are used. With each name comes
/// whether it is that of a function.
pub(super) fn check_imports<'a>(imports: impl Iterator<Item = (&'a str, bool)>) -> Result<Vec<String>, LoadError> {
    let mut used = Vec::new();
    for (name, is_function) in imports {
        let is_panicked = name == "panicked" && is_function;
        if is_panicked || wasi::is_answered(name) {
            continue;
        }
        let forbidden = || LoadError::ForbiddenImport(name.to_owned());
        let (package, interface) = name.split_once('/').ok_or_else(forbidden)?;
        let (interface, version) = interface.split_once('@').unwrap_or((interface, ""));
        if package != PACKAGE {
            return Err(forbidden());
        }
        if !same_track(version, VERSION) {
            return Err(LoadError::OtherVersion(name.to_owned()));
        }
        if !INTERFACES.contains(&interface) {
            return Err(forbidden());
        }
        if interface != "types" {
            used.push(interface.to_owned());
        }
    }
    Ok(used)
}

/// Whether two versions are compatible as components see it: equal up to the first number that is not 0.
fn same_track(a: &str, b: &str) -> bool {
    let track = |version: &str| -> Option<Vec<u64>> {
        let numbers: Vec<u64> = version.split('.').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let end = numbers.iter().position(|number| *number != 0)? + 1;
        Some(numbers[..end].to_vec())
    };
    track(a).is_some() && track(a) == track(b)
}

fn describe(engine: &Engine, pre: &PluginPre<Guest>) -> Result<Descriptor, LoadError> {
    let limits = StageLimits { memory_mib: engine.config().describe_memory_mib, ..StageLimits::default() };
    let edition = Edition::new(Arc::new(Shared::new("describe", &limits, Vec::new())));
    let mut instance = Instance::start(engine, pre, &edition, &limits).map_err(LoadError::Describe)?;
    let described = instance.describe().map_err(LoadError::Describe)?;
    Descriptor::from_guest(described).map_err(LoadError::Descriptor)
}

impl Descriptor {
    /// What a plugin's section holds, and `sluice plugin inspect` shows.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.name,
            "aliases": self.aliases,
            "version": self.version,
            "description": self.description,
            "signals": self.signals.iter().map(|signal| signal.name()).collect::<Vec<_>>(),
            "drops": self.drops,
            "on_error": self.on_error,
            "config_schema": self.config_schema,
        })
    }

    fn from_guest(described: types::Descriptor) -> Result<Self, String> {
        let types::Descriptor { name, aliases, version, description, config_schema, .. } = described;
        if config_schema.len() > MAX_SCHEMA {
            return Err(format!("a schema of {} bytes exceeds {MAX_SCHEMA}", config_schema.len()));
        }
        let config_schema =
            serde_json::from_str(&config_schema).map_err(|error| format!("its schema is no JSON: {error}"))?;
        let signals = described.signals.into_iter().map(signal_from_guest).collect();
        let drops = match described.drops {
            types::Drops::Filtered => Drops::Filtered,
            types::Drops::Sampled => Drops::Sampled,
        };
        let on_error = match described.on_error {
            types::OnError::Pass => OnError::Pass,
            types::OnError::Drop => OnError::Drop,
            types::OnError::Reject => OnError::Reject,
        };
        let descriptor = Self { name, aliases, version, description, signals, drops, on_error, config_schema };
        descriptor.check()?;
        Ok(descriptor)
    }

    /// Says what makes no sense in it.
    pub(super) fn check(&self) -> Result<(), String> {
        for id in std::iter::once(&self.name).chain(&self.aliases) {
            if !is_component_type(id) {
                return Err(format!("{id:?} is no component type (a letter, then letters, digits and underscores)"));
            }
        }
        let is_long = |text: &String| text.len() > MAX_DESCRIPTOR_TEXT;
        if is_long(&self.version) || is_long(&self.description) || self.aliases.len() > 16 {
            return Err("version, description or aliases are too long".into());
        }
        if self.version.contains(char::is_control) {
            return Err("its version has control characters".into());
        }
        if self.signals.is_empty() {
            return Err("it processes no signal".into());
        }
        match HOST_KEYS.into_iter().find(|key| self.config_schema["properties"].get(key).is_some()) {
            Some(key) => {
                Err(format!("its schema has a property {key:?}, a key of the stage that the host itself reads"))
            }
            None => Ok(()),
        }
    }
}

/// The collector's rule for component types.
fn is_component_type(id: &str) -> bool {
    id.len() <= 63
        && id.starts_with(|first: char| first.is_ascii_alphabetic())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn signal_from_guest(signal: types::Signal) -> Signal {
    match signal {
        types::Signal::Traces => Signal::Traces,
        types::Signal::Metrics => Signal::Metrics,
        types::Signal::Logs => Signal::Logs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_schema_with_keys_that_the_host_reads() {
        let descriptor = |key: &str| Descriptor {
            name: "probe".into(),
            aliases: Vec::new(),
            version: "1.0.0".into(),
            description: String::new(),
            signals: vec![Signal::Logs],
            drops: Drops::Filtered,
            on_error: OnError::Pass,
            config_schema: serde_json::json!({ "properties": { "rate": true, key: true } }),
        };
        assert_eq!(descriptor("limit").check(), Ok(()));
        for key in HOST_KEYS {
            let expected = format!("its schema has a property {key:?}, a key of the stage that the host itself reads");
            assert_eq!(descriptor(key).check(), Err(expected));
        }
    }

    #[test]
    fn knows_which_versions_fit() {
        for (version, fits) in
            [("0.1.0", true), ("0.1.7", true), ("0.2.0", false), ("1.1.0", false), ("", false), ("x", false)]
        {
            assert_eq!(same_track(version, VERSION), fits, "{version}");
        }
    }
}
