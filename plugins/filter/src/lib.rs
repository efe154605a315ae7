//! The standard stage `filter`.
