//! Plain HTTP requests for tests.

use std::time::Duration;

use anyhow::{Context, Result};

/// A status and a body.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The whole body.
    pub body: String,
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Errors
    /// Shows what can't be read.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {}", self.body))
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    config.timeout_global(Some(Duration::from_secs(30))).build().into()
}

fn read(mut response: ureq::http::Response<ureq::Body>) -> Result<Reply> {
    let body = response.body_mut().with_config().limit(256 << 20).read_to_string()?;
    Ok(Reply { status: response.status().as_u16(), body })
}

/// GET.
///
/// # Errors
/// Returns what the connection says.
pub fn get(url: &str) -> Result<Reply> {
    read(agent().get(url).call().with_context(|| url.to_owned())?)
}

/// POST.
///
/// # Errors
/// Returns what the connection says.
pub fn post(url: &str, content_type: &str, body: &[u8]) -> Result<Reply> {
    read(agent().post(url).header("content-type", content_type).send(body).with_context(|| url.to_owned())?)
}

/// PUT.
///
/// # Errors
/// Returns what the connection says.
pub fn put(url: &str, content_type: &str, body: &[u8]) -> Result<Reply> {
    read(agent().put(url).header("content-type", content_type).send(body).with_context(|| url.to_owned())?)
}

/// Asks again until the answer is right.
///
/// # Errors
/// Shows the last answer when the time is over.
pub fn eventually<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = std::time::Instant::now() + limit;
    loop {
        let answer = ask();
        match answer {
            Ok(Some(value)) => return Ok(value),
            _ if std::time::Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            Ok(None) => anyhow::bail!("no {what} within {limit:?}"),
            Err(error) => return Err(error.context(format!("no {what} within {limit:?}"))),
        }
    }
}
