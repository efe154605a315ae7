//! Addresses to listen on and to send to.

use std::borrow::Cow;
use std::fmt;

use http::uri::Authority;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

use super::REDACTED;

/// What carries a listener's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP over IPv4 or IPv6, as the endpoint says.
    #[default]
    Tcp,
    /// TCP over IPv4 only.
    Tcp4,
    /// TCP over IPv6 only.
    Tcp6,
    /// A Unix socket; `endpoint` is its path.
    Unix,
}

/// Where to listen: `host:port`, `[v6]:port`, `:port` for all interfaces, or a path with `transport: unix`.
#[derive(Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct ListenAddress(String);

impl ListenAddress {
    /// Wraps an address.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As it stands in the configuration.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Host and port; an empty host means all interfaces.
    ///
    /// # Errors
    /// Says what is wrong, if it has no port or a port that is none.
    pub fn host_and_port(&self) -> Result<(&str, u16), String> {
        if self.0.starts_with('/') || self.0.starts_with("unix:") {
            return Err(self.unix_advice());
        }
        if self.0.contains("://") {
            return Err(format!("{:?} has a scheme; an endpoint to listen on is just host:port", self.0));
        }
        let Some((host, port)) = self.0.rsplit_once(':') else {
            return Err(format!("{:?} has no port; write host:port, for example \"localhost:4317\"", self.0));
        };
        let port = parse_port(port)?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(v6) => v6,
            None if host.contains(':') => {
                return Err(format!("IPv6 addresses need brackets: \"[{host}]:{port}\""));
            }
            None if host.contains(['/', ' ']) => return Err(format!("{host:?} is not a host name; write host:port")),
            None => host,
        };
        Ok((host, port))
    }

    fn unix_advice(&self) -> String {
        format!("{:?} is not host:port; for a Unix socket write its path, and transport: unix", self.0)
    }

    /// Checks it against what carries the connections.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check(&self, transport: Transport) -> Result<(), String> {
        match transport {
            _ if self.0.is_empty() => Err("must not be empty".into()),
            Transport::Unix if self.0.starts_with("unix:") => Err(self.unix_advice()),
            Transport::Unix => Ok(()),
            Transport::Tcp | Transport::Tcp4 | Transport::Tcp6 => self.host_and_port().map(drop),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Where to send. A user name and password inside it are never printed.
#[derive(Clone, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(transparent)]
pub struct Url(String);

impl Url {
    /// Wraps an address.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As it stands in the configuration, credentials included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Without the credentials: user name and password, and what the parameters of a query say.
    pub fn redacted(&self) -> Cow<'_, str> {
        let (address, query) =
            self.0.split_once('?').map_or((&*self.0, None), |(address, query)| (address, Some(query)));
        let start = address.find("://").map_or(0, |at| at + 3);
        let end = address[start..].find(['/', '#']).map_or(address.len(), |at| start + at);
        let credentials = address[start..end].rfind('@');
        if credentials.is_none() && query.is_none() {
            return Cow::Borrowed(&self.0);
        }
        let mut shown = address[..start].to_owned();
        if credentials.is_some() {
            shown.push_str(REDACTED);
        }
        shown.push_str(&address[start + credentials.unwrap_or(0)..]);
        for (position, parameter) in query.iter().flat_map(|query| query.split('&')).enumerate() {
            shown.push(if position == 0 { '?' } else { '&' });
            match parameter.split_once('=') {
                Some((name, _)) => shown.extend([name, "=", REDACTED]),
                None => shown.push_str(parameter),
            }
        }
        Cow::Owned(shown)
    }

    /// Checks that it is an absolute HTTP address.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check_http(&self) -> Result<(), String> {
        self.check(&["http", "https"], "http:// or https://")
    }

    /// Checks that it is the address of a proxy. One that is spoken to with TLS is none.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check_proxy(&self) -> Result<(), String> {
        self.check(&["http", "socks5", "socks5h"], "http:// or socks5://")
    }

    fn check(&self, schemes: &[&str], expected: &str) -> Result<(), String> {
        let shown = self.redacted();
        let uri: http::Uri = self.0.parse().map_err(|error| format!("{shown:?} is not a URL: {error}"))?;
        match (uri.scheme_str(), uri.authority()) {
            (Some(scheme), Some(authority)) if schemes.contains(&scheme) => check_port(authority),
            _ => Err(format!("{shown:?} must start with {expected}")),
        }
    }
}

/// Checks the port of an address, if it names one: the type takes digits without end.
pub(super) fn check_port(authority: &Authority) -> Result<(), String> {
    // User names and passwords may have colons.
    let host_and_port = authority.as_str().rsplit('@').next().unwrap_or_default();
    match host_and_port.strip_prefix(authority.host()).and_then(|rest| rest.strip_prefix(':')) {
        None | Some("") => Ok(()),
        Some(port) => parse_port(port).map(drop),
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("{text:?} is not a port (0 to 65535)"))
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.redacted(), f)
    }
}

impl Serialize for Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.redacted())
    }
}

impl JsonSchema for Url {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Url".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "url" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_host_and_port() {
        let cases = [
            ("localhost:4317", "localhost", 4317),
            ("0.0.0.0:0", "0.0.0.0", 0),
            (":8888", "", 8888),
            ("[::1]:4318", "::1", 4318),
        ];
        for (text, host, port) in cases {
            assert_eq!(ListenAddress::new(text).host_and_port(), Ok((host, port)), "{text}");
        }
        for text in ["localhost", "4317", "localhost:", "localhost:65536", "::1:4317", "http://localhost:4317", ""] {
            assert!(ListenAddress::new(text).host_and_port().is_err(), "{text}");
        }
    }

    #[test]
    fn tells_how_to_listen_on_a_unix_socket() {
        for text in ["/run/otlp.sock", "unix:///run/otlp.sock", "unix:/run/otlp.sock"] {
            let address = ListenAddress::new(text);
            let message = address.check(Transport::Tcp).expect_err(text);
            assert!(message.contains("write its path, and transport: unix"), "{message}");
        }
        assert_eq!(ListenAddress::new("/run/otlp.sock").check(Transport::Unix), Ok(()));
        let message = ListenAddress::new("unix:///run/otlp.sock").check(Transport::Unix).expect_err("no path");
        assert!(message.contains("write its path, and transport: unix"), "{message}");
    }

    #[test]
    fn hides_credentials_of_a_url() {
        let cases = [
            ("http://user:pw@proxy:3128/x", "http://[REDACTED]@proxy:3128/x"),
            ("user:p@w@proxy:3128", "[REDACTED]@proxy:3128"),
            ("https://host/path@2?q=a@b", "https://host/path@2?q=[REDACTED]"),
            ("https://u@host?pretty&key=s3cr3t=&a=", "https://[REDACTED]@host?pretty&key=[REDACTED]&a=[REDACTED]"),
            ("host:1234", "host:1234"),
        ];
        for (text, shown) in cases {
            let url = Url::new(text);
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), format!("{shown:?}"));
            assert_eq!(serde_json::json!(url), shown);
        }
    }

    #[test]
    fn takes_only_absolute_http_addresses_as_such() {
        assert_eq!(Url::new("https://a:1/b").check_http(), Ok(()));
        assert_eq!(Url::new("http://user:99999@[::1]:65535/b").check_http(), Ok(()));
        for text in
            ["a:1", "localhost:8888", "/x", "ftp://a", "http://", "https://a b", "http://a:65536", "https://[::1]:x"]
        {
            assert!(Url::new(text).check_http().is_err(), "{text}");
        }
    }
}
