//! TLS of a client by the collector's `tls` keys; certificate files are read again when they have changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::config::types::{Secret, TlsClientConfig, TlsVersion};

/// How often files are looked at when `reload_interval` says nothing.
const DEFAULT_RELOAD_INTERVAL: Duration = Duration::from_secs(60);

/// Why TLS can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file of the `tls` block can't be read.
    #[error("{key} {path}: {error}")]
    File {
        /// The key in the `tls` block.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: std::io::Error,
    },
    /// A value of the `tls` block is of no use.
    #[error("{key}: {reason}")]
    Value {
        /// The key in the `tls` block.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody says which authorities to trust.
    #[error("ca_file: is not set, and this system has no certificates of authorities")]
    NoAuthorities,
}

/// Makes rustls configurations out of a `tls` block, as often as its files change.
pub(crate) struct ClientTls {
    /// Where the block stands, for example `exporters::otlp::tls`.
    place: String,
    settings: TlsClientConfig,
    protocols: Vec<Vec<u8>>,
    loaded: Mutex<Option<Loaded>>,
}

struct Loaded {
    config: Arc<ClientConfig>,
    stamps: Vec<Option<Stamp>>,
    checked: Instant,
}

type Stamp = (SystemTime, u64);

impl ClientTls {
    /// Checks the block and everything it names; `place` is where it stands, for the log. `protocols` are offered by ALPN,
    /// the preferred one first.
    pub(crate) fn new(place: String, settings: &TlsClientConfig, protocols: &[&str]) -> Result<Self, TlsError> {
        let protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let tls = Self { place, settings: settings.clone(), protocols, loaded: Mutex::default() };
        if tls.names_anything() {
            tls.config(Instant::now())?;
        }
        Ok(tls)
    }

    /// The configuration for a new connection. Without any keys it is made only now: a process that never speaks TLS
    /// need not hold the system's certificates.
    pub(crate) fn config(&self, now: Instant) -> Result<Arc<ClientConfig>, TlsError> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let interval = match self.settings.reload_interval.get() {
            Duration::ZERO => DEFAULT_RELOAD_INTERVAL,
            interval => interval,
        };
        if let Some(current) = &mut *loaded {
            if now.saturating_duration_since(current.checked) < interval {
                return Ok(Arc::clone(&current.config));
            }
            current.checked = now;
            if self.stamps() == current.stamps {
                return Ok(Arc::clone(&current.config));
            }
        }
        // The stamps are taken first, so that a change in between is seen the next time.
        let stamps = self.stamps();
        match (self.load(), &mut *loaded) {
            (Ok(config), _) => {
                let config = Arc::new(config);
                *loaded = Some(Loaded { config: Arc::clone(&config), stamps, checked: now });
                Ok(config)
            }
            (Err(error), Some(current)) => {
                tracing::warn!("{}::{error}; the certificates that were read before stay", self.place);
                Ok(Arc::clone(&current.config))
            }
            (Err(error), None) => Err(error),
        }
    }

    /// The name that the server's certificate has to carry.
    pub(crate) fn server_name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        let (key, name) = match self.settings.server_name_override.as_deref() {
            Some(name) if !name.is_empty() => ("server_name_override", name),
            _ => ("endpoint", host.trim_start_matches('[').trim_end_matches(']')),
        };
        ServerName::try_from(name.to_owned())
            .map_err(|_| TlsError::Value { key, reason: format!("{name:?} is not a name for a certificate") })
    }

    fn names_anything(&self) -> bool {
        let defaults = TlsClientConfig { insecure: self.settings.insecure, ..TlsClientConfig::default() };
        self.settings != defaults
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        let stamp = |path: &Path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        let TlsClientConfig { ca_file, cert_file, key_file, .. } = &self.settings;
        [ca_file, cert_file, key_file].map(|path| path.as_deref().and_then(stamp)).into()
    }

    fn load(&self) -> Result<ClientConfig, TlsError> {
        let settings = &self.settings;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions(settings)?)
            .map_err(|error| TlsError::Value { key: "min_version", reason: error.to_string() })?;
        let builder = if settings.insecure_skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
        } else {
            builder.with_root_certificates(authorities(settings)?)
        };
        let mut config = match own_certificate(settings)? {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| TlsError::Value { key: "cert_file", reason: error.to_string() })?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.protocols);
        Ok(config)
    }
}

