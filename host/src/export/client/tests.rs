//! The client against servers on loopback.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::Version;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::config::types::{Secret, TlsClientConfig, TlsVersion, Url};
use crate::export::testing::authority::Authority;
use crate::export::testing::server::{Seen, Server, reply};

fn client(settings: HttpClientConfig) -> HttpClient {
    HttpClient::new("exporters::x", &settings, Authenticator::None).expect("client")
}

fn post(uri: Uri) -> Request {
    Request::post(uri, "application/x-protobuf", Bytes::from_static(b"payload"))
}

fn headers(pairs: &[(&str, &str)]) -> Headers {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect()
}

#[tokio::test]
async fn sends_the_bytes_and_headers_it_is_given() {
    let server = Server::start(|_| reply(200, "ok")).await;
    let settings =
        HttpClientConfig { headers: headers(&[("x-scope", "a"), ("X-Key", "secret")]), ..Default::default() };
    let request = post(server.uri("/v1/traces?a=b"))
        .header(CONTENT_ENCODING, HeaderValue::from_static("gzip"))
        .header(HeaderName::from_static("x-scope"), HeaderValue::from_static("overridden"));
    let answer = client(settings).send(request).await.expect("reply");
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"ok"[..]));

    let seen = server.one();
    assert_eq!((seen.head.method.as_str(), seen.head.uri.to_string().as_str()), ("POST", "/v1/traces?a=b"));
    assert_eq!(&seen.body[..], b"payload");
    let expected = [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "gzip"),
        ("x-scope", "a"),
        ("x-key", "secret"),
        ("user-agent", concat!("sluice/", env!("CARGO_PKG_VERSION"))),
        ("host", &server.address.to_string()),
        (CONTENT_LENGTH.as_str(), "7"),
    ];
    for (name, value) in expected {
        assert_eq!(seen.header(name), value, "{name}");
    }
}

#[tokio::test]
async fn takes_its_own_credentials_out_of_an_answer() {
    let server = Server::start(|seen| reply(400, format!("no such key {}", seen.header("authorization")))).await;
    let settings =
        HttpClientConfig { headers: headers(&[("authorization", "Bearer s3cr3t-token")]), ..Default::default() };
    let answer = client(settings).send(post(server.uri("/"))).await.expect("reply");
    assert_eq!(server.one().header("authorization"), "Bearer s3cr3t-token");
    let from = server.uri("/");
    assert_eq!(answer.reason(), format!("{from}: status 400 Bad Request: no such key *******************"));
}

#[tokio::test]
async fn takes_those_of_an_address_out_of_an_answer() {
    let server = Server::start(|seen| reply(400, format!("{}: denied me:hunter2", seen.head.uri))).await;
    let uri: Uri = format!("http://me:hunter2@{}/?api_key=t0ken", server.address).parse().expect("address");
    let answer = client(HttpClientConfig::default()).send(post(uri)).await.expect("reply");
    let from = server.uri("/");
    assert_eq!(answer.reason(), format!("{from}: status 400 Bad Request: /?api_key=*****: denied **********"));
}

#[tokio::test]
async fn sends_user_name_and_password_of_an_address_as_basic_authentication() {
    let server = Server::start(|_| reply(200, "")).await;
    let uri: Uri = format!("http://me:p%40ss@{}/", server.address).parse().expect("address");
    let client = client(HttpClientConfig::default());
    client.send(post(uri)).await.expect("reply");
    // RFC 7617: base64 of `me:p@ss`.
    assert_eq!(server.one().header("authorization"), "Basic bWU6cEBzcw==");
    for address in ["https://me:p%40ss@a.example:443/", "https://me:p%40ss@a.example/"] {
        let complete = client.complete(post(address.parse().expect("address")));
        assert_eq!(complete.headers[http::header::HOST], "a.example");
        assert_eq!(complete.uri.authority().map(|authority| authority.as_str()), Some("a.example"));
    }
}

