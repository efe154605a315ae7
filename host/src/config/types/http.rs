//! Settings of HTTP clients and servers.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{Duration, Headers, ListenAddress, TlsClientConfig, TlsServerConfig, Transport, Url};

/// `auth`: names the extension that signs or authenticates.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AuthConfig {
    /// Component id of the extension, for example `sigv4auth`; it must stand in `service::extensions` too.
    pub authenticator: String,
}

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    #[default]
    #[serde(alias = "")]
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// Snappy: one block over HTTP, framed over gRPC.
    Snappy,
    /// Snappy in its framing format.
    #[serde(rename = "x-snappy-framed")]
    SnappyFramed,
    /// The zlib format (RFC 1950).
    Zlib,
    /// The same under the name that HTTP has for it.
    Deflate,
}

impl Compression {
    /// Its name in the configuration and in headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Snappy => "snappy",
            Self::SnappyFramed => "x-snappy-framed",
            Self::Zlib => "zlib",
            Self::Deflate => "deflate",
        }
    }
}

impl JsonSchema for Compression {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Compression".into()
    }

    /// By hand, since the derived schema forgets the other spelling of none.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names = ["none", "gzip", "zstd", "snappy", "x-snappy-framed", "zlib", "deflate", ""];
        json_schema!({ "type": "string", "enum": names })
    }
}

/// Settings of an HTTP client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HttpClientConfig {
    /// Where to send: an absolute `http://` or `https://` address.
    pub endpoint: Url,
    /// Proxy for all requests, `http://` or `socks5://`. Default: none; `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` apply.
    pub proxy_url: Option<Url>,
    /// TLS towards the endpoint.
    pub tls: TlsClientConfig,
    /// How long one attempt may take, connecting included. 0 has no limit. Default: 30s, or as the exporter says.
    pub timeout: Duration,
    /// Headers of every request.
    pub headers: Headers,
    /// Compression of bodies. Default: as the exporter says.
    pub compression: Compression,
    /// Signs or authenticates each request.
    pub auth: Option<AuthConfig>,
    /// Most idle connections that are kept. 0 has no limit. Default: 100.
    pub max_idle_conns: usize,
    /// The same per host. 0, the default, has no limit of its own.
    pub max_idle_conns_per_host: usize,
    /// How long an idle connection is kept. Default: 90s.
    pub idle_conn_timeout: Duration,
    /// Opens a connection per request. Default: false.
    pub disable_keep_alives: bool,
    /// Idle time after which an HTTP/2 connection is pinged. 0, the default, never pings.
    pub http2_read_idle_timeout: Duration,
    /// How long the answer to a ping may take. Default: 15s.
    pub http2_ping_timeout: Duration,
    /// Accepted as in the collector; buffers are sized by what is sent.
    #[schemars(extend("x-no-effect" = "buffers are sized by what passes through them"))]
    pub read_buffer_size: u64,
    /// Accepted as in the collector; buffers are sized by what is sent.
    #[schemars(extend("x-no-effect" = "buffers are sized by what passes through them"))]
    pub write_buffer_size: u64,
    /// Accepted as in the collector; HTTP/2 is used where the server offers it.
    #[schemars(extend("x-no-effect" = "HTTP/2 is used where the server offers it", "x-unless" = true))]
    pub force_attempt_http2: bool,
    /// Accepted as in the collector; the sending queue's `num_consumers` bounds the connections.
    #[schemars(extend("x-no-effect" = "num_consumers of the sending queue bounds the connections", "x-unless" = 0))]
    pub max_conns_per_host: usize,
}

impl Default for HttpClientConfig {
    fn default() -> Self {
        Self {
            endpoint: Url::default(),
            proxy_url: None,
            tls: TlsClientConfig::default(),
            timeout: Duration::from_secs(30),
            headers: Headers::default(),
            compression: Compression::None,
            auth: None,
            max_idle_conns: 100,
            max_idle_conns_per_host: 0,
            idle_conn_timeout: Duration::from_secs(90),
            disable_keep_alives: false,
            http2_read_idle_timeout: Duration::ZERO,
            http2_ping_timeout: Duration::from_secs(15),
            read_buffer_size: 0,
            write_buffer_size: 0,
            force_attempt_http2: true,
            max_conns_per_host: 0,
        }
    }
}

/// `cors`: which web pages may send telemetry from a browser.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CorsConfig {
    /// Origins, for example `https://example.com` or `https://*.example.com`; `*` allows all. Empty: no CORS at all.
    pub allowed_origins: Vec<String>,
    /// Request headers besides the safe ones; `*` allows all.
    pub allowed_headers: Vec<String>,
    /// Answer headers that a page may read.
    pub exposed_headers: Vec<String>,
    /// Seconds for which a browser may keep the answer to a preflight request. 0, the default, says nothing.
    pub max_age: u32,
}

/// Settings of an HTTP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HttpServerConfig {
    /// Where to listen.
    pub endpoint: ListenAddress,
    /// What carries the connections. Default: tcp.
    pub transport: Transport,
    /// TLS; without this block the listener speaks in the clear.
    pub tls: Option<TlsServerConfig>,
    /// Cross-origin requests of browsers. Default: not allowed.
    pub cors: Option<CorsConfig>,
    /// Largest body in bytes after decompression; a larger one is answered with 413. Default: 20 MiB; 0 means that.
    pub max_request_body_size: u64,
    /// Accepted as in the collector. Headers that a stage or a batch processor declares are always kept, others never
    /// are, so that it makes no difference. Default: false.
    pub include_metadata: bool,
    /// Headers of every answer.
    pub response_headers: Headers,
    /// Encodings that are accepted. Default: all that are supported (gzip, zstd, zlib, deflate, snappy,
    /// x-snappy-framed, lz4, none).
    pub compression_algorithms: Option<Vec<String>>,
    /// How long reading a request may take. 0, the default, has no limit.
    pub read_timeout: Duration,
    /// How long reading its headers may take. Default: 1m. On a connection that has served a request already,
    /// `idle_timeout` bounds the time until the headers of the next one are there.
    pub read_header_timeout: Duration,
    /// How long answering may take. Default: 30s.
    #[schemars(extend("x-no-effect" = "answers are a few bytes, which no client can hold up"))]
    pub write_timeout: Duration,
    /// How long an idle connection is kept. 0, the default, has no limit.
    pub idle_timeout: Duration,
    /// Whether connections serve more than one request. Default: true.
    pub keep_alives_enabled: bool,
}

impl Default for HttpServerConfig {
    fn default() -> Self {
        Self {
            endpoint: ListenAddress::default(),
            transport: Transport::Tcp,
            tls: None,
            cors: None,
            max_request_body_size: 20 << 20,
            include_metadata: false,
            response_headers: Headers::default(),
            compression_algorithms: None,
            read_timeout: Duration::ZERO,
            read_header_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
            // Who exports once a minute would meet the end of its connection.
            idle_timeout: Duration::ZERO,
            keep_alives_enabled: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_compression_that_the_schema_lists() {
        let schema = schemars::schema_for!(Compression);
        let names = schema.get("enum").and_then(|names| names.as_array()).expect("names");
        for name in names.iter().filter_map(|name| name.as_str()) {
            let read: Compression = serde_json::from_value(name.into()).expect(name);
            assert_eq!(read.name(), if name.is_empty() { "none" } else { name });
        }
    }
}
