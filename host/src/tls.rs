//! What servers and clients have in common of their `tls` blocks: versions, and the PEM that a block names.

use std::fmt::{self, Display};
use std::path::Path;

use rustls::{RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::types::{Secret, TlsClientConfig, TlsServerConfig, TlsVersion};

/// Why a `tls` block is of no use.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct TlsError {
    /// The key in the block.
    pub key: &'static str,
    /// What is wrong with its value.
    pub reason: String,
}

/// What a block names, as read; another one when a file has changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Material {
    /// Whom to trust.
    pub(crate) authorities: Option<Pem>,
    certificate: Option<Pem>,
    key: Option<Pem>,
}

/// Text in PEM, and which key of the block gave it.
#[derive(PartialEq, Eq)]
pub(crate) struct Pem {
    key: &'static str,
    text: Vec<u8>,
}

impl TlsError {
    pub(crate) fn new(key: &'static str, reason: impl Display) -> Self {
        Self { key, reason: reason.to_string() }
    }
}

impl Material {
    pub(crate) fn of_server(settings: &TlsServerConfig) -> Result<Self, TlsError> {
        let TlsServerConfig { cert_file, cert_pem, key_file, key_pem, client_ca_file, .. } = settings;
        Ok(Self {
            authorities: Pem::of(["client_ca_file", ""], client_ca_file.as_deref(), None)?,
            certificate: Pem::of(["cert_file", "cert_pem"], cert_file.as_deref(), cert_pem.as_ref())?,
            key: Pem::of(["key_file", "key_pem"], key_file.as_deref(), key_pem.as_ref())?,
        })
    }

    pub(crate) fn of_client(settings: &TlsClientConfig) -> Result<Self, TlsError> {
        let TlsClientConfig { ca_file, ca_pem, cert_file, cert_pem, key_file, key_pem, .. } = settings;
        let authorities = match settings.insecure_skip_verify {
            true => None,
            false => Pem::of(["ca_file", "ca_pem"], ca_file.as_deref(), ca_pem.as_ref())?,
        };
        Ok(Self {
            authorities,
            certificate: Pem::of(["cert_file", "cert_pem"], cert_file.as_deref(), cert_pem.as_ref())?,
            key: Pem::of(["key_file", "key_pem"], key_file.as_deref(), key_pem.as_ref())?,
        })
    }

    /// The own certificate chain and its key.
    pub(crate) fn identity(&self) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, TlsError> {
        let missing = |key| Err(TlsError::new(key, "is missing; cert_file and key_file belong together"));
        match (&self.certificate, &self.key) {
            (None, None) => Ok(None),
            (Some(_), None) => missing("key_file"),
            (None, Some(_)) => missing("cert_file"),
            (Some(certificate), Some(key)) => Ok(Some((certificate.certificates()?, key.private_key()?))),
        }
    }
}

impl Pem {
    /// What one of two keys gives, a file or the text itself.
    fn of(keys: [&'static str; 2], file: Option<&Path>, text: Option<&Secret>) -> Result<Option<Self>, TlsError> {
        let [file_key, key] = keys;
        match (file.filter(|path| !path.as_os_str().is_empty()), text.filter(|text| !text.is_empty())) {
            (Some(_), Some(_)) => Err(TlsError::new(key, format_args!("can't be given together with {file_key}"))),
            (Some(path), None) => Self::read(file_key, path).map(Some),
            (None, Some(text)) => Ok(Some(Self { key, text: text.expose().as_bytes().to_vec() })),
            (None, None) => Ok(None),
        }
    }

    pub(crate) fn read(key: &'static str, path: &Path) -> Result<Self, TlsError> {
        let failed = |error| TlsError::new(key, format_args!("can't read {}: {error}", path.display()));
        Ok(Self { key, text: std::fs::read(path).map_err(failed)? })
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.text).collect();
        match certificates {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            Ok(_) => Err(TlsError::new(self.key, "holds no certificate in PEM")),
            Err(error) => Err(TlsError::new(self.key, format_args!("is not PEM: {error}"))),
        }
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(&self.text)
            .map_err(|_| TlsError::new(self.key, "holds no private key in PEM (PKCS#8, PKCS#1 or SEC1, not encrypted)"))
    }

    /// Has a store trust these certificates.
    pub(crate) fn add_to(&self, store: &mut RootCertStore) -> Result<(), TlsError> {
        for certificate in self.certificates()? {
            store.add(certificate).map_err(|error| TlsError::new(self.key, error))?;
        }
        Ok(())
    }
}

/// It may be a private key.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pem").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The versions to speak, the highest one first.
pub(crate) fn versions(
    min: TlsVersion,
    max: Option<TlsVersion>,
) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let max = max.unwrap_or(TlsVersion::V1_3);
    let all = [(TlsVersion::V1_3, &rustls::version::TLS13), (TlsVersion::V1_2, &rustls::version::TLS12)];
    let versions: Vec<_> =
        all.into_iter().filter(|(version, _)| (min..=max).contains(version)).map(|(_, v)| v).collect();
    if versions.is_empty() {
        return Err(TlsError::new("max_version", "is lower than min_version"));
    }
    Ok(versions)
}
