//! TLS for servers, from the collector's `tls` keys; certificates are read again when their files change.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::config::types::TlsServerConfig;
use crate::tls::{Material, Pem, TlsError, versions};

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

impl ServerTls {
    /// Reads the certificates; `protocols` are offered by ALPN, the preferred one first.
    ///
    /// # Errors
    /// A file that can't be read, or material that doesn't make a server.
    pub fn load(settings: &TlsServerConfig, protocols: &[&str]) -> Result<Self, TlsError> {
        let protocols: Vec<_> = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let material = Material::of_server(settings)?;
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
        let material = Material::of_server(&self.settings)?;
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

fn server_config(
    settings: &TlsServerConfig,
    protocols: &[Vec<u8>],
    material: &Material,
) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let missing = || TlsError::new("cert_file", "a server needs a certificate and its key; set cert_file and key_file");
    let (chain, key) = material.identity()?.ok_or_else(missing)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(settings.min_version, settings.max_version)?)
        .map_err(|error| TlsError::new("min_version", error))?;
    let builder = match &material.authorities {
        Some(authorities) => builder.with_client_cert_verifier(client_verifier(provider, authorities)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| TlsError::new("cert_file", error))?;
    config.alpn_protocols = protocols.to_vec();
    Ok(config)
}

fn client_verifier(provider: Arc<CryptoProvider>, authorities: &Pem) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    authorities.add_to(&mut roots)?;
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| TlsError::new("client_ca_file", error))
}
