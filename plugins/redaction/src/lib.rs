//! The standard stage `redaction`.
