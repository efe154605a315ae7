//! Where credentials come from: the chain of the AWS SDKs, and a role on top of it if one is configured.

use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_sts::Client;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_sdk_sts::types::Credentials as StsCredentials;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::timeout::TimeoutConfig;
use percent_encoding::utf8_percent_encode;
use rustls::RootCertStore;

use super::Source;
use crate::config::component::{AssumeRoleConfig, SigV4AuthConfig};
use crate::config::types::{REDACTED, given};
use crate::config::{Environment, process_environment};
use crate::export::RESERVED;
use crate::export::client::{ProxyVariables, error_chain, shorten};
use crate::export::echo::SHORTEST_SECRET;
use crate::tls::Pem;

/// Per attempt; the SDK makes three.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Where all that credentials come from by way of a proxy listens.
const HTTPS_PORT: u16 = 443;
/// Web identity tokens are some 1 to 2 KiB; a file beyond this is something else.
const MAX_TOKEN_BYTES: u64 = 64 * 1024;
const CA_BUNDLE: &str = "AWS_CA_BUNDLE";
/// What tells the chain where to look; none of it is a secret.
const DIRECTIONS: [&str; 6] = [
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
];

/// Makes a source that asks the whole chain anew each time, so that changed files and variables are seen.
pub(super) fn source(settings: &SigV4AuthConfig) -> Source {
    let settings = settings.clone();
    let proxy = proxy(&ProxyVariables::read(&process_environment));
    Box::new(move || {
        let (settings, proxy) = (settings.clone(), proxy.clone());
        Box::pin(async move {
            let http = http_client(proxy, trust_store(&process_environment)?)?;
            let config = sdk_config(&settings, http).await;
            let role = &settings.assume_role;
            match &role.web_identity_token_file {
                _ if role.arn.is_empty() => chain(&config).await,
                Some(file) => with_web_identity(&config, role, file).await,
                None => assume(&config, role).await,
            }
        })
    })
}

async fn sdk_config(settings: &SigV4AuthConfig, http: SharedHttpClient) -> SdkConfig {
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http).timeout_config(timeouts);
    if let Some(region) = given(&settings.assume_role.sts_region).or(given(&settings.region)) {
        loader = loader.region(Region::new(region.to_owned()));
    }
    loader.load().await
}

async fn chain(config: &SdkConfig) -> Result<Credentials, String> {
    let Some(provider) = config.credentials_provider() else { return Err("the chain has no providers".to_owned()) };
    match provider.provide_credentials().await {
        Ok(credentials) => Ok(credentials),
        Err(error) => {
            let hidden = Hidden::of_environment().await;
            let directions = shorten(hidden.out_of(directions(&process_environment)));
            Err(chain_reason(&error, &hidden) + &directions)
        }
    }
}

/// Why the chain has nothing: what STS said, if it was asked.
fn chain_reason(error: &CredentialsError, hidden: &Hidden) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    for cause in causes {
        if let Some(error) = cause.downcast_ref::<SdkError<AssumeRoleWithWebIdentityError>>() {
            return format!("sts AssumeRoleWithWebIdentity: {}", reason(error, hidden));
        }
        if let Some(error) = cause.downcast_ref::<SdkError<AssumeRoleError>>() {
            return format!("sts AssumeRole: {}", reason(error, hidden));
        }
    }
    shorten(hidden.out_of(explained(error_chain(error), knows_authorities)))
}

/// Where the environment has the chain look: its errors name neither files nor addresses.
fn directions(environment: Environment<'_>) -> String {
    let is_set = |name: &str| Some(format!("{name}={}", environment(name)?));
    let set: Vec<String> = DIRECTIONS.into_iter().filter_map(is_set).collect();
    if set.is_empty() { String::new() } else { format!("; the environment has {}", set.join(", ")) }
}

async fn assume(config: &SdkConfig, role: &AssumeRoleConfig) -> Result<Credentials, String> {
    check_region(config)?;
    let failed = |reason: String| format!("sts AssumeRole {}: {reason}", role.arn);
    let caller = chain(config).await.map_err(failed)?;
    let hidden = Hidden::new([Some(caller.secret_access_key()), caller.session_token(), given(&role.external_id)]);
    let config = config.to_builder().credentials_provider(SharedCredentialsProvider::new(caller)).build();
    let request = Client::new(&config).assume_role().role_arn(&role.arn).role_session_name(session_name(role));
    let reply = request.set_external_id(given(&role.external_id).map(str::to_owned)).send().await;
    into_credentials(reply.map_err(|error| failed(reason(&error, &hidden)))?.credentials)
}

