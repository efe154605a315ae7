//! Signatures, judged by other people's code: botocore computes them again, and moto checks them as AWS does.
//!
//! Credentials come from the environment, so every sender is a process of its own: this same program, asked to run
//! the test `sends`, which does nothing unless it is told to.

#[path = "aws_signing/python.rs"]
mod python;

use std::path::PathBuf;
use std::process::{Command, Output};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Uri};
use serde_json::{Value, json};
use sluice::config::types::HttpClientConfig;
use sluice::export::client::{Authenticator, HttpClient, Request};
use sluice::export::sign::{AssumeRole, Signer, SignerSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use python::{Server, python, run};

const KEY: &str = "AKIDSIDECAR";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "a+session/token==";
const JOB: &str = "SLUICE_TEST_SEND";

/// Sends what the environment says; the other tests run it.
#[tokio::test]
async fn sends() {
    let Ok(job) = std::env::var(JOB) else { return };
    let job: Value = serde_json::from_str(&job).expect("job");
    let text = |key: &str| job[key].as_str().map(str::to_owned);
    let assume_role = text("role").map(|arn| AssumeRole {
        arn,
        external_id: text("external_id"),
        session_name: text("session_name"),
        sts_region: text("sts_region"),
        web_identity_token_file: text("token_file").map(PathBuf::from),
    });
    let signer =
        Signer::new("sigv4auth", SignerSettings { region: text("region"), service: text("service"), assume_role });
    let signing =
        HttpClient::new("exporters::x", &HttpClientConfig::default(), Authenticator::SigV4(signer)).expect("client");
    let uri: Uri = text("url").expect("url").parse().expect("address");
    let content_type = "application/x-amz-json-1.1";
    let mut request = Request::post(uri.clone(), content_type, Bytes::from(text("body").expect("body")));
    for (name, value) in job["headers"].as_object().into_iter().flatten() {
        let value = HeaderValue::from_str(value.as_str().expect("text")).expect("value");
        request = request.header(HeaderName::from_bytes(name.as_bytes()).expect("name"), value);
    }
    let reply = match text("tamper") {
        None => signing.send(request).await,
        Some(what) => {
            let plain =
                HttpClient::new("exporters::x", &HttpClientConfig::default(), Authenticator::None).expect("client");
            plain.send(tampered(&signing, request, &what).await).await
        }
    };
    match reply {
        Ok(reply) => {
            let body = String::from_utf8_lossy(&reply.body).replace('\n', " ");
            println!("answer: {} {body}", reply.status.as_u16());
        }
        Err(error) => println!("answer: none {error}"),
    }
}

/// Has a request signed for its destination, but caught on the way there, and changes one thing of it.
async fn tampered(signing: &HttpClient, request: Request, what: &str) -> Request {
    let catcher = TcpListener::bind("127.0.0.1:0").await.expect("listener");
    let elsewhere = format!("http://{}{}", catcher.local_addr().expect("address"), request.uri.path());
    let caught = tokio::spawn(async move {
        let (mut stream, _) = catcher.accept().await.expect("connection");
        let mut head = vec![0; 16 * 1024];
        let length = stream.read(&mut head).await.expect("request");
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("answered");
        String::from_utf8_lossy(&head[..length]).into_owned()
    });
    let host = HeaderValue::from_str(request.uri.authority().expect("authority").as_str()).expect("host");
    let sent = Request { uri: elsewhere.parse().expect("address"), ..request.clone() }.header(http::header::HOST, host);
    signing.send(sent).await.expect("caught");
    let head = caught.await.expect("request");
    let mut request = request;
    for line in head.lines().skip(1).take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").expect("header");
        let value = HeaderValue::from_str(value).expect("value");
        request.headers.insert(HeaderName::from_bytes(name.as_bytes()).expect("name"), value);
    }
    match what {
        "nothing" => {}
        "body" => request.body = Bytes::from(String::from_utf8_lossy(&request.body).replace('x', "y")),
        "path" => request.uri = format!("{}x", request.uri).parse().expect("address"),
        header => {
            let name = HeaderName::from_bytes(header.as_bytes()).expect("name");
            assert!(request.headers.contains_key(&name), "{header} is there to be tampered with");
            request.headers.insert(name, HeaderValue::from_static("tampered"));
        }
    }
    request
}

/// Runs `sends` with these variables; returns the line that it prints.
fn send(job: &Value, variables: &[(&str, &str)]) -> String {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.args(["--exact", "sends", "--nocapture", "--test-threads", "1"]);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    // Nothing but what a test gives may be found: no profile, no metadata service of the machine it runs on.
    command.envs([("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_CONFIG_FILE", "/none")]);
    command.env("AWS_SHARED_CREDENTIALS_FILE", "/none").env(JOB, job.to_string()).envs(variables.iter().copied());
    let Output { status, stdout, stderr } = command.output().expect("started");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{stdout}\n{stderr}");
    for secret in [SECRET, TOKEN] {
        assert!(!stdout.contains(secret) && !stderr.contains(secret), "a secret is shown: {stdout}\n{stderr}");
    }
    let line = stdout.lines().find_map(|line| line.split_once("answer: ")).expect("answer");
    line.1.to_owned()
}

