//! A stage as a configuration has it.

use std::sync::Arc;

use serde_json::Value;

use crate::stage::component::OnError;
use crate::stage::limits::StageLimits;

/// A stage as a configuration has it.
#[derive(Clone)]
pub struct StageSpec {
    /// The component id, for example `filter/health`.
    pub id: String,
    /// The component type, which names the plugin: `filter`.
    pub plugin: String,
    /// Reads the plugin's own configuration.
    pub settings: ReadSettings,
    /// What happens to a batch whose call failed; if none, what the plugin says.
    pub on_error: Option<OnError>,
    /// What the stage may use.
    pub limits: StageLimits,
    /// Interfaces of the host that the plugin may use, for example `regex`; none means all.
    pub capabilities: Option<Vec<String>>,
}

/// Reads a plugin's own configuration by the schema in its descriptor, in which its versions may differ; or says what
/// does not fit.
pub type ReadSettings = Arc<dyn Fn(&Value) -> Result<Settings, Vec<String>> + Send + Sync>;

/// What a plugin is configured with.
#[derive(Clone)]
pub struct Settings {
    /// Its own configuration, without the keys that the host reads.
    pub value: Value,
    /// Values in it that no message may repeat, whatever the plugin says.
    pub secrets: Vec<String>,
    /// What looks odd in it.
    pub warnings: Vec<String>,
}

impl Settings {
    /// The same for every schema.
    pub fn always(self) -> ReadSettings {
        Arc::new(move |_| Ok(self.clone()))
    }
}

impl std::fmt::Debug for StageSpec {
    /// Leaves out the configuration, which may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StageSpec").field("id", &self.id).field("plugin", &self.plugin).finish_non_exhaustive()
    }
}
