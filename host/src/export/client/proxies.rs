//! Which proxy stands before a destination: the configured one, or those that the environment names.

use std::collections::BTreeMap;
use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use crate::config::Environment;
use crate::config::types::Url;
use crate::export::SetupError;

/// Which proxy stands before a destination.
pub(super) enum Proxies {
    /// The configured one, before all.
    Configured(Matcher),
    /// Those of the environment, which know nothing of this machine's own addresses (as in Go's `ProxyFromEnvironment`).
    Environment {
        /// For the ports that `NO_PROXY` names.
        of_ports: BTreeMap<u16, Matcher>,
        others: Matcher,
    },
}

/// What the environment says about proxies. An empty text says nothing.
#[derive(Debug, Default)]
pub(crate) struct ProxyVariables {
    http: String,
    pub(crate) https: String,
    /// Hosts that are connected to directly, the way the matchers write them; on one port or on all.
    direct: Vec<(String, Option<u16>)>,
}

impl Proxies {
    pub(super) fn new(proxy_url: Option<&Url>, environment: Environment<'_>) -> Result<Self, SetupError> {
        let Some(url) = proxy_url.filter(|url| !url.is_empty()) else {
            return Ok(ProxyVariables::read(environment).into_proxies());
        };
        url.check_proxy().map_err(|message| SetupError::new("proxy_url", message))?;
        Ok(Self::Configured(Matcher::builder().all(url.as_str()).build()))
    }

    pub(super) fn intercept(&self, destination: &Uri) -> Option<Intercept> {
        match self {
            Self::Configured(matcher) => matcher.intercept(destination),
            Self::Environment { .. } if is_loopback(destination) => None,
            Self::Environment { of_ports, others } => {
                let matcher = port(destination).and_then(|port| of_ports.get(&port));
                matcher.unwrap_or(others).intercept(destination)
            }
        }
    }
}

impl ProxyVariables {
    pub(crate) fn read(environment: Environment<'_>) -> Self {
        let of = |names: [&str; 2]| names.into_iter().find_map(|name| environment(name).filter(|set| !set.is_empty()));
        let proxy = |names| of(names).unwrap_or_default();
        let direct = of(["NO_PROXY", "no_proxy"]).unwrap_or_default();
        Self {
            http: proxy(["HTTP_PROXY", "http_proxy"]),
            https: proxy(["HTTPS_PROXY", "https_proxy"]),
            direct: direct.split(',').map(|entry| direct_host(entry.trim())).collect(),
        }
    }

    /// The hosts that are connected to directly on this port.
    pub(crate) fn direct(&self, port: Option<u16>) -> String {
        let on_port = self.direct.iter().filter(|(_, only)| only.is_none() || *only == port);
        on_port.map(|(host, _)| host.as_str()).collect::<Vec<_>>().join(",")
    }

    fn into_proxies(self) -> Proxies {
        let ports = self.direct.iter().filter_map(|(_, only)| *only);
        Proxies::Environment {
            of_ports: ports.map(|port| (port, self.matcher(Some(port)))).collect(),
            others: self.matcher(None),
        }
    }

    fn matcher(&self, port: Option<u16>) -> Matcher {
        Matcher::builder().http(self.http.as_str()).https(self.https.as_str()).no(self.direct(port)).build()
    }
}

/// One entry of `NO_PROXY` as Go reads it: the matchers know neither ports nor `*.`, and take `*` for names alone.
fn direct_host(entry: &str) -> (String, Option<u16>) {
    // A bare IPv6 address has more colons.
    let split = entry.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let (host, port) = match split.map(|(host, port)| (host, port.parse())) {
        Some((host, Ok(port))) => (host, Some(port)),
        _ => (entry, None),
    };
    let host = host.trim_matches(['[', ']']);
    match host {
        "*" => ("*,0.0.0.0/0,::/0".to_owned(), port),
        _ => (host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host).to_owned(), port),
    }
}

fn port(uri: &Uri) -> Option<u16> {
    uri.port_u16().or_else(|| Some(if uri.scheme()? == &Scheme::HTTPS { 443 } else { 80 }))
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a proxy of the environment stands before an address.
    fn passes(no_proxy: &str, uri: &str) -> bool {
        let environment = |name: &str| match name {
            "HTTP_PROXY" | "HTTPS_PROXY" => Some("http://proxy:3128".to_owned()),
            "NO_PROXY" => Some(no_proxy.to_owned()),
            _ => None,
        };
        let proxies = Proxies::new(None, &environment).expect("nothing is configured");
        proxies.intercept(&uri.parse().expect("a uri")).is_some()
    }

    #[test]
    fn proxies_of_the_environment_are_not_for_this_machine_but_configured_ones_are() {
        let configured = Proxies::Configured(Matcher::builder().all("http://proxy:3128").build());
        for own in ["http://127.0.0.1:4318", "https://127.1.2.3", "http://[::1]:4317", "http://LOCALHOST:4317"] {
            assert!(!passes("", own), "{own}");
            assert!(configured.intercept(&own.parse().expect("a uri")).is_some(), "{own}");
        }
        assert!(passes("", "http://10.0.0.1:4317"));
        assert!(passes("", "https://localhost.example.com"));
    }

    #[test]
    fn no_proxy_has_the_forms_that_go_knows() {
        for (no_proxy, uri, is_direct) in [
            ("*.example.test", "https://sub.example.test", true),
            ("*.example.test", "https://notexample.test", false),
            ("other, .example.test:4318", "http://sub.example.test:4318", true),
            (".example.test:4318", "http://sub.example.test:4319", false),
            ("*.example.test:443", "https://sub.example.test", true),
            ("*.example.test:443", "http://sub.example.test", false),
            ("other:4318,example.test", "http://sub.example.test:4318", true),
            ("10.0.0.0/8", "http://10.1.2.3:4318", true),
            ("10.1.2.3:4318", "http://10.1.2.3:4318", true),
            ("10.1.2.3:4318", "http://10.1.2.3:80", false),
            ("fd00::1", "http://[fd00::1]:4318", true),
            ("[fd00::1]:4318", "http://[fd00::1]:4318", true),
            ("[fd00::1]:4318", "http://[fd00::1]", false),
            ("*", "https://10.1.2.3", true),
            ("*", "https://example.test", true),
            (":4318", "http://example.test:4318", false),
        ] {
            assert_eq!(!passes(no_proxy, uri), is_direct, "{no_proxy} {uri}");
        }
    }

    #[test]
    fn an_empty_variable_says_nothing() {
        let environment = |name: &str| match name {
            "HTTPS_PROXY" | "NO_PROXY" => Some(String::new()),
            "https_proxy" => Some("http://proxy:3128".to_owned()),
            "no_proxy" => Some("*.example.test,example.org:8443".to_owned()),
            _ => None,
        };
        let variables = ProxyVariables::read(&environment);
        assert_eq!((variables.http.as_str(), variables.https.as_str()), ("", "http://proxy:3128"));
        assert_eq!(variables.direct(Some(443)), ".example.test");
        assert_eq!(variables.direct(Some(8443)), ".example.test,example.org");
    }
}
