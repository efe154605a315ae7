//! The files that a `file` exporter has open: one, or some of many.

use std::fs::DirBuilder;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lru::LruCache;

use crate::config::component::{FileConfig, RotationConfig};
use crate::export::rolling_file::{RollingFile, Rotation};

const DAY: Duration = Duration::from_secs(86_400);
const MEGABYTE: u64 = 1 << 20;
const DEFAULT_DIRECTORY_MODE: u32 = 0o755;

pub(super) struct Files {
    path: PathBuf,
    append: bool,
    /// Whether records are lines rather than length-prefixed.
    are_lines: bool,
    rotation: Option<Rotation>,
    directory_mode: Option<u32>,
    open: LruCache<PathBuf, RollingFile>,
}

impl Files {
    /// Opens the file, unless its name depends on what is written.
    pub(super) fn new(config: &FileConfig) -> io::Result<Self> {
        let grouped = config.group_by.enabled;
        let max_open_files = if grouped { config.group_by.max_open_files as usize } else { 1 };
        let mode = config.directory_mode().unwrap_or(DEFAULT_DIRECTORY_MODE);
        let mut files = Self {
            path: config.path.clone(),
            // A file that was closed only to open another one must not be emptied when its turn comes again, nor one that
            // is kept until it is large or old enough, at a restart.
            append: config.append || grouped || config.rotation.is_some(),
            are_lines: config.writes_lines(),
            rotation: config.rotation.as_ref().map(rotation),
            directory_mode: (config.create_directory || grouped).then_some(mode),
            open: LruCache::new(NonZeroUsize::new(max_open_files).unwrap_or(NonZeroUsize::MIN)),
        };
        if !grouped {
            files.file(None)?;
        }
        Ok(files)
    }

    /// The file for a segment; closes the one that was not needed for the longest time if there are too many.
    pub(super) fn file(&mut self, segment: Option<&str>) -> io::Result<&mut RollingFile> {
        let path = match segment {
            None => self.path.clone(),
            Some(segment) => path_of(&self.path, segment),
        };
        if !self.open.contains(&path) {
            self.create_directory(&path)?;
            let open = if self.are_lines { RollingFile::open_lines } else { RollingFile::open };
            let file = open(&path, self.append, self.rotation)?;
            self.open.put(path.clone(), file);
        }
        self.open.get_mut(&path).ok_or_else(|| io::Error::other("no file is open"))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        match (self.directory_mode, path.parent()) {
            (Some(mode), Some(directory)) => DirBuilder::new().recursive(true).mode(mode).create(directory),
            _ => Ok(()),
        }
    }
}

fn rotation(config: &RotationConfig) -> Rotation {
    Rotation {
        max_bytes: u64::from(config.max_megabytes) * MEGABYTE,
        max_age: DAY * config.max_days,
        max_backups: config.max_backups as usize,
        local_time: config.localtime,
    }
}

/// Puts a segment in the place of the `*`. It comes from a peer and must not lead out of the directory.
fn path_of(pattern: &Path, segment: &str) -> PathBuf {
    let pattern = pattern.to_string_lossy();
    let (prefix, suffix) = pattern.split_once('*').unwrap_or((&pattern, ""));
    let harmless = |part: &&str| !matches!(*part, "" | "." | "..");
    let segment: Vec<&str> = segment.split(['/', '\0']).filter(harmless).collect();
    PathBuf::from(format!("{prefix}{}{suffix}", segment.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_segments_in_their_directory() {
        let cases = [
            ("shop", "/data/t-shop.json"),
            ("eu/shop", "/data/t-eu/shop.json"),
            ("../../etc/passwd", "/data/t-etc/passwd.json"),
            ("/etc//./passwd", "/data/t-etc/passwd.json"),
            ("a\0b", "/data/t-a/b.json"),
            ("..", "/data/t-.json"),
            ("", "/data/t-.json"),
        ];
        for (segment, expected) in cases {
            assert_eq!(path_of(Path::new("/data/t-*.json"), segment), Path::new(expected), "{segment:?}");
        }
    }
}
