//! The standard stage `sampler`.
