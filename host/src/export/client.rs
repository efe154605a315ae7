//! The HTTP client of all exporters that speak HTTP: TLS, proxy, static headers, signature, timeout.

use std::error::Error;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::header::{
    AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, PROXY_AUTHORIZATION, RETRY_AFTER,
    USER_AGENT,
};
use http::uri::{Authority, Scheme};
use http::{Method, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use percent_encoding::percent_decode_str;

use crate::config::types::{Headers, HttpClientConfig};
use crate::export::SetupError;
use crate::export::echo::Secrets;
use crate::export::sign::{SignError, Signer, SignerStatus};
pub(crate) use compress::{compress, compress_message};
pub(crate) use connect::{ConnectError, Connector, Stream};
pub(crate) use proxies::ProxyVariables;
pub(crate) use tls::ClientTls;

mod compress;
mod connect;
mod proxies;
mod resolve;
mod tls;

#[cfg(test)]
mod tests;

/// How often a destination may say that a request belongs elsewhere.
const MAX_REDIRECTS: usize = 3;
/// A reply's body beyond this is cut off unless the request asks for more: enough for any error message.
pub(crate) const DEFAULT_MAX_REPLY_BYTES: usize = 64 * 1024;
/// The most of a reply's text that stands in a reason.
pub(crate) const MAX_REASON_BYTES: usize = 1024;

/// What Go takes a `http2_ping_timeout` of 0 for; for hyper every ping would be late.
const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// What Sluice calls itself towards destinations.
pub(crate) const AGENT: HeaderValue = HeaderValue::from_static(concat!("sluice/", env!("CARGO_PKG_VERSION")));

/// A client with the settings of one exporter; cheap to clone. Clones share their connections.
#[derive(Clone)]
pub(crate) struct HttpClient {
    http: Client<Connector, Full<Bytes>>,
    connector: Connector,
    headers: HeaderMap,
    timeout: Option<Duration>,
    authenticator: Authenticator,
}

/// Who vouches for requests.
#[derive(Clone, Debug)]
pub enum Authenticator {
    /// Nobody; static headers may.
    None,
    /// AWS credentials, by Signature Version 4.
    SigV4(Signer),
}

/// A request; a clone shares the body. Whoever retries sends the same one again.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The method.
    pub(crate) method: Method,
    /// Where to: an absolute address.
    pub(crate) uri: Uri,
    /// Headers besides those of the configuration, which prevail.
    pub(crate) headers: HeaderMap,
    /// The body, as it goes over the wire.
    pub(crate) body: Bytes,
    /// How much of the reply's body is of interest.
    pub(crate) max_reply_bytes: usize,
}

/// What the destination answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// The status. Redirects are followed on the same host, if the request is to be made again as it is.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body, up to `max_reply_bytes` of it.
    pub(crate) body: Bytes,
    /// Whether there was more of it.
    pub(crate) truncated: bool,
    /// The address that it is from, as it is shown.
    pub(crate) from: String,
    /// What must not be shown of it.
    pub(crate) secrets: Secrets,
}

