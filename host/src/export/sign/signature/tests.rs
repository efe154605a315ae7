//! AWS's published vectors, which the signing library carries, and what they leave out.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use aws_sigv4::http_request::SessionTokenMode;
use serde_json::Value;

use super::*;

/// 2015-08-30T12:36:00Z, the time of all vectors.
const TIME: Duration = Duration::from_secs(1_440_938_160);

/// One vector: what is signed, how, and the signature that AWS computed.
struct Vector {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Vec<u8>,
    context: Value,
    signature: String,
}

/// Where the sources of the signing library are.
fn vectors() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    // For this platform only: what others need is not there unless somebody fetched it.
    let platform = ["--filter-platform", env!("SLUICE_TARGET")];
    let arguments = ["metadata", "--format-version", "1", "--offline", "--manifest-path", manifest];
    let output = Command::new(cargo).args(arguments).args(platform).output().expect("cargo metadata");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata");
    let packages = metadata["packages"].as_array().expect("packages");
    let package = packages.iter().find(|package| package["name"] == "aws-sigv4").expect("aws-sigv4");
    let manifest = Path::new(package["manifest_path"].as_str().expect("path"));
    manifest.with_file_name("aws-signing-test-suite").join("v4")
}

fn read(directory: &Path) -> Option<Vector> {
    let file = |name| std::fs::read_to_string(directory.join(name)).ok();
    let (request, context) = (file("request.txt")?, file("context.json")?);
    let (head, body) = request.split_once("\n\n").unwrap_or((&request, ""));
    // A header that goes on in the next line says the same on one.
    let head = head.replace("\n ", " ");
    let mut lines = head.lines();
    let (method, target) = lines.next()?.strip_suffix(" HTTP/1.1")?.split_once(' ')?;
    let mut headers = HeaderMap::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        headers.append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value.trim()).ok()?);
    }
    Some(Vector {
        method: method.parse().ok()?,
        uri: format!("https://example.amazonaws.com{target}").parse().ok()?,
        headers,
        body: body.as_bytes().to_vec(),
        context: serde_json::from_str(&context).ok()?,
        signature: file("header-signature.txt")?.trim().to_owned(),
    })
}

fn credentials(context: &Value) -> Credentials {
    let text = |key: &str| context["credentials"][key].as_str().map(str::to_owned);
    let (id, secret) = (text("access_key_id").expect("id"), text("secret_access_key").expect("secret"));
    Credentials::new(id, secret, text("token"), None, "test")
}

/// This vector takes the path as the client sees it, before it is encoded for the wire; ours is encoded already.
const NOT_YET_ENCODED: &str = "get-space-normalized";

fn vector_settings(name: &str, context: &Value) -> SigningSettings {
    let flag = |key: &str| context[key].as_bool().unwrap_or(false);
    let mut settings = SigningSettings::default();
    settings.uri_path_normalization_mode = flag("normalize").into();
    if name == NOT_YET_ENCODED {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
    }
    if flag("sign_body") {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    if flag("omit_session_token") {
        settings.session_token_mode = SessionTokenMode::Exclude;
    }
    settings
}

fn signature_of(headers: &HeaderMap) -> &str {
    let authorization = headers["authorization"].to_str().expect("text");
    authorization.rsplit_once("Signature=").expect("signature").1
}

#[test]
fn agrees_with_the_vectors_of_aws() {
    let scope = Scope { region: "us-east-1".into(), service: "service".into() };
    let (mut agreed, mut not_applicable) = (0, Vec::new());
    let directories = std::fs::read_dir(vectors()).expect("vectors");
    for directory in directories.map(|entry| entry.expect("entry").path()) {
        let name = directory.file_name().expect("name").to_string_lossy().into_owned();
        let Some(vector) = read(&directory) else {
            not_applicable.push(name);
            continue;
        };
        let mut headers = vector.headers;
        let credentials = credentials(&vector.context);
        let (method, uri, body) = (&vector.method, &vector.uri, &vector.body[..]);
        let time = UNIX_EPOCH + TIME;
        let signing = Signing { method, uri, body, credentials: &credentials, scope: &scope, time };
        sign_with(signing, vector_settings(&name, &vector.context), &mut headers).expect("signed");
        assert_eq!(signature_of(&headers), vector.signature, "{name}");
        agreed += 1;
    }
    not_applicable.sort();
    assert_eq!(not_applicable, NOT_APPLICABLE);
    assert_eq!(agreed, 37);
}

/// Two have no signature, and one has a space in its target, which can't stand on the wire.
const NOT_APPLICABLE: [&str; 3] = ["double-encode-path", "double-url-encode", "get-space-unnormalized"];

fn signed(service: &str, uri: &str, body: &[u8], token: Option<&str>) -> HeaderMap {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", token.map(str::to_owned), None, "test");
    let scope = Scope { region: "eu-west-1".into(), service: service.into() };
    let (uri, time) = (uri.parse().expect("address"), UNIX_EPOCH + TIME);
    let mut headers = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("example.com"))]);
    let signing = Signing { method: &Method::POST, uri: &uri, body, credentials: &credentials, scope: &scope, time };
    sign(signing, &mut headers).expect("signed");
    headers
}

