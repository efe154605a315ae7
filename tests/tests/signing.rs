//! Requests signed for AWS, checked by moto and botocore: roles, refusals, renewal, clocks, and an STS that comes late.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sluice_tests::capture::Manner;
use sluice_tests::parts::{self, Server};
use sluice_tests::sluice::Settings;
use sluice_tests::{Capture, Sluice, web};
use sluice_wire::{Signal, sample};

const ITEMS: usize = 20;

/// All is logged that can be, so that a secret would be seen. `ROLE` stands for the role with its external id, `DESTINATION` for who checks.
const CONFIG: &str = "
receivers:
  otlp: {protocols: {http: {endpoint: '127.0.0.1:{{http}}'}}}
extensions:
  health_check: {endpoint: '127.0.0.1:{{health}}'}
  sigv4auth: {region: eu-west-1, service: es, assume_role: {arn: 'ROLE', external_id: 'EXTERNAL', session_name: edge-7}}
  sigv4auth/user: {region: eu-west-1, service: es}
  sigv4auth/aps: {region: eu-west-1, service: aps, assume_role: {arn: 'ROLE', external_id: 'EXTERNAL', session_name: metrics}}
exporters:
  otlphttp:
    endpoint: 'DESTINATION'
    auth: {authenticator: AUTHENTICATOR}
    retry_on_failure: {initial_interval: 200ms, max_interval: 500ms, max_elapsed_time: LIMIT}
  prometheusremotewrite:
    endpoint: 'DESTINATION/workspaces/ws-1/api/v1/remote_write?x=1&b=%20'
    auth: {authenticator: sigv4auth/aps}
service:
  extensions: [health_check, sigv4auth, sigv4auth/user, sigv4auth/aps]
  telemetry: {logs: {level: debug}}
  pipelines:
    traces: {receivers: [otlp], exporters: [otlphttp]}
    metrics: {receivers: [otlp], exporters: [prometheusremotewrite]}
";

/// As a task definition of 2021 has it.
const CONFIG_2021: &str = "
receivers:
  otlp: {protocols: {http: {endpoint: '127.0.0.1:{{http}}'}}}
exporters:
  awsprometheusremotewrite:
    endpoint: $AWS_PROMETHEUS_ENDPOINT
    aws_auth: {region: eu-west-1, service: aps, role_arn: 'ROLE'}
service:
  pipelines:
    metrics: {receivers: [otlp], exporters: [awsprometheusremotewrite]}
";

/// Documents, and the templates that some need before.
const CONFIG_OPENSEARCH: &str = "
receivers:
  otlp: {protocols: {http: {endpoint: '127.0.0.1:{{http}}'}}}
extensions:
  sigv4auth: {region: eu-west-1, service: es, assume_role: {arn: 'ROLE', external_id: 'EXTERNAL', session_name: search}}
exporters:
  opensearch: {http: {endpoint: 'DESTINATION', auth: {authenticator: sigv4auth}}, pipeline: 'a b*'}
  opensearch/jaeger:
    http: {endpoint: 'DESTINATION', compression: gzip, auth: {authenticator: sigv4auth}}
    mapping: {mode: jaeger, index_prefix: prod}
service:
  extensions: [sigv4auth]
  pipelines:
    traces: {receivers: [otlp], exporters: [opensearch/jaeger]}
    logs: {receivers: [otlp], exporters: [opensearch]}
";

/// Credentials come from wherever the environment says.
const CONFIG_CHAIN: &str = "
receivers:
  otlp: {protocols: {http: {endpoint: '127.0.0.1:{{http}}'}}}
extensions: {sigv4auth: {region: eu-west-1, service: es}}
exporters: {otlphttp: {endpoint: 'DESTINATION', auth: {authenticator: sigv4auth}}}
service:
  extensions: [sigv4auth]
  telemetry: {logs: {level: debug}}
  pipelines:
    traces: {receivers: [otlp], exporters: [otlphttp]}
";

/// moto, the checker, and what the test configures for them.
struct Aws {
    server: Server,
    account: Value,
    destination: String,
    authenticator: &'static str,
    external_id: String,
    secret: String,
    /// For how long a request is tried.
    limit: &'static str,
}