#[tokio::test]
async fn uses_a_connection_again_unless_told_not_to() {
    for (disable_keep_alives, expected) in [(false, 1), (true, 3)] {
        let server = Server::start(|_| reply(200, "")).await;
        let client = client(HttpClientConfig { disable_keep_alives, ..Default::default() });
        for _ in 0..3 {
            client.send(post(server.uri("/"))).await.expect("reply");
        }
        assert_eq!(server.connections(), expected);
    }
}

#[tokio::test]
async fn cuts_a_long_reply_off_at_the_limit() {
    let server = Server::start(|_| reply(500, vec![b'x'; 100])).await;
    for (max_reply_bytes, kept) in [(99, 99), (100, 100), (101, 100)] {
        let request = Request { max_reply_bytes, ..post(server.uri("/")) };
        let answer = client(HttpClientConfig::default()).send(request).await.expect("reply");
        assert_eq!(answer.body.len(), kept);
    }
}

#[tokio::test]
async fn follows_what_is_to_be_made_again_on_the_same_host() {
    let moved = |status: u16, to: &'static str| {
        move |seen: &Seen| {
            if seen.head.uri.path() == "/there" {
                return reply(200, "arrived");
            }
            let mut response = reply(status, "");
            response.headers_mut().insert("location", HeaderValue::from_static(to));
            response
        }
    };
    for (status, to, expected) in [
        (307, "/there", 200),
        (308, "/there", 200),
        (302, "/there", 302),
        (308, "/round", 308),
        (308, "https://elsewhere.example/there", 308),
        (308, "http://elsewhere.example/there", 308),
        (308, "there", 308),
    ] {
        let server = Server::start(moved(status, to)).await;
        let answer = client(HttpClientConfig::default()).send(post(server.uri("/"))).await.expect("reply");
        assert_eq!(answer.status, expected, "{status} {to}");
        let seen = server.seen();
        assert!(seen.iter().all(|seen| seen.head.method == Method::POST && &seen.body[..] == b"payload"));
        assert_eq!(
            seen.len(),
            if expected == 200 {
                2
            } else if to == "/round" {
                1 + MAX_REDIRECTS
            } else {
                1
            }
        );
    }
}

#[test]
fn is_not_led_to_where_headers_are_not_safe() {
    let to = |from: &str, location: &str| {
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_str(location).expect("value"))]);
        let reply = Reply {
            status: StatusCode::PERMANENT_REDIRECT,
            headers,
            body: Bytes::new(),
            truncated: false,
            from: "http://a/b".into(),
            secrets: Secrets::default(),
        };
        redirected(&from.parse().expect("an address"), &reply).map(|uri| uri.to_string())
    };
    assert_eq!(to("http://a/x", "https://a/y").as_deref(), Some("https://a/y"));
    assert_eq!(to("https://a/x", "https://a:8443/y").as_deref(), Some("https://a:8443/y"));
    assert_eq!(to("https://a/x", "http://a/y"), None);
    assert_eq!(to("https://a/x", "https://b/y"), None);
    assert_eq!(to("https://a/x", "https://me@a/y"), None);
}

#[tokio::test]
async fn says_what_went_wrong_without_an_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("listener");
    let timeout = crate::config::types::Duration::from_millis(50);
    let uri: Uri = format!("http://{}/", silent.local_addr().expect("address")).parse().expect("address");
    let error = client(HttpClientConfig { timeout, ..Default::default() }).send(post(uri)).await.expect_err("timeout");
    assert!(matches!(error, SendError::Timeout { .. }) && error.is_retryable(), "{error}");
    let address = silent.local_addr().expect("address");
    assert_eq!(error.to_string(), format!("http://{address}/: no answer within 0.05 seconds"));

    let closing = TcpListener::bind("127.0.0.1:0").await.expect("listener");
    let uri: Uri = format!("http://{}/", closing.local_addr().expect("address")).parse().expect("address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = closing.accept().await {
            let _ = stream.read(&mut [0; 16]).await;
        }
    });
    let error = client(HttpClientConfig::default()).send(post(uri)).await.expect_err("closed");
    assert!(matches!(error, SendError::Interrupted(..)) && error.is_retryable(), "{error}");

    let port = { TcpListener::bind("127.0.0.1:0").await.expect("listener").local_addr().expect("address").port() };
    let uri: Uri = format!("http://127.0.0.1:{port}/").parse().expect("address");
    let error = client(HttpClientConfig::default()).send(post(uri)).await.expect_err("refused");
    assert!(matches!(error, SendError::Connect(..)) && error.is_retryable(), "{error}");
    assert!(error.to_string().to_lowercase().contains("connection refused"), "{error}");
}

