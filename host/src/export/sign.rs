//! AWS Signature Version 4 for any HTTP exporter (`sigv4auth`, and `aws_auth` of 2021).
//!
//! A signer holds the credentials; its own task gets them and refreshes them before they expire, so that neither the
//! start nor a request waits for a slow STS.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use http::{HeaderMap, Method, Uri};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use crate::config::component::{AssumeRoleConfig, AwsAuthConfig, SigV4AuthConfig};
use crate::config::process_environment;
use crate::config::types::{Scope, default_region, given, scope_of_host};
use crate::export::client::Reply;
use clock::Clock;
use signature::Signing;

mod clock;
mod credentials;
mod refresh;
mod signature;

#[cfg(test)]
mod tests;

/// Signs requests; cheap to clone. Clones share the credentials and the corrected clock.
#[derive(Clone)]
pub struct Signer {
    shared: Arc<Shared>,
    _task: Arc<AbortOnDrop>,
}

/// Whether a signer has credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignerStatus {
    /// It is getting them for the first time.
    Starting,
    /// It has them.
    Ready {
        /// Until when; without an end, they are looked at again now and then.
        expires: Option<SystemTime>,
    },
    /// It could not get or refresh them, and keeps trying.
    Failing {
        /// The last error.
        reason: String,
        /// Until when the former ones can still be used, if there are any.
        usable_until: Option<SystemTime>,
    },
}

/// Why a request can't be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// There are no valid credentials now.
    #[error("no aws credentials: {0}")]
    NoCredentials(String),
    /// The destination says that they have expired; they are being refreshed.
    #[error("aws credentials have expired: {0}")]
    Expired(String),
    /// The destination does not know the access key, perhaps not any more; the chain is being asked for another one.
    #[error("the destination does not know the aws access key, asking for another one: {0}")]
    Revoked(String),
    /// Nothing says what to sign for.
    #[error("{key} of the aws signature is unknown: {host} does not tell it; set {key} in sigv4auth")]
    NoScope {
        /// `region` or `service`.
        key: &'static str,
        /// The destination's host.
        host: String,
    },
    /// The request has no form that can be signed.
    #[error("request can't be signed: {0}")]
    Request(String),
}

/// Where a signer's credentials come from: a future of them, made anew each time.
pub(crate) type Source = Box<dyn Fn() -> Loading + Send + Sync>;
pub(crate) type Loading = Pin<Box<dyn Future<Output = Result<Credentials, String>> + Send>>;

struct Shared {
    name: String,
    settings: SigV4AuthConfig,
    /// `AWS_REGION`, as it was at the start.
    default_region: Option<String>,
    credentials: watch::Sender<Held>,
    refresh: Notify,
    clock: Clock,
    /// The hosts that do not know the access key, each with the first load whose key it refused. A role gives another key
    /// with each load, so keys tell nothing. Hosts are those of the configuration.
    refused_loads: Mutex<HashMap<String, u64>>,
}

/// What the refreshing task has got so far.
#[derive(Clone)]
struct Held {
    credentials: Option<Credentials>,
    status: SignerStatus,
    /// How often credentials were loaded.
    load: u64,
    /// They had expired when they came, which may be our clock's fault: one request tries.
    on_trial: bool,
}

/// What a request was signed with.
#[derive(Clone, Debug)]
pub struct Signed {
    time: SystemTime,
    host: String,
    /// Which load of credentials it came from.
    load: u64,
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Settings of `aws_auth` of 2021, whose sessions had the collector's name. The region is also what the endpoint's host
/// tells: STS needs one before the first request.
pub(crate) fn settings_of_2021(config: &AwsAuthConfig, endpoint: &str) -> SigV4AuthConfig {
    let uri: Option<Uri> = endpoint.parse().ok();
    let of_host = || uri.and_then(|uri| scope_of_host(uri.host()?)).map(|scope| scope.region);
    let assume_role = AssumeRoleConfig {
        arn: config.role_arn.clone(),
        session_name: format!("aws-otel-collector-{}", jiff::Timestamp::now().as_second()),
        ..AssumeRoleConfig::default()
    };
    let region = given(&config.region).map(str::to_owned).or_else(of_host).unwrap_or_default();
    SigV4AuthConfig { region, service: config.service().to_owned(), assume_role }
}

impl Signer {
    /// Starts to get credentials on the current runtime, and returns at once. The log calls it by its name, the id of its
    /// extension or exporter.
    pub fn new(name: &str, settings: SigV4AuthConfig) -> Self {
        let source = credentials::source(&settings);
        Self::with_source(name, settings, source)
    }