impl Aws {
    fn start() -> Result<Option<Self>> {
        let Some(server) = parts::aws()? else { return Ok(None) };
        let account = web::get(&format!("{}/account", server.url))?.json()?;
        let text = |key: &str| account[key].as_str().map(str::to_owned).with_context(|| key.to_owned());
        let (external_id, secret, destination) = (text("external_id")?, text("secret")?, server.url.clone());
        Ok(Some(Self { server, account, destination, authenticator: "sigv4auth", external_id, secret, limit: "60s" }))
    }

    fn text(&self, key: &str) -> &str {
        self.account[key].as_str().unwrap_or_default()
    }

    fn control(&self, wish: &Value) -> Result<()> {
        let reply =
            web::post(&format!("{}/control", self.server.url), "application/json", wish.to_string().as_bytes())?;
        anyhow::ensure!(reply.status == 200, "{wish}: {}\n{}", reply.status, self.server.log());
        Ok(())
    }

    /// The requests that the checker saw, and the sessions that STS opened.
    fn seen(&self) -> Result<(Vec<Value>, Vec<Value>)> {
        let seen = web::get(&format!("{}/seen", self.server.url))?.json()?;
        let list = |key: &str| seen[key].as_array().cloned().with_context(|| key.to_owned());
        Ok((list("requests")?, list("sessions")?))
    }

    fn settings(&self) -> Settings {
        settings(&[
            ("AWS_ACCESS_KEY_ID", self.text("access_key")),
            ("AWS_SECRET_ACCESS_KEY", &self.secret),
            ("AWS_ENDPOINT_URL_STS", self.text("moto")),
            ("AWS_PROMETHEUS_ENDPOINT", &format!("{}/api/v1/remote_write", self.destination)),
        ])
    }

    fn sluice(&self, config: &str) -> Result<Sluice> {
        let config = config
            .replace("ROLE", self.text("role"))
            .replace("EXTERNAL", &self.external_id)
            .replace("DESTINATION", &self.destination)
            .replace("AUTHENTICATOR", self.authenticator)
            .replace("LIMIT", self.limit);
        Sluice::start_with(&config, &self.settings()).with_context(|| self.server.log())
    }
}

/// Variables of the environment with their values.
type Variables<'a> = &'a [(&'a str, &'a str)];

/// Nothing of AWS but these variables.
fn settings(variables: Variables<'_>) -> Settings {
    let nothing = [
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("NO_PROXY", "127.0.0.1"),
    ];
    let env = nothing.iter().chain(variables).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings { env: env.collect(), ..Settings::default() }
}

fn send(sluice: &Sluice, signal: Signal) -> Result<()> {
    let url = format!("http://127.0.0.1:{}/v1/{}", sluice.port("http"), signal.name());
    let reply = web::post(&url, "application/x-protobuf", &sample::request(signal, ITEMS))?;
    anyhow::ensure!(reply.status == 200, "{}: {}", reply.status, reply.body);
    Ok(())
}

fn dropped(sluice: &Sluice, reason: &str) -> Result<f64> {
    sluice.metric("sluice_ledger_items", &[("outcome", "dropped"), ("reason", reason)])
}

fn health(sluice: &Sluice) -> Result<(u16, Value)> {
    let reply = web::get(&format!("http://127.0.0.1:{}/", sluice.port("health")))?;
    Ok((reply.status, reply.json()?))
}

/// Waits until the health page says that `sigv4auth` has no credentials, and gives back why.
fn trouble(sluice: &Sluice) -> Result<String> {
    let found = web::eventually("degraded health", Duration::from_secs(30), || {
        let (status, page) = health(sluice)?;
        anyhow::ensure!(status == 200, "{status} {page}");
        let trouble = page["degraded"]["sigv4auth"].as_str();
        Ok(trouble.filter(|trouble| !trouble.starts_with("waiting")).map(str::to_owned))
    });
    found.with_context(|| sluice.log())
}

/// No log may show what signs: the user's key, and those of sessions with their tokens.
fn assert_no_secrets(aws: &Aws, log: &str) -> Result<()> {
    assert!(!log.contains(aws.text("secret")), "the user's secret key is in the log");
    for session in aws.seen()?.1 {
        for key in ["secret", "token"] {
            let secret = session[key].as_str().with_context(|| key.to_owned())?;
            assert!(!log.contains(secret), "the {key} of a session is in the log");
        }
    }
    Ok(())
}

