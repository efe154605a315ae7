//! The task that keeps a signer's credentials fresh.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;

use super::{Held, RELOAD_AFTER, Shared, SignerStatus, Source, has_expired};
use crate::config::types::{self, RetryConfig};
use crate::export::retry::{Backoff, Decision};

/// New credentials are fetched so long before the old ones expire, as the AWS SDKs do.
const EARLY: Duration = Duration::from_secs(300);
/// Sidecars that were started together must not all come at once.
const SPREAD: Duration = Duration::from_secs(60);
/// An STS or a metadata service that does not answer in this time will be asked again.
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);
/// A destination that calls fresh credentials expired must not make us flood STS.
const PAUSE_BETWEEN_REFRESHES: Duration = Duration::from_secs(5);

/// A source that hands out expired credentials is not asked without a rest.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

const RETRY: RetryConfig = RetryConfig {
    enabled: true,
    initial_interval: types::Duration::from_secs(1),
    randomization_factor: 0.5,
    multiplier: 2.0,
    max_interval: types::Duration::from_secs(60),
    max_elapsed_time: types::Duration::ZERO,
};

/// Gets credentials again and again, until it is aborted.
pub(super) async fn run(shared: Arc<Shared>, source: Source) {
    let mut failures = None;
    let mut came_expired = false;
    loop {
        let result = match tokio::time::timeout(LOAD_TIMEOUT, source()).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {} seconds", LOAD_TIMEOUT.as_secs())),
        };
        let wait = match result {
            Ok(credentials) => {
                if failures.take().is_some() {
                    tracing::info!(signer = shared.name, "aws credentials are there again");
                }
                let now = shared.clock.now(SystemTime::now());
                let came_expired_before = std::mem::replace(&mut came_expired, has_expired(&credentials, now));
                let expires = credentials.expiry();
                if let Some(expired) = expires.filter(|_| came_expired && !came_expired_before) {
                    warn_of_expired(&shared.name, expired);
                }
                hold(&shared, credentials, came_expired);
                expires.map_or(RELOAD_AFTER, |expires| until_refresh(expires, now, rand::random()))
            }
            Err(reason) => {
                let backoff = failures.get_or_insert_with(|| Backoff::new(RETRY, Instant::now()));
                let wait = match backoff.next(Instant::now(), rand::random(), None) {
                    Decision::Wait(wait) => wait,
                    Decision::Disabled | Decision::TooOld => RETRY.max_interval.get(),
                };
                let retry_in_seconds = wait.as_secs_f64();
                tracing::warn!(signer = shared.name, reason, retry_in_seconds, "aws credentials can't be had");
                fail(&shared, reason);
                wait
            }
        };
        pause(&shared, wait).await;
    }
}

fn hold(shared: &Shared, credentials: Credentials, on_trial: bool) {
    shared.credentials.send_modify(|held| {
        let status = SignerStatus::Ready { expires: credentials.expiry() };
        *held = Held { credentials: Some(credentials), status, load: held.load + 1, on_trial };
    });
}

fn warn_of_expired(signer: &str, expired: SystemTime) {
    let expired = jiff::Timestamp::try_from(expired).map(|time| time.to_string()).unwrap_or_default();
    tracing::warn!(signer, "the source handed out aws credentials that expired at {expired}; is this clock right?");
}

/// The former credentials stay as long as they are valid.
fn fail(shared: &Shared, reason: String) {
    shared.credentials.send_modify(|held| {
        let usable_until = held.credentials.as_ref().and_then(Credentials::expiry);
        held.status = SignerStatus::Failing { reason, usable_until };
    });
}

async fn pause(shared: &Shared, wait: Duration) {
    let wait = wait.max(SHORTEST_WAIT);
    tokio::time::sleep(wait.min(PAUSE_BETWEEN_REFRESHES)).await;
    let rest = wait.saturating_sub(PAUSE_BETWEEN_REFRESHES);
    tokio::select! {
        biased;
        () = shared.refresh.notified() => {}
        () = tokio::time::sleep(rest) => {}
    }
}

/// How long credentials are used before new ones are fetched; `random` is drawn from `0.0..1.0`.
fn until_refresh(expires: SystemTime, now: SystemTime, random: f64) -> Duration {
    let remaining = expires.duration_since(now).unwrap_or_default();
    let early = EARLY + SPREAD.mul_f64(random.clamp(0.0, 1.0));
    if remaining > 2 * early { remaining - early } else { remaining / 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fetches_new_credentials_before_the_old_ones_expire() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let cases =
            [(3600, 0.0, 3300), (3600, 1.0, 3240), (721, 1.0, 361), (720, 1.0, 360), (60, 0.5, 30), (0, 0.5, 0)];
        for (lifetime, random, expected) in cases {
            let expires = now + Duration::from_secs(lifetime);
            assert_eq!(until_refresh(expires, now, random), Duration::from_secs(expected), "{lifetime} s, {random}");
        }
        assert_eq!(until_refresh(now - Duration::from_secs(5), now, 0.0), Duration::ZERO);
    }
}
