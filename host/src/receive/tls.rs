//! TLS for servers, from the collector's `tls` keys; certificates are read again when their files change.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;
use crate::config::types::{Secret, TlsServerConfig, TlsVersion};

/// How often files are looked at if `reload_interval` doesn't say. It costs a few small reads.
const DEFAULT_RELOAD: Duration = Duration::from_secs(10);

/// A server's side of TLS.
#[derive(Debug)]
pub struct ServerTls {
    settings: TlsServerConfig,
    protocols: Vec<Vec<u8>>,
    current: ArcSwap<ServerConfig>,
    material: Mutex<Material>,
}

/// What the settings name, as read. The key is never printed.
#[derive(PartialEq, Eq)]
struct Material {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Material")
    }
}

impl ServerTls {
    /// Reads the certificates; `protocols` are offered by ALPN, the preferred one first.
    ///
    /// # Errors
    /// A file that can't be read, or material that doesn't make a server.
    pub fn load(settings: &TlsServerConfig, protocols: &[&str]) -> Result<Self, TlsError> {
        let protocols: Vec<_> = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let material = Material::read(settings)?;
        let config = server_config(settings, &protocols, &material)?;
        Ok(Self {
            settings: settings.clone(),
            protocols,
            current: ArcSwap::from_pointee(config),
            material: Mutex::new(material),
        })
    }

    /// The configuration for the next handshake.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// How often to call [`Self::reload`].
    pub fn reload_interval(&self) -> Duration {
        match *self.settings.reload_interval {
            Duration::ZERO => DEFAULT_RELOAD,
            interval => interval,
        }
    }

    /// Reads the files again and takes what they hold if it differs; says whether it did. Established connections
    /// keep what they were made with.
    ///
    /// # Errors
    /// As [`Self::load`]; what was in use stays in use. Half-written files heal with the next call.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let material = Material::read(&self.settings)?;
        let mut known = self.material.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == material {
            return Ok(false);
        }
        let config = server_config(&self.settings, &self.protocols, &material)?;
        self.current.store(Arc::new(config));
        *known = material;
        Ok(true)
    }
}

impl Material {
    fn read(settings: &TlsServerConfig) -> Result<Self, TlsError> {
        let TlsServerConfig { cert_file, cert_pem, key_file, key_pem, client_ca_file, .. } = settings;
        Ok(Self {
            certificate: text_or_file(["cert_pem", "cert_file"], cert_pem.as_ref(), cert_file.as_deref())?,
            key: text_or_file(["key_pem", "key_file"], key_pem.as_ref(), key_file.as_deref())?,
            client_ca: client_ca_file.as_deref().map(|path| read_file("client_ca_file", path)).transpose()?,
        })
    }
}

fn text_or_file(keys: [&'static str; 2], text: Option<&Secret>, file: Option<&Path>) -> Result<Vec<u8>, TlsError> {
    match (text, file) {
        (Some(text), None) => Ok(text.expose().as_bytes().to_vec()),
        (None, Some(path)) => read_file(keys[1], path),
        (Some(_), Some(_)) => Err(content(keys[0], format_args!("give either this or {}, not both", keys[1]))),
        (None, None) => Err(content(keys[1], "a server needs a certificate and its key; set cert_file and key_file")),
    }
}

fn read_file(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::File { key, path: path.to_owned(), source })
}

fn content(key: &'static str, reason: impl ToString) -> TlsError {
    TlsError::Content { key, reason: reason.to_string() }
}

fn server_config(
    settings: &TlsServerConfig,
    protocols: &[Vec<u8>],
    material: &Material,
) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let chain = certificates("cert_file", &material.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&material.key)
        .map_err(|error| content("key_file", format_args!("no private key in PEM: {error}")))?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(settings)?)
        .map_err(|error| content("min_version", error))?;
    let builder = match &material.client_ca {
        Some(authorities) => builder.with_client_cert_verifier(client_verifier(provider, authorities)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| content("cert_file", error))?;
    config.alpn_protocols = protocols.to_vec();
    Ok(config)
}

fn client_verifier(
    provider: Arc<CryptoProvider>,
    authorities: &[u8],
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("client_ca_file", authorities)? {
        roots.add(certificate).map_err(|error| content("client_ca_file", error))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| content("client_ca_file", error))
}

fn certificates(key: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(chain) if chain.is_empty() => Err(content(key, "no certificate in PEM")),
        Ok(chain) => Ok(chain),
        Err(error) => Err(content(key, format_args!("no certificate in PEM: {error}"))),
    }
}

fn versions(settings: &TlsServerConfig) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let newest = settings.max_version.unwrap_or(TlsVersion::V1_3);
    let between = |version| settings.min_version <= version && version <= newest;
    let mut versions = Vec::new();
    if between(TlsVersion::V1_3) {
        versions.push(&rustls::version::TLS13);
    }
    if between(TlsVersion::V1_2) {
        versions.push(&rustls::version::TLS12);
    }
    if versions.is_empty() {
        return Err(content("max_version", "is lower than min_version"));
    }
    Ok(versions)
}
