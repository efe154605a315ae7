//! The signer with scripted credentials and paused time.

use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::Bytes;
use http::StatusCode;

use super::*;
use crate::config::types::HttpClientConfig;
use crate::export::client::{Authenticator, HttpClient, Request, SendError};
use crate::export::testing::server::{Seen, Server, reply};

/// Credentials that come out one after the other: a key with a lifetime, an error, or nothing ever.
enum Next {
    Key(&'static str, Option<Duration>),
    Fails(&'static str),
    Hangs,
}

fn source(script: impl IntoIterator<Item = Next>) -> (Source, Arc<Mutex<usize>>) {
    let script = Mutex::new(script.into_iter().collect::<VecDeque<_>>());
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let source: Source = Box::new(move || {
        *count.lock().expect("count") += 1;
        let next = script.lock().expect("script").pop_front();
        Box::pin(async move {
            match next {
                Some(Next::Key(id, lifetime)) => {
                    let expiry = lifetime.map(|lifetime| SystemTime::now() + lifetime);
                    Ok(Credentials::new(id, "very-secret", Some("very-secret-token".into()), expiry, "test"))
                }
                Some(Next::Fails(reason)) => Err(reason.to_owned()),
                Some(Next::Hangs) | None => std::future::pending().await,
            }
        })
    });
    (source, asked)
}

fn settings() -> SigV4AuthConfig {
    SigV4AuthConfig { region: "eu-west-1".into(), service: "aps".into(), ..SigV4AuthConfig::default() }
}

fn signer(script: impl IntoIterator<Item = Next>) -> Signer {
    Signer::with_source("sigv4auth", settings(), source(script).0)
}

const HOUR: Option<Duration> = Some(Duration::from_secs(3600));

/// Signs, and returns whose key it was.
async fn key(signer: &Signer) -> Result<String, SignError> {
    let uri = Uri::from_static("https://example.com/");
    let mut headers = HeaderMap::new();
    signer.sign(&Method::POST, &uri, &mut headers, b"").await?;
    let authorization = headers["authorization"].to_str().expect("text");
    Ok(authorization.split(['=', '/']).nth(1).expect("key").to_owned())
}

#[tokio::test(start_paused = true)]
async fn starts_at_once_and_signs_as_soon_as_it_can() {
    let signer = signer([Next::Key("first", HOUR)]);
    assert_eq!(signer.status(), SignerStatus::Starting);
    assert_eq!(key(&signer).await.as_deref(), Ok("first"));
    assert!(matches!(signer.status(), SignerStatus::Ready { expires: Some(_) }));
}

#[tokio::test(start_paused = true)]
async fn keeps_trying_when_credentials_can_not_be_had() {
    let signer = signer([Next::Fails("sts is down"), Next::Fails("still down"), Next::Key("late", HOUR)]);
    let error = key(&signer).await.expect_err("no credentials");
    assert_eq!(error, SignError::NoCredentials("sts is down".into()));
    assert!(error.is_retryable());
    assert_eq!(signer.status(), SignerStatus::Failing { reason: "sts is down".into(), usable_until: None });
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(key(&signer).await.as_deref(), Ok("late"));
}

#[tokio::test(start_paused = true)]
async fn does_not_wait_forever_for_an_answer() {
    let signer = signer([Next::Hangs, Next::Key("late", HOUR)]);
    let error = key(&signer).await.expect_err("no credentials");
    assert_eq!(error, SignError::NoCredentials("no answer within 60 seconds".into()));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(key(&signer).await.as_deref(), Ok("late"));
}

#[tokio::test(start_paused = true)]
async fn refreshes_before_expiry_and_keeps_the_former_ones_meanwhile() {
    let script = [Next::Key("first", HOUR), Next::Fails("sts is down"), Next::Key("second", HOUR)];
    let signer = signer(script);
    assert_eq!(key(&signer).await.as_deref(), Ok("first"));
    tokio::time::sleep(Duration::from_secs(3600 - 360 - 10)).await;
    assert!(matches!(signer.status(), SignerStatus::Ready { .. }), "not yet");
    tokio::time::sleep(Duration::from_secs(10 + 61)).await;
    let refreshed = key(&signer).await.expect("signed");
    assert!(refreshed == "first" || refreshed == "second", "{refreshed}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(key(&signer).await.as_deref(), Ok("second"));
}

#[tokio::test(start_paused = true)]
async fn signs_one_request_and_no_other_with_credentials_that_came_expired() {
    let signer = signer([Next::Key("first", Some(Duration::ZERO)), Next::Fails("sts is down"), Next::Hangs]);
    assert_eq!(key(&signer).await.as_deref(), Ok("first"));
    assert_eq!(key(&signer).await, Err(SignError::NoCredentials("they have expired".into())));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(key(&signer).await, Err(SignError::NoCredentials("sts is down".into())));
    assert!(matches!(signer.status(), SignerStatus::Failing { usable_until: Some(_), .. }));
}

#[tokio::test(start_paused = true)]
async fn looks_again_at_credentials_that_never_expire() {
    let signer = signer([Next::Key("file", None), Next::Key("new file", None)]);
    assert_eq!(key(&signer).await.as_deref(), Ok("file"));
    tokio::time::sleep(RELOAD_AFTER + Duration::from_secs(1)).await;
    assert_eq!(key(&signer).await.as_deref(), Ok("new file"));
}

#[tokio::test(start_paused = true)]
async fn stops_asking_when_nobody_signs_any_more() {
    let (source, asked) = source((0..100).map(|_| Next::Fails("down")));
    let signer = Signer::with_source("sigv4auth", settings(), source);
    let clone = signer.clone();
    tokio::time::sleep(Duration::from_secs(10)).await;
    drop(signer);
    let before = *asked.lock().expect("count");
    tokio::time::sleep(Duration::from_secs(600)).await;
    let with_clone = *asked.lock().expect("count");
    assert!(with_clone > before);
    drop(clone);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(*asked.lock().expect("count"), with_clone);
}

#[tokio::test(start_paused = true)]
async fn says_what_it_does_not_know_about_the_destination() {
    let signer = |region: &str, service: &str| {
        let settings = SigV4AuthConfig { region: region.into(), service: service.into(), ..settings() };
        Signer::with_source("sigv4auth", settings, source([Next::Key("k", None)]).0)
    };
    let scope = |signer: &Signer, uri: &'static str| {
        let scope = signer.scope(&Uri::from_static(uri));
        scope.map(|scope| format!("{} {}", scope.service, scope.region)).map_err(|error| error.to_string())
    };
    let aps = "https://aps-workspaces.eu-west-1.amazonaws.com/";
    assert_eq!(scope(&signer("", ""), aps).as_deref(), Ok("aps eu-west-1"));
    assert_eq!(scope(&signer("us-east-1", "es"), aps).as_deref(), Ok("es us-east-1"));
    let error = scope(&signer("us-east-1", ""), "https://proxy.example/").expect_err("no service");
    let expected = "service of the aws signature is unknown: proxy.example does not tell it; set service in sigv4auth";
    assert_eq!(error, expected);
}

#[tokio::test(start_paused = true)]
async fn never_shows_a_secret() {
    let (arn, external_id) = ("arn:aws:iam::1:role/r".into(), "hidden".into());
    let assume_role = AssumeRoleConfig { arn, external_id, ..AssumeRoleConfig::default() };
    let settings = SigV4AuthConfig { assume_role, ..settings() };
    let signer = Signer::with_source("sigv4auth", settings, source([Next::Key("id", HOUR)]).0);
    key(&signer).await.expect("signed");
    let shown = format!("{signer:?} {:?}", Authenticator::SigV4(signer.clone()));
    assert!(!shown.contains("very-secret") && !shown.contains("hidden"), "{shown}");
}

fn client(signer: &Signer) -> HttpClient {
    HttpClient::new("exporters::x", &HttpClientConfig::default(), Authenticator::SigV4(signer.clone())).expect("client")
}

fn request(server: &Server) -> Request {
    Request::post(server.uri("/path?q=1"), "application/json", Bytes::from_static(b"{}"))
}

fn dated(status: u16, date: &str, text: &'static str) -> http::Response<crate::export::testing::server::Body> {
    let mut response = reply(status, text);
    response.headers_mut().insert("date", date.parse().expect("date"));
    response
}

#[tokio::test]
async fn corrects_the_clock_and_signs_the_same_bytes_once_more() {
    let server = Server::start(|seen: &Seen| match seen.header("x-amz-date").starts_with("20150830T12") {
        true => reply(200, "ok"),
        false => dated(403, "Sun, 30 Aug 2015 12:36:00 GMT", "RequestTimeTooSkewed"),
    })
    .await;
    let signer = signer([Next::Key("id", None)]);
    let client = client(&signer);
    assert_eq!(client.send(request(&server)).await.expect("reply").status, StatusCode::OK);
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!((&seen[0].body, seen[0].header("content-type")), (&seen[1].body, "application/json"));
    assert_ne!(seen[0].header("authorization"), seen[1].header("authorization"));
    assert_eq!(seen[1].head.headers.get_all("authorization").iter().count(), 1);
    client.send(request(&server)).await.expect("reply");
    assert_eq!(server.seen().len(), 3, "the clock stays right");
}

/// Beyond what credentials live: fresh ones look expired, and only a request that is sent can tell.
#[tokio::test]
async fn corrects_a_clock_by_which_fresh_credentials_have_expired() {
    let server = Server::start(|seen: &Seen| match seen.header("x-amz-date").starts_with("20150830T12") {
        true => reply(200, "ok"),
        false => dated(403, "Sun, 30 Aug 2015 12:36:00 GMT", "Signature not yet current"),
    })
    .await;
    let signer = signer([Next::Key("id", Some(Duration::ZERO)), Next::Hangs]);
    assert_eq!(client(&signer).send(request(&server)).await.expect("reply").status, StatusCode::OK);
}

fn answer(status: u16, body: &'static str) -> Reply {
    Reply {
        status: status.try_into().expect("status"),
        headers: HeaderMap::new(),
        body: Bytes::from_static(body.as_bytes()),
        truncated: false,
        from: "http://a/b".into(),
        secrets: Default::default(),
    }
}

/// A role gives a key that was never there before with each load.
#[tokio::test(start_paused = true)]
async fn a_request_whose_key_was_replaced_has_another_chance_and_only_one() {
    let signer = signer(["1", "2", "3", "4", "5"].map(|key| Next::Key(key, None)));
    let (refused, taken) = (answer(403, "InvalidClientTokenId"), answer(200, ""));
    let sign = async |uri| {
        let mut headers = HeaderMap::new();
        signer.sign(&Method::POST, &Uri::from_static(uri), &mut headers, b"").await.expect("signed")
    };
    let wait = async || tokio::time::sleep(Duration::from_secs(6)).await;
    let (here, elsewhere) = ("https://example.com/", "https://example.org/");
    let (first, other) = (sign(here).await, sign(elsewhere).await);
    assert!(signer.learn(&refused, &first).expect_err("the first").is_retryable());
    assert!(signer.learn(&refused, &first).expect_err("another one at the same time").is_retryable());
    assert_eq!(signer.learn(&taken, &other), Ok(false));
    wait().await;
    let second = sign(here).await;
    assert_eq!((first.load, second.load), (1, 2), "asked for at once");
    assert_eq!(signer.learn(&refused, &second), Ok(false), "whatever others know");
    wait().await;
    let third = sign(here).await;
    assert_eq!(third.load, 3);
    assert_eq!(signer.learn(&refused, &third), Ok(false), "there is no other");
    // Once a key is taken, the next one that is not may have been replaced, too.
    assert_eq!(signer.learn(&taken, &third), Ok(false));
    assert!(signer.learn(&refused, &third).expect_err("replaced").is_retryable());
}

#[tokio::test]
async fn does_not_repeat_a_request_that_is_refused_for_another_reason() {
    let server = Server::start(|_| reply(403, "AccessDenied")).await;
    let answer = client(&signer([Next::Key("id", None)])).send(request(&server)).await.expect("reply");
    assert_eq!((answer.status, server.seen().len()), (StatusCode::FORBIDDEN, 1));
}

#[tokio::test]
async fn a_request_with_expired_credentials_has_another_chance() {
    let server = Server::start(|_| reply(403, "<Code>ExpiredToken</Code>")).await;
    let error = client(&signer([Next::Key("id", None)])).send(request(&server)).await.expect_err("expired");
    assert!(matches!(error, SendError::Sign(SignError::Expired(_))) && error.is_retryable(), "{error}");
}

#[tokio::test]
async fn sends_nothing_without_credentials() {
    let server = Server::start(|_| reply(200, "")).await;
    let error = client(&signer([Next::Fails("down")])).send(request(&server)).await.expect_err("unsigned");
    assert!(error.is_retryable());
    assert!(server.seen().is_empty());
}

#[test]
fn reads_the_settings_of_2021() {
    let legacy = AwsAuthConfig { role_arn: "arn:aws:iam::1:role/r".into(), ..AwsAuthConfig::default() };
    let endpoint = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write";
    let SigV4AuthConfig { region, service, assume_role } = settings_of_2021(&legacy, endpoint);
    assert_eq!((region.as_str(), service.as_str()), ("eu-west-1", "aps"));
    assert_eq!(assume_role.arn, "arn:aws:iam::1:role/r");
    assert!(assume_role.session_name.starts_with("aws-otel-collector-"));
    let configured = AwsAuthConfig { region: "us-east-1".into(), service: "es".into(), ..AwsAuthConfig::default() };
    let SigV4AuthConfig { region, service, assume_role } = settings_of_2021(&configured, endpoint);
    assert_eq!((region.as_str(), service.as_str(), assume_role.arn.as_str()), ("us-east-1", "es", ""));
    let empty = AwsAuthConfig { service: String::new(), ..AwsAuthConfig::default() };
    let SigV4AuthConfig { region, service, .. } = settings_of_2021(&empty, "http://127.0.0.1:9090");
    assert_eq!((region.as_str(), service.as_str()), ("", "aps"));
}