#[test]
fn a_role_is_assumed_and_its_signatures_hold() -> Result<()> {
    let Some(aws) = Aws::start()? else { return Ok(()) };
    let sluice = aws.sluice(CONFIG)?;
    send(&sluice, Signal::Traces)?;
    send(&sluice, Signal::Metrics)?;
    sluice.settle()?;
    let (requests, sessions) = aws.seen()?;
    let context = || format!("{requests:#?}\n{sessions:#?}\n{}", sluice.log());
    for (path, service, session) in
        [("/v1/traces", "es", "edge-7"), ("/workspaces/ws-1/api/v1/remote_write?x=1&b=%20", "aps", "metrics")]
    {
        let request = requests.iter().find(|request| request["path"] == path).with_context(context)?;
        let opened = sessions.iter().find(|opened| opened["session_name"] == session).with_context(context)?;
        assert_eq!(request["verified"], true, "{request}");
        assert_eq!((&request["service"], &request["region"]), (&json!(service), &json!("eu-west-1")));
        assert_eq!(request["session_token"], true);
        assert_eq!(request["access_key"], opened["access_key"], "signed by the role, not by the user");
        assert_eq!(opened["role"], aws.text("role"));
        assert_eq!(opened["external_id"], aws.text("external_id"));
        let signed: Vec<&str> = request["signed"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for header in ["host", "content-type", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"] {
            assert!(signed.contains(&header), "{header} is not signed: {signed:?}");
        }
    }
    assert_eq!(sluice.ledger("exported")?, 2 * ITEMS as u64);
    web::eventually("health without complaints", Duration::from_secs(10), || {
        Ok(health(&sluice)?.1["degraded"].is_null().then_some(()))
    })?;
    assert_no_secrets(&aws, &sluice.stop()?)?;
    Ok(())
}

#[test]
fn the_configuration_of_2021_signs_as_its_role() -> Result<()> {
    let Some(aws) = Aws::start()? else { return Ok(()) };
    let sluice = aws.sluice(CONFIG_2021)?;
    send(&sluice, Signal::Metrics)?;
    sluice.settle()?;
    let (requests, sessions) = aws.seen()?;
    assert!(!requests.is_empty() && requests.iter().all(|request| request["verified"] == true), "{requests:#?}");
    assert_eq!(requests[0]["service"], "aps");
    assert_eq!(requests[0]["access_key"], sessions[0]["access_key"]);
    let name = sessions[0]["session_name"].as_str().unwrap_or_default();
    assert!(name.starts_with("aws-otel-collector-"), "{name}");
    assert_eq!(sluice.ledger("exported")?, ITEMS as u64);
    assert_no_secrets(&aws, &sluice.stop()?)?;
    Ok(())
}

#[test]
fn documents_and_templates_for_opensearch_are_signed() -> Result<()> {
    let Some(aws) = Aws::start()? else { return Ok(()) };
    let sluice = aws.sluice(CONFIG_OPENSEARCH)?;
    for (signal, expected) in [
        (Signal::Logs, vec!["POST /_bulk?pipeline=a%20b%2A"]),
        (Signal::Traces, vec!["PUT /_template/prod-jaeger-span", "PUT /_template/prod-jaeger-service", "POST /_bulk"]),
    ] {
        let before = aws.seen()?.0.len();
        send(&sluice, signal)?;
        sluice.settle()?;
        let (requests, sessions) = aws.seen()?;
        let word = |request: &Value, key: &str| request[key].as_str().unwrap_or_default().to_owned();
        let line = |request: &Value| word(request, "method") + " " + &word(request, "path");
        assert_eq!(requests[before..].iter().map(line).collect::<Vec<_>>(), expected, "{}", sluice.log());
        for request in &requests[before..] {
            assert_eq!((&request["verified"], &request["service"]), (&json!(true), &json!("es")), "{request}");
            assert_eq!(request["access_key"], sessions[0]["access_key"], "signed by the role, not by the user");
        }
    }
    assert_eq!(sluice.ledger("exported")?, 2 * ITEMS as u64);
    assert_no_secrets(&aws, &sluice.stop()?)?;
    Ok(())
}

#[test]
fn what_was_changed_on_the_way_is_refused_and_booked() -> Result<()> {
    let Some(mut aws) = Aws::start()? else { return Ok(()) };
    aws.destination = aws.text("tamperer").to_owned();
    let sluice = aws.sluice(CONFIG)?;
    let cases = [
        ("nothing", None),
        ("body", Some("XAmzContentSHA256Mismatch")),
        ("digest", Some("SignatureDoesNotMatch")),
        ("header", Some("SignatureDoesNotMatch")),
        ("path", Some("SignatureDoesNotMatch")),
        ("date", Some("RequestTimeTooSkewed")),
        ("token", Some("InvalidToken")),
        ("digest removed", Some("IncompleteSignature")),
    ];
    let mut refused = 0;
    for (tampering, reason) in cases {
        aws.control(&json!({"tamper": tampering}))?;
        let before = aws.seen()?.0.len();
        send(&sluice, Signal::Traces)?;
        sluice.settle()?;
        refused += usize::from(reason.is_some());
        let (requests, _) = aws.seen()?;
        // Once: neither a refusal nor a right clock is a reason to try again.
        assert_eq!(requests.len(), before + 1, "{tampering}: {requests:#?}");
        assert_eq!(requests[before]["reason"], json!(reason), "{tampering}");
        assert_eq!(sluice.ledger("exported")?, ITEMS as u64, "{tampering}");
        assert_eq!(dropped(&sluice, "refused_by_destination")?, (refused * ITEMS) as f64, "{tampering}");
    }
    let log = sluice.stop()?;
    // What is like it shortly after is counted, not logged.
    assert!(log.contains("XAmzContentSHA256Mismatch"), "the destination's reason is not in the log\n{log}");
    assert_no_secrets(&aws, &log)?;
    Ok(())
}

#[test]
fn signatures_of_odd_addresses_hold_for_every_service() -> Result<()> {
    const SERVICES: [&str; 4] = ["aps", "es", "aoss", "execute-api"];
    const PATHS: [&str; 5] = [
        "/workspaces/ws-1/api/v1/remote_write",
        "/_search?filter_path=items.*.status&a=b%20c&empty=&b=%2F",
        "/a%20b/c%2Fd/../e//f/",
        "/%E1%88%B4/~tilde-_.!*'()",
        "/?x=2&x=1&X=3",
    ];
    let Some(aws) = Aws::start()? else { return Ok(()) };
    let (mut signers, mut exporters) = (BTreeMap::new(), BTreeMap::new());
    for service in SERVICES {
        let signer = format!("sigv4auth/{service}");
        for (number, path) in PATHS.iter().enumerate() {
            let endpoint = format!("{}{path}", aws.destination);
            let exporter = json!({"traces_endpoint": endpoint, "auth": {"authenticator": signer}});
            exporters.insert(format!("otlphttp/{service}-{number}"), exporter);
        }
        signers.insert(signer, json!({"region": "eu-west-1", "service": service}));
    }
    let names = |list: &BTreeMap<String, Value>| json!(list.keys().collect::<Vec<_>>()).to_string();
    let config = CONFIG_CHAIN
        .replace("{sigv4auth: {region: eu-west-1, service: es}}", &json!(signers).to_string())
        .replace(
            "{otlphttp: {endpoint: 'DESTINATION', auth: {authenticator: sigv4auth}}}",
            &json!(exporters).to_string(),
        )
        .replace("[sigv4auth]", &names(&signers))
        .replace("[otlphttp]", &names(&exporters));
    let sluice = Sluice::start_with(&config, &aws.settings())?;
    send(&sluice, Signal::Traces)?;
    sluice.settle()?;
    let (requests, _) = aws.seen()?;
    assert!(requests.iter().all(|request| request["verified"] == true), "{requests:#?}");
    let text = |request: &Value, key: &str| request[key].as_str().map(str::to_owned);
    let seen: BTreeSet<_> = requests.iter().map(|request| (text(request, "service"), text(request, "path"))).collect();
    // What may or may not be encoded in a query goes encoded.
    let sent = PATHS.map(|path| path.replace("items.*", "items.%2A"));
    let both = |service: &str| sent.clone().map(|path| (Some(service.to_owned()), Some(path)));
    assert_eq!(seen, SERVICES.into_iter().flat_map(both).collect());
    sluice.stop()?;
    Ok(())
}

#[test]
fn a_wrong_clock_is_corrected_by_the_answer() -> Result<()> {
    let Some(mut aws) = Aws::start()? else { return Ok(()) };
    aws.authenticator = "sigv4auth/user";
    for skew in [3600, -3600] {
        aws.control(&json!({"skew": skew}))?;
        let before = aws.seen()?.0.len();
        let sluice = aws.sluice(CONFIG)?;
        send(&sluice, Signal::Traces)?;
        sluice.settle()?;
        let reasons: Vec<_> = aws.seen()?.0[before..].iter().map(|request| request["reason"].clone()).collect();
        assert_eq!(reasons, [json!("RequestTimeTooSkewed"), Value::Null], "{skew}: {}", sluice.log());
        assert_eq!(sluice.ledger("exported")?, ITEMS as u64);
        sluice.stop()?;
    }
    Ok(())
}

/// Delivers a batch with these settings of the signer, and gives back what STS was asked for: the whole request.
fn asked_of_sts(assume_role: &str, variables: Variables<'_>) -> Result<String> {
    let (url, asked) = sts()?;
    let destination = Capture::start()?;
    let signer = format!("service: es, assume_role: {{arn: 'arn:aws:iam::123456789012:role/writer', {assume_role}}}}}");
    let config = CONFIG_CHAIN.replace("service: es}", &signer).replace("DESTINATION", &destination.url);
    let variables = [variables, &[("AWS_ENDPOINT_URL_STS", &url)]].concat();
    let sluice = Sluice::start_with(&config, &settings(&variables))?;
    send(&sluice, Signal::Traces)?;
    sluice.settle().with_context(|| sluice.log())?;
    assert_eq!((sluice.ledger("exported")?, destination.count("/v1/traces")), (ITEMS as u64, 1), "{}", sluice.log());
    sluice.stop()?;
    asked.join().map_err(|_| anyhow::anyhow!("the stand-in for STS panicked"))?
}

/// An STS that answers once, and gives back the request.
fn sts() -> Result<(String, JoinHandle<Result<String>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    let answer = move || {
        let (mut stream, _) = listener.accept()?;
        let mut request = String::new();
        // All parameters come in one piece.
        while !request.contains("Version=2011-06-15") {
            let mut part = [0; 8192];
            let length = stream.read(&mut part)?;
            anyhow::ensure!(length > 0, "{request}");
            request.push_str(&String::from_utf8_lossy(&part[..length]));
        }
        let action = if request.contains("WebIdentity") { "AssumeRoleWithWebIdentity" } else { "AssumeRole" };
        let xml = format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
             <AccessKeyId>AKIDROLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
             <SessionToken>token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
             </{action}Result></{action}Response>"
        );
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\r\n", xml.len());
        stream.write_all((head + &xml).as_bytes())?;
        Ok(request)
    };
    Ok((url, std::thread::spawn(answer)))
}

