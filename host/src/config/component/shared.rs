//! What the settings of several components have in common: reading over defaults, and the checks of shared blocks.

use serde::de::{DeserializeOwned, Deserializer, Error};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Check;
use crate::config::error::Findings;
use crate::config::types::{
    AuthConfig, Compression, GrpcClientConfig, GrpcServerConfig, Headers, HttpClientConfig, HttpServerConfig,
    QueueConfig, QueueSizer, RetryConfig, Target, TlsClientConfig, TlsServerConfig, TlsVersion, Url,
};

/// Reads an optional block over defaults of its own, which may differ from those of its type.
pub(super) fn over<'de, T, D>(defaults: T, deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Serialize + DeserializeOwned,
    D: Deserializer<'de>,
{
    match Option::<Value>::deserialize(deserializer)? {
        None => Ok(None),
        Some(given) => lay_over(&defaults, given).map(Some).map_err(D::Error::custom),
    }
}

/// Lays given keys over the defaults, key by key in nested blocks, so that a partial block keeps the other defaults.
///
/// # Errors
/// As serde reports them.
pub(crate) fn lay_over<T: Serialize + DeserializeOwned>(defaults: &T, given: Value) -> serde_json::Result<T> {
    let mut value = serde_json::to_value(defaults)?;
    merge(&mut value, given);
    serde_json::from_value(value)
}

fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                merge(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

/// Reports an address that nothing can be sent to. A template that was not filled in loads, as in the collector.
pub(super) fn check_url(key: &str, url: Option<&Url>, findings: &mut Findings) {
    let Some(url) = url.filter(|url| !url.is_empty()) else { return };
    match url.check_http() {
        Ok(()) => {}
        Err(_) if url.as_str().contains("{{") => {
            findings.warn(key, format!("\"{url}\" is a template that was not filled in; nothing can be sent there"));
        }
        Err(message) => findings.error(key, message),
    }
}

/// Leaves those compressions in an exporter's schema that it can do.
pub(super) fn compressions(possible: &'static [&'static str]) -> impl FnMut(&mut schemars::Schema) {
    move |schema| {
        if let Some(names) = schema.pointer_mut("/properties/compression/enum") {
            *names = serde_json::json!(possible);
        }
    }
}

/// Reports a compression that an exporter can't do, where its schema can't say so.
pub(super) fn check_compression(asked: Compression, possible: &[Compression], findings: &mut Findings) {
    if !possible.contains(&asked) {
        let names: Vec<_> = possible.iter().map(|one| one.name().to_owned()).collect();
        findings.error("compression", format!("{:?}: only {} possible here", asked.name(), join_names(&names)));
    }
}

fn join_names(names: &[String]) -> String {
    match names {
        [] => "none is".into(),
        [one] => format!("{one} is"),
        [start @ .., last] => format!("{} and {last} are", start.join(", ")),
    }
}

impl Check for HttpClientConfig {
    fn check(&self, findings: &mut Findings) {
        check_url("endpoint", Some(&self.endpoint), findings);
        if let Some(proxy) = self.proxy_url.as_ref().filter(|url| !url.is_empty())
            && let Err(message) = proxy.check_proxy()
        {
            findings.error("proxy_url", message);
        }
        findings.within("tls", |findings| self.tls.check(findings));
        if let Some(auth) = &self.auth {
            findings.within("auth", |findings| auth.check(findings));
        }
        check_headers(&self.headers, findings);
    }
}

impl Check for GrpcClientConfig {
    fn check(&self, findings: &mut Findings) {
        let endpoint = self.endpoint.as_str();
        match Target::parse(endpoint, self.tls.insecure) {
            _ if endpoint.is_empty() => {}
            Ok(_) => self.check_clear_text(findings),
            Err(message) => findings.error("endpoint", message),
        }
        if let Some(authority) = self.authority.as_ref().filter(|name| !name.is_empty())
            && authority.parse::<http::uri::Authority>().is_err()
        {
            findings.error("authority", format!("{authority:?} is not host or host:port"));
        }
        findings.within("tls", |findings| self.tls.check(findings));
        if let Some(auth) = &self.auth {
            findings.within("auth", |findings| auth.check(findings));
        }
        check_headers(&self.headers, findings);
    }
}

impl GrpcClientConfig {
    /// `http://` means clear text here and TLS in the collector, where only `insecure` decides.
    fn check_clear_text(&self, findings: &mut Findings) {
        if !self.endpoint.as_str().starts_with("http://") || self.tls.insecure {
            return;
        }
        if self.tls == TlsClientConfig::default() {
            findings.warn("endpoint", "http:// sends in the clear; write tls::insecure: true to say so, or https://");
        } else {
            let message = "has no effect with http://, which sends in the clear; write https://, or insecure: true";
            findings.error("tls", message);
        }
    }
}

fn check_headers(headers: &Headers, findings: &mut Findings) {
    for (name, value) in headers.iter() {
        let key = format!("headers::{name}");
        if http::HeaderName::try_from(name).is_err() {
            findings.error(&key, format!("{name:?} is not a valid header name"));
        }
        if http::HeaderValue::try_from(value.expose()).is_err() {
            findings.error(&key, "the value is not valid in a header: it contains a control character");
        }
    }
}

impl Check for AuthConfig {
    fn check(&self, findings: &mut Findings) {
        if self.authenticator.is_empty() {
            findings.error("authenticator", "must name an extension, for example sigv4auth");
        }
    }
}

