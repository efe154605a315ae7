//! Settings of gRPC clients and servers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    AuthConfig, Compression, Duration, Headers, ListenAddress, TlsClientConfig, TlsServerConfig, Transport, Url,
};

/// Settings of a gRPC server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GrpcServerConfig {
    /// Where to listen.
    pub endpoint: ListenAddress,
    /// What carries the connections. Default: tcp.
    pub transport: Transport,
    /// TLS; without this block the listener speaks in the clear.
    pub tls: Option<TlsServerConfig>,
    /// Largest message in MiB, after decompression. Default: 4; 0 means that.
    #[schemars(range(max = 4095))]
    pub max_recv_msg_size_mib: u32,
    /// Most requests at the same time on one connection. 0, the default, leaves it at 256.
    pub max_concurrent_streams: u32,
    /// Accepted as in the collector; buffers are sized by what is read. Default: 512 KiB.
    #[schemars(extend("x-no-effect" = "buffers are sized by what passes through them"))]
    pub read_buffer_size: u64,
    /// Accepted as in the collector; buffers are sized by what is sent.
    #[schemars(extend("x-no-effect" = "buffers are sized by what passes through them"))]
    pub write_buffer_size: u64,
    /// Keep-alive and age of connections.
    pub keepalive: GrpcServerKeepalive,
    /// Accepted as in the collector. Metadata that a stage or a batch processor declares is always kept, other never
    /// is, so that it makes no difference. Default: false.
    pub include_metadata: bool,
}

impl Default for GrpcServerConfig {
    fn default() -> Self {
        Self {
            endpoint: ListenAddress::default(),
            transport: Transport::Tcp,
            tls: None,
            max_recv_msg_size_mib: 4,
            max_concurrent_streams: 0,
            read_buffer_size: 512 << 10,
            write_buffer_size: 0,
            keepalive: GrpcServerKeepalive::default(),
            include_metadata: false,
        }
    }
}

/// `keepalive` of a gRPC server.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GrpcServerKeepalive {
    /// What the server does.
    pub server_parameters: ServerParameters,
    /// What it demands of clients.
    pub enforcement_policy: EnforcementPolicy,
}

/// `keepalive::server_parameters`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ServerParameters {
    /// Closes a connection that had no request for so long. 0, the default, never does.
    pub max_connection_idle: Duration,
    /// Asks clients to reconnect after so long, which balances load. 0, the default, never does.
    pub max_connection_age: Duration,
    /// How long requests under way may take after that. 0, the default, has no limit.
    pub max_connection_age_grace: Duration,
    /// Pings a silent client after so long. Default: 2h.
    pub time: Duration,
    /// Closes the connection if the ping is not answered for so long. Default: 20s.
    pub timeout: Duration,
}

impl Default for ServerParameters {
    fn default() -> Self {
        Self {
            max_connection_idle: Duration::ZERO,
            max_connection_age: Duration::ZERO,
            max_connection_age_grace: Duration::ZERO,
            time: Duration::from_secs(2 * 3600),
            timeout: Duration::from_secs(20),
        }
    }
}

/// `keepalive::enforcement_policy`; accepted as in the collector. Ping floods end a connection in any case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EnforcementPolicy {
    /// How often a client may ping. Default: 5m.
    #[schemars(extend("x-no-effect" = "pings are not counted; floods of them end a connection in any case"))]
    pub min_time: Duration,
    /// Whether it may ping without a request under way. Default: false.
    #[schemars(extend("x-no-effect" = "pings are not counted; floods of them end a connection in any case"))]
    pub permit_without_stream: bool,
}

impl Default for EnforcementPolicy {
    fn default() -> Self {
        Self { min_time: Duration::from_secs(300), permit_without_stream: false }
    }
}

/// Settings of a gRPC client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GrpcClientConfig {
    /// Where to send: `host:port`, or with `http://` or `https://`, which decides about TLS.
    pub endpoint: Url,
    /// Compression of messages. Default: as the exporter says.
    pub compression: Compression,
    /// TLS; on unless `insecure: true` or the endpoint starts with `http://`.
    pub tls: TlsClientConfig,
    /// Pings that keep the connection open.
    pub keepalive: Option<GrpcClientKeepalive>,
    /// Metadata of every request.
    pub headers: Headers,
    /// Value of `:authority`. Default: the endpoint's host.
    pub authority: Option<String>,
    /// Authenticates each request. `sigv4auth` can't sign gRPC.
    pub auth: Option<AuthConfig>,
    /// Accepted as in the collector; a request that finds no connection fails at once and is tried again.
    #[schemars(extend("x-no-effect" = "a request without a connection is tried again, as retry_on_failure says"))]
    pub wait_for_ready: bool,
    /// Accepted as in the collector; addresses of a name are tried in turn.
    #[schemars(extend("x-no-effect" = "the addresses of a name are tried in turn", "x-unless" = "pick_first"))]
    pub balancer_name: Option<String>,
    /// Accepted as in the collector; buffers are sized by what is sent.
    #[schemars(extend("x-no-effect" = "buffers are sized by what passes through them"))]
    pub read_buffer_size: u64,
    /// Accepted as in the collector; buffers are sized by what is sent. Default: 512 KiB.
    #[schemars(extend("x-no-effect" = "buffers are sized by what passes through them"))]
    pub write_buffer_size: u64,
}

impl Default for GrpcClientConfig {
    fn default() -> Self {
        Self {
            endpoint: Url::default(),
            compression: Compression::None,
            tls: TlsClientConfig::default(),
            keepalive: None,
            headers: Headers::default(),
            authority: None,
            auth: None,
            wait_for_ready: false,
            balancer_name: None,
            read_buffer_size: 0,
            write_buffer_size: 512 << 10,
        }
    }
}

/// `keepalive` of a gRPC client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GrpcClientKeepalive {
    /// Pings a silent server after so long. Default: 10s.
    pub time: Duration,
    /// Closes the connection if the ping is not answered for so long. Default: 10s.
    pub timeout: Duration,
    /// Pings without a request under way too. Default: false.
    pub permit_without_stream: bool,
}

impl Default for GrpcClientKeepalive {
    fn default() -> Self {
        Self { time: Duration::from_secs(10), timeout: Duration::from_secs(10), permit_without_stream: false }
    }
}
