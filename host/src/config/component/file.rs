//! Exporter `file`: telemetry as OTLP in files.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Check;
use crate::config::error::Findings;
use crate::config::types::Duration;

/// Settings of the exporter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FileConfig {
    /// Where to write. Required. With `group_by` it holds one `*`, which the attribute's value replaces. A file that is
    /// created is for its owner alone (0600).
    pub path: PathBuf,
    /// Appends to a file that exists instead of emptying it at start. Not with `compression`, and not with `rotation`, which
    /// always appends. Default: false.
    pub append: bool,
    /// Starts a new file when the file has grown too large. Default: one file that grows.
    #[schemars(extend("x-empty" = true))]
    pub rotation: Option<RotationConfig>,
    /// `json` writes one request per line; `proto` writes each behind its length in 4 bytes, big-endian.
    /// Default: json.
    pub format: FileFormat,
    /// Compresses each request by itself; they then stand behind their length in 4 bytes. Default: none.
    pub compression: FileCompression,
    /// Accepted as in the collector; each request is written at once.
    #[schemars(extend("x-no-effect" = "each request is written at once"))]
    pub flush_interval: Duration,
    /// Writes a file per value of a resource attribute.
    pub group_by: GroupByConfig,
    /// Creates the directory if it is missing. Default: false.
    pub create_directory: bool,
    /// Its permissions, octal. Default: 0755.
    pub directory_permissions: String,
}

impl Default for FileConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            append: false,
            rotation: None,
            format: FileFormat::Json,
            compression: FileCompression::None,
            flush_interval: Duration::from_secs(1),
            group_by: GroupByConfig::default(),
            create_directory: false,
            directory_permissions: "0755".into(),
        }
    }
}

/// `rotation`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RotationConfig {
    /// Size in megabytes at which a new file is started. Default: 100.
    #[schemars(range(min = 1))]
    pub max_megabytes: u32,
    /// Days after which an old file is deleted. 0, the default, keeps them.
    pub max_days: u32,
    /// How many old files are kept. 0 keeps all. Default: 100.
    pub max_backups: u32,
    /// Local time instead of UTC in the names of old files. Default: false.
    pub localtime: bool,
}

impl Default for RotationConfig {
    fn default() -> Self {
        Self { max_megabytes: 100, max_days: 0, max_backups: 100, localtime: false }
    }
}

/// `group_by`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GroupByConfig {
    /// Whether to group. Default: false.
    pub enabled: bool,
    /// The resource attribute whose value replaces the `*` of the path. Default: fileexporter.path_segment.
    pub resource_attribute: String,
    /// Most files that are open at the same time. Default: 100.
    #[schemars(range(min = 1))]
    pub max_open_files: u32,
}

impl Default for GroupByConfig {
    fn default() -> Self {
        Self { enabled: false, resource_attribute: "fileexporter.path_segment".into(), max_open_files: 100 }
    }
}

/// Formats of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// OTLP/JSON, one request per line.
    #[default]
    Json,
    /// OTLP protobuf, length-prefixed.
    Proto,
}

/// Compressions of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileCompression {
    /// Not at all.
    #[default]
    #[serde(rename = "")]
    None,
    /// Zstandard.
    Zstd,
}

impl FileConfig {
    /// Whether each record is a line; in all other forms it has its length in front.
    pub fn writes_lines(&self) -> bool {
        self.format == FileFormat::Json && self.compression == FileCompression::None
    }

    /// The directory's permissions as a number.
    ///
    /// # Errors
    /// Says what is wrong, if they are not octal.
    pub fn directory_mode(&self) -> Result<u32, String> {
        u32::from_str_radix(&self.directory_permissions, 8)
            .ok()
            .filter(|mode| *mode <= 0o7777)
            .ok_or_else(|| format!("{:?} is not octal; write for example \"0755\"", self.directory_permissions))
    }
}

impl Check for FileConfig {
    fn check(&self, findings: &mut Findings) {
        if self.path.as_os_str().is_empty() {
            findings.error("path", "must be set: the file to write");
        }
        if self.append && self.rotation.is_some() {
            findings.error("append", "can't be used together with rotation");
        }
        if self.append && self.compression != FileCompression::None {
            findings.error("append", "can't be used together with compression");
        }
        if let Err(message) = self.directory_mode() {
            findings.error("directory_permissions", message);
        }
        if self.group_by.enabled {
            self.check_group_by(findings);
        }
    }
}

impl FileConfig {
    fn check_group_by(&self, findings: &mut Findings) {
        let path = self.path.to_string_lossy();
        match path.matches('*').count() {
            1 if path.starts_with('*') => findings.error("path", "must not start with * when group_by is enabled"),
            1 => {}
            0 => findings.error("path", "must contain a * when group_by is enabled"),
            _ => findings.error("path", "must contain only one * when group_by is enabled"),
        }
        if self.group_by.resource_attribute.is_empty() {
            findings.error("group_by::resource_attribute", "must not be empty");
        }
    }
}