async fn with_web_identity(config: &SdkConfig, role: &AssumeRoleConfig, path: &Path) -> Result<Credentials, String> {
    // Read each time: Kubernetes replaces the token well before it expires.
    let token =
        read_token(path).await.map_err(|error| format!("web_identity_token_file {}: {error}", path.display()))?;
    check_region(config)?;
    let hidden = Hidden::new([Some(token.as_str())]);
    let request = Client::new(config).assume_role_with_web_identity().role_arn(&role.arn);
    let reply = request.role_session_name(session_name(role)).web_identity_token(token).send().await;
    let reply =
        reply.map_err(|error| format!("sts AssumeRoleWithWebIdentity {}: {}", role.arn, reason(&error, &hidden)))?;
    into_credentials(reply.credentials)
}

async fn read_token(path: &Path) -> std::io::Result<String> {
    let bytes = tokio::fs::metadata(path).await?.len();
    if bytes > MAX_TOKEN_BYTES {
        return Err(std::io::Error::other(format!("{bytes} bytes exceed {MAX_TOKEN_BYTES}")));
    }
    Ok(tokio::fs::read_to_string(path).await?.trim().to_owned())
}

fn check_region(config: &SdkConfig) -> Result<(), String> {
    if config.region().is_none() && config.endpoint_url().is_none() {
        return Err("region of sts is unknown; set region or assume_role.sts_region, or AWS_REGION".to_owned());
    }
    Ok(())
}

/// Texts that no message may repeat. Who answers in place of STS, a proxy for example, may show what it was sent.
struct Hidden(Vec<String>);

impl Hidden {
    /// These, and as they stand in the request, where they are percent-encoded.
    fn new<'a>(texts: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let texts = texts.into_iter().flatten().filter(|text| text.len() >= SHORTEST_SECRET);
        let mut hidden: Vec<String> =
            texts.flat_map(|text| [text.to_owned(), utf8_percent_encode(text, RESERVED).to_string()]).collect();
        // One may begin like another one.
        hidden.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Self(hidden)
    }

    /// Secrets that the environment and its profiles name: the chain sends some of them to whoever answers.
    async fn of_environment() -> Self {
        let variables = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN"];
        let mut texts: Vec<String> = variables.into_iter().filter_map(|name| std::env::var(name).ok()).collect();
        let tokens = ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"];
        let mut files: Vec<PathBuf> = tokens.into_iter().filter_map(std::env::var_os).map(PathBuf::from).collect();
        for (name, usual) in [("AWS_CONFIG_FILE", ".aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")] {
            let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(usual));
            let path = std::env::var_os(name).map(PathBuf::from).or_else(home).unwrap_or_default();
            let profiles = tokio::fs::read_to_string(path).await.unwrap_or_default();
            for (key, value) in profiles.lines().filter_map(|line| line.split_once('=')) {
                match key.trim() {
                    "aws_secret_access_key" | "aws_session_token" | "external_id" => {
                        texts.push(value.trim().to_owned())
                    }
                    "web_identity_token_file" => files.push(value.trim().into()),
                    _ => {}
                }
            }
        }
        for path in files {
            texts.extend(read_token(&path).await);
        }
        Self::new(texts.iter().map(|text| Some(text.as_str())))
    }

    fn out_of(&self, message: String) -> String {
        self.0.iter().fold(message, |message, text| message.replace(text, REDACTED))
    }
}

/// What STS says, or why it says nothing.
fn reason<E>(error: &SdkError<E>, hidden: &Hidden) -> String
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
    let text = if parts.is_empty() { explained(error_chain(error), knows_authorities) } else { parts.join(": ") };
    shorten(hidden.out_of(text))
}

/// Adds why no certificate is trusted if none can be.
fn explained(text: String, knows_authorities: impl FnOnce() -> bool) -> String {
    if !text.contains("UnknownIssuer") || knows_authorities() {
        return text;
    }
    text + "; this system has no certificates of authorities: name a file with some in SSL_CERT_FILE or AWS_CA_BUNDLE"
}

fn knows_authorities() -> bool {
    process_environment(CA_BUNDLE).is_some_and(|path| !path.is_empty())
        || !rustls_native_certs::load_native_certs().certs.is_empty()
}

