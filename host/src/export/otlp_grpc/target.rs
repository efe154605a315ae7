//! Where a gRPC client connects to: the forms of `endpoint`.

use std::path::PathBuf;

use http::Uri;
use http::uri::{Authority, Scheme};

/// A parsed endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Scheme and authority of a host.
    Host(Uri),
    /// A Unix socket.
    Socket(PathBuf),
}

impl Target {
    /// Reads `host:port`, with `http://`, `https://`, `dns:///` or `passthrough:///` in front, or `unix:path`. A
    /// scheme of HTTP decides about TLS; otherwise `insecure` does.
    pub(super) fn parse(endpoint: &str, insecure: bool) -> Result<Self, String> {
        let by_setting = if insecure { Scheme::HTTP } else { Scheme::HTTPS };
        if let Some(path) = endpoint.strip_prefix("unix://").or_else(|| endpoint.strip_prefix("unix:")) {
            return if path.is_empty() { Err("unix: needs a path".to_owned()) } else { Ok(Self::Socket(path.into())) };
        }
        if let Some(rest) = endpoint.strip_prefix("http://") {
            return host(Scheme::HTTP, rest);
        }
        if let Some(rest) = endpoint.strip_prefix("https://") {
            return host(Scheme::HTTPS, rest);
        }
        for resolver in ["dns:", "passthrough:"] {
            let Some(rest) = endpoint.strip_prefix(resolver) else { continue };
            return match rest.strip_prefix("//").map(|rest| rest.split_once('/')) {
                None => host(by_setting, rest),
                Some(Some(("", rest))) => host(by_setting, rest),
                Some(_) => Err(format!(
                    "{endpoint:?} names a DNS server, which is not supported; write {resolver}///host:port"
                )),
            };
        }
        host(by_setting, endpoint)
    }

    /// What decides about TLS.
    pub(super) fn scheme(&self) -> Scheme {
        match self {
            Self::Host(uri) => uri.scheme().cloned().unwrap_or(Scheme::HTTP),
            Self::Socket(_) => Scheme::HTTP,
        }
    }

    /// What the server is told that it is called.
    pub(super) fn authority(&self) -> &str {
        match self {
            Self::Host(uri) => uri.authority().map_or("localhost", Authority::as_str),
            Self::Socket(_) => "localhost",
        }
    }
}

fn host(scheme: Scheme, text: &str) -> Result<Target, String> {
    let text = text.trim_end_matches('/');
    if let Some((_, rest)) = text.rsplit_once('@') {
        return Err(format!("gRPC has no user name and password in an endpoint; write {rest:?}, and headers or auth"));
    }
    let authority: Authority = match text.parse() {
        Ok(authority) => authority,
        Err(_) => return Err(format!("{text:?} is not host:port")),
    };
    if authority.host().is_empty() {
        return Err(format!("{text:?} is not host:port"));
    }
    let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query("/").build();
    uri.map(Target::Host).map_err(|error| format!("{text:?}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_forms_of_an_endpoint() {
        let cases = [
            ("collector:4317", false, "https://collector:4317/"),
            ("collector:4317", true, "http://collector:4317/"),
            ("[::1]:4317", true, "http://[::1]:4317/"),
            ("http://collector:4317", false, "http://collector:4317/"),
            ("http://collector:4317/", false, "http://collector:4317/"),
            ("https://collector", true, "https://collector/"),
            ("dns:///collector:4317", true, "http://collector:4317/"),
            ("dns:collector:4317", true, "http://collector:4317/"),
            ("passthrough:///10.0.0.1:4317", false, "https://10.0.0.1:4317/"),
        ];
        for (endpoint, insecure, expected) in cases {
            let expected = Target::Host(expected.parse().expect("address"));
            assert_eq!(Target::parse(endpoint, insecure), Ok(expected), "{endpoint}");
        }
        for (endpoint, path) in [("unix:///run/otlp.sock", "/run/otlp.sock"), ("unix:run/otlp.sock", "run/otlp.sock")] {
            assert_eq!(Target::parse(endpoint, false), Ok(Target::Socket(path.into())), "{endpoint}");
        }
    }

    #[test]
    fn shows_no_password() {
        let error = Target::parse("http://me:s3cr3t@host:1", false).expect_err("no credentials in gRPC");
        assert!(error.contains("write \"host:1\"") && !error.contains("s3cr3t"), "{error}");
    }

    #[test]
    fn refuses_what_is_no_endpoint() {
        for endpoint in ["", "http://", "unix:", "a b:1", "http://host:4317/v1/traces", "dns://8.8.8.8/host:1", "u@h:1"]
        {
            assert!(Target::parse(endpoint, true).is_err(), "{endpoint}");
        }
    }
}
