//! `plugins:` — where components lie, what they may use, and how they are replaced; and what is said of one stage.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::component::Check;
use super::error::Findings;
use super::types::{ByteSize, Duration};

/// `plugins`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PluginsConfig {
    /// Directory with the components: the processor type `x` runs `x.wasm`. The standard stages (filter, redaction,
    /// tenant_label, sampler) are found without it; a file of that name here replaces them. Default: none.
    pub directory: Option<PathBuf>,
    /// Directory for compiled code, which makes starts and reloads faster. It must not be writable by others.
    /// Default: none; components are compiled at every start.
    pub cache_directory: Option<PathBuf>,
    /// Replaces a stage when its file changes. Default: true.
    pub watch: bool,
    /// How long a changed file must be quiet before it is read. Default: 100ms.
    pub settle: Duration,
    /// Limits of every stage; a processor's own `limits` replace them one by one.
    pub limits: StageLimits,
}

impl Default for PluginsConfig {
    fn default() -> Self {
        Self {
            directory: None,
            cache_directory: None,
            watch: true,
            settle: Duration::from_millis(100),
            limits: StageLimits::default(),
        }
    }
}

/// What one stage may use at most. Sizes are whole MiB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StageLimits {
    /// Linear memory of one instance. Default: 64MiB.
    pub memory: ByteSize,
    /// Time for one call with one batch; checking the configuration has 10s. Default: 100ms.
    pub deadline: Duration,
    /// Size of one answer. Default: 16MiB.
    pub output: ByteSize,
    /// Size of the component's file. Default: 32MiB.
    pub binary: ByteSize,
    /// Most rows in one call; a larger batch is given in parts. Default: 8192.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub rows: u32,
}

impl Default for StageLimits {
    fn default() -> Self {
        Self {
            memory: ByteSize::from_mib(64),
            deadline: Duration::from_millis(100),
            output: ByteSize::from_mib(16),
            binary: ByteSize::from_mib(32),
            rows: 8192,
        }
    }
}

/// What happens to a batch whose call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// It goes on as if the stage were not there.
    Pass,
    /// It is dropped and booked as such.
    Drop,
    /// It is refused, and the sender learns why.
    Reject,
}

/// An interface of the host that plugins can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Messages in the log.
    Log,
    /// Counters among the metrics.
    Counter,
    /// The time.
    Clock,
    /// Keys and values that outlive an instance.
    KeyValue,
    /// Rate limits.
    TokenBucket,
    /// Regular expressions.
    Regex,
}

/// The keys that the host itself reads in the block of a processor that is a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StageSettings {
    /// What happens to a batch whose call failed. Default: as the plugin says; `redaction` and `tenant_label`
    /// reject, `filter` and the samplers pass.
    pub on_error: Option<OnError>,
    /// The stage's limits, with those of `plugins::limits` where it names none.
    pub limits: StageLimits,
    /// What the plugin may use of the host; one that needs more is refused. Default: all that it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<Capability>>,
}

impl Capability {
    /// The name of the interface.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Counter => "counter",
            Self::Clock => "clock",
            Self::KeyValue => "key-value",
            Self::TokenBucket => "token-bucket",
            Self::Regex => "regex",
        }
    }
}

impl Check for PluginsConfig {
    fn check(&self, findings: &mut Findings) {
        findings.within("limits", |findings| self.limits.check(findings));
    }
}

impl Check for StageLimits {
    /// The bounds are those of the stage engine, which has other names and units for them.
    fn check(&self, findings: &mut Findings) {
        const SHORTEST: Duration = Duration::from_millis(1);
        const LONGEST: Duration = Duration::from_secs(60);
        let sizes = [("memory", self.memory, 1_024), ("output", self.output, 1_024), ("binary", self.binary, 256)];
        for (key, size, most) in sizes {
            let most = ByteSize::from_mib(most);
            if size.bytes() == 0 || !size.bytes().is_multiple_of(ByteSize::from_mib(1).bytes()) {
                findings.error(key, format!("{size} is not a whole number of MiB, 1MiB or more"));
            } else if size > most {
                findings.error(key, format!("{size} is more than {most}, the most possible"));
            }
        }
        if self.deadline < SHORTEST {
            findings.error("deadline", format!("{} is less than {SHORTEST}, the shortest possible", self.deadline));
        } else if self.deadline > LONGEST {
            findings.error("deadline", format!("{} is more than {LONGEST}, the longest possible", self.deadline));
        }
    }
}