#[test]
fn sts_is_asked_with_everything_that_is_configured() -> Result<()> {
    let asked = asked_of_sts(
        "external_id: tenant-42, session_name: sidecar-1, sts_region: us-west-2",
        &[("AWS_ACCESS_KEY_ID", "AKIDBASE"), ("AWS_SECRET_ACCESS_KEY", "base")],
    )?;
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
    Ok(())
}

#[test]
fn a_web_identity_token_is_exchanged_without_other_credentials() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("token");
    std::fs::write(&file, "eyJ.web.identity\n")?;
    let asked = asked_of_sts(&format!("web_identity_token_file: '{}'", file.display()), &[])?;
    for expected in ["Action=AssumeRoleWithWebIdentity&", "RoleSessionName=sluice-"] {
        assert!(asked.contains(expected), "{expected}: {asked}");
    }
    assert!(asked.ends_with("&WebIdentityToken=eyJ.web.identity"), "{asked}");
    assert!(!asked.to_lowercase().contains("authorization:"), "{asked}");
    Ok(())
}

#[test]
fn every_place_of_the_credential_chain_is_asked() -> Result<()> {
    let Some(aws) = Aws::start()? else { return Ok(()) };
    let directory = tempfile::tempdir()?;
    let file = |name: &str, content: String| -> Result<String> {
        let path = directory.path().join(name);
        std::fs::write(&path, content)?;
        Ok(path.display().to_string())
    };
    let (key, secret, role) = (aws.text("access_key"), &aws.secret, aws.text("role"));
    let keys = file("credentials", format!("[user]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"))?;
    let printed = json!({"Version": 1, "AccessKeyId": key, "SecretAccessKey": secret}).to_string();
    let process = format!("[profile process]\ncredential_process = cat {}\n", file("printed.json", printed)?);
    let external_id = &aws.external_id;
    let chained = format!(
        "[profile chained]\nsource_profile = user\nrole_arn = {role}\nexternal_id = {external_id}\n\
         role_session_name = profile\n"
    );
    let config = file("config", process + &chained)?;
    let (pod, web) = (file("pod", "token-of-the-pod".into())?, file("web", "token of the cluster".into())?);
    let agent = format!("{}/container", aws.server.url);
    // Which variables, and which session of STS they lead to; none is the user.
    let places: [(Variables<'_>, Option<&str>); 7] = [
        (&[("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", secret)], None),
        (&[("AWS_SHARED_CREDENTIALS_FILE", &keys), ("AWS_PROFILE", "user")], None),
        (&[("AWS_CONFIG_FILE", &config), ("AWS_PROFILE", "process")], None),
        (
            &[("AWS_SHARED_CREDENTIALS_FILE", &keys), ("AWS_CONFIG_FILE", &config), ("AWS_PROFILE", "chained")],
            Some("profile"),
        ),
        (
            &[("AWS_WEB_IDENTITY_TOKEN_FILE", &web), ("AWS_ROLE_ARN", role), ("AWS_ROLE_SESSION_NAME", "cluster")],
            Some("cluster"),
        ),
        (
            &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &agent), ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &pod)],
            Some("container"),
        ),
        (
            &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &aws.server.url), ("AWS_EC2_METADATA_DISABLED", "false")],
            Some("instance"),
        ),
    ];
    for (variables, session) in places {
        aws.control(&json!({"unchecked": if session == Some("cluster") { 1000 } else { 0 }}))?;
        let all = [variables, &[("AWS_ENDPOINT_URL_STS", aws.text("moto"))]].concat();
        let sluice = Sluice::start_with(&CONFIG_CHAIN.replace("DESTINATION", &aws.destination), &settings(&all))?;
        send(&sluice, Signal::Traces)?;
        sluice.settle().with_context(|| format!("{variables:?}\n{}\n{}", sluice.log(), aws.server.log()))?;
        let (requests, sessions) = aws.seen()?;
        let context = || format!("{variables:?}\n{requests:#?}\n{sessions:#?}\n{}", sluice.log());
        let request = requests.last().with_context(context)?;
        assert_eq!(request["verified"], true, "{}", context());
        let expected = match session {
            None => key,
            Some(name) => {
                let opened = sessions.iter().rfind(|opened| opened["session_name"] == name).with_context(context)?;
                opened["access_key"].as_str().with_context(context)?
            }
        };
        assert_eq!((&request["access_key"], &request["session_token"]), (&json!(expected), &json!(session.is_some())));
        assert_eq!(sluice.ledger("exported")?, ITEMS as u64);
        assert_no_secrets(&aws, &sluice.stop()?)?;
    }
    Ok(())
}

