//! The life of one connection: handshake, requests, idleness, age, and its end.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::body::KEEP_BYTES;
use super::listen::Stream;
use super::otlp::Protocol;
use super::tls::ServerTls;
use super::windows::{LEAST_BYTES, Window};

/// A TLS handshake that takes longer is given up.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// What a connection gets to end by itself when it is closed for idleness.
const CLOSING: Duration = Duration::from_secs(5);
/// Headers of a request, as HTTP/2 counts them.
const MAX_HEADER_BYTES: u32 = 64 << 10;
/// HTTP/2 allows no smaller limit of the frame size.
const MIN_FRAME_BYTES: usize = 16 << 10;
/// A frame is buffered whole before anybody sees it.
const MAX_FRAME_BYTES: usize = 1 << 20;

/// Where the receiver stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Requests are taken.
    Serving,
    /// No new requests; what has begun goes on.
    Draining,
    /// The deadline of draining has passed: what has begun is answered with `UNAVAILABLE`.
    Ending,
}

/// Limits of a connection's life.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetime {
    /// Until its first request has come.
    pub(super) first_request: Duration,
    /// Between requests; none means for ever.
    pub(super) idle: Option<Duration>,
    /// In all, until no new request is taken on it.
    pub(super) age: Option<Duration>,
    /// What running requests get after that; none means for ever.
    pub(super) age_grace: Option<Duration>,
}

impl Lifetime {
    /// When a new connection can first have come to an end.
    fn first_look(&self) -> Duration {
        [self.idle, self.age].into_iter().flatten().fold(self.first_request, Duration::min)
    }
}

/// What is to be done about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Ask again then.
    Wait(Instant),
    /// Nothing will ever have to be done.
    Leave,
    /// Close it gracefully; cut it off after that time.
    Close(Option<Duration>),
}

/// What goes on on a connection.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    running: AtomicUsize,
    /// Milliseconds after `opened` at which the last request began or ended; 0 before the first.
    last_ms: AtomicU64,
}

/// A request that runs.
pub(super) struct Running(Arc<Activity>);

impl Activity {
    fn new(opened: Instant) -> Self {
        Self { opened, running: AtomicUsize::new(0), last_ms: AtomicU64::new(0) }
    }

    fn begin(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.touch();
        Running(Arc::clone(self))
    }

    fn touch(&self) {
        let ms = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(ms.max(1), Ordering::Relaxed);
    }

    fn is_unused(&self) -> bool {
        self.last_ms.load(Ordering::Relaxed) == 0
    }

