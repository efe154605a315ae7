//! TLS: certificates, client certificates, and their change while the receiver runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::Code;

use super::kit::*;
use crate::config::types::{self, TlsServerConfig, TlsVersion};
use crate::receive::BoundAddress;
use crate::receive::tls::ServerTls;
use crate::tls::TlsError;

/// A certificate authority, and a folder with what it has issued.
struct Authority {
    folder: tempfile::TempDir,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { folder, certificate: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Issues a certificate for `localhost` and writes it and its key.
    fn issue(&self, name: &str) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        (certificate.der().clone(), key)
    }

    fn server(&self) -> TlsServerConfig {
        TlsServerConfig {
            cert_file: Some(self.path("server.pem")),
            key_file: Some(self.path("server.key")),
            ..TlsServerConfig::default()
        }
    }

    fn client(&self, identity: Option<(CertificateDer<'static>, KeyPair)>) -> ClientConfig {
        self.client_with(identity, rustls::ALL_VERSIONS)
    }

    fn client_with(
        &self,
        identity: Option<(CertificateDer<'static>, KeyPair)>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let builder = builder.with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}

async fn connect(address: &BoundAddress, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(tcp(address)).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

#[tokio::test]
async fn serves_grpc_and_http_over_tls() {
    let authority = Authority::new();
    authority.issue("server");
    let mut plan = Plan::default();
    plan.grpc.tls = Some(authority.server());
    plan.http.server.tls = Some(authority.server());
    let running = plan.start().await;
    let stream = connect(&running.grpc, authority.client(None)).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    assert_eq!(export(&mut h2_over(stream).await, &traces(1)).await.code(), Code::Ok);
    let mut client = h2_over(connect(&running.http, authority.client(None)).await.unwrap()).await;
    let body = request("https://test/v1/traces", &[("content-type", "application/x-protobuf")], Chunks::of(traces(1)));
    assert_eq!(client.send_request(body).await.unwrap().status(), 200);
    assert_eq!(running.sink.take().len(), 2);
}

/// Whether a client gets an answer. With TLS 1.3 it learns of a refusal when it first reads.
async fn is_served(address: &BoundAddress, config: ClientConfig, request: http::Request<Chunks>) -> bool {
    let served = async {
        let io = hyper_util::rt::TokioIo::new(connect(address, config).await.ok()?);
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), io).await.ok()?;
        tokio::spawn(connection);
        client.send_request(request).await.ok()
    };
    served.await.is_some_and(|response| response.status() == 200)
}

#[tokio::test]
async fn wants_a_client_certificate_of_its_authority() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    authority.issue("server");
    let mutual = TlsServerConfig { client_ca_file: Some(authority.path("ca.pem")), ..authority.server() };
    let mut plan = Plan::default();
    plan.grpc.tls = Some(mutual.clone());
    plan.http.server.tls = Some(mutual);
    let running = plan.start().await;
    for (issuer, welcome) in [(Some(&authority), true), (Some(&stranger), false), (None, false)] {
        let client = || authority.client(issuer.map(|issuer| issuer.issue("client")));
        let grpc = call(TRACES, &[], Chunks::of(frame(false, &traces(1))));
        assert_eq!(is_served(&running.grpc, client(), grpc).await, welcome, "gRPC");
        let content_type = ("content-type", "application/x-protobuf");
        let http = request("https://test/v1/traces", &[content_type], Chunks::of(traces(1)));
        assert_eq!(is_served(&running.http, client(), http).await, welcome, "HTTP");
    }
    assert_eq!(running.sink.take().len(), 2);
}

#[tokio::test]
async fn speaks_the_versions_of_tls_that_it_may() {
    let authority = Authority::new();
    authority.issue("server");
    let between = |min_version, max_version| TlsServerConfig { min_version, max_version, ..authority.server() };
    let (old, new) = (Some(ProtocolVersion::TLSv1_2), Some(ProtocolVersion::TLSv1_3));
    // What is agreed with a client of the old version, and with one of the new.
    for (tls, with_old, with_new) in [
        (authority.server(), old, new),
        (between(TlsVersion::V1_3, None), None, new),
        (between(TlsVersion::V1_2, Some(TlsVersion::V1_2)), old, None),
    ] {
        let mut plan = Plan::default();
        plan.grpc.tls = Some(tls);
        let running = plan.start().await;
        for (version, agreed) in [(&TLS12, with_old), (&TLS13, with_new)] {
            let stream = connect(&running.grpc, authority.client_with(None, &[version])).await;
            assert_eq!(stream.ok().and_then(|stream| stream.get_ref().1.protocol_version()), agreed);
        }
    }
}

#[tokio::test]
async fn takes_new_certificates_while_it_runs() {
    let authority = Authority::new();
    authority.issue("server");
    let mut plan = Plan::default();
    let reload_interval = types::Duration::from_millis(10);
    plan.grpc.tls = Some(TlsServerConfig { reload_interval, ..authority.server() });
    let running = plan.start().await;
    let (renewed, _) = authority.issue("server");
    let seen = async {
        loop {
            let stream = connect(&running.grpc, authority.client(None)).await.unwrap();
            if stream.get_ref().1.peer_certificates().unwrap()[0] == renewed {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), seen).await.expect("the renewed certificate");
}

#[tokio::test]
async fn takes_a_new_authority_of_clients_while_it_runs() {
    let (authority, successor) = (Authority::new(), Authority::new());
    authority.issue("server");
    let client_ca_file = Some(authority.path("ca.pem"));
    let reload_interval = types::Duration::from_millis(10);
    let mut plan = Plan::default();
    plan.grpc.tls = Some(TlsServerConfig { client_ca_file, reload_interval, ..authority.server() });
    let running = plan.start().await;
    let serves = async |issuer: &Authority| {
        let grpc = call(TRACES, &[], Chunks::of(frame(false, &traces(1))));
        is_served(&running.grpc, authority.client(Some(issuer.issue("client"))), grpc).await
    };
    assert!(serves(&authority).await && !serves(&successor).await);
    std::fs::copy(successor.path("ca.pem"), authority.path("ca.pem")).unwrap();
    let seen = async { while !serves(&successor).await {} };
    tokio::time::timeout(Duration::from_secs(20), seen).await.expect("a client of the new authority");
    assert!(!serves(&authority).await);
}

#[tokio::test]
async fn takes_certificate_and_key_from_the_configuration() {
    let authority = Authority::new();
    let (issued, _) = authority.issue("server");
    let read = |name| Some(types::Secret::new(std::fs::read_to_string(authority.path(name)).unwrap()));
    let mut plan = Plan::default();
    plan.grpc.tls = Some(TlsServerConfig {
        cert_pem: read("server.pem"),
        key_pem: read("server.key"),
        ..TlsServerConfig::default()
    });
    let running = plan.start().await;
    let stream = connect(&running.grpc, authority.client(None)).await.unwrap();
    assert_eq!(stream.get_ref().1.peer_certificates().unwrap()[0], issued);
}

#[test]
fn keeps_what_it_has_while_the_files_are_of_no_use() {
    let authority = Authority::new();
    authority.issue("server");
    let tls = ServerTls::load(&authority.server(), &["h2"]).unwrap();
    assert!(!tls.reload().unwrap(), "nothing has changed");
    let before = tls.current();
    let old_key = std::fs::read(authority.path("server.key")).unwrap();
    authority.issue("server");
    let new_key = std::fs::read(authority.path("server.key")).unwrap();
    // The certificate is written, the key is not yet.
    std::fs::write(authority.path("server.key"), old_key).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError { key: "cert_file", .. })));
    assert!(Arc::ptr_eq(&before, &tls.current()));
    std::fs::write(authority.path("server.key"), new_key).unwrap();
    assert!(tls.reload().unwrap());
    assert!(!Arc::ptr_eq(&before, &tls.current()));
    std::fs::remove_file(authority.path("server.pem")).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError { key: "cert_file", .. })));
}