#[test]
fn a_wrong_key_is_refused_by_the_destination() -> Result<()> {
    let Some(mut aws) = Aws::start()? else { return Ok(()) };
    aws.authenticator = "sigv4auth/user";
    for (secret, reason) in [(aws.secret.clone(), None), ("not the secret".to_owned(), Some("SignatureDoesNotMatch"))] {
        aws.secret = secret;
        let sluice = aws.sluice(CONFIG)?;
        send(&sluice, Signal::Traces)?;
        sluice.settle()?;
        let (requests, _) = aws.seen()?;
        let request = requests.last().context("no request")?;
        assert_eq!(request["reason"], json!(reason));
        assert_eq!((&request["access_key"], &request["session_token"]), (&aws.account["access_key"], &json!(false)));
        let expected = if reason.is_some() { ITEMS as f64 } else { 0.0 };
        assert_eq!(dropped(&sluice, "refused_by_destination")?, expected);
        sluice.stop()?;
    }
    Ok(())
}

#[test]
fn sts_refusals_are_shown_and_the_data_is_given_up_in_time() -> Result<()> {
    let Some(mut aws) = Aws::start()? else { return Ok(()) };
    let (secret, external_id) = (aws.secret.clone(), aws.external_id.clone());
    // The wrong id is of characters that STS allows: moto writes a body with others anew before it checks its signature.
    let cases = [
        ("not the secret", external_id.as_str(), "SignatureDoesNotMatch"),
        (secret.as_str(), "acme-7392", "AccessDenied"),
    ];
    for (secret, external_id, reason) in cases {
        (aws.secret, aws.external_id, aws.limit) = (secret.to_owned(), external_id.to_owned(), "2s");
        let sluice = aws.sluice(CONFIG)?;
        let shown = trouble(&sluice)?;
        assert!(shown.contains(reason) && shown.contains(aws.text("role")), "{shown}");
        send(&sluice, Signal::Traces)?;
        sluice.settle()?;
        assert_eq!(dropped(&sluice, "retries_exhausted")?, ITEMS as f64);
        let log = sluice.stop()?;
        assert!(log.contains(reason), "{log}");
        assert_no_secrets(&aws, &log)?;
    }
    let (requests, sessions) = aws.seen()?;
    assert!(requests.is_empty() && sessions.is_empty(), "{requests:#?} {sessions:#?}");
    Ok(())
}