/// Why there is no answer; where from, by the address as it is shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// There is no connection.
    #[error("{0}: {1}")]
    Connect(String, ConnectError),
    /// The exchange took too long.
    #[error("{to}: no answer within {}", seconds(*.after))]
    Timeout { to: String, after: Duration },
    /// The connection broke down in the middle.
    #[error("{0}: connection lost: {1}")]
    Interrupted(String, String),
    /// The request can't be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl HttpClient {
    /// Makes a client; reads and checks everything that its settings name. `block` is where these stand in the
    /// configuration, for example `exporters::otlphttp`.
    ///
    /// # Errors
    /// If a certificate, the proxy or a header is of no use.
    pub(crate) fn new(
        block: &str,
        settings: &HttpClientConfig,
        authenticator: Authenticator,
    ) -> Result<Self, SetupError> {
        let mut headers = static_headers(&settings.headers)?;
        // A host of the user's own can't be named in HTTP/2 beside the one that is connected to.
        let protocols: &[&str] = if headers.contains_key(HOST) { &["http/1.1"] } else { &["h2", "http/1.1"] };
        let tls = ClientTls::new(format!("{block}::tls"), &settings.tls, protocols)?;
        let connector = Connector::new(tls, settings.proxy_url.as_ref())?;
        headers.entry(USER_AGENT).or_insert(AGENT);
        Ok(Self {
            http: client(settings, connector.clone()),
            connector,
            headers,
            timeout: settings.timeout.unless_zero(),
            authenticator,
        })
    }

    /// Sends a request, once.
    ///
    /// # Errors
    /// If there is no answer; any status is one.
    pub(crate) async fn send(&self, request: Request) -> Result<Reply, SendError> {
        match self.timeout {
            None => self.follow(request).await,
            Some(timeout) => {
                let to = shown(&request.uri);
                let answered = tokio::time::timeout(timeout, self.follow(request)).await;
                answered.unwrap_or_else(|_| Err(self.late(to, timeout)))
            }
        }
    }

    /// Why there is no answer in time: nothing may have been sent, for want of credentials.
    fn late(&self, to: String, timeout: Duration) -> SendError {
        match &self.authenticator {
            Authenticator::SigV4(signer) if signer.status() == SignerStatus::Starting => {
                SendError::Sign(SignError::NoCredentials("they are still being fetched".into()))
            }
            _ => SendError::Timeout { to, after: timeout },
        }
    }

    /// Goes where the destination says that the request belongs, on the same host: headers may be secrets.
    async fn follow(&self, mut request: Request) -> Result<Reply, SendError> {
        // An address that it is led to has no user name of its own.
        if let Some(credentials) = request.uri.authority().and_then(basic_auth) {
            request.headers.entry(AUTHORIZATION).or_insert(credentials);
        }
        for _ in 0..MAX_REDIRECTS {
            let reply = self.exchange(request.clone()).await?;
            match redirected(&request.uri, &reply) {
                Some(uri) => request.uri = uri,
                None => return Ok(reply),
            }
        }
        self.exchange(request).await
    }

    async fn exchange(&self, request: Request) -> Result<Reply, SendError> {
        let mut request = self.complete(request);
        let Authenticator::SigV4(signer) = &self.authenticator else { return self.perform(request).await };
        request.uri = with_unambiguous_query(request.uri);
        let unsigned = request.headers.clone();
        let signed = signer.sign(&request.method, &request.uri, &mut request.headers, &request.body).await?;
        let first = self.perform(request.clone()).await?;
        if !signer.learn(&first, &signed)? {
            return Ok(first);
        }
        // The clock was wrong; the same request with the right time has a chance.
        request.headers = unsigned;
        signer.sign(&request.method, &request.uri, &mut request.headers, &request.body).await?;
        self.perform(request).await
    }

    /// Everything that goes over the wire must be there before it is signed.
    fn complete(&self, mut request: Request) -> Request {
        request.uri = with_bare_authority(request.uri);
        for (name, value) in &self.headers {
            request.headers.insert(name, value.clone());
        }
        if !request.headers.contains_key(HOST)
            && let Some(host) = request.uri.authority().and_then(|a| HeaderValue::from_str(a.as_str()).ok())
        {
            request.headers.insert(HOST, host);
        }
        request
    }

    async fn perform(&self, request: Request) -> Result<Reply, SendError> {
        let mut message = http::Request::new(Full::new(request.body));
        *message.method_mut() = request.method;
        *message.headers_mut() = request.headers;
        // Between us and the proxy only, hence not signed.
        if let Some(credentials) = self.connector.proxy_credentials(&request.uri) {
            message.headers_mut().insert(PROXY_AUTHORIZATION, credentials);
        }
        *message.uri_mut() = request.uri;
        let secrets = Secrets::of(message.headers()).and_of(message.uri());
        let from = shown(message.uri());
        let response = self.http.request(message).await.map_err(|error| classify(&from, &error))?;
        read(response, request.max_reply_bytes, from, secrets).await
    }
}

