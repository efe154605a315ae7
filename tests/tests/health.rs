//! What orchestrators see of a process: `sluice healthcheck` and the health page while it runs, drains, and is gone.

use std::fs::File;
use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::Result;
use sluice_tests::capture::Manner;
use sluice_tests::{Capture, Sluice, free_port, web};
use sluice_wire::{Signal, sample};

/// Two pages: one as it is by default, one as a configuration wants it.
const CONFIG: &str = "
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:{{http}}'}}}}
exporters: {otlphttp: {endpoint: 'DESTINATION', compression: none}}
extensions:
  health_check: {endpoint: '127.0.0.1:{{plain}}'}
  health_check/own: {endpoint: '127.0.0.1:{{own}}', path: /ready, response_body: {healthy: fine, unhealthy: draining}}
service:
  extensions: [health_check, health_check/own]
  pipelines: {logs: {receivers: [otlp], exporters: [otlphttp]}}
";

/// It is degraded and not unhealthy: a restart would not bring the destination back.
#[test]
fn the_page_names_exporters_that_get_nothing_out() -> Result<()> {
    let sluice = Sluice::start(&CONFIG.replace("DESTINATION", &format!("http://127.0.0.1:{}", free_port())))?;
    let page = || web::get(&format!("http://127.0.0.1:{}/", sluice.port("plain")));
    assert_eq!(page()?.json()?.get("degraded"), None);
    let url = format!("http://127.0.0.1:{}/v1/logs", sluice.port("http"));
    web::post(&url, "application/x-protobuf", &sample::request(Signal::Logs, 1))?;
    let degraded = web::eventually("a degraded exporter", Duration::from_secs(30), || {
        let page = page()?;
        anyhow::ensure!(page.status == 200, "{}", page.status);
        Ok(page.json()?["degraded"]["otlphttp"].as_str().map(str::to_owned))
    })?;
    assert!(degraded.starts_with("exporting has failed for ") && degraded.contains("refused"), "{degraded}");
    Ok(())
}

/// A peer that asks again and again and reads nothing has its time.
#[test]
fn peers_that_read_nothing_do_not_keep_the_page_for_themselves() -> Result<()> {
    let capture = Capture::start()?;
    let sluice = Sluice::start(&CONFIG.replace("DESTINATION", &capture.url))?;
    let ask = "GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2_000);
    let mut peers = Vec::new();
    for _ in 0..MAX_PAGE_CONNECTIONS {
        let mut peer = TcpStream::connect(("127.0.0.1", sluice.port("plain")))?;
        peer.set_write_timeout(Some(Duration::from_millis(50)))?;
        while peer.write_all(ask.as_bytes()).is_ok() {}
        peers.push(peer);
    }
    let plain = sluice.port("plain").to_string();
    let healthy = web::eventually("the page", Duration::from_secs(30), || {
        Ok(healthcheck(&["--timeout", "2", "--port", &plain])?.status.success().then_some(()))
    });
    healthy?;
    drop(peers);
    sluice.stop()?;
    Ok(())
}

/// Whoever runs it may have closed its standard error, or the disk behind it is full.
#[test]
fn a_log_that_cannot_be_written_ends_nothing() -> Result<()> {
    let (http, health) = (free_port(), free_port());
    let config = format!(
        "yaml:{{receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{http}'}}}}}}}}, exporters: {{debug: }}, \
         extensions: {{health_check: {{endpoint: '127.0.0.1:{health}'}}}}, \
         service: {{extensions: [health_check], telemetry: {{metrics: {{level: none}}}}, \
         pipelines: {{logs: {{receivers: [otlp], exporters: [debug]}}}}}}}}"
    );
    let mut command = Command::new(sluice_tests::sluice::binary()?);
    let mut process =
        command.args(["--config", &config]).stderr(File::options().write(true).open("/dev/full")?).spawn()?;
    let health = format!("http://127.0.0.1:{health}/");
    let ready = web::eventually("health", Duration::from_secs(30), || {
        anyhow::ensure!(process.try_wait()?.is_none(), "it has ended");
        Ok(web::get(&health).is_ok_and(|page| page.status == 200).then_some(()))
    });
    let url = format!("http://127.0.0.1:{http}/v1/logs");
    let send = || web::post(&url, "application/x-protobuf", &sample::request(Signal::Logs, 3));
    let kill = |signal: &str| Command::new("kill").args([signal, &process.id().to_string()]).status();
    let sent = ready.and_then(|()| send());
    // What it says of SIGHUP can't be written either.
    kill("-HUP")?;
    let sent_again = send();
    kill("-TERM")?;
    let status = process.wait()?;
    assert_eq!((sent?.status, sent_again?.status), (200, 200));
    assert_eq!(status.code(), Some(0));
    Ok(())
}

