//! The standard stage `tenant_label`.
