//! Receivers: listeners, admission of bytes under the memory budget, and the replies to peers.
//!
//! A receiver takes memory permits as bytes arrive, makes a validated [`Batch`] of them and hands that to a
//! [`Consume`]; what the peer is told follows from the answer.

pub mod counters;
pub mod otlp;
pub mod tls;

mod body;
mod connection;
pub(crate) mod listen;
mod rejection;
mod server;
mod windows;

use std::future::Future;
use std::pin::Pin;

pub use self::counters::Counters;
pub use self::listen::BoundAddress;
pub use self::server::Drained;
use crate::model::{Batch, Refusal};
use crate::tls::TlsError;

/// A future whose type is not named.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whoever takes the batches of a receiver: a pipeline, or the fan-out into several.
pub trait Consume: Send + Sync + 'static {
    /// Takes a batch, or says why not. Taken means owned: the peer is told that its data is safe.
    fn consume(&self, batch: Batch) -> BoxFuture<'_, Result<(), Refusal>>;
}

/// Why a receiver can't start.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The address can't be listened on.
    #[error("{protocol} can't listen on {endpoint}: {source}")]
    Listen {
        /// Which of the receiver's protocols.
        protocol: &'static str,
        /// The configured address.
        endpoint: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The TLS settings don't work.
    #[error("protocols::{protocol}::tls::{source}")]
    Tls {
        /// Which of the receiver's protocols.
        protocol: &'static str,
        /// What is wrong with them.
        source: TlsError,
    },
}