    pub(crate) fn with_source(name: &str, settings: SigV4AuthConfig, source: Source) -> Self {
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            settings,
            default_region: default_region(process_environment),
            credentials: watch::Sender::new(Held::nothing()),
            refresh: Notify::new(),
            clock: Clock::default(),
            refused_loads: Mutex::default(),
        });
        let task = tokio::spawn(refresh::run(Arc::clone(&shared), source));
        Self { shared, _task: Arc::new(AbortOnDrop(task.abort_handle())) }
    }

    /// Tells whether there are credentials.
    pub fn status(&self) -> SignerStatus {
        self.shared.credentials.borrow().status.clone()
    }

    /// Adds the headers of the signature. What is signed are exactly these headers and this body, so nothing may
    /// change them afterwards. Waits for the first attempt to get credentials, but for no other.
    ///
    /// # Errors
    /// If there are no credentials now, or nothing says for which region and service to sign.
    pub async fn sign(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &mut HeaderMap,
        body: &[u8],
    ) -> Result<Signed, SignError> {
        let (credentials, load) = self.credentials().await?;
        let scope = self.scope(uri)?;
        let time = self.shared.clock.now(SystemTime::now());
        signature::sign(Signing { method, uri, body, credentials: &credentials, scope: &scope, time }, headers)?;
        Ok(Signed { time, host: uri.host().unwrap_or_default().to_owned(), load })
    }

    /// Looks at a reply to a request that was signed so. True means that the clock was wrong and is corrected
    /// now, so that the same request, signed again, has a chance.
    ///
    /// # Errors
    /// If the credentials have expired, or the key was replaced; they are refreshed, and then the request has a chance.
    pub(crate) fn learn(&self, reply: &Reply, signed: &Signed) -> Result<bool, SignError> {
        if clock::credentials_expired(reply) {
            self.shared.refresh.notify_one();
            return Err(SignError::Expired(reply.reason()));
        }
        if clock::key_is_unknown(reply) {
            self.shared.refresh.notify_one();
            return if self.may_have_another(signed) { Err(SignError::Revoked(reply.reason())) } else { Ok(false) };
        }
        self.refused_loads().remove(&signed.host);
        let was_wrong = self.shared.clock.learn(reply, signed.time, SystemTime::now());
        if was_wrong {
            // By the right time they may have expired, or do so sooner than it was thought.
            self.shared.refresh.notify_one();
        }
        Ok(was_wrong)
    }

    /// Whether there may be a key that the destination knows: none that was loaded later has been refused as well.
    fn may_have_another(&self, signed: &Signed) -> bool {
        signed.load <= *self.refused_loads().entry(signed.host.clone()).or_insert(signed.load)
    }

    fn refused_loads(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.shared.refused_loads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The credentials, and which load they came from.
    async fn credentials(&self) -> Result<(Credentials, u64), SignError> {
        let mut held = self.shared.credentials.subscribe();
        let held = held.wait_for(|held| held.status != SignerStatus::Starting).await.map(|held| held.clone());
        let Ok(held) = held else { return Err(SignError::NoCredentials("the process ends".to_owned())) };
        let now = self.shared.clock.now(SystemTime::now());
        match (held.credentials, held.status) {
            (Some(credentials), _) if !has_expired(&credentials, now) => Ok((credentials, held.load)),
            (_, SignerStatus::Failing { reason, .. }) => Err(SignError::NoCredentials(reason)),
            // If they are refused for its time, that tells what is the matter with the clock.
            (Some(credentials), _) if held.on_trial && self.shared.take_trial() => Ok((credentials, held.load)),
            _ => {
                // By the clock, which may have leapt, and not by what the refresh waits for.
                self.shared.refresh.notify_one();
                Err(SignError::NoCredentials("they have expired".to_owned()))
            }
        }
    }

    fn scope(&self, uri: &Uri) -> Result<Scope, SignError> {
        let host = uri.host().unwrap_or_default();
        let SigV4AuthConfig { region, service, .. } = &self.shared.settings;
        Scope::find(host, given(region), given(service), self.shared.default_region.as_deref())
            .map_err(|key| SignError::NoScope { key, host: host.to_owned() })
    }
}

impl Shared {
    /// True for one caller after each load.
    fn take_trial(&self) -> bool {
        self.credentials.send_if_modified(|held| std::mem::take(&mut held.on_trial))
    }
}

impl Held {
    fn nothing() -> Self {
        Self { credentials: None, status: SignerStatus::Starting, load: 0, on_trial: false }
    }
}

fn has_expired(credentials: &Credentials, now: SystemTime) -> bool {
    credentials.expiry().is_some_and(|expiry| expiry <= now)
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the credentials, and nothing else that helps to get some.
        let SigV4AuthConfig { region, service, .. } = &self.shared.settings;
        f.debug_struct("Signer").field("region", region).field("service", service).finish_non_exhaustive()
    }
}

impl SignError {
    /// Whether the same request may be signed, or taken, later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NoCredentials(_) | Self::Expired(_) | Self::Revoked(_) => true,
            Self::NoScope { .. } | Self::Request(_) => false,
        }
    }
}

/// For how long nothing happens between two looks at credentials that never expire: files may change.
const RELOAD_AFTER: Duration = Duration::from_secs(600);
