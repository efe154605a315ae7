//! Finds the plugin for a component type: in the plugin directory, else among the built-in ones.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::code_cache::Digest;
use super::component::{Inspection, LoadError, Origin, Plugin};
use super::embedded::EMBEDDED;
use super::engine::Engine;
use super::shared::lock;

/// All plugins that configurations can name. A clone is the same catalog.
#[derive(Clone)]
pub struct Catalog(Arc<Inner>);

struct Inner {
    engine: Engine,
    directory: Option<PathBuf>,
    // Each content is loaded, or refused, once.
    loaded: Mutex<HashMap<Digest, Loaded>>,
    built_in: Mutex<BTreeMap<&'static str, Result<Arc<Plugin>, LoadError>>>,
}

/// What a file's content is.
struct Loaded {
    plugin: Result<Arc<Plugin>, LoadError>,
    /// Whether some file had it since unused contents were forgotten last.
    is_there: bool,
}

/// There is no plugin for a component type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// Nothing has this name.
    #[error("there is no stage {0:?}")]
    Unknown(String),
    /// The file for it is no plugin.
    #[error("{origin} can't be used: {error}")]
    Refused {
        /// Where it is.
        origin: Origin,
        /// The SHA-256 of what stands there, if it can be read.
        digest: Option<Digest>,
        /// Why.
        error: LoadError,
    },
    /// The directory can't be read.
    #[error("plugin directory {directory}: {error}")]
    Directory {
        /// Its path.
        directory: PathBuf,
        /// What the system says.
        error: String,
    },
}

impl CatalogError {
    /// The SHA-256 of what was refused, if there is something that can be read.
    pub(super) fn digest(&self) -> Option<Digest> {
        if let Self::Refused { digest, .. } = self { *digest } else { None }
    }
}

impl Catalog {
    /// Looks in this directory, if there is one, and in the executable.
    pub fn new(engine: Engine, directory: Option<PathBuf>) -> Self {
        Self(Arc::new(Inner { engine, directory, loaded: Mutex::default(), built_in: Mutex::default() }))
    }

    /// The plugin for a component type: the file with this name, else a built-in one with this name or alias. So only
    /// `filter.wasm` replaces the standard stage `filter`, not a copy of it that somebody keeps under another name.
    ///
    /// # Errors
    /// If there is none, or the file that it should be is refused.
    pub fn find(&self, name: &str) -> Result<Arc<Plugin>, CatalogError> {
        if let Some(file) = self.file(name)? {
            return self.load_file(file);
        }
        let built_in = self.find_built_in(name).ok_or_else(|| CatalogError::Unknown(name.to_owned()))?;
        let plugin =
            built_in.map_err(|error| CatalogError::Refused { origin: Origin::BuiltIn, digest: None, error })?;
        // Under an alias, too, the file with the stage's name replaces it.
        match self.file(&plugin.descriptor().name)? {
            Some(file) => self.load_file(file),
            None => Ok(plugin),
        }
    }

    /// What can be said of the plugin in a file, wherever it is.
    ///
    /// # Errors
    /// If the file can't be read or is no plugin.
    pub fn inspect(&self, file: &Path) -> Result<Inspection, LoadError> {
        Plugin::inspect(&self.0.engine, &self.read(file)?)
    }

    /// The plugin in a file, with its descriptor in a section.
    ///
    /// # Errors
    /// If the file can't be read or is no plugin.
    pub fn pack(&self, file: &Path) -> Result<Vec<u8>, LoadError> {
        Plugin::pack(&self.0.engine, &self.read(file)?)
    }

    /// The directory that it looks in.
    pub fn directory(&self) -> Option<&Path> {
        self.0.directory.as_deref()
    }

    /// Forgets what no file has had since the last time, so that a directory that changes for months takes no memory.
    /// What some stage still runs is kept: its file may come back after a bad one.
    pub(super) fn forget_unused(&self) {
        let runs = |plugin: &Result<Arc<Plugin>, LoadError>| plugin.as_ref().is_ok_and(|it| Arc::strong_count(it) > 1);
        lock(&self.0.loaded).retain(|_, loaded| std::mem::take(&mut loaded.is_there) || runs(&loaded.plugin));
    }