#[test]
fn expired_credentials_are_renewed_and_nothing_is_lost() -> Result<()> {
    let Some(aws) = Aws::start()? else { return Ok(()) };
    let sluice = aws.sluice(CONFIG)?;
    send(&sluice, Signal::Traces)?;
    sluice.settle()?;
    aws.control(&json!({"expire": "now"}))?;
    send(&sluice, Signal::Traces)?;
    sluice.settle()?;
    let (requests, _) = aws.seen()?;
    let (first, last) = (requests.first().context("none")?, requests.last().context("none")?);
    assert!(requests.iter().any(|request| request["reason"] == "ExpiredToken"), "{requests:#?}");
    assert_eq!(last["verified"], true, "{requests:#?}");
    assert_ne!(first["access_key"], last["access_key"]);
    assert_eq!(sluice.ledger("exported")?, 2 * ITEMS as u64);
    sluice.stop()?;
    Ok(())
}

#[test]
fn credentials_that_never_stop_being_expired_end_as_given_up() -> Result<()> {
    let Some(mut aws) = Aws::start()? else { return Ok(()) };
    aws.limit = "2s";
    aws.control(&json!({"expire": "always"}))?;
    let sluice = aws.sluice(CONFIG)?;
    send(&sluice, Signal::Traces)?;
    sluice.settle()?;
    assert_eq!(dropped(&sluice, "retries_exhausted")?, ITEMS as f64);
    assert_eq!(sluice.ledger("exported")?, 0);
    // A destination that calls everything expired must not make a sidecar flood STS.
    let (requests, sessions) = aws.seen()?;
    assert!(requests.len() >= 2 && sessions.len() <= 4, "{} requests, {sessions:#?}", requests.len());
    sluice.stop()?;
    Ok(())
}