fn versions(settings: &TlsClientConfig) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let highest = settings.max_version.unwrap_or(TlsVersion::V1_3);
    let supported = [(TlsVersion::V1_3, &rustls::version::TLS13), (TlsVersion::V1_2, &rustls::version::TLS12)];
    let wanted = |version| settings.min_version <= version && version <= highest;
    let versions: Vec<_> = supported.into_iter().filter(|(version, _)| wanted(*version)).map(|(_, v)| v).collect();
    if versions.is_empty() {
        let reason = "is higher than max_version".to_owned();
        return Err(TlsError::Value { key: "min_version", reason });
    }
    Ok(versions)
}

fn authorities(settings: &TlsClientConfig) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    let pem = pem(("ca_file", settings.ca_file.as_deref()), ("ca_pem", settings.ca_pem.as_ref()))?;
    if pem.is_none() || settings.include_system_ca_certs_pool {
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            tracing::debug!(%error, "a certificate of the system can't be read");
        }
        store.add_parsable_certificates(system.certs);
    }
    if let Some((key, pem)) = pem {
        for certificate in certificates(key, &pem)? {
            store.add(certificate).map_err(|error| TlsError::Value { key, reason: error.to_string() })?;
        }
    }
    if store.is_empty() { Err(TlsError::NoAuthorities) } else { Ok(store) }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn own_certificate(settings: &TlsClientConfig) -> Result<Option<Identity>, TlsError> {
    let chain = pem(("cert_file", settings.cert_file.as_deref()), ("cert_pem", settings.cert_pem.as_ref()))?;
    let key = pem(("key_file", settings.key_file.as_deref()), ("key_pem", settings.key_pem.as_ref()))?;
    let missing = |key, other| {
        let reason = format!("is missing; a client certificate needs both {key} and {other}");
        TlsError::Value { key, reason }
    };
    match (chain, key) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(missing("key_file", "cert_file")),
        (None, Some(_)) => Err(missing("cert_file", "key_file")),
        (Some((cert_key, chain)), Some((key_key, key))) => {
            let chain = certificates(cert_key, &chain)?;
            let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| TlsError::Value {
                key: key_key,
                reason: "holds no private key in PEM (PKCS#8, PKCS#1 or SEC1, not encrypted)".to_owned(),
            })?;
            Ok(Some((chain, key)))
        }
    }
}

/// The PEM text that one of two keys gives, and which of them.
fn pem(
    (file_key, file): (&'static str, Option<&Path>),
    (text_key, text): (&'static str, Option<&Secret>),
) -> Result<Option<(&'static str, Vec<u8>)>, TlsError> {
    match (file.filter(|path| !path.as_os_str().is_empty()), text.filter(|text| !text.is_empty())) {
        (Some(_), Some(_)) => {
            Err(TlsError::Value { key: text_key, reason: format!("can't be given together with {file_key}") })
        }
        (Some(path), None) => match fs::read(path) {
            Ok(bytes) => Ok(Some((file_key, bytes))),
            Err(error) => Err(TlsError::File { key: file_key, path: path.to_owned(), error }),
        },
        (None, Some(text)) => Ok(Some((text_key, text.expose().as_bytes().to_vec()))),
        (None, None) => Ok(None),
    }
}

fn certificates(key: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(TlsError::Value { key, reason: "holds no certificate in PEM".to_owned() }),
        Err(error) => Err(TlsError::Value { key, reason: format!("is not PEM: {error}") }),
    }
}

/// `insecure_skip_verify`: takes any certificate, but still checks that the server holds its key.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