#[test]
fn refuses_settings_that_can_not_work() {
    let proxy = |url: &str| HttpClientConfig { proxy_url: Some(Url::new(url)), ..Default::default() };
    let tls = |tls| HttpClientConfig { tls, ..Default::default() };
    let header =
        |name: &str, value: &str| HttpClientConfig { headers: headers(&[(name, value)]), ..Default::default() };
    let missing = TlsClientConfig { ca_file: Some("/nonexistent/ca.pem".into()), ..Default::default() };
    let no_pem = TlsClientConfig { ca_pem: Some(Secret::new("not pem")), ..Default::default() };
    let no_key = TlsClientConfig { cert_pem: Some(Secret::new("x")), ..Default::default() };
    let versions = TlsClientConfig {
        min_version: TlsVersion::V1_3,
        max_version: Some(TlsVersion::V1_2),
        ca_pem: Some(Secret::new("x")),
        ..Default::default()
    };
    let cases = [
        (proxy("ftp://proxy"), "proxy_url: \"ftp://proxy\" must start with http:// or socks5://"),
        (
            proxy("http://user:secret@pro xy"),
            "proxy_url: \"http://[REDACTED]@pro xy\" is not a URL: invalid uri character",
        ),
        (tls(missing), "tls::ca_file: can't read /nonexistent/ca.pem: No such file or directory (os error 2)"),
        (tls(no_pem), "tls::ca_pem: holds no certificate in PEM"),
        (tls(no_key), "tls::key_file: is missing; cert_file and key_file belong together"),
        (tls(versions), "tls::max_version: is lower than min_version"),
        (header("x y", "z"), "headers: \"x y\" is not a header that can be sent"),
        (header("x", "secret\n"), "headers: \"x\" is not a header that can be sent"),
    ];
    for (settings, expected) in cases {
        let error = HttpClient::new("exporters::x", &settings, Authenticator::None).err().expect(expected);
        assert_eq!(error.to_string(), expected);
    }
}

fn https(server: &Server) -> Uri {
    format!("https://{}/", server.address).parse().expect("address")
}

#[tokio::test]
async fn trusts_whom_the_configuration_says() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let server = Server::start_tls(ours.server("127.0.0.1", None), |_| reply(200, "")).await;
    let trusting = |authority: &Authority| TlsClientConfig {
        ca_pem: Some(Secret::new(authority.pem())),
        ..TlsClientConfig::default()
    };
    let cases = [
        (trusting(&ours), true),
        (trusting(&theirs), false),
        (TlsClientConfig { insecure_skip_verify: true, ..trusting(&theirs) }, true),
        (TlsClientConfig { server_name_override: Some("other.example".into()), ..trusting(&ours) }, false),
        (TlsClientConfig { max_version: Some(TlsVersion::V1_2), ..trusting(&ours) }, true),
        (TlsClientConfig { min_version: TlsVersion::V1_3, ..trusting(&ours) }, true),
    ];
    for (tls, trusted) in cases {
        let case = format!("{tls:?}");
        let result = client(HttpClientConfig { tls, ..Default::default() }).send(post(https(&server))).await;
        assert_eq!(result.is_ok(), trusted, "{case}");
        if let Err(error) = result {
            let expected = format!("{}: tls handshake: invalid peer certificate", https(&server));
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
    }
    assert!(server.seen().iter().all(|seen| seen.head.version == Version::HTTP_2), "h2 is negotiated");
}

#[tokio::test]
async fn checks_the_name_it_is_told_to() {
    let authority = Authority::new();
    let server = Server::start_tls(authority.server("collector.example", None), |_| reply(200, "")).await;
    let tls = TlsClientConfig {
        ca_pem: Some(Secret::new(authority.pem())),
        server_name_override: Some("collector.example".into()),
        ..TlsClientConfig::default()
    };
    client(HttpClientConfig { tls, ..Default::default() }).send(post(https(&server))).await.expect("reply");
}

