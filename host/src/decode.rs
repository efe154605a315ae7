//! From what a peer sent to OTLP bytes: decompression and the translation of protocols. Pure: no sockets, no clocks.

pub mod compression;
pub mod otlp_json;
mod room;

/// Why a peer's bytes did not become OTLP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not what they claim to be.
    #[error("{0}")]
    Invalid(String),
    /// The result would be larger than the limit.
    #[error("{what} exceeds the limit of {limit_bytes} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit_bytes: usize,
    },
    /// The result would not fit into the memory budget if nothing else were there.
    #[error("{what} takes more than the whole memory budget; raise memory_limiter's limit_mib, or send less at once")]
    OverWholeBudget {
        /// What is too large.
        what: &'static str,
    },
    /// The memory budget has no room for the result.
    #[error("the memory budget is exhausted")]
    OverBudget,
}
