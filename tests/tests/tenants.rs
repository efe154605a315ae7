//! Whose telemetry it is: what a sender says in a header or its resources, from the socket to the label and the ledger.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use sluice_tests::{Capture, Sluice};
use sluice_wire::view::{LogsView, Value};
use sluice_wire::{Signal, sample};

const CONFIG: &str = concat!(
    "
plugins: {cache_directory: '",
    env!("CARGO_TARGET_TMPDIR"),
    "/stage-code-cache'}
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:{{http}}'}}}}
processors:
  tenant_label:
    sources: [{from: header, key: x-scope-orgid}, {from: resource, key: tenant}]
    mapping: {'17': globex}
exporters: {otlphttp: {endpoint: '{{{capture}}}', compression: none}}
service:
  pipelines:
    logs: {receivers: [otlp], processors: [tenant_label], exporters: [otlphttp]}
"
);

/// Posts logs, with a header or without.
fn post(sluice: &Sluice, header: Option<&str>, body: &[u8]) -> Result<()> {
    let mut request = ureq::post(format!("http://127.0.0.1:{}/v1/logs", sluice.port("http")));
    request = request.header("content-type", "application/x-protobuf");
    if let Some(value) = header {
        request = request.header("X-Scope-OrgID", value);
    }
    let reply = request.send(body)?;
    ensure!(reply.status() == 200, "{}", reply.status());
    Ok(())
}

/// How many records came with which label since the last time.
fn labelled(capture: &Capture) -> BTreeMap<String, usize> {
    let mut records = BTreeMap::new();
    for body in capture.take("/v1/logs") {
        for resource in LogsView::new(&body).resource_logs() {
            let label = resource.resource().attributes().find(|attribute| attribute.key() == "tenant.id");
            let tenant = match label.map(|label| label.value()) {
                Some(Value::Text(tenant)) => tenant.to_owned(),
                other => format!("{other:?}"),
            };
            let found: usize = resource.scope_logs().map(|scope| scope.log_records().count()).sum();
            *records.entry(tenant).or_default() += found;
        }
    }
    records
}

/// A batch processor before it does not join what came with different headers: it would all be the first sender's.
#[test]
fn a_batch_processor_keeps_apart_what_a_later_stage_tells_apart_by_its_header() -> Result<()> {
    let capture = Capture::start()?;
    let config = CONFIG
        .replace("processors:\n", "processors:\n  batch: {timeout: 300ms}\n")
        .replace("processors: [tenant_label]", "processors: [batch, tenant_label]");
    let sluice = Sluice::start(&config.replace("{{{capture}}}", &capture.url))?;
    for (header, records) in [(Some("17"), 3), (Some("initech"), 5), (Some("17"), 7), (None, 11)] {
        post(&sluice, header, &sample::tenant_request(Signal::Logs, "acme", records))?;
    }
    sluice.settle()?;
    let expected = [("globex", 10), ("initech", 5), ("acme", 11)];
    assert_eq!(labelled(&capture), expected.map(|(tenant, records)| (tenant.to_owned(), records)).into());
    sluice.stop()?;
    Ok(())
}

#[test]
fn the_tenant_of_a_header_or_of_the_resources_is_the_labels_and_the_ledgers() -> Result<()> {
    let capture = Capture::start()?;
    let sluice = Sluice::start(&CONFIG.replace("{{{capture}}}", &capture.url))?;
    let of = |tenant, records| sample::tenant_request(Signal::Logs, tenant, records);
    let cases = [
        (Some("17"), of("acme", 3), vec![("globex", 3)]),
        (Some("initech"), of("acme", 5), vec![("initech", 5)]),
        (None, of("acme", 7), vec![("acme", 7)]),
        (None, [of("hooli", 11), of("umbrella", 13)].concat(), vec![("hooli", 11), ("umbrella", 13)]),
    ];
    for (header, body, expected) in cases {
        post(&sluice, header, &body)?;
        sluice.settle()?;
        let expected: BTreeMap<String, usize> =
            expected.into_iter().map(|(tenant, records)| (tenant.to_owned(), records)).collect();
        assert_eq!(labelled(&capture), expected, "{header:?}");
        for (tenant, records) in expected {
            let booked = |outcome| sluice.metric("sluice_ledger_items", &[("outcome", outcome), ("tenant", &tenant)]);
            let of_outcomes = ["accepted", "moved_in", "exported"].map(|outcome| booked(outcome).unwrap_or(-1.0));
            assert_eq!(of_outcomes, [0.0, records as f64, records as f64], "{tenant}");
        }
    }
    // Nobody is known by name before the stage has looked.
    let of_nobody = sluice.metric("sluice_ledger_items", &[("outcome", "accepted"), ("tenant", "default")])?;
    assert_eq!(of_nobody, 39.0);
    sluice.stop()?;
    Ok(())
}