#[test]
fn says_which_tls_setting_is_wrong() {
    let authority = Authority::new();
    authority.issue("server");
    std::fs::write(authority.path("empty"), "").unwrap();
    let good = authority.server();
    let empty = Some(authority.path("empty"));
    let pem = Some(types::Secret::new("x"));
    let cases = [
        ("cert_file", TlsServerConfig { cert_file: None, ..good.clone() }),
        ("key_file", TlsServerConfig { key_file: None, ..good.clone() }),
        ("cert_file", TlsServerConfig { cert_file: empty.clone(), ..good.clone() }),
        ("cert_file", TlsServerConfig { cert_file: Some("/no/such/file".into()), ..good.clone() }),
        ("key_file", TlsServerConfig { key_file: empty.clone(), ..good.clone() }),
        ("cert_pem", TlsServerConfig { cert_pem: pem, ..good.clone() }),
        ("client_ca_file", TlsServerConfig { client_ca_file: empty, ..good.clone() }),
        (
            "max_version",
            TlsServerConfig { min_version: TlsVersion::V1_3, max_version: Some(TlsVersion::V1_2), ..good.clone() },
        ),
    ];
    for (key, settings) in cases {
        let error = ServerTls::load(&settings, &[]).expect_err(key).to_string();
        assert!(error.starts_with(&format!("{key}: ")), "{key}: {error}");
    }
    assert!(ServerTls::load(&good, &[]).is_ok());
}