#[test]
fn sighup_ends_nothing_and_says_that_a_restart_is_needed() -> Result<()> {
    let capture = Capture::start()?;
    let sluice = Sluice::start(&CONFIG.replace("DESTINATION", &capture.url))?;
    Command::new("kill").args(["-HUP", &sluice.process().id().to_string()]).status()?;
    web::eventually("its words in the log", Duration::from_secs(30), || {
        Ok(sluice.log().contains("SIGHUP is ignored").then_some(()))
    })?;
    check(&["--port", &sluice.port("plain").to_string()], 0, "")?;
    sluice.stop()?;
    Ok(())
}

/// How many connections a page has at most.
const MAX_PAGE_CONNECTIONS: usize = 64;

fn healthcheck(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(sluice_tests::sluice::binary()?).arg("healthcheck").args(arguments).output()?)
}

fn check(arguments: &[&str], code: i32, says: &str) -> Result<()> {
    let output = healthcheck(arguments)?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(said.contains(says) && said.is_empty() == (code == 0), "{arguments:?}: {said}");
    Ok(())
}

#[test]
fn a_healthcheck_tells_a_process_that_works_from_one_that_drains_and_none() -> Result<()> {
    // What is never answered holds up the end.
    let capture = Capture::answering(Manner { together: usize::MAX, ..Manner::default() })?;
    let mut sluice = Sluice::start(&CONFIG.replace("DESTINATION", &capture.url))?;
    let plain = sluice.port("plain").to_string();
    let page = |name: &str, path: &str| format!("http://127.0.0.1:{}{path}", sluice.port(name));
    let own = page("own", "/ready");
    let [plain_page, elsewhere, below] = [page("plain", "/"), page("own", "/"), page("own", "/ready/x")];

    check(&["--port", &plain], 0, "")?;
    check(&["--endpoint", &own], 0, "")?;
    check(&["--endpoint", &elsewhere], 1, "not ready: status 404")?;
    let reply = web::get(&own)?;
    assert_eq!((reply.status, reply.body.as_str()), (200, "fine"));
    assert_eq!(web::get(&plain_page)?.json()?["status"], "Server available");
    let healthz = page("plain", "/healthz");
    assert_eq!(web::get(&healthz)?.status, 200);
    assert_eq!(web::post(&healthz, "text/plain", b"are you there?")?.status, 200);
    for path in [&elsewhere, &below] {
        assert_eq!(web::get(path)?.status, 404, "{path}");
    }

    let url = format!("http://127.0.0.1:{}/v1/logs", sluice.port("http"));
    assert_eq!(web::post(&url, "application/x-protobuf", &sample::request(Signal::Logs, 3))?.status, 200);
    sluice.begin_end()?;
    check(&["--port", &plain], 1, "not ready: status 503")?;
    check(&["--endpoint", &own], 1, "not ready: status 503")?;
    let reply = web::get(&own)?;
    assert_eq!((reply.status, reply.body.as_str()), (503, "draining"));
    assert_eq!(web::get(&plain_page)?.json()?["status"], "Server not available");

    capture.release();
    sluice.ended()?;
    check(&["--port", &plain], 1, "no answer")?;
    check(&["--port", &free_port().to_string()], 1, "no answer")?;
    Ok(())
}
