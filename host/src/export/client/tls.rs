//! TLS of a client by the collector's `tls` keys; certificate files are read again when they have changed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::config::types::TlsClientConfig;
use crate::export::SetupError;
use crate::tls::{Material, TlsError, versions};

/// How often files are looked at when `reload_interval` says nothing.
const DEFAULT_RELOAD_INTERVAL: Duration = Duration::from_secs(60);

impl From<TlsError> for SetupError {
    fn from(error: TlsError) -> Self {
        Self::new(format!("tls::{}", error.key), error.reason)
    }
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
    material: Material,
    checked: Instant,
}

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
            if now.saturating_duration_since(current.checked) >= interval {
                current.checked = now;
                if let Err(error) = self.reload(current) {
                    tracing::warn!("{}::{error}; the certificates that were read before stay", self.place);
                }
            }
            return Ok(Arc::clone(&current.config));
        }
        let material = Material::of_client(&self.settings)?;
        let config = Arc::new(self.load(&material)?);
        *loaded = Some(Loaded { config: Arc::clone(&config), material, checked: now });
        Ok(config)
    }

    /// Takes what the files hold if it differs.
    fn reload(&self, current: &mut Loaded) -> Result<(), TlsError> {
        let material = Material::of_client(&self.settings)?;
        if material != current.material {
            current.config = Arc::new(self.load(&material)?);
            current.material = material;
        }
        Ok(())
    }

    /// The name that the server's certificate has to carry.
    pub(crate) fn server_name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        let (key, name) = match self.settings.server_name_override.as_deref() {
            Some(name) if !name.is_empty() => ("server_name_override", name),
            _ => ("endpoint", host.trim_start_matches('[').trim_end_matches(']')),
        };
        ServerName::try_from(name.to_owned())
            .map_err(|_| TlsError::new(key, format_args!("{name:?} is not a name for a certificate")))
    }

    fn names_anything(&self) -> bool {
        let defaults = TlsClientConfig { insecure: self.settings.insecure, ..TlsClientConfig::default() };
        self.settings != defaults
    }

    fn load(&self, material: &Material) -> Result<ClientConfig, TlsError> {
        let settings = &self.settings;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions(settings.min_version, settings.max_version)?)
            .map_err(|error| TlsError::new("min_version", error))?;
        let builder = if settings.insecure_skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
        } else {
            builder.with_root_certificates(authorities(settings, material)?)
        };
        let mut config = match material.identity()? {
            Some((chain, key)) => {
                builder.with_client_auth_cert(chain, key).map_err(|error| TlsError::new("cert_file", error))?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.protocols);
        Ok(config)
    }
}

fn authorities(settings: &TlsClientConfig, material: &Material) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    if material.authorities.is_none() || settings.include_system_ca_certs_pool {
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            tracing::debug!(%error, "a certificate of the system can't be read");
        }
        store.add_parsable_certificates(system.certs);
    }
    if let Some(pem) = &material.authorities {
        pem.add_to(&mut store)?;
    }
    if store.is_empty() {
        return Err(TlsError::new("ca_file", "is not set, and this system has no certificates of authorities"));
    }
    Ok(store)
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
