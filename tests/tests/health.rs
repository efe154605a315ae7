//! What orchestrators see of a process: `sluice healthcheck` and the health page while it runs, drains, and is gone.

use std::process::{Command, Output};

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
