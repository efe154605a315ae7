//! A running process whose plugin directory changes: what it runs, what it counts, and what its log says.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sluice_tests::{Sluice, web};
use sluice_wire::{Signal, sample};

#[path = "../../host/tests/kit/guests.rs"]
mod guests;

const CONFIG: &str = concat!(
    "
plugins: {directory: 'PLUGINS', cache_directory: '",
    env!("CARGO_TARGET_TMPDIR"),
    "/stage-code-cache', limits: {deadline: 10s}}
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:{{http}}'}}}}
processors: {edge/x: {}}
exporters: {file: {path: '{{{dir}}}/out.json'}}
service: {pipelines: {logs: {receivers: [otlp], processors: [edge/x], exporters: [file]}}}
"
);

/// The noop; another version differs in a custom section.
fn version(number: u8) -> Vec<u8> {
    let mut component = guests::guest("noop");
    component.extend([0, 3, 1, b'v', number]);
    component
}

/// Puts a file into the directory in one step.
fn put(directory: &Path, component: &[u8]) -> Result<()> {
    std::fs::write(directory.join(".new"), component)?;
    Ok(std::fs::rename(directory.join(".new"), directory.join("edge.wasm"))?)
}

fn send(sluice: &Sluice) -> Result<()> {
    let url = format!("http://127.0.0.1:{}/v1/logs", sluice.port("http"));
    let reply = web::post(&url, "application/x-protobuf", &sample::request(Signal::Logs, 5))?;
    ensure!(reply.status == 200, "{}: {}", reply.status, reply.body);
    Ok(())
}

#[test]
fn a_reload_is_counted_and_a_refused_file_is_named_with_the_reason() -> Result<()> {
    let plugins = tempfile::tempdir()?;
    put(plugins.path(), &version(1))?;
    let sluice = Sluice::start(&CONFIG.replace("PLUGINS", &plugins.path().display().to_string()))?;
    let counted = |result: &str| sluice.metric("sluice_plugin_reloads", &[("processor", "edge/x"), ("result", result)]);
    let half = version(2)[..1_000].to_vec();
    // What comes into the directory, what is counted then, and what one line of the log says of it.
    let cases = [
        (half, ("refused", 1.0), "plugin is not reloaded", "it is no valid WebAssembly component"),
        (version(2), ("swapped", 1.0), "stage runs another plugin now", "plugin=noop"),
        (guests::guest("probe"), ("refused", 2.0), "plugin is not reloaded", "processors::edge/x::act: must be set"),
        (version(3), ("swapped", 2.0), "stage runs another plugin now", "plugin=noop"),
    ];
    for (number, (component, (result, count), event, reason)) in cases.into_iter().enumerate() {
        put(plugins.path(), &component)?;
        let reloaded =
            web::eventually(reason, Duration::from_secs(60), || Ok((counted(result)? == count).then_some(())));
        reloaded.with_context(|| sluice.log())?;
        let file = plugins.path().join("edge.wasm").display().to_string();
        let log = sluice.log();
        let says = |line: &&str| [event, "stage=edge/x", &file, reason].iter().all(|part| line.contains(part));
        assert_eq!(log.lines().filter(says).count(), if result == "refused" { 1 } else { count as usize }, "{log}");
        send(&sluice)?;
        sluice.settle()?;
        assert_eq!(sluice.ledger("exported")?, 5 * (number as u64 + 1), "a refused plugin costs nothing");
    }
    assert_eq!((counted("refused")?, counted("swapped")?), (2.0, 2.0));
    sluice.stop()?;
    Ok(())
}
