//! Where credentials come from: the chain of the AWS SDKs, and a role on top of it if one is configured.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::types::Credentials as StsCredentials;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::timeout::TimeoutConfig;

use super::{AssumeRole, SignerSettings, Source};
use crate::export::client::{error_chain, shorten};

/// Per attempt; the SDK makes three.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Web identity tokens are some 1 to 2 KiB; a file beyond this is something else.
const MAX_TOKEN_BYTES: u64 = 64 * 1024;

/// Makes a source that asks the whole chain anew each time, so that changed files and variables are seen.
pub(super) fn source(settings: &SignerSettings) -> Source {
    let region = settings.region.clone();
    let role = settings.assume_role.clone();
    let http = http_client();
    Box::new(move || {
        let (region, role, http) = (region.clone(), role.clone(), http.clone());
        Box::pin(async move {
            let config = sdk_config(region, role.as_ref(), http).await;
            match role {
                None => chain(&config).await,
                Some(role) if role.web_identity_token_file.is_some() => with_web_identity(&config, &role).await,
                Some(role) => assume(&config, &role).await,
            }
        })
    })
}

async fn sdk_config(region: Option<String>, role: Option<&AssumeRole>, http: SharedHttpClient) -> SdkConfig {
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http).timeout_config(timeouts);
    if let Some(region) = role.and_then(|role| role.sts_region.clone()).or(region) {
        loader = loader.region(Region::new(region));
    }
    loader.load().await
}

async fn chain(config: &SdkConfig) -> Result<Credentials, String> {
    let Some(provider) = config.credentials_provider() else { return Err("the chain has no providers".to_owned()) };
    provider.provide_credentials().await.map_err(|error| error_chain(&error))
}

async fn assume(config: &SdkConfig, role: &AssumeRole) -> Result<Credentials, String> {
    let request = sts(config)?.assume_role().role_arn(&role.arn).role_session_name(session_name(role));
    let reply = request.set_external_id(role.external_id.clone()).send().await;
    let reply = reply.map_err(|error| format!("sts AssumeRole {}: {}", role.arn, reason(&error)))?;
    into_credentials(reply.credentials)
}

async fn with_web_identity(config: &SdkConfig, role: &AssumeRole) -> Result<Credentials, String> {
    let path = role.web_identity_token_file.as_deref().unwrap_or_else(|| std::path::Path::new(""));
    // Read each time: Kubernetes replaces the token well before it expires.
    let token =
        read_token(path).await.map_err(|error| format!("web_identity_token_file {}: {error}", path.display()))?;
    let request = sts(config)?.assume_role_with_web_identity().role_arn(&role.arn);
    let reply = request.role_session_name(session_name(role)).web_identity_token(token).send().await;
    let reply = reply.map_err(|error| format!("sts AssumeRoleWithWebIdentity {}: {}", role.arn, reason(&error)))?;
    into_credentials(reply.credentials)
}

async fn read_token(path: &std::path::Path) -> std::io::Result<String> {
    let bytes = tokio::fs::metadata(path).await?.len();
    if bytes > MAX_TOKEN_BYTES {
        return Err(std::io::Error::other(format!("{bytes} bytes exceed {MAX_TOKEN_BYTES}")));
    }
    Ok(tokio::fs::read_to_string(path).await?.trim().to_owned())
}

fn sts(config: &SdkConfig) -> Result<aws_sdk_sts::Client, String> {
    if config.region().is_none() && config.endpoint_url().is_none() {
        return Err("region of sts is unknown; set region or assume_role.sts_region, or AWS_REGION".to_owned());
    }
    Ok(aws_sdk_sts::Client::new(config))
}

/// What STS says, or why it says nothing.
fn reason<E>(error: &SdkError<E>) -> String
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let status = error.raw_response().map(|response| format!("status {}", response.status().as_u16()));
    let said = error.as_service_error().map(ProvideErrorMetadata::meta);
    let (code, message) = said.map_or((None, None), |said| (said.code(), said.message()));
    // What is no answer of STS, a proxy's for example, has no code; its text tells more than the status.
    let unread = error.raw_response().filter(|_| code.is_none()).and_then(|response| response.body().bytes());
    let unread = unread.map(String::from_utf8_lossy);
    let parts: Vec<&str> = [status.as_deref(), code, message, unread.as_deref()].into_iter().flatten().collect();
    if parts.is_empty() { error_chain(error) } else { shorten(parts.join(": ")) }
}

fn session_name(role: &AssumeRole) -> String {
    match &role.session_name {
        Some(name) if !name.is_empty() => name.clone(),
        _ => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            format!("sluice-{}", now.as_secs())
        }
    }
}

fn into_credentials(credentials: Option<StsCredentials>) -> Result<Credentials, String> {
    let credentials = credentials.ok_or("sts answered without credentials")?;
    let expires = SystemTime::try_from(credentials.expiration).map_err(|error| format!("sts expiration: {error}"))?;
    Ok(Credentials::builder()
        .access_key_id(credentials.access_key_id)
        .secret_access_key(credentials.secret_access_key)
        .session_token(credentials.session_token)
        .expiry(expires)
        .provider_name("assume_role")
        .build())
}

/// The SDK's HTTP client with rustls and ring, which are in the binary anyway; `HTTPS_PROXY` applies.
fn http_client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector =
            Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.build()
    })
}