impl Request {
    /// A POST of a body.
    pub(crate) fn post(uri: Uri, content_type: &'static str, body: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { method: Method::POST, uri, headers, body, max_reply_bytes: DEFAULT_MAX_REPLY_BYTES }
    }

    /// The request with one more header.
    #[must_use]
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

impl Reply {
    /// Whether the same request may succeed later.
    pub(crate) fn may_pass(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS || self.status.is_server_error()
    }

    /// For how long the destination wants to be left alone: seconds or a date, as RFC 9110 section 10.2.3 has it.
    pub(crate) fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        let value = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = value.parse::<u32>() {
            return Some(Duration::from_secs(seconds.into()));
        }
        Some(http_date(value)?.duration_since(now).unwrap_or_default())
    }

    /// The address, the status and what the body says, as a reason: at most `MAX_REASON_BYTES` of text, on one line.
    pub(crate) fn reason(&self) -> String {
        let body = self.secrets.mask(&self.body);
        let text = String::from_utf8_lossy(&body);
        let text: Vec<&str> = text.split_whitespace().collect();
        let mut reason = format!("{}: status {}", self.from, self.status);
        if !text.is_empty() {
            reason.push_str(": ");
            reason.push_str(&text.join(" "));
        }
        shorten(reason)
    }
}

impl SendError {
    /// Whether the same request may succeed later.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Connect(..) | Self::Timeout { .. } | Self::Interrupted(..) => true,
            Self::Sign(error) => error.is_retryable(),
        }
    }
}

/// Ends of paths that are shown, since every destination of the kind has them.
const KNOWN_PATHS: [&str; 5] = ["/v1/traces", "/v1/metrics", "/v1/logs", "/_bulk", "/api/v1/remote_write"];

/// An address in a message: without what may be secret, a user's name and password, the query, and a path of its own.
fn shown(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", Authority::as_str);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let end = KNOWN_PATHS.into_iter().find(|known| uri.path().ends_with(known)).unwrap_or_default();
    let own = uri.path().strip_suffix(end).filter(|own| matches!(*own, "" | "/")).unwrap_or("/...");
    format!("{}://{host}{own}{end}", uri.scheme_str().unwrap_or_default())
}

/// Where a destination sends a request that is to be made again as it is.
fn redirected(from: &Uri, reply: &Reply) -> Option<Uri> {
    if !matches!(reply.status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
        return None;
    }
    let to: Uri = reply.headers.get(LOCATION)?.to_str().ok()?.parse().ok()?;
    let Some(authority) = to.authority() else {
        let mut parts = from.clone().into_parts();
        parts.path_and_query = Some(to.path_and_query().filter(|path| path.as_str().starts_with('/'))?.clone());
        return Uri::from_parts(parts).ok();
    };
    let is_safe =
        to.scheme_str() == Some("https") || (to.scheme_str() == Some("http") && from.scheme_str() == Some("http"));
    // User name and password stand before the host.
    (is_safe && from.host() == to.host() && !authority.as_str().contains('@')).then_some(to)
}

/// Cuts a text from a peer down to what a log line or a metric takes.
pub(crate) fn shorten(mut text: String) -> String {
    if text.len() > MAX_REASON_BYTES {
        text.truncate(text.floor_char_boundary(MAX_REASON_BYTES - 4));
        text.push_str(" ...");
    }
    text.retain(|c| !c.is_control());
    text
}

/// What an error and its causes say, each once.
pub(crate) fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Reads a date as HTTP and AWS write it.
pub(crate) fn http_date(text: &str) -> Option<SystemTime> {
    jiff::fmt::rfc2822::parse(text).ok().map(|time| time.timestamp().into())
}

/// The headers of a configuration; their values count as secrets.
pub(crate) fn static_headers(configured: &Headers) -> Result<HeaderMap, SetupError> {
    let mut headers = HeaderMap::new();
    for (name, value) in configured.iter() {
        let invalid = || SetupError::new("headers", format_args!("{name:?} is not a header that can be sent"));
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| invalid())?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?, value);
    }
    Ok(headers)
}