#[test]
fn always_sends_and_signs_the_digest_of_the_body() {
    for service in ["aps", "es", "aoss", "xray", "logs", "execute-api", "s3"] {
        let headers = signed(service, "https://example.com/", b"", Some("token"));
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(headers["x-amz-content-sha256"], empty);
        assert_eq!(headers["x-amz-date"], "20150830T123600Z");
        let authorization = headers["authorization"].to_str().expect("text");
        let start = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-1/{service}/aws4_request, \
             SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature="
        );
        assert!(authorization.starts_with(&start), "{authorization}");
    }
}

#[test]
fn depends_on_everything_that_is_sent() {
    let reference = signed("aps", "https://example.com/a", b"body", Some("token"));
    for (uri, body, token) in [
        ("https://example.com/b", "body", Some("token")),
        ("https://example.com/a?x=y", "body", Some("token")),
        ("https://example.com/a", "Body", Some("token")),
        ("https://example.com/a", "body", Some("Token")),
        ("https://example.com/a", "body", None),
    ] {
        assert_ne!(signature_of(&signed("aps", uri, body.as_bytes(), token)), signature_of(&reference), "{uri} {body}");
    }
}

#[test]
fn encodes_paths_twice_except_for_s3() {
    let once = "https://example.com/a%20b/../c";
    let twice = "https://example.com/a%2520b/../c";
    assert_ne!(
        signature_of(&signed("es", once, b"", None)),
        signature_of(&signed("es", "https://example.com/a%20b/c", b"", None))
    );
    assert_eq!(
        signature_of(&signed("es", once, b"", None)),
        signature_of(&signed("es", "https://example.com/c", b"", None))
    );
    assert_ne!(
        signature_of(&signed("s3", once, b"", None)),
        signature_of(&signed("s3", "https://example.com/c", b"", None))
    );
    assert_ne!(signature_of(&signed("s3", once, b"", None)), signature_of(&signed("s3", twice, b"", None)));
}

#[test]
fn never_shows_a_secret() {
    let headers = signed("aps", "https://example.com/", b"", Some("very-secret"));
    let shown = format!("{headers:?}");
    assert!(!shown.contains("very-secret") && !shown.contains("Signature"), "{shown}");
}

#[test]
fn refuses_headers_that_can_not_be_signed() {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    let scope = Scope { region: "eu-west-1".into(), service: "es".into() };
    let uri = Uri::from_static("https://example.com/");
    let mut headers = HeaderMap::new();
    headers.insert("x-name", HeaderValue::from_bytes(b"\xff").expect("value"));
    let (method, time) = (&Method::POST, UNIX_EPOCH + TIME);
    let signing = Signing { method, uri: &uri, body: b"", credentials: &credentials, scope: &scope, time };
    assert_eq!(sign(signing, &mut headers), Err(SignError::Request("header x-name is not ASCII".into())));
}