#[tokio::test]
async fn shows_its_certificate_and_reads_it_again_when_it_has_changed() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = Server::start_tls(authority.server("127.0.0.1", Some(&authority)), |_| reply(200, "")).await;
    let directory = tempfile::tempdir().expect("directory");
    let (cert_file, key_file) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    let install = |(certificate, key): (String, String)| {
        std::fs::write(&cert_file, certificate).expect("written");
        std::fs::write(&key_file, key).expect("written");
    };
    install(other.sign("sidecar"));
    let tls = TlsClientConfig {
        ca_pem: Some(Secret::new(authority.pem())),
        cert_file: Some(cert_file.clone()),
        key_file: Some(key_file.clone()),
        reload_interval: crate::config::types::Duration::from_nanos(1),
        ..TlsClientConfig::default()
    };
    let client = client(HttpClientConfig { tls, ..Default::default() });
    client.send(post(https(&server))).await.expect_err("a stranger's certificate");
    std::fs::write(&cert_file, "broken").expect("written");
    client.send(post(https(&server))).await.expect_err("still the stranger's");
    install(authority.sign("sidecar"));
    client.send(post(https(&server))).await.expect("the right certificate");
}

/// What is logged meanwhile.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("log").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn names_the_exporter_whose_certificates_are_broken() {
    let directory = tempfile::tempdir().expect("directory");
    let ca_file = directory.path().join("ca.pem");
    std::fs::write(&ca_file, Authority::new().pem()).expect("written");
    let settings = TlsClientConfig { ca_file: Some(ca_file.clone()), ..TlsClientConfig::default() };
    let tls = ClientTls::new("exporters::otlp/x::tls".into(), &settings, &["h2"]).expect("certificates");
    std::fs::write(&ca_file, "broken").expect("written");
    let logged = Logged::default();
    let writer = logged.clone();
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let later = std::time::Instant::now() + Duration::from_secs(61);
    tracing::subscriber::with_default(log, || tls.config(later).expect("those that were read before"));
    let line = String::from_utf8(logged.0.lock().expect("log").clone()).expect("text");
    let expected =
        "exporters::otlp/x::tls::ca_file: holds no certificate in PEM; the certificates that were read before stay";
    assert!(line.contains(expected), "{line}");
}

/// A proxy that answers CONNECT and requests in the clear itself, and remembers the first lines.
async fn proxy(accepts: bool) -> (std::net::SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listener");
    let address = listener.local_addr().expect("address");
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.expect("request");
            seen.lock().expect("heads").push(String::from_utf8_lossy(&head[..length]).into_owned());
            let answer =
                if accepts { "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" } else { "HTTP/1.1 407 No\r\n\r\n" };
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, heads)
}

#[tokio::test]
async fn goes_through_a_proxy() {
    let (address, heads) = proxy(true).await;
    let through = |url: String| client(HttpClientConfig { proxy_url: Some(Url::new(url)), ..Default::default() });
    let plain = through(format!("http://user:secret@{address}"));
    let destination: Uri = "http://destination.invalid/v1/traces".parse().expect("address");
    assert_eq!(&plain.send(post(destination)).await.expect("reply").body[..], b"ok");
    let head = heads.lock().expect("heads").remove(0).to_lowercase();
    assert!(head.starts_with("post http://destination.invalid/v1/traces http/1.1\r\n"), "{head}");
    assert!(head.contains("proxy-authorization: basic dxnlcjpzzwnyzxq=\r\n"), "{head}");
}