fn client(settings: &HttpClientConfig, connector: Connector) -> Client<Connector, Full<Bytes>> {
    let per_host = match (settings.disable_keep_alives, settings.max_idle_conns_per_host, settings.max_idle_conns) {
        (true, ..) => 0,
        (false, 0, 0) => usize::MAX,
        (false, 0, idle) | (false, idle, _) => idle,
    };
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(per_host)
        .pool_idle_timeout(settings.idle_conn_timeout.unless_zero());
    if let Some(ping) = settings.http2_read_idle_timeout.unless_zero() {
        builder
            .http2_keep_alive_interval(ping)
            .http2_keep_alive_timeout(settings.http2_ping_timeout.unless_zero().unwrap_or(PING_TIMEOUT))
            .http2_keep_alive_while_idle(true);
    }
    builder.build(connector)
}

async fn read(
    response: http::Response<Incoming>,
    max_bytes: usize,
    from: String,
    secrets: Secrets,
) -> Result<Reply, SendError> {
    let (parts, mut incoming) = response.into_parts();
    let mut body = BytesMut::new();
    let mut truncated = false;
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| SendError::Interrupted(from.clone(), error_chain(&error)))?;
        let Some(data) = frame.data_ref() else { continue };
        let room = max_bytes - body.len();
        body.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            truncated = true;
            break;
        }
    }
    Ok(Reply { status: parts.status, headers: parts.headers, body: body.freeze(), truncated, from, secrets })
}

fn classify(to: &str, error: &hyper_util::client::legacy::Error) -> SendError {
    let connect = error.is_connect();
    // What the connector said stands at the end of the chain, in its own words.
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<ConnectError>() {
            return SendError::Connect(to.to_owned(), error.clone());
        }
        cause = error.source();
    }
    let (to, text) = (to.to_owned(), error_chain(error));
    if connect { SendError::Connect(to, ConnectError(text)) } else { SendError::Interrupted(to, text) }
}

/// Servers compare `Host` with what was signed, and clients leave out the port that the scheme implies. User name and
/// password are for a header; in an HTTP/2 request they must not stand (RFC 9113, 8.3.1).
fn with_bare_authority(uri: Uri) -> Uri {
    let default = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => Some(443),
        Some(scheme) if *scheme == Scheme::HTTP => Some(80),
        _ => None,
    };
    let bare = match (uri.host(), uri.port_u16()) {
        (Some(host), None) => host.parse().ok(),
        (Some(host), port) if port == default => host.parse().ok(),
        (Some(host), Some(port)) => format!("{host}:{port}").parse().ok(),
        (None, _) => None,
    };
    let mut parts = uri.clone().into_parts();
    parts.authority = bare.or(parts.authority);
    Uri::from_parts(parts).unwrap_or(uri)
}

/// Encodes what signers and servers may or may not encode before they compare, such as the `*` of
/// `filter_path=items.*.status`: then there is only one way to read it.
fn with_unambiguous_query(uri: Uri) -> Uri {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~%=&+".contains(&byte);
    let Some(query) = uri.query().filter(|query| !query.bytes().all(plain)) else { return uri };
    let mut target = format!("{}?", uri.path());
    for byte in query.bytes() {
        match plain(byte) {
            true => target.push(char::from(byte)),
            false => target.push_str(&format!("%{byte:02X}")),
        }
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = target.parse().ok();
    Uri::from_parts(parts).unwrap_or(uri)
}

/// User name and password of an address, as Go's client sends them.
fn basic_auth(authority: &Authority) -> Option<HeaderValue> {
    let (user_info, _) = authority.as_str().rsplit_once('@')?;
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let plain = [percent_decode_str(user), percent_decode_str(password)].map(Iterator::collect::<Vec<u8>>).join(&b':');
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(plain))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn seconds(duration: Duration) -> String {
    format!("{} seconds", duration.as_secs_f64())
}