fn session_name(role: &AssumeRoleConfig) -> String {
    match given(&role.session_name) {
        Some(name) => name.to_owned(),
        None => {
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

/// The SDK's HTTP client with rustls and ring, which are in the binary anyway.
fn http_client(proxy: ProxyConfig, trust_store: TrustStore) -> Result<SharedHttpClient, String> {
    let tls = TlsContext::builder().with_trust_store(trust_store).build().map_err(|error| error_chain(&error))?;
    Ok(Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(tls.clone())
            .proxy_config(proxy.clone());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.build()
    }))
}

/// Whom to trust: the authorities of `AWS_CA_BUNDLE` in place of the system's, as AWS's other SDKs do.
fn trust_store(environment: Environment<'_>) -> Result<TrustStore, String> {
    let Some(path) = environment(CA_BUNDLE).filter(|path| !path.is_empty()) else { return Ok(TrustStore::default()) };
    let pem = Pem::read(CA_BUNDLE, Path::new(&path)).map_err(|error| error.to_string())?;
    // The connector has no way to say that it can't use them.
    pem.add_to(&mut RootCertStore::empty()).map_err(|error| format!("{error} ({path})"))?;
    Ok(TrustStore::empty().with_pem_certificate(pem.text()))
}

/// The proxy of the environment, for what is encrypted. What is not comes from this machine or its neighbours (the
/// endpoints of containers and instances), which hand out keys in the clear.
fn proxy(variables: &ProxyVariables) -> ProxyConfig {
    let url = variables.https.as_str();
    if url.is_empty() {
        return ProxyConfig::disabled();
    }
    let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    match ProxyConfig::https(url) {
        Ok(proxy) => proxy.no_proxy(format!("localhost,127.0.0.0/8,::1,{}", variables.direct(Some(HTTPS_PORT)))),
        Err(error) => {
            tracing::warn!(%error, "HTTPS_PROXY is not used to get credentials");
            ProxyConfig::disabled()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_stands_in_no_message_in_plain_or_encoded_form() {
        let hidden = Hidden::new([Some("a/b+c"), None, Some("a/b+c=d"), Some("not")]);
        let cases = [
            ("nothing of it", "nothing of it"),
            ("a/b+c=d, a/b+c", "[REDACTED], [REDACTED]"),
            ("Id=a%2Fb%2Bc%3Dd&x=a%2Fb%2Bc", "Id=[REDACTED]&x=[REDACTED]"),
        ];
        for (message, expected) in cases {
            assert_eq!(hidden.out_of(message.to_owned()), expected);
        }
    }

    #[test]
    fn trusts_the_authorities_of_a_bundle() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name).display().to_string();
            std::fs::write(&path, text).expect("written");
            path
        };
        let certificate = rcgen::generate_simple_self_signed(["sts.example.com".to_owned()]).expect("a certificate");
        let pem = certificate.cert.pem();
        let trusted = |path: Option<String>| {
            let environment = move |name: &str| path.clone().filter(|_| name == CA_BUNDLE);
            trust_store(&environment).map(|store| format!("{store:?}"))
        };
        let system = format!("{:?}", TrustStore::default());
        assert_eq!(trusted(None).as_ref(), Ok(&system));
        assert_eq!(trusted(Some(String::new())).as_ref(), Ok(&system));
        let bundle = trusted(Some(file("bundle.pem", &pem.repeat(2)))).expect("a bundle");
        assert!(bundle.contains("enable_native_roots: false") && bundle.contains("CertificatePEM"), "{bundle}");
        let empty = trusted(Some(file("empty.pem", ""))).expect_err("nothing in it");
        assert!(empty.starts_with("AWS_CA_BUNDLE: holds no certificate in PEM (/"), "{empty}");
        let missing = trusted(Some("/nowhere.pem".to_owned())).expect_err("no such file");
        assert!(missing.starts_with("AWS_CA_BUNDLE: can't read /nowhere.pem: "), "{missing}");
    }

    #[test]
    fn says_where_the_chain_was_told_to_look() {
        let environment = |name: &str| match name {
            "AWS_ROLE_ARN" => Some("arn:aws:iam::1:role/r".to_owned()),
            "AWS_WEB_IDENTITY_TOKEN_FILE" => Some("/var/run/token".to_owned()),
            "AWS_SECRET_ACCESS_KEY" => Some("secret".to_owned()),
            _ => None,
        };
        let expected =
            "; the environment has AWS_ROLE_ARN=arn:aws:iam::1:role/r, AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/token";
        assert_eq!(directions(&environment), expected);
        assert_eq!(directions(&|_| None), "");
    }

    #[test]
    fn says_that_an_image_has_no_authorities() {
        let text = "dispatch failure: invalid peer certificate: UnknownIssuer";
        let said = explained(text.to_owned(), || false);
        assert!(said.starts_with(text) && said.contains("no certificates of authorities"), "{said}");
        assert_eq!(explained(text.to_owned(), || true), text);
        assert_eq!(explained("timeout".to_owned(), || false), "timeout");
    }
}