#[tokio::test]
async fn tells_a_proxy_that_refuses_from_the_destination() {
    let (address, heads) = proxy(false).await;
    let proxy_url = Some(Url::new(format!("http://user:secret@{address}")));
    let client = client(HttpClientConfig { proxy_url, ..Default::default() });
    let destination: Uri = "https://destination.invalid/".parse().expect("address");
    let error = client.send(post(destination.clone())).await.expect_err("refused").to_string();
    let expected = format!("{destination}: proxy http://{address}: ");
    assert!(error.starts_with(&expected) && !error.contains("secret"), "{error}");
    let head = heads.lock().expect("heads").remove(0);
    assert!(head.starts_with("CONNECT destination.invalid:443 HTTP/1.1\r\n"), "{head}");
}

#[test]
fn reads_when_to_come_back_as_seconds_and_as_a_date() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
    let cases = [
        ("120", Some(120)),
        (" 0 ", Some(0)),
        ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
        ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
        ("-5", None),
        ("soon", None),
        ("99999999999999999999", None),
    ];
    for (text, expected) in cases {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).expect("value"))]);
        let reply = Reply {
            status: StatusCode::TOO_MANY_REQUESTS,
            headers,
            body: Bytes::new(),
            truncated: false,
            from: "http://a/b".into(),
            secrets: Default::default(),
        };
        assert_eq!(reply.retry_after(now), expected.map(Duration::from_secs), "{text}");
    }
}

#[test]
fn gives_a_reason_on_one_line_and_not_too_long() {
    let reply = |body: &str| Reply {
        status: StatusCode::BAD_REQUEST,
        headers: HeaderMap::new(),
        body: Bytes::from(body.to_owned()),
        truncated: false,
        from: "http://a/b".into(),
        secrets: Default::default(),
    };
    assert_eq!(reply("").reason(), "http://a/b: status 400 Bad Request");
    assert_eq!(reply(" out of\r\n\torder \u{7} ").reason(), "http://a/b: status 400 Bad Request: out of order ");
    let long = reply(&"\u{e9}".repeat(2 * MAX_REASON_BYTES)).reason();
    assert!(long.len() <= MAX_REASON_BYTES && long.ends_with(" ..."), "{}", long.len());
}

#[test]
fn shows_of_an_address_what_is_no_secret() {
    let cases = [
        ("https://a:8443/", "https://a:8443/"),
        ("https://me:pass@a/v1/logs?key=t0ken", "https://a/v1/logs"),
        ("https://a/receiver/t0ken/v1/traces", "https://a/.../v1/traces"),
        ("https://a/t0ken", "https://a/..."),
        ("https://a/_bulk", "https://a/_bulk"),
    ];
    for (address, expected) in cases {
        assert_eq!(shown(&address.parse().expect(address)), expected, "{address}");
    }
}

#[test]
fn leaves_out_the_port_that_the_scheme_implies() {
    let cases = [
        ("https://a.example:443/x?y", "https://a.example/x?y"),
        ("http://a.example:80/", "http://a.example/"),
        ("https://a.example:80/", "https://a.example:80/"),
        ("http://[::1]:80/", "http://[::1]/"),
        ("http://a.example/", "http://a.example/"),
        ("https://me:pw@a.example:443/x", "https://a.example/x"),
        ("https://me:pw@a.example/x", "https://a.example/x"),
        ("https://me:pw@[::1]:9200/x", "https://[::1]:9200/x"),
    ];
    for (uri, expected) in cases {
        assert_eq!(with_bare_authority(uri.parse().expect("address")).to_string(), expected);
    }
}

#[test]
fn leaves_only_one_way_to_read_a_query() {
    let cases = [
        ("https://a/b?filter_path=items.*.status&x=a%20b&y=", "https://a/b?filter_path=items.%2A.status&x=a%20b&y="),
        ("https://a/b*?x=/:@,\u{e9}", "https://a/b*?x=%2F%3A%40%2C%C3%A9"),
        ("https://a/b*", "https://a/b*"),
    ];
    for (uri, expected) in cases {
        assert_eq!(with_unambiguous_query(uri.parse().expect("address")).to_string(), expected);
    }
}

#[tokio::test]
async fn asks_the_destination_once_per_request() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let server = Server::start(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        reply(503, "")
    })
    .await;
    client(HttpClientConfig::default()).send(post(server.uri("/"))).await.expect("reply");
    assert_eq!(count.load(Ordering::Relaxed), 1);
}
