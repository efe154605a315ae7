//! Compiled code on disk, by the hash of the component and of the engine that compiled it.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

/// What entries begin with; then comes the SHA-256 of the code, then the code.
const MAGIC: &[u8] = b"sluice code 1\n";
const HASH_LEN: usize = 32;
/// Entries that are kept: those of several versions of all plugins that one process runs.
const MAX_ENTRIES: usize = 48;
/// Writing an entry takes no longer: what is still temporary then is of a process that ended meanwhile.
const MAX_WRITE_SECS: i64 = 600;

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
    /// What messages call it; what stands at its path may change meanwhile.
    path: PathBuf,
    directory: OwnedFd,
    engine: u64,
}

impl CodeCache {
    /// Opens the directory, and creates it if need be. A cache that can't be used is no reason not to start.
    pub(super) fn open(path: &Path, engine: &wasmtime::Engine) -> Option<Self> {
        let warn =
            |error: &io::Error| tracing::warn!(directory = %path.display(), %error, "compiled plugins are not cached");
        let directory = prepare(path).inspect_err(warn).ok()?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Some(Self { path: path.to_owned(), directory, engine: hasher.finish() })
    }

    /// The code of a component, if it is there and intact.
    pub(super) fn load(&self, engine: &wasmtime::Engine, digest: &Digest) -> Option<Component> {
        let name = self.name(digest);
        let path = self.path.join(&name);
        let entry = match self.read(&name) {
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
        // SAFETY: only this user can write to the directory and to the entry (`prepare` and `read` check it), the checksum
        // shows that it is what was written, and wasmtime checks that version, target and settings are those of this
        // engine.
        let component = unsafe { Component::deserialize(engine, code) };
        let report = |error: &wasmtime::Error| {
            tracing::warn!(path = %path.display(), %error, "compiled plugin is of another engine, compiling it again");
        };
        component.inspect_err(report).ok()
    }

    /// Keeps the code of a component.
    pub(super) fn store(&self, component: &Component, digest: &Digest) {
        let name = self.name(digest);
        let code = component.serialize().map_err(|error| io::Error::other(error.to_string()));
        if let Err(error) = code.and_then(|code| self.write_atomically(&name, &code)) {
            tracing::warn!(path = %self.path.join(&name).display(), %error, "compiled plugin is not cached");
        }
        if let Err(error) = self.make_room() {
            tracing::warn!(directory = %self.path.display(), %error, "old compiled plugins are not removed");
        }
    }

    /// Removes the entries of other engines, what was never finished, and the oldest of this engine if there are many.
    fn make_room(&self) -> io::Result<()> {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs().cast_signed();
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let Ok(text) = name.to_str() else { continue };
            let temporary = written_as(text);
            let Some(engine) = engine_of(temporary.unwrap_or(text)) else { continue };
            let Ok(status) = rustix::fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if temporary.is_some() && now - status.st_mtime <= MAX_WRITE_SECS {
                continue;
            }
            let is_ours = temporary.is_none() && engine == self.engine;
            entries.push((is_ours, (status.st_mtime, status.st_mtime_nsec), name.to_owned()));
        }
        // Those that are of no use here come first, then the oldest.
        entries.sort();
        let others = entries.partition_point(|(is_ours, ..)| !is_ours);
        let surplus = others.max(entries.len().saturating_sub(MAX_ENTRIES));
        for (.., name) in entries.into_iter().take(surplus) {
            match rustix::fs::unlinkat(&self.directory, &name, AtFlags::empty()) {
                // Another process was faster.
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let entry = rustix::fs::openat(&self.directory, name, flags, Mode::empty())?;
        check_owner(&entry, "chmod 600 it")?;
        let mut content = Vec::new();
        File::from(entry).read_to_end(&mut content)?;
        Ok(content)
    }

    /// A reader sees the whole entry or none, whenever the process ends.
    fn write_atomically(&self, name: &str, code: &[u8]) -> io::Result<()> {
        // In a container every process has the same number.
        let temporary = format!("{name}.{:016x}.tmp", rand::random::<u64>());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&self.directory, &temporary, flags, Mode::RUSR | Mode::WUSR)?);
        let mut write = || {
            file.write_all(MAGIC)?;
            file.write_all(&Sha256::digest(code))?;
            file.write_all(code)?;
            Ok(rustix::fs::renameat(&self.directory, &temporary, &self.directory, name)?)
        };
        write().inspect_err(|_: &io::Error| {
            let _ = rustix::fs::unlinkat(&self.directory, &temporary, AtFlags::empty());
        })
    }

    fn name(&self, digest: &Digest) -> String {
        format!("{digest}-{:016x}.cwasm", self.engine)
    }
}

/// The engine whose code is in an entry with this name; none if it is no entry.
fn engine_of(name: &str) -> Option<u64> {
    let (digest, engine) = name.strip_suffix(".cwasm")?.split_once('-')?;
    let is_hex = |text: &str, len: usize| text.len() == len && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex(digest, 2 * HASH_LEN) && is_hex(engine, 16) { u64::from_str_radix(engine, 16).ok() } else { None }
}

/// The entry that a temporary file was to become; none if it is no such file.
fn written_as(name: &str) -> Option<&str> {
    name.strip_suffix(".tmp")?.rsplit_once('.').map(|(entry, _)| entry)
}

/// Creates a directory if there is none, and opens it. What is opened is what is checked, whoever moves what lies around.
fn prepare(path: &Path) -> io::Result<OwnedFd> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let directory = rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    check_owner(&directory, "chmod 700 it")?;
    Ok(directory)
}

/// Refuses what somebody else may have written, or may write. What is root's is as good as ours.
fn check_owner(opened: &OwnedFd, fix: &str) -> io::Result<()> {
    let status = rustix::fs::fstat(opened)?;
    if Mode::from_raw_mode(status.st_mode).intersects(Mode::WGRP | Mode::WOTH) {
        return Err(io::Error::other(format!("others may write to it, {fix}")));
    }
    if status.st_uid != 0 && status.st_uid != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it does not belong to the user of this process"));
    }
    Ok(())
}

fn intact(entry: &[u8]) -> Option<&[u8]> {
    let (hash, code) = entry.strip_prefix(MAGIC)?.split_at_checked(HASH_LEN)?;
    (Sha256::digest(code).as_slice() == hash).then_some(code)
}