impl Check for HttpServerConfig {
    fn check(&self, findings: &mut Findings) {
        if let Err(message) = self.endpoint.check(self.transport) {
            findings.error("endpoint", message);
        }
        if let Some(tls) = &self.tls {
            findings.within("tls", |findings| tls.check(findings));
        }
        for (index, name) in self.compression_algorithms.iter().flatten().enumerate() {
            if !["", "gzip", "zstd", "zlib", "deflate", "snappy", "x-snappy-framed", "lz4"].contains(&name.trim()) {
                findings.error(
                    &format!("compression_algorithms::{index}"),
                    format!(
                        "{name:?} is not supported; gzip, zstd, zlib, deflate, snappy, x-snappy-framed and lz4 are"
                    ),
                );
            }
        }
        for (name, value) in self.response_headers.iter() {
            if http::HeaderName::try_from(name).is_err() || http::HeaderValue::try_from(value.expose()).is_err() {
                findings.error(&format!("response_headers::{name}"), "not a valid header");
            }
        }
        for (index, origin) in self.cors.iter().flat_map(|cors| &cors.allowed_origins).enumerate() {
            if origin.matches('*').count() > 1 {
                findings.error(&format!("cors::allowed_origins::{index}"), format!("{origin:?} has more than one *"));
            }
        }
        for (index, name) in self.cors.iter().flat_map(|cors| &cors.exposed_headers).enumerate() {
            if http::HeaderValue::try_from(name).is_err() {
                findings.error(&format!("cors::exposed_headers::{index}"), format!("{name:?} is not a header name"));
            }
        }
    }
}

impl Check for GrpcServerConfig {
    fn check(&self, findings: &mut Findings) {
        if let Err(message) = self.endpoint.check(self.transport) {
            findings.error("endpoint", message);
        }
        if let Some(tls) = &self.tls {
            findings.within("tls", |findings| tls.check(findings));
        }
    }
}

impl Check for TlsClientConfig {
    fn check(&self, findings: &mut Findings) {
        let pairs = [
            ("ca_pem", self.ca_file.is_some(), self.ca_pem.is_some(), "ca_file"),
            ("cert_pem", self.cert_file.is_some(), self.cert_pem.is_some(), "cert_file"),
            ("key_pem", self.key_file.is_some(), self.key_pem.is_some(), "key_file"),
        ];
        check_either(&pairs, findings);
        check_identity(
            self.cert_file.is_some() || self.cert_pem.is_some(),
            self.key_file.is_some() || self.key_pem.is_some(),
            findings,
        );
        check_versions(self.min_version, self.max_version, findings);
    }
}

impl Check for TlsServerConfig {
    fn check(&self, findings: &mut Findings) {
        let pairs = [
            ("cert_pem", self.cert_file.is_some(), self.cert_pem.is_some(), "cert_file"),
            ("key_pem", self.key_file.is_some(), self.key_pem.is_some(), "key_file"),
        ];
        check_either(&pairs, findings);
        let (cert, key) =
            (self.cert_file.is_some() || self.cert_pem.is_some(), self.key_file.is_some() || self.key_pem.is_some());
        if !cert && !key {
            findings.error("", "a server needs cert_file and key_file");
        }
        check_identity(cert, key, findings);
        check_versions(self.min_version, self.max_version, findings);
    }
}

fn check_either(pairs: &[(&str, bool, bool, &str)], findings: &mut Findings) {
    for (pem, has_file, has_pem, file) in pairs {
        if *has_file && *has_pem {
            findings.error(pem, format!("{file} is given already; name one of them"));
        }
    }
}

fn check_identity(has_cert: bool, has_key: bool, findings: &mut Findings) {
    match (has_cert, has_key) {
        (true, false) => findings.error("cert_file", "needs key_file or key_pem too"),
        (false, true) => findings.error("key_file", "needs cert_file or cert_pem too"),
        _ => {}
    }
}

fn check_versions(min: TlsVersion, max: Option<TlsVersion>, findings: &mut Findings) {
    if max.is_some_and(|max| max < min) {
        findings.error("max_version", "must not be lower than min_version");
    }
}

impl Check for RetryConfig {
    fn check(&self, findings: &mut Findings) {
        if self.max_elapsed_time.is_zero() || !self.enabled {
            return;
        }
        if self.max_elapsed_time < self.initial_interval {
            findings.error("max_elapsed_time", "must not be less than initial_interval");
        }
        if self.max_elapsed_time < self.max_interval {
            findings.warn("max_elapsed_time", "is less than max_interval, which is therefore never reached");
        }
    }
}

impl Check for QueueConfig {
    fn check(&self, findings: &mut Findings) {
        for (key, value) in [("queue_size", self.queue_size), ("num_consumers", self.num_consumers.into())] {
            if self.enabled && value == 0 {
                findings.error(key, "0 is out of range; expected at least 1");
            }
        }
        let Some(batch) = &self.batch else { return };
        if !self.enabled {
            findings.warn("batch", "has no effect: there is no queue to join batches in");
        }
        if batch.flush_timeout.is_zero() {
            findings.error("batch::flush_timeout", "must be greater than zero");
        }
        if batch.max_size > 0 && batch.max_size < batch.min_size {
            findings.error(
                "batch::max_size",
                format!("{} must be greater or equal to min_size ({})", batch.max_size, batch.min_size),
            );
        }
        if batch.sizer == Some(QueueSizer::Requests) {
            findings.error("batch::sizer", "only items and bytes are possible here");
        }
        if self.enabled && self.sizer == self.batch_sizer() && batch.min_size > self.queue_size {
            findings.error(
                "batch::min_size",
                format!("{} must not be greater than queue_size ({})", batch.min_size, self.queue_size),
            );
        }
    }
}
