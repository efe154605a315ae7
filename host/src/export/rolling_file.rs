//! A file that is set aside under a dated name when it has grown too large, and whose oldest backups go.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const BACKUP_TIME: &str = "%Y-%m-%dT%H-%M-%S.%3f";
/// Telemetry may tell who did what; the Collector's file exporter creates its files for their owner alone, too.
const MODE: u32 = 0o600;

/// When a file is set aside, and how long backups stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// A write that would make the file larger than this begins a new one.
    pub max_bytes: u64,
    /// Backups older than this go; zero: none goes for its age.
    pub max_age: Duration,
    /// Beyond so many backups the oldest go; zero: none goes for their number.
    pub max_backups: usize,
    /// Whether backups are named by local time rather than UTC.
    pub local_time: bool,
}

/// An open file that is only written to at its end.
#[derive(Debug)]
pub struct RollingFile {
    path: PathBuf,
    rotation: Option<Rotation>,
    file: File,
    /// Bytes in the file.
    written_bytes: u64,
}

impl RollingFile {
    /// Opens or creates a file; what it holds already stays if `append` says so.
    ///
    /// # Errors
    /// Whatever the operating system says, such as a missing directory.
    pub fn open(path: &Path, append: bool, rotation: Option<Rotation>) -> io::Result<Self> {
        let file = open(path, append, MODE)?;
        let written_bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), rotation, file, written_bytes })
    }

    /// As `open`, for records that are lines: one that was torn when a process was killed is ended first, so that the
    /// next one can be read.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_lines(path: &Path, append: bool, rotation: Option<Rotation>) -> io::Result<Self> {
        let mut opened = Self::open(path, append, rotation)?;
        // A file that can only be written to, such as a pipe, is not looked at.
        let is_torn = |length: u64| length > 0 && last_byte(path, length).is_ok_and(|last| last != b'\n');
        if is_torn(opened.written_bytes) {
            tracing::warn!(path = %path.display(), "the last line of the file was torn, it is ended where it stands");
            opened.append(b"\n")?;
        }
        Ok(opened)
    }

    /// Appends a record, which always stays in one file, and hands it to the operating system; `now` names the backup if
    /// the file is set aside before.
    ///
    /// # Errors
    /// Whatever the operating system says, such as a full disk; then nothing of the record is in the file.
    pub fn write(&mut self, record: &[u8], now: SystemTime) -> io::Result<()> {
        if let Some(rotation) = self.rotation {
            let size = self.written_bytes.saturating_add(record.len() as u64);
            if size > rotation.max_bytes && self.written_bytes > 0 {
                self.rotate(rotation, now)?;
            }
        }
        self.append(record)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        put(&mut self.file, bytes, Write::write)?;
        self.written_bytes += bytes.len() as u64;
        Ok(())
    }

    fn rotate(&mut self, rotation: Rotation, now: SystemTime) -> io::Result<()> {
        // Whoever was let in to the file before is let in to the next one.
        let mode = self.file.metadata()?.permissions().mode() & 0o777;
        match std::fs::rename(&self.path, self.backup_path(rotation, now)) {
            // Somebody else has set it aside.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            renamed => renamed?,
        }
        self.file = open(&self.path, false, mode)?;
        self.written_bytes = 0;
        // A backup that can't be removed must not keep telemetry from being written.
        if let Err(error) = self.prune(rotation, now) {
            tracing::warn!(path = %self.path.display(), %error, "old files can't be removed");
        }
        Ok(())
    }

    /// A free name with the time in it; two rotations within a millisecond must not overwrite each other.
    fn backup_path(&self, rotation: Rotation, now: SystemTime) -> PathBuf {
        let mut time = civil(now, rotation.local_time);
        loop {
            let path = self.path.with_file_name(self.backup_name(&time.strftime(BACKUP_TIME).to_string()));
            if !path.exists() {
                return path;
            }
            time = time.saturating_add(Duration::from_millis(1));
        }
    }

    fn backup_name(&self, time: &str) -> OsString {
        let mut name = self.path.file_stem().unwrap_or_default().to_owned();
        name.push("-");
        name.push(time);
        if let Some(extension) = self.path.extension() {
            name.push(".");
            name.push(extension);
        }
        name
    }

    fn prune(&self, rotation: Rotation, now: SystemTime) -> io::Result<()> {
        let mut backups = self.backups()?;
        backups.sort_by(|a, b| b.cmp(a));
        let oldest = (!rotation.max_age.is_zero())
            .then(|| civil(now.checked_sub(rotation.max_age).unwrap_or(SystemTime::UNIX_EPOCH), rotation.local_time));
        for (index, (time, path)) in backups.into_iter().enumerate() {
            let too_many = rotation.max_backups > 0 && index >= rotation.max_backups;
            if too_many || oldest.is_some_and(|oldest| time < oldest) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// The backups of this file and the times in their names.
    fn backups(&self) -> io::Result<Vec<(DateTime, PathBuf)>> {
        let directory = match self.path.parent() {
            Some(directory) if !directory.as_os_str().is_empty() => directory,
            _ => Path::new("."),
        };
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let suffix = self.path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
        let mut backups = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let time = name.strip_prefix(&*stem).and_then(|rest| rest.strip_prefix('-'));
            let time = time.and_then(|rest| rest.strip_suffix(suffix.as_str()));
            if let Some(Ok(time)) = time.map(|time| DateTime::strptime("%Y-%m-%dT%H-%M-%S%.3f", time)) {
                backups.push((time, entry.path()));
            }
        }
        Ok(backups)
    }
}

