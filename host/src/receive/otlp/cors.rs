//! Cross-origin requests, for telemetry from browsers.

use ::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use ::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};

use super::reply::Reply;
use crate::config::types::CorsConfig;

/// Headers that a browser may always send.
const ALWAYS: [&str; 4] = ["accept", "content-type", "origin", "x-requested-with"];

/// Who may send from a browser, and what.
pub(super) struct Cors {
    origins: Vec<Origin>,
    headers: Vec<String>,
    any_header: bool,
    exposed: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
}

/// An allowed origin; one `*` stands for any text.
enum Origin {
    Any,
    Exact(String),
    Pattern { start: String, end: String },
}

impl Cors {
    /// Makes the rules; none if no origin is allowed.
    pub(super) fn new(config: &CorsConfig) -> Option<Self> {
        if config.allowed_origins.is_empty() {
            return None;
        }
        Some(Self {
            origins: config.allowed_origins.iter().map(|origin| Origin::parse(origin)).collect(),
            headers: config.allowed_headers.iter().map(|name| name.to_ascii_lowercase()).collect(),
            any_header: config.allowed_headers.iter().any(|name| name == "*"),
            exposed: HeaderValue::from_str(&config.exposed_headers.join(", ")).ok().filter(|names| !names.is_empty()),
            max_age: (config.max_age > 0).then(|| HeaderValue::from(config.max_age)),
        })
    }

    /// Answers a browser's question whether it may send; `None` if this is no such question.
    pub(super) fn preflight<B>(&self, request: &Request<B>) -> Option<Response<Reply>> {
        let asked = request.headers().get(ACCESS_CONTROL_REQUEST_METHOD)?;
        if request.method() != Method::OPTIONS {
            return None;
        }
        let mut response = Response::new(Reply::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.append(VARY, HeaderValue::from_static("Origin"));
        headers.append(VARY, HeaderValue::from_static("Access-Control-Request-Method"));
        headers.append(VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
        let wanted = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS);
        let allowed = asked == Method::POST.as_str() && wanted.is_none_or(|wanted| self.allows_headers(wanted));
        if let Some(origin) = self.allowed_origin(request.headers())
            && allowed
        {
            allow(origin, headers);
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
            if let Some(wanted) = wanted {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
            }
            if let Some(age) = &self.max_age {
                headers.insert(ACCESS_CONTROL_MAX_AGE, age.clone());
            }
        }
        Some(response)
    }

    /// The headers that let a browser read a response.
    pub(super) fn grant(&self, request: &HeaderMap, response: &mut HeaderMap) {
        response.append(VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = self.allowed_origin(request) {
            allow(origin, response);
            if let Some(exposed) = &self.exposed {
                response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
            }
        }
    }

    fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let value = headers.get(ORIGIN)?;
        let origin = value.to_str().ok()?.to_ascii_lowercase();
        let by = self.origins.iter().find(|allowed| allowed.matches(&origin))?;
        Some(if matches!(by, Origin::Any) { HeaderValue::from_static("*") } else { value.clone() })
    }

    fn allows_headers(&self, wanted: &HeaderValue) -> bool {
        let Ok(wanted) = wanted.to_str() else { return false };
        self.any_header
            || wanted
                .split(',')
                .map(|name| name.trim().to_ascii_lowercase())
                .all(|name| name.is_empty() || ALWAYS.contains(&name.as_str()) || self.headers.contains(&name))
    }
}

/// Allows an origin, and requests with credentials: browsers send beacons with them. With `*` they are not to be had.
fn allow(origin: HeaderValue, headers: &mut HeaderMap) {
    if origin != "*" {
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
}

impl Origin {
    fn parse(text: &str) -> Self {
        let lower = text.to_ascii_lowercase();
        match lower.split_once('*') {
            None => Self::Exact(lower),
            Some(("", "")) => Self::Any,
            Some((start, end)) => Self::Pattern { start: start.into(), end: end.into() },
        }
    }

    fn matches(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => exact == origin,
            Self::Pattern { start, end } => {
                origin.len() >= start.len() + end.len() && origin.starts_with(start) && origin.ends_with(end)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors() -> Cors {
        let config = CorsConfig {
            allowed_origins: vec!["https://*.test.com".into(), "https://test.com".into()],
            allowed_headers: vec!["X-Tenant".into()],
            exposed_headers: vec!["X-Seen".into()],
            max_age: 7200,
        };
        Cors::new(&config).expect("rules")
    }

    fn question(origin: &str, method: &str, headers: &str) -> Request<()> {
        Request::builder()
            .method(Method::OPTIONS)
            .header(ORIGIN, origin)
            .header(ACCESS_CONTROL_REQUEST_METHOD, method)
            .header(ACCESS_CONTROL_REQUEST_HEADERS, headers)
            .body(())
            .expect("request")
    }

    #[test]
    fn allows_what_is_listed_and_nothing_else() {
        let cases = [
            ("https://www.test.com", "POST", "content-type,x-tenant", true),
            ("https://Foo.Test.com", "POST", "X-Tenant", true),
            ("https://test.com", "POST", "", true),
            ("https://wwwtest.com", "POST", "", false),
            ("http://test.com", "POST", "", false),
            ("https://test.com", "PUT", "", false),
            ("https://test.com", "POST", "x-other", false),
        ];
        for (origin, method, headers, allowed) in cases {
            let response = cors().preflight(&question(origin, method, headers)).expect("a preflight request");
            let granted = response.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(granted.is_some(), allowed, "{origin} {method} {headers}");
            assert_eq!(response.headers().get(ACCESS_CONTROL_MAX_AGE).is_some(), allowed);
        }
    }

    #[test]
    fn takes_a_lone_star_for_everybody() {
        let config = CorsConfig { allowed_origins: vec!["*".into()], ..CorsConfig::default() };
        let cors = Cors::new(&config).expect("rules");
        let mut headers = HeaderMap::new();
        cors.grant(question("https://any.where", "POST", "").headers(), &mut headers);
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    }
}