fn environment() -> Vec<(&'static str, &'static str)> {
    vec![("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_SESSION_TOKEN", TOKEN)]
}

fn job(url: String) -> Value {
    json!({"url": url, "region": "eu-west-1", "service": "aps", "body": "x".repeat(1000)})
}

#[test]
fn botocore_computes_the_same_signatures() {
    let Some(python) = python() else { return };
    let server = Server::verifier(&python, &[KEY, SECRET, TOKEN]);
    let paths = [
        "/workspaces/ws-1/api/v1/remote_write",
        "/_bulk?filter_path=items.*.status&a=b%20c&empty=&b=%2F",
        "/a%20b/c%2Fd/../e//f/",
        "/%E1%88%B4/~tilde-_.!*'()",
        "/?x=2&x=1&X=3",
    ];
    for path in paths {
        for service in ["aps", "es", "aoss", "execute-api"] {
            let mut job = job(format!("{}{path}", server.url));
            job["service"] = service.into();
            job["headers"] = json!({"content-encoding": "snappy", "x-prometheus-remote-write-version": "0.1.0"});
            let answer = send(&job, &environment());
            assert_eq!(answer, format!("200 {{\"service\": \"{service}\", \"region\": \"eu-west-1\"}}"), "{path}");
        }
    }
}

#[test]
fn botocore_refuses_what_was_changed_on_the_way() {
    let Some(python) = python() else { return };
    let server = Server::verifier(&python, &[KEY, SECRET, TOKEN]);
    let mut job = job(format!("{}/path", server.url));
    job["headers"] = json!({"content-encoding": "gzip"});
    job["tamper"] = "nothing".into();
    assert!(send(&job, &environment()).starts_with("200 "), "the catcher itself does no harm");
    for (what, reason) in [
        ("body", "XAmzContentSHA256Mismatch"),
        ("path", "SignatureDoesNotMatch"),
        ("content-type", "SignatureDoesNotMatch"),
        ("content-encoding", "SignatureDoesNotMatch"),
        ("x-amz-content-sha256", "XAmzContentSHA256Mismatch"),
        ("x-amz-security-token", "UnrecognizedClientException"),
    ] {
        job["tamper"] = what.into();
        let answer = send(&job, &environment());
        assert!(answer.starts_with("403 ") && answer.contains(reason), "{what}: {answer}");
    }
}

#[test]
fn botocore_refuses_another_key() {
    let Some(python) = python() else { return };
    let server = Server::verifier(&python, &[KEY, SECRET, TOKEN]);
    let job = job(format!("{}/path", server.url));
    for (name, value, reason) in [
        ("AWS_SECRET_ACCESS_KEY", "another secret", "SignatureDoesNotMatch"),
        ("AWS_ACCESS_KEY_ID", "AKIDOTHER", "InvalidClientTokenId"),
    ] {
        let mut variables = environment();
        variables.push((name, value));
        let answer = send(&job, &variables);
        assert!(answer.starts_with("403 ") && answer.contains(reason), "{answer}");
    }
}

#[test]
fn a_wrong_clock_is_corrected_by_the_answer() {
    let Some(python) = python() else { return };
    for skew in ["--skew=3600", "--skew=-3600"] {
        let server = Server::verifier(&python, &[KEY, SECRET, TOKEN, skew]);
        let answer = send(&job(format!("{}/path", server.url)), &environment());
        assert!(answer.starts_with("200 "), "{skew}: {answer}");
    }
}