/// Writes all of this to the end of a file, or nothing.
fn put(file: &mut File, bytes: &[u8], mut write: impl FnMut(&mut File, &[u8]) -> io::Result<usize>) -> io::Result<()> {
    let mut rest = bytes;
    let error = loop {
        if rest.is_empty() {
            return Ok(());
        }
        match write(file, rest) {
            Ok(0) => break ErrorKind::WriteZero.into(),
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => break error,
        }
    };
    let torn = (bytes.len() - rest.len()) as u64;
    if torn > 0 {
        // Half a record would make those behind it unreadable. A pipe can't be cut back; the first error says why it ends.
        let _ = cut_back(file, torn);
    }
    Err(error)
}

fn cut_back(file: &mut File, bytes: u64) -> io::Result<u64> {
    let length = file.metadata()?.len().saturating_sub(bytes);
    file.set_len(length)?;
    file.seek(SeekFrom::Start(length))
}

fn last_byte(path: &Path, length: u64) -> io::Result<u8> {
    let mut byte = [0];
    File::open(path)?.read_exact_at(&mut byte, length.saturating_sub(1))?;
    Ok(byte[0])
}

/// `mode` is for a file that is created; one that exists keeps its own.
fn open(path: &Path, append: bool, mode: u32) -> io::Result<File> {
    // Without truncation on rotation a file that another process put there in between would be mixed up with ours.
    OpenOptions::new().create(true).mode(mode).append(append).write(true).truncate(!append).open(path)
}