    /// The standard stage with this name or alias, if there is one.
    fn find_built_in(&self, name: &str) -> Option<Result<Arc<Plugin>, LoadError>> {
        // Only a name that no built-in plugin has makes it worth loading all of them for their aliases.
        let alias = || {
            EMBEDDED.iter().find_map(|embedded| {
                let loaded = self.built_in(embedded.name)?;
                loaded.as_ref().is_ok_and(|plugin| answers_to(plugin, name)).then_some(loaded)
            })
        };
        self.built_in(name).or_else(alias)
    }

    fn built_in(&self, name: &str) -> Option<Result<Arc<Plugin>, LoadError>> {
        let embedded = EMBEDDED.iter().find(|embedded| embedded.name == name)?;
        let mut loaded = lock(&self.0.built_in);
        Some(loaded.entry(embedded.name).or_insert_with(|| embedded.load(&self.0.engine)).clone())
    }

    fn load_file(&self, path: PathBuf) -> Result<Arc<Plugin>, CatalogError> {
        let read = self.read(&path);
        let digest = read.as_ref().ok().map(|bytes| Digest::of(bytes));
        let origin = Origin::File(path);
        let loaded = read.and_then(|bytes| self.load(&bytes, origin.clone()));
        loaded.map_err(|error| CatalogError::Refused { origin, digest, error })
    }

    fn load(&self, bytes: &[u8], origin: Origin) -> Result<Arc<Plugin>, LoadError> {
        let digest = Digest::of(bytes);
        if let Some(loaded) = lock(&self.0.loaded).get_mut(&digest) {
            loaded.is_there = true;
            return loaded.plugin.clone().map(|plugin| plugin.of_origin(origin));
        }
        let plugin = Plugin::load(&self.0.engine, bytes, digest, origin);
        lock(&self.0.loaded).insert(digest, Loaded { plugin: plugin.clone(), is_there: true });
        plugin
    }

    /// Reads a file unless it is too large for any stage: some are there at every look and never used.
    fn read(&self, path: &Path) -> Result<Vec<u8>, LoadError> {
        let failed = |error: io::Error| LoadError::Unreadable(error.to_string());
        let limit_mib = self.0.engine.config().max_component_mib;
        let limit_bytes = u64::from(limit_mib) << 20;
        let check = |size_bytes: u64| match size_bytes > limit_bytes {
            true => Err(LoadError::TooLarge { size_bytes, limit_mib }),
            false => Ok(()),
        };
        let file = fs::File::open(path).map_err(failed)?;
        check(file.metadata().map_err(failed)?.len())?;
        let mut bytes = Vec::new();
        // It may grow meanwhile, and a pipe has no length.
        file.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(failed)?;
        check(bytes.len() as u64)?;
        Ok(bytes)
    }

    /// The file with a stage's name, if the directory has one. Only an entry that is surely none counts as none: one that
    /// can't be looked at, or a link that leads nowhere, is refused when it is read, since a standard stage in its place
    /// would not do what whoever put it there wanted.
    fn file(&self, name: &str) -> Result<Option<PathBuf>, CatalogError> {
        let Some(directory) = &self.0.directory else { return Ok(None) };
        let path = directory.join(format!("{name}.wasm"));
        let is_missing = path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        if is_missing {
            // So is every file of a directory that is not there.
            let failed =
                |error: io::Error| CatalogError::Directory { directory: directory.clone(), error: error.to_string() };
            return directory.metadata().map(|_| None).map_err(failed);
        }
        let is_no_file = path.metadata().is_ok_and(|metadata| !metadata.is_file());
        Ok((!is_no_file).then_some(path))
    }
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").field("directory", &self.0.directory).finish_non_exhaustive()
    }
}

fn answers_to(plugin: &Plugin, name: &str) -> bool {
    let descriptor = plugin.descriptor();
    descriptor.name == name || descriptor.aliases.iter().any(|alias| alias == name)
}