#[test]
fn the_start_does_not_wait_for_sts_and_data_goes_out_when_it_comes() -> Result<()> {
    let Some(aws) = Aws::start()? else { return Ok(()) };
    aws.control(&json!({"moto": "stop"}))?;
    let sluice = aws.sluice(CONFIG)?;
    assert!(trouble(&sluice)?.contains("sts AssumeRole"), "{}", trouble(&sluice)?);
    send(&sluice, Signal::Traces)?;
    assert_eq!(sluice.ledger("accepted")?, ITEMS as u64);
    assert!(aws.seen()?.0.is_empty());

    aws.control(&json!({"moto": "start"}))?;
    sluice.settle().with_context(|| sluice.log())?;
    assert_eq!(sluice.ledger("exported")?, ITEMS as u64);
    let (requests, _) = aws.seen()?;
    assert!(requests.iter().all(|request| request["verified"] == true), "{requests:#?}");
    let healthy = web::eventually("health without complaints", Duration::from_secs(90), || {
        Ok(health(&sluice)?.1["degraded"].is_null().then_some(()))
    });
    healthy.with_context(|| sluice.log())?;
    sluice.stop()?;
    Ok(())
}

/// Nobody hides what an STS, or a proxy in its place, says: it may be all that it was sent.
#[test]
fn what_sts_repeats_of_a_web_identity_is_shown_nowhere() -> Result<()> {
    const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.the-token-of-the-cluster";
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("token");
    std::fs::write(&file, TOKEN)?;
    let error = format!("<Error><Code>InvalidIdentityToken</Code><Message>no issuer of {TOKEN}</Message></Error>");
    for (body, reason) in [
        (format!("this proxy was sent {TOKEN}"), "status 403: this proxy was sent [REDACTED]"),
        (format!("<ErrorResponse>{error}</ErrorResponse>"), "InvalidIdentityToken: no issuer of [REDACTED]"),
    ] {
        let sts = Capture::answering(Manner { then: (403, body), ..Manner::default() })?;
        let settings = settings(&[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", &file.display().to_string()),
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/telemetry-writer"),
            ("AWS_ENDPOINT_URL_STS", &sts.url),
        ]);
        let config = CONFIG_CHAIN.replace("DESTINATION", "http://127.0.0.1:1");
        let sluice = Sluice::start_with(&config, &settings)?;
        web::eventually("a word on what is missing", Duration::from_secs(30), || {
            Ok(sluice.log().contains("aws credentials can't be had").then_some(()))
        })
        .with_context(|| sluice.log())?;
        let log = sluice.end()?;
        assert!(sts.count("/") > 0 && log.contains(reason) && !log.contains(TOKEN), "{log}");
    }
    Ok(())
}