fn civil(time: SystemTime, local: bool) -> DateTime {
    let zone = if local { TimeZone::system() } else { TimeZone::UTC };
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone).datetime()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn rotation() -> Rotation {
        Rotation { max_bytes: 10, max_age: Duration::ZERO, max_backups: 0, local_time: false }
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).expect("directory");
        let mut names: Vec<_> = entries.map(|e| e.expect("entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn sets_a_file_aside_before_the_byte_that_is_too_many() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("data.json");
        let mut file = RollingFile::open(&path, false, Some(rotation())).expect("file");
        for record in ["12345", "6789\n", "x"] {
            file.write(record.as_bytes(), at(1_663_131_734)).expect("written");
        }
        assert_eq!(names(directory.path()), ["data-2022-09-14T05-02-14.000.json", "data.json"]);
        assert_eq!(std::fs::read_to_string(path).expect("file"), "x");
    }

    #[test]
    fn never_splits_or_refuses_a_record_that_is_larger_than_a_file() {
        let directory = tempfile::tempdir().expect("directory");
        let mut file = RollingFile::open(&directory.path().join("d"), false, Some(rotation())).expect("file");
        file.write(&[b'x'; 11], at(0)).expect("written");
        file.write(&[b'y'; 11], at(0)).expect("written");
        assert_eq!(names(directory.path()), ["d", "d-1970-01-01T00-00-00.000"]);
    }

    #[test]
    fn keeps_so_many_backups_and_no_older_ones() {
        let limits = [(2, Duration::ZERO, 2), (0, 3 * DAY, 4), (2, 3 * DAY, 2), (0, Duration::ZERO, 5)];
        for (max_backups, max_age, expected) in limits {
            let directory = tempfile::tempdir().expect("directory");
            std::fs::write(directory.path().join("data-notes.json"), "not ours").expect("written");
            let rotation = Rotation { max_backups, max_age, ..rotation() };
            let mut file = RollingFile::open(&directory.path().join("data.json"), false, Some(rotation)).expect("file");
            for day in 0..6 {
                file.write(&[b'x'; 10], at(0) + day * DAY).expect("written");
            }
            // Besides the backups: the file itself and the one that only looks alike.
            assert_eq!(names(directory.path()).len(), expected + 2, "{max_backups} backups, {max_age:?}");
        }
    }

    #[test]
    fn leaves_nothing_of_what_could_not_be_written_as_a_whole() {
        let directory = tempfile::tempdir().expect("directory");
        for append in [true, false] {
            let path = directory.path().join("data.json");
            let mut file = RollingFile::open(&path, append, None).expect("file");
            file.write(b"whole\n", at(0)).expect("written");
            let mut room = 3;
            let fills_up = |file: &mut File, bytes: &[u8]| {
                let fits = bytes.len().min(std::mem::take(&mut room));
                if fits == 0 { Err(ErrorKind::StorageFull.into()) } else { file.write(&bytes[..fits]) }
            };
            let error = put(&mut file.file, b"torn off", fills_up).expect_err("a full disk");
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            file.write(b"again\n", at(0)).expect("written");
            assert_eq!(std::fs::read_to_string(&path).expect("file"), "whole\nagain\n");
            std::fs::remove_file(&path).expect("removed");
        }
    }

    #[test]
    fn goes_on_in_a_new_file_when_somebody_took_the_old_one_away() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("data.json");
        let mut file = RollingFile::open(&path, false, Some(rotation())).expect("file");
        file.write(b"123456789\n", at(0)).expect("written");
        std::fs::remove_file(&path).expect("removed");
        for _ in 0..2 {
            file.write(b"abcdefghi\n", at(0)).expect("written");
        }
        assert_eq!(std::fs::read_to_string(&path).expect("file"), "abcdefghi\n");
        assert_eq!(names(directory.path()).len(), 2);
    }

    #[test]
    fn gives_every_backup_a_name_of_its_own() {
        let directory = tempfile::tempdir().expect("directory");
        let mut file = RollingFile::open(&directory.path().join("data.json"), false, Some(rotation())).expect("file");
        for _ in 0..4 {
            file.write(&[b'x'; 10], at(0)).expect("written");
        }
        assert_eq!(names(directory.path()).len(), 4);
    }

    #[test]
    fn creates_files_for_their_owner_alone_and_keeps_what_others_were_given() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("data.json");
        let mode = || std::fs::metadata(&path).expect("file").permissions().mode() & 0o777;
        for append in [true, false] {
            RollingFile::open(&path, append, None).expect("file");
            assert_eq!(mode(), 0o600);
            std::fs::remove_file(&path).expect("removed");
        }
        let mut file = RollingFile::open(&path, false, Some(rotation())).expect("file");
        for granted in [0o600, 0o700] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(granted)).expect("granted");
            file.write(&[b'x'; 10], at(0)).expect("written");
            file.write(&[b'x'; 10], at(0)).expect("written");
            assert_eq!(mode(), granted);
        }
    }

    #[test]
    fn keeps_what_a_file_holds_only_if_told_so() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("data.json");
        for (append, expected) in [(true, "oldnew"), (false, "new")] {
            std::fs::write(&path, "old").expect("written");
            let mut file = RollingFile::open(&path, append, None).expect("file");
            file.write(b"new", at(0)).expect("written");
            assert_eq!(std::fs::read_to_string(&path).expect("file"), expected);
        }
    }

    #[test]
    fn ends_a_line_that_was_torn_before_the_next_one() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("data.json");
        for (found, expected) in [("whole\ntor", "whole\ntor\nnew\n"), ("whole\n", "whole\nnew\n"), ("", "new\n")] {
            std::fs::write(&path, found).expect("written");
            let mut file = RollingFile::open_lines(&path, true, None).expect("file");
            file.write(b"new\n", at(0)).expect("written");
            assert_eq!(std::fs::read_to_string(&path).expect("file"), expected);
        }
    }

    #[test]
    fn counts_what_it_found_towards_the_limit() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("data.json");
        std::fs::write(&path, "12345678").expect("written");
        let mut file = RollingFile::open(&path, true, Some(rotation())).expect("file");
        file.write(b"9ab", at(0)).expect("written");
        assert_eq!(names(directory.path()).len(), 2);
    }

    #[test]
    fn says_that_a_directory_is_missing() {
        let error = RollingFile::open(Path::new("/nonexistent/data.json"), true, None).expect_err("no directory");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
