//! Compiled code on disk, by the hash of the component and of the engine that compiled it.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

/// What entries begin with; then comes the SHA-256 of the code, then the code.
const MAGIC: &[u8] = b"sluice code 1\n";
const HASH_LEN: usize = 32;
/// Entries that are kept: those of several versions of all plugins that one process runs.
const MAX_ENTRIES: usize = 48;

/// The SHA-256 of a component.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; HASH_LEN]);

impl Digest {
    /// Hashes a component.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sha256:{self}")
    }
}

/// A directory of compiled code. Whoever can write to it can run code in this process, so it must be ours alone.
#[derive(Debug)]
pub(super) struct CodeCache {
    directory: PathBuf,
    engine: u64,
}

impl CodeCache {
    /// Opens the directory, and creates it if need be. A cache that can't be used is no reason not to start.
    pub(super) fn open(directory: &Path, engine: &wasmtime::Engine) -> Option<Self> {
        if let Err(error) = prepare(directory) {
            tracing::warn!(directory = %directory.display(), %error, "compiled plugins are not cached");
            return None;
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Some(Self { directory: directory.to_owned(), engine: hasher.finish() })
    }

    /// The code of a component, if it is there and intact.
    pub(super) fn load(&self, engine: &wasmtime::Engine, digest: &Digest) -> Option<Component> {
        let path = self.path(digest);
        let entry = match fs::read(&path) {
            Ok(entry) => entry,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "compiled plugin can't be read, compiling it again");
                return None;
            }
        };
        let Some(code) = intact(&entry) else {
            tracing::warn!(path = %path.display(), "compiled plugin is damaged, compiling it again");
            return None;
        };
        // SAFETY: only this user can write to the directory (`prepare` checks it), the checksum shows that it is what
        // was written, and wasmtime checks that version, target and settings are those of this engine.
        let component = unsafe { Component::deserialize(engine, code) };
        let report = |error: &wasmtime::Error| {
            tracing::warn!(path = %path.display(), %error, "compiled plugin is of another engine, compiling it again");
        };
        component.inspect_err(report).ok()
    }

    /// Keeps the code of a component.
    pub(super) fn store(&self, component: &Component, digest: &Digest) {
        let path = self.path(digest);
        let code = component.serialize().map_err(|error| io::Error::other(error.to_string()));
        if let Err(error) = code.and_then(|code| write_atomically(&path, &code)) {
            tracing::warn!(path = %path.display(), %error, "compiled plugin is not cached");
        }
        if let Err(error) = self.make_room() {
            tracing::warn!(directory = %self.directory.display(), %error, "old compiled plugins are not removed");
        }
    }

    /// Removes the entries of other engines, and the oldest of this one if there are many.
    fn make_room(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let Some(engine) = entry.file_name().to_str().and_then(engine_of) else { continue };
            let modified = entry.metadata().and_then(|entry| entry.modified());
            entries.extend(modified.ok().map(|modified| (engine == self.engine, modified, entry.path())));
        }
        // Those of others come first, then the oldest.
        entries.sort();
        let others = entries.partition_point(|(is_ours, ..)| !is_ours);
        let surplus = others.max(entries.len().saturating_sub(MAX_ENTRIES));
        entries.into_iter().take(surplus).try_for_each(|(.., path)| remove(&path))
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(format!("{digest}-{:016x}.cwasm", self.engine))
    }
}

/// Removes an entry, unless another process was faster.
fn remove(entry: &Path) -> io::Result<()> {
    match fs::remove_file(entry) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The engine whose code is in an entry with this name; none if it is no entry.
fn engine_of(name: &str) -> Option<u64> {
    let (digest, engine) = name.strip_suffix(".cwasm")?.split_once('-')?;
    let is_hex = |text: &str, len: usize| text.len() == len && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex(digest, 2 * HASH_LEN) && is_hex(engine, 16) { u64::from_str_radix(engine, 16).ok() } else { None }
}

fn prepare(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let metadata = fs::metadata(directory)?;
    if metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other("others may write to the directory, chmod 700 it"));
    }
    // A directory that somebody else owns could get other entries at any time; root's is as good as ours.
    let is_ours = |process: fs::Metadata| metadata.uid() == process.uid();
    if metadata.uid() != 0 && !fs::metadata("/proc/self").is_ok_and(is_ours) {
        return Err(io::Error::other("the directory does not belong to the user of this process, as /proc tells it"));
    }
    Ok(())
}

fn intact(entry: &[u8]) -> Option<&[u8]> {
    let (hash, code) = entry.strip_prefix(MAGIC)?.split_at_checked(HASH_LEN)?;
    (Sha256::digest(code).as_slice() == hash).then_some(code)
}

/// A reader sees the whole entry or none, whenever the process ends.
fn write_atomically(path: &Path, code: &[u8]) -> io::Result<()> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let temporary = path.with_extension(format!("{}-{}.tmp", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(MAGIC)?;
        file.write_all(&Sha256::digest(code))?;
        file.write_all(code)?;
        fs::rename(&temporary, path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&temporary)))
}
