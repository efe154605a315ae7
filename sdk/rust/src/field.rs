//! Fields of telemetry, as a plugin names them.

pub use crate::bindings::sluice::plugin::types::{Field, Level, Selector};

impl Field {
    /// Names an attribute of rows: of spans, log records or data points.
    pub fn record(key: impl Into<String>) -> Self {
        Self::attribute(Level::Record, key)
    }

    /// Names an attribute of resources.
    pub fn resource(key: impl Into<String>) -> Self {
        Self::attribute(Level::Resource, key)
    }

    /// Names an attribute of instrumentation scopes.
    pub fn scope(key: impl Into<String>) -> Self {
        Self::attribute(Level::Scope, key)
    }

    /// Names an entry of metrics' metadata.
    pub fn metric(key: impl Into<String>) -> Self {
        Self::attribute(Level::Metric, key)
    }

    /// Names the attribute with a key at a level.
    pub fn attribute(level: Level, key: impl Into<String>) -> Self {
        Self { level, selector: Selector::Attribute(key.into()) }
    }

    /// Names a field of rows by its OTTL path, for example `trace_id`, `status.code`, `severity_number`.
    pub fn record_intrinsic(path: impl Into<String>) -> Self {
        Self::intrinsic(Level::Record, path)
    }

    /// Names a field of resources by its OTTL path, for example `schema_url`.
    pub fn resource_intrinsic(path: impl Into<String>) -> Self {
        Self::intrinsic(Level::Resource, path)
    }

    /// Names a field of instrumentation scopes by its OTTL path, for example `name`.
    pub fn scope_intrinsic(path: impl Into<String>) -> Self {
        Self::intrinsic(Level::Scope, path)
    }

    /// Names a field of metrics by its OTTL path, for example `name`, `unit`, `type`.
    pub fn metric_intrinsic(path: impl Into<String>) -> Self {
        Self::intrinsic(Level::Metric, path)
    }

    /// Names a field of the protocol at a level by its OTTL path.
    pub fn intrinsic(level: Level, path: impl Into<String>) -> Self {
        Self { level, selector: Selector::Intrinsic(path.into()) }
    }
}
