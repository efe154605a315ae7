//! Whether the process is able to do its work, and the page of the `health_check` extension that says so.

use std::sync::{Arc, RwLock};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::{Response, StatusCode, header};
use serde_json::json;

/// The state that the health page shows; shared by the app and its parts.
#[derive(Clone)]
pub struct Health(Arc<RwLock<State>>);

struct State {
    ready_since: Option<(SystemTime, Instant)>,
    /// What is degraded, by component id.
    troubles: std::collections::BTreeMap<String, String>,
}

/// What `response_body` of the extension says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bodies {
    /// Instead of the JSON of a healthy process.
    pub healthy: Option<String>,
    /// Instead of the JSON of one that is not.
    pub unhealthy: Option<String>,
}

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(RwLock::new(State { ready_since: None, troubles: Default::default() })))
    }
}

impl Health {
    /// The process takes data from now on.
    pub fn set_ready(&self) {
        self.write(|state| state.ready_since = Some((SystemTime::now(), Instant::now())));
    }

    /// The process takes no more data.
    pub fn set_not_ready(&self) {
        self.write(|state| state.ready_since = None);
    }

    /// Something works badly but heals by itself; `None` when it has.
    pub fn set_trouble(&self, component: &str, trouble: Option<String>) {
        self.write(|state| match trouble {
            Some(trouble) => drop(state.troubles.insert(component.to_owned(), trouble)),
            None => drop(state.troubles.remove(component)),
        });
    }

    /// The answer of the health page: 200 or 503 with the collector's JSON. Degraded components stand in it, but do
    /// not make the process unhealthy: a restart would not heal them.
    pub fn page(&self, bodies: &Bodies) -> Response<Bytes> {
        let state = self.read();
        let (status, text, custom) = match state.ready_since {
            Some(_) => (StatusCode::OK, "Server available", &bodies.healthy),
            None => (StatusCode::SERVICE_UNAVAILABLE, "Server not available", &bodies.unhealthy),
        };
        if let Some(body) = custom {
            return respond(status, "text/plain", body.clone());
        }
        let mut page = json!({"status": text});
        if let Some((since, started)) = state.ready_since {
            page["upSince"] = timestamp(since).into();
            page["uptime"] = format!("{:.3}s", started.elapsed().as_secs_f64()).into();
        }
        if !state.troubles.is_empty() {
            page["degraded"] = json!(state.troubles);
        }
        respond(status, "application/json", page.to_string())
    }

    fn write(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn timestamp(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| String::new(), |time| time.to_string())
}

/// A whole response.
pub(crate) fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(page: &Response<Bytes>) -> String {
        String::from_utf8_lossy(page.body()).into_owned()
    }

    #[test]
    fn is_unavailable_until_it_is_ready() {
        let health = Health::default();
        let page = health.page(&Bodies::default());
        assert_eq!(
            (page.status(), body(&page).as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"Server not available"}"#)
        );
        health.set_ready();
        let page = health.page(&Bodies::default());
        assert_eq!(page.status(), StatusCode::OK);
        assert!(body(&page).contains("Server available") && body(&page).contains("upSince"));
    }

    #[test]
    fn names_what_is_degraded_without_becoming_unhealthy() {
        let health = Health::default();
        health.set_ready();
        health.set_trouble("sigv4auth", Some("STS is slow".into()));
        let page = health.page(&Bodies::default());
        assert_eq!(page.status(), StatusCode::OK);
        assert!(body(&page).contains(r#""degraded":{"sigv4auth":"STS is slow"}"#));
        health.set_trouble("sigv4auth", None);
        assert!(!body(&health.page(&Bodies::default())).contains("degraded"));
    }

    #[test]
    fn says_what_the_configuration_wants_it_to_say() {
        let bodies = Bodies { healthy: Some("fine".into()), unhealthy: Some("ill".into()) };
        let health = Health::default();
        assert_eq!(body(&health.page(&bodies)), "ill");
        health.set_ready();
        assert_eq!(body(&health.page(&bodies)), "fine");
    }
}
