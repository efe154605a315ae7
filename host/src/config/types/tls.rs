//! The collector's `tls` blocks.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, Secret};

/// A version of TLS. Older ones are not supported by design.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V1_3,
}

/// `tls` of an exporter or another client.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TlsClientConfig {
    /// Sends in the clear. For gRPC it decides between `http` and `https`; for HTTP exporters the scheme of the
    /// endpoint does, and this key changes nothing. Default: false.
    pub insecure: bool,
    /// Accepts any certificate of the server. Only for tests: whoever is on the path can read and change the data.
    /// Default: false.
    pub insecure_skip_verify: bool,
    /// Name that the server's certificate must carry (and SNI). Default: the endpoint's host.
    pub server_name_override: Option<String>,
    /// PEM file with the authorities to trust. Default: those of the system.
    pub ca_file: Option<PathBuf>,
    /// The same as PEM text; not together with `ca_file`.
    pub ca_pem: Option<Secret>,
    /// Trusts the system's authorities besides those of `ca_file` or `ca_pem`. Default: false.
    pub include_system_ca_certs_pool: bool,
    /// PEM file with the client's own certificate chain, for mutual TLS; needs a key.
    pub cert_file: Option<PathBuf>,
    /// The same as PEM text; not together with `cert_file`.
    pub cert_pem: Option<Secret>,
    /// PEM file with the private key of the certificate.
    pub key_file: Option<PathBuf>,
    /// The same as PEM text; not together with `key_file`.
    pub key_pem: Option<Secret>,
    /// Lowest version to speak. Default: 1.2.
    pub min_version: TlsVersion,
    /// Highest version to speak. Default: 1.3.
    pub max_version: Option<TlsVersion>,
    /// How often the files are looked at for a newer certificate. 0, the default, looks once a minute.
    pub reload_interval: Duration,
}

/// `tls` of a receiver or another server. A listener without this block speaks in the clear.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TlsServerConfig {
    /// PEM file with the server's certificate chain. Required, unless `cert_pem` is given.
    pub cert_file: Option<PathBuf>,
    /// The same as PEM text; not together with `cert_file`.
    pub cert_pem: Option<Secret>,
    /// PEM file with the private key of the certificate. Required, unless `key_pem` is given.
    pub key_file: Option<PathBuf>,
    /// The same as PEM text; not together with `key_file`.
    pub key_pem: Option<Secret>,
    /// PEM file with the authorities that may have signed clients' certificates. With it every client needs one
    /// (mutual TLS). Default: clients need none.
    pub client_ca_file: Option<PathBuf>,
    /// Looks at `client_ca_file` for changes too. Default: false.
    #[schemars(extend("x-no-effect" = "it is always looked at for changes", "x-unless" = true))]
    pub client_ca_file_reload: bool,
    /// PEM file with authorities; the collector's servers read and ignore it, and so does Sluice.
    #[schemars(extend("x-no-effect" = "servers check clients by client_ca_file; the collector ignores it too"))]
    pub ca_file: Option<PathBuf>,
    /// Lowest version to speak. Default: 1.2.
    pub min_version: TlsVersion,
    /// Highest version to speak. Default: 1.3.
    pub max_version: Option<TlsVersion>,
    /// How often the files are looked at for a newer certificate. 0, the default, looks every ten seconds.
    pub reload_interval: Duration,
}
