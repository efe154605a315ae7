//! Value types and blocks of settings that several components share, under the collector's names.
//!
//! Each of them deserializes from the collector's spelling, serializes for `sluice print-config` (secrets as
//! `[REDACTED]`), and describes itself as a JSON Schema, by which mistakes are found.

mod address;
mod delivery;
mod duration;
mod grpc;
mod http;
mod scope;
mod secret;
mod size;
mod target;
mod tls;

pub use address::{ListenAddress, Transport, Url};
pub use delivery::{QueueBatchConfig, QueueConfig, QueueSizer, RetryConfig};
pub use duration::{Duration, DurationError};
pub use grpc::{
    EnforcementPolicy, GrpcClientConfig, GrpcClientKeepalive, GrpcServerConfig, GrpcServerKeepalive, ServerParameters,
};
pub use http::{AuthConfig, Compression, CorsConfig, HttpClientConfig, HttpServerConfig};
pub(crate) use scope::{Scope, default_region, given, scope_of_host};
pub use secret::{Headers, REDACTED, Secret};
pub use size::{ByteSize, ByteSizeError};
pub(crate) use target::Target;
pub use tls::{TlsClientConfig, TlsServerConfig, TlsVersion};