#[test]
fn moto_takes_what_an_assumed_role_signed() {
    let Some(python) = python() else { return };
    let moto = Server::moto(&python);
    let accounts: Value = serde_json::from_str(&run(&python, "moto_accounts.py", &[&moto.url])).expect("accounts");
    let account = |key: &str| accounts[key].as_str().expect("text").to_owned();
    let (key, secret) = (account("access_key"), account("secret_key"));
    let environment = [
        ("AWS_ACCESS_KEY_ID", key.as_str()),
        ("AWS_SECRET_ACCESS_KEY", secret.as_str()),
        ("AWS_ENDPOINT_URL_STS", moto.url.as_str()),
    ];
    let mut job = json!({
        "url": format!("{}/", moto.url), "region": "us-east-1", "service": "logs", "body": "{\"logGroupNamePrefix\": \"x\"}",
        "headers": {"x-amz-target": "Logs_20140328.DescribeLogGroups"},
        "role": account("role"), "external_id": "tenant-42", "session_name": "sidecar-1",
    });
    let answer = send(&job, &environment);
    assert!(answer.starts_with("200 {\"logGroups\""), "{answer}");

    // The user itself may assume the role, but not use the service.
    let mut direct = job.clone();
    direct["role"] = Value::Null;
    let answer = send(&direct, &environment);
    assert!(answer.starts_with("403 ") && answer.contains("AccessDenied"), "{answer}");

    // moto takes the digest of the body from its header; botocore, above, does not.
    job["tamper"] = "content-type".into();
    let answer = send(&job, &environment);
    assert!(answer.starts_with("403 ") && answer.contains("SignatureDoesNotMatch"), "{answer}");

    job["tamper"] = Value::Null;
    let stranger = [environment[0], ("AWS_SECRET_ACCESS_KEY", "another secret"), environment[2]];
    let answer = send(&job, &stranger);
    assert!(answer.starts_with("none no aws credentials: sts AssumeRole arn:aws:iam::"), "{answer}");
    assert!(answer.contains(": status 403"), "{answer}");
}

/// A stand-in for STS that shows what it was asked.
fn sts() -> (String, std::thread::JoinHandle<String>) {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("connection");
        let mut request = String::new();
        while !request.contains("Version=2011-06-15") {
            let mut part = [0; 8192];
            let length = stream.read(&mut part).expect("request");
            request.push_str(&String::from_utf8_lossy(&part[..length]));
        }
        let action = if request.contains("WebIdentity") { "AssumeRoleWithWebIdentity" } else { "AssumeRole" };
        let xml = format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
             <AccessKeyId>{KEY}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>\
             <SessionToken>{TOKEN}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
             </{action}Result></{action}Response>"
        );
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\r\n", xml.len());
        stream.write_all((head + &xml).as_bytes()).expect("answered");
        request
    });
    (url, asked)
}

#[test]
fn sts_is_asked_with_everything_that_is_configured() {
    let Some(python) = python() else { return };
    let server = Server::verifier(&python, &[KEY, SECRET, TOKEN]);
    let (url, asked) = sts();
    let mut job = job(format!("{}/path", server.url));
    job["role"] = "arn:aws:iam::123456789012:role/writer".into();
    job["external_id"] = "tenant-42".into();
    job["session_name"] = "sidecar-1".into();
    job["sts_region"] = "us-west-2".into();
    let variables =
        [("AWS_ACCESS_KEY_ID", "AKIDBASE"), ("AWS_SECRET_ACCESS_KEY", "base"), ("AWS_ENDPOINT_URL_STS", url.as_str())];
    let answer = send(&job, &variables);
    assert!(answer.starts_with("200 "), "{answer}");
    let asked = asked.join().expect("asked");
    for expected in [
        "Action=AssumeRole&",
        "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fwriter",
        "ExternalId=tenant-42",
        "RoleSessionName=sidecar-1",
        "Credential=AKIDBASE/",
        "/us-west-2/sts/aws4_request",
    ] {
        assert!(asked.contains(expected), "{expected}: {asked}");
    }
}

#[test]
fn a_web_identity_token_is_exchanged_without_other_credentials() {
    let Some(python) = python() else { return };
    let server = Server::verifier(&python, &[KEY, SECRET, TOKEN]);
    let (url, asked) = sts();
    let directory = tempfile::tempdir().expect("directory");
    let token_file = directory.path().join("token");
    std::fs::write(&token_file, "eyJ.web.identity\n").expect("written");
    let mut job = job(format!("{}/path", server.url));
    job["role"] = "arn:aws:iam::123456789012:role/writer".into();
    job["token_file"] = token_file.display().to_string().into();
    let answer = send(&job, &[("AWS_ENDPOINT_URL", url.as_str())]);
    assert!(answer.starts_with("200 "), "{answer}");
    let asked = asked.join().expect("asked");
    assert!(asked.contains("Action=AssumeRoleWithWebIdentity&"), "{asked}");
    assert!(asked.contains("WebIdentityToken=eyJ.web.identity"), "{asked}");
    assert!(asked.contains("RoleSessionName=sluice-"), "{asked}");
    assert!(!asked.to_lowercase().contains("authorization:"), "{asked}");
}

#[test]
fn nothing_is_sent_while_sts_does_not_answer() {
    let mut job = job("http://127.0.0.1:1/path".to_owned());
    job["role"] = "arn:aws:iam::123456789012:role/writer".into();
    let variables = [
        ("AWS_ACCESS_KEY_ID", "AKIDBASE"),
        ("AWS_SECRET_ACCESS_KEY", "base"),
        ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1"),
    ];
    let answer = send(&job, &variables);
    assert!(answer.starts_with("none no aws credentials: sts AssumeRole "), "{answer}");
}
