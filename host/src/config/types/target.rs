//! Where a gRPC client connects to: the forms of `endpoint`.

use std::fmt;
use std::path::PathBuf;

use http::Uri;
use http::uri::{Authority, Scheme};

use super::address::check_port;

/// A parsed endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Scheme and authority of a host.
    Host(Uri),
    /// A Unix socket.
    Socket(PathBuf),
}

impl Target {
    /// Reads `host:port`, with `http://`, `https://`, `dns:///` or `passthrough:///` in front, or `unix:path`. A
    /// scheme of HTTP decides about TLS, otherwise `insecure` does; settings of TLS beside `http://` are refused before.
    pub(crate) fn parse(endpoint: &str, insecure: bool) -> Result<Self, String> {
        let by_setting = if insecure { Scheme::HTTP } else { Scheme::HTTPS };
        if let Some(path) = endpoint.strip_prefix("unix://").or_else(|| endpoint.strip_prefix("unix:")) {
            return if path.is_empty() { Err("unix: needs a path".to_owned()) } else { Ok(Self::Socket(path.into())) };
        }
        if endpoint.contains('@') {
            return Err("must not contain credentials; write host:port, and set headers for them".into());
        }
        if let Some(rest) = endpoint.strip_prefix("http://") {
            return host(Scheme::HTTP, rest, Port::OfScheme);
        }
        if let Some(rest) = endpoint.strip_prefix("https://") {
            return host(Scheme::HTTPS, rest, Port::OfScheme);
        }
        for resolver in ["dns:", "passthrough:"] {
            let Some(rest) = endpoint.strip_prefix(resolver) else { continue };
            return match rest.strip_prefix("//").map(|rest| rest.split_once('/')) {
                None => host(by_setting, rest, Port::Needed),
                Some(Some(("", rest))) => host(by_setting, rest, Port::Needed),
                Some(_) => Err(format!(
                    "{endpoint:?} names a DNS server, which is not supported; write {resolver}///host:port"
                )),
            };
        }
        if endpoint.contains("://") {
            return Err(format!("{endpoint:?} must be host:port, or start with http:// or https://"));
        }
        host(by_setting, endpoint, Port::Needed)
    }

    /// What decides about TLS.
    pub(crate) fn scheme(&self) -> Scheme {
        match self {
            Self::Host(uri) => uri.scheme().cloned().unwrap_or(Scheme::HTTP),
            Self::Socket(_) => Scheme::HTTP,
        }
    }

    /// What the server is told that it is called.
    pub(crate) fn authority(&self) -> &str {
        match self {
            Self::Host(uri) => uri.authority().map_or("localhost", Authority::as_str),
            Self::Socket(_) => "localhost",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(_) => write!(f, "{}://{}", self.scheme(), self.authority()),
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Whether an address has to name its port.
#[derive(PartialEq, Eq)]
enum Port {
    Needed,
    OfScheme,
}

fn host(scheme: Scheme, text: &str, port: Port) -> Result<Target, String> {
    let text = text.trim_end_matches('/');
    let authority: Authority = match text.parse() {
        Ok(authority) => authority,
        Err(_) => return Err(format!("{text:?} is not host:port")),
    };
    if authority.host().is_empty() {
        return Err(format!("{text:?} has no host; write host:port"));
    }
    if port == Port::Needed && authority.as_str() == authority.host() {
        return Err(format!("{text:?} has no port; write host:port, for example \"localhost:4317\""));
    }
    check_port(&authority)?;
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
    fn refuses_what_is_no_endpoint() {
        let cases = [
            ("", "\"\" is not host:port"),
            ("http://", "\"\" is not host:port"),
            ("unix:", "unix: needs a path"),
            ("a b:1", "\"a b:1\" is not host:port"),
            ("::1:4317", "\"::1:4317\" is not host:port"),
            (":4317", "\":4317\" has no host; write host:port"),
            ("collector", "\"collector\" has no port; write host:port, for example \"localhost:4317\""),
            ("https://a:99999", "\"99999\" is not a port (0 to 65535)"),
            ("http://host:4317/v1/traces", "\"host:4317/v1/traces\" is not host:port"),
            ("ftp://host:4317", "\"ftp://host:4317\" must be host:port, or start with http:// or https://"),
            ("user:pw@h:1", "must not contain credentials; write host:port, and set headers for them"),
            (
                "dns://8.8.8.8/host:1",
                "\"dns://8.8.8.8/host:1\" names a DNS server, which is not supported; write dns:///host:port",
            ),
        ];
        for (endpoint, message) in cases {
            assert_eq!(Target::parse(endpoint, true), Err(message.to_owned()), "{endpoint}");
        }
    }
}