    fn verdict(&self, lifetime: &Lifetime, now: Instant) -> Verdict {
        let old = lifetime.age.map(|age| self.opened + age);
        if old.is_some_and(|old| now >= old) {
            return Verdict::Close(lifetime.age_grace);
        }
        // Whoever has not asked for anything is not waited for.
        let (since, patience, closing) = match self.last_ms.load(Ordering::Relaxed) {
            0 => (self.opened, Some(lifetime.first_request), Duration::ZERO),
            ms => (self.opened + Duration::from_millis(ms), lifetime.idle, CLOSING),
        };
        let Some(patience) = patience else { return old.map_or(Verdict::Leave, Verdict::Wait) };
        let busy = self.running.load(Ordering::Relaxed) > 0;
        // While a request runs its end is unknown: look again after another idle time.
        let end = if busy { now + patience } else { since + patience };
        if now >= end { Verdict::Close(Some(closing)) } else { Verdict::Wait(old.unwrap_or(end).min(end)) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.touch();
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What all connections of a listener share.
pub(super) struct Shared {
    pub(super) builder: auto::Builder<TokioExecutor>,
    pub(super) lifetime: Lifetime,
    pub(super) tls: Option<Arc<ServerTls>>,
    pub(super) protocol: Protocol,
    pub(super) phase: watch::Receiver<Phase>,
}

/// Serves a connection until either side ends it.
pub(super) async fn serve(stream: Box<dyn Stream>, shared: Arc<Shared>, window: Window) {
    let Some(tls) = &shared.tls else {
        return drive(stream, &shared, &window).await;
    };
    let mut phase = shared.phase.clone();
    let handshake = tokio::select! {
        biased;
        _ = phase.wait_for(|phase| *phase != Phase::Serving) => return,
        handshake = timeout(HANDSHAKE, TlsAcceptor::from(tls.current()).accept(stream)) => handshake,
    };
    match handshake {
        Ok(Ok(stream)) => drive(Box::new(stream), &shared, &window).await,
        Ok(Err(error)) => debug!(%error, "TLS handshake failed"),
        Err(_) => debug!("TLS handshake took too long"),
    }
}

async fn drive(stream: Box<dyn Stream>, shared: &Shared, window: &Window) {
    let activity = Arc::new(Activity::new(Instant::now()));
    let service = service_fn(|request: http::Request<Incoming>| {
        let running = activity.begin();
        let (protocol, phase) = (shared.protocol.clone(), shared.phase.clone());
        async move {
            let reply = protocol.answer(request, phase).await;
            drop(running);
            Ok::<_, std::convert::Infallible>(reply)
        }
    });
    let mut builder = shared.builder.clone();
    fit(&mut builder, window);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut phase = shared.phase.clone();
    let mut closing = false;
    // `None` is never: nothing limits this connection, or it may take its time to close.
    let mut alarm = Some(Instant::now() + shared.lifetime.first_look());
    loop {
        tokio::select! {
            biased;
            result = connection.as_mut() => {
                if let Err(error) = result {
                    debug!(error, "connection broke off");
                }
                return;
            }
            _ = phase.wait_for(|phase| *phase != Phase::Serving), if !closing => {
                // A peer that has not even greeted would be waited for.
                if activity.is_unused() {
                    return;
                }
                closing = true;
                alarm = None;
                connection.as_mut().graceful_shutdown();
            }
            () = sleep_until(alarm.unwrap_or_else(Instant::now)), if alarm.is_some() => {
                if closing {
                    return;
                }
                match activity.verdict(&shared.lifetime, Instant::now()) {
                    Verdict::Wait(until) => alarm = Some(until),
                    Verdict::Leave => alarm = None,
                    Verdict::Close(grace) => {
                        closing = true;
                        alarm = grace.map(|grace| Instant::now() + grace);
                        connection.as_mut().graceful_shutdown();
                    }
                }
            }
        }
    }
}

/// Settings that all connections have.
pub(super) fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Without half_close: the end of what a peer sends is how we hear that nobody waits for the answer any more.
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new()).max_header_list_size(MAX_HEADER_BYTES);
    builder
}

/// Fits the buffers of HTTP/1 and HTTP/2 into a window.
fn fit(builder: &mut auto::Builder<TokioExecutor>, window: &Window) {
    let bytes = window.bytes();
    builder.http1().max_buf_size(bytes.min(2 * KEEP_BYTES));
    let stream = (bytes / 2).max(LEAST_BYTES);
    builder
        .http2()
        .initial_connection_window_size(bytes as u32)
        .initial_stream_window_size(stream as u32)
        // One frame per message where the client can: then the message is never copied.
        .max_frame_size((stream / 2).clamp(MIN_FRAME_BYTES, MAX_FRAME_BYTES) as u32);
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Lifetime = Lifetime {
        first_request: Duration::from_secs(60),
        idle: Some(Duration::from_secs(30)),
        age: Some(Duration::from_secs(100)),
        age_grace: Some(Duration::from_secs(7)),
    };

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[tokio::test(start_paused = true)]
    async fn closes_a_connection_that_never_asks() {
        let activity = Activity::new(Instant::now());
        let opened = activity.opened;
        assert_eq!(activity.verdict(&LIMITS, opened), Verdict::Wait(opened + seconds(60)));
        assert_eq!(activity.verdict(&LIMITS, opened + seconds(60)), Verdict::Close(Some(Duration::ZERO)));
    }

    #[test]
    fn looks_at_a_connection_as_soon_as_any_limit_can_be_reached() {
        let endless = Lifetime { idle: None, age: None, ..LIMITS };
        let cases = [
            (LIMITS, 30),
            (Lifetime { age: Some(seconds(1)), ..LIMITS }, 1),
            (Lifetime { idle: Some(seconds(2)), ..endless }, 2),
            (endless, 60),
        ];
        for (lifetime, expected) in cases {
            assert_eq!(lifetime.first_look(), seconds(expected), "{lifetime:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn counts_idleness_from_the_end_of_the_last_request() {
        let activity = Arc::new(Activity::new(Instant::now()));
        let opened = activity.opened;
        let running = activity.begin();
        tokio::time::advance(seconds(40)).await;
        assert!(matches!(activity.verdict(&LIMITS, Instant::now()), Verdict::Wait(_)));
        drop(running);
        assert_eq!(activity.verdict(&LIMITS, opened + seconds(69)), Verdict::Wait(opened + seconds(70)));
        assert_eq!(activity.verdict(&LIMITS, opened + seconds(70)), Verdict::Close(Some(CLOSING)));
    }

    #[tokio::test(start_paused = true)]
    async fn closes_an_old_connection_though_it_is_busy() {
        let activity = Arc::new(Activity::new(Instant::now()));
        let _running = activity.begin();
        let old = activity.opened + seconds(100);
        assert_eq!(activity.verdict(&LIMITS, old), Verdict::Close(Some(seconds(7))));
    }

    #[tokio::test(start_paused = true)]
    async fn leaves_a_connection_without_limits_alone() {
        let activity = Arc::new(Activity::new(Instant::now()));
        drop(activity.begin());
        let endless = Lifetime { idle: None, age: None, ..LIMITS };
        assert_eq!(activity.verdict(&endless, activity.opened + seconds(1 << 20)), Verdict::Leave);
    }
}