#[test]
fn what_sts_repeats_of_secrets_is_shown_nowhere() -> Result<()> {
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const TOKEN: &str = "IQoJb3JpZ2luX2VjE/session+token==";
    const EXTERNAL_ID: &str = "acme/tenant+7391";
    // The last two as they stand in the body of a request.
    const SHOWN: [&str; 5] =
        [SECRET, TOKEN, EXTERNAL_ID, "acme%2Ftenant%2B7391", "IQoJb3JpZ2luX2VjE%2Fsession%2Btoken%3D%3D"];
    let repeated = SHOWN.join(" ");
    let error = format!("<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{repeated}</Message></Error>");
    let answers = [
        (
            403,
            format!("<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>"),
            "403: AccessDenied: [REDACTED]",
        ),
        (407, format!("<html>this proxy was sent {repeated}</html>"), "this proxy was sent"),
    ];
    for (status, body, reason) in answers {
        let sts = Capture::answering(Manner { then: (status, body), ..Manner::default() })?;
        let settings = settings(&[
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_SESSION_TOKEN", TOKEN),
            ("AWS_ENDPOINT_URL_STS", &sts.url),
        ]);
        let config = CONFIG
            .replace("ROLE", "arn:aws:iam::123456789012:role/telemetry-writer")
            .replace("EXTERNAL", EXTERNAL_ID)
            .replace("DESTINATION", "http://127.0.0.1:1")
            .replace("AUTHENTICATOR", "sigv4auth")
            .replace("LIMIT", "1s");
        let sluice = Sluice::start_with(&config, &settings)?;
        assert!(trouble(&sluice)?.contains(reason), "{}", sluice.log());
        send(&sluice, Signal::Traces)?;
        sluice.settle()?;
        let health = web::get(&format!("http://127.0.0.1:{}/", sluice.port("health")))?.body;
        let metrics = sluice.metrics()?;
        let log = sluice.stop()?;
        assert!(log.contains(reason) && sts.count("/") > 0, "{log}");
        for (page, text) in [("health", health), ("metrics", metrics), ("log", log)] {
            for secret in SHOWN {
                assert!(!text.contains(secret), "{status}: {secret} in the {page}:\n{text}");
            }
        }
    }
    Ok(())
}
