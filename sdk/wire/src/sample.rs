//! Telemetry for tests and benchmarks, shaped like the bench's own work (DESIGN.md, section 9).
//!
//! Spans of about 440 bytes with 9 attributes: method, route (one in five is `/health`), status, server address and
//! port, user id, user agent, a URL with a card number, and in one of ten an e-mail address. Log records and data points
//! are built alike. A resource has 6 attributes, `tenant` among them. The same arguments always give the same bytes.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::Signal;
use crate::writer::{LogsWriter, MetricsWriter, ResourceWriter, ScopeWriter, TracesWriter, ValueWriter};

const ROUTES: [&str; 5] =
    ["/health", "/api/v1/checkout", "/api/v1/carts/{cart}", "/api/v1/orders/{order}", "/api/v1/login"];
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const START: u64 = 1_760_000_000_000_000_000;

/// A request of one resource with this many records, of the tenant `acme`.
pub fn request(signal: Signal, records: usize) -> Vec<u8> {
    tenant_request(signal, "acme", records)
}

/// A request of one resource with this many records.
pub fn tenant_request(signal: Signal, tenant: &str, records: usize) -> Vec<u8> {
    match signal {
        Signal::Traces => traces(tenant, records),
        Signal::Metrics => metrics(tenant, records),
        Signal::Logs => logs(tenant, records),
    }
}

/// Steps of a fixed sequence of numbers that look random (splitmix64).
fn random(seed: u64) -> u64 {
    let mut value = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

fn resource(resource: &mut ResourceWriter<'_>, tenant: &str) {
    resource.attribute("service.name", |value| value.text("checkout"));
    resource.attribute("service.version", |value| value.text("1.42.0"));
    resource.attribute("deployment.environment.name", |value| value.text("production"));
    resource.attribute("host.name", |value| value.text("ip-10-0-12-34.eu-central-1.compute.internal"));
    resource.attribute("cloud.region", |value| value.text("eu-central-1"));
    resource.attribute("tenant", |value| value.text(tenant));
}

fn scope(scope: &mut ScopeWriter<'_>) {
    scope.name("io.opentelemetry.http-server");
    scope.version("2.1.0");
}

/// The nine attributes, as calls with key and value.
fn attributes(index: usize, mut attribute: impl FnMut(&str, &dyn Fn(&mut ValueWriter<'_>))) {
    let number = random(index as u64);
    let route = ROUTES[index % ROUTES.len()];
    let method = METHODS[number as usize % METHODS.len()];
    let status = if number.is_multiple_of(17) { 500 } else { 200 };
    let user = format!("u-{:07}", number % 10_000_000);
    let email = format!("user{}@example.com", number % 100_000);
    let url = url(route, number);
    attribute("http.request.method", &|value| value.text(method));
    attribute("http.route", &|value| value.text(route));
    attribute("http.response.status_code", &|value| value.integer(status));
    attribute("server.address", &|value| value.text("shop.example.com"));
    attribute("server.port", &|value| value.integer(443));
    attribute("user.id", &|value| value.text(&user));
    // Not with the rows of `/health`, which every filter here drops: then no e-mail address would be left to redact.
    if index % 10 == 3 {
        attribute("user.email", &|value| value.text(&email));
    } else {
        attribute("network.protocol.version", &|value| value.text("1.1"));
    }
    attribute("user_agent.original", &|value| value.text("Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101"));
    attribute("url.full", &|value| value.text(&url));
}

fn url(route: &str, number: u64) -> String {
    format!("https://shop.example.com{route}?card=4{:015}", number % 1_000_000_000_000_000)
}

fn traces(tenant: &str, records: usize) -> Vec<u8> {
    let mut writer = TracesWriter::with_capacity(records * 480 + 512);
    writer.resource_spans(|resource_spans| {
        resource_spans.resource(|writer| resource(writer, tenant));
        resource_spans.scope_spans(|scope_spans| {
            scope_spans.scope(scope);
            for index in 0..records {
                let number = random(index as u64 ^ 0x5eed);
                scope_spans.span(|span| {
                    span.trace_id(&trace_id(index));
                    span.span_id(&number.to_be_bytes());
                    span.parent_span_id(&random(number).to_be_bytes());
                    span.name(ROUTES[index % ROUTES.len()]);
                    span.kind(2);
                    span.start_time_unix_nano(START + index as u64 * 1_000_000);
                    span.end_time_unix_nano(START + index as u64 * 1_000_000 + number % 50_000_000);
                    attributes(index, |key, value| span.attribute(key, value));
                    span.status(|status| status.code(i32::from(number.is_multiple_of(17))));
                    span.flags(0x101);
                });
            }
        });
    });
    writer.finish()
}

fn trace_id(index: usize) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&random(index as u64 * 2).to_be_bytes());
    id[8..].copy_from_slice(&random(index as u64 * 2 + 1).to_be_bytes());
    id
}

fn logs(tenant: &str, records: usize) -> Vec<u8> {
    let mut writer = LogsWriter::with_capacity(records * 480 + 512);
    writer.resource_logs(|resource_logs| {
        resource_logs.resource(|writer| resource(writer, tenant));
        resource_logs.scope_logs(|scope_logs| {
            scope_logs.scope(scope);
            for index in 0..records {
                let body = format!("served {} in {} us", ROUTES[index % ROUTES.len()], random(index as u64) % 50_000);
                scope_logs.log_record(|record| {
                    record.time_unix_nano(START + index as u64 * 1_000_000);
                    record.observed_time_unix_nano(START + index as u64 * 1_000_000 + 1_000);
                    record.severity_number(if index.is_multiple_of(17) { 17 } else { 9 });
                    record.severity_text(if index.is_multiple_of(17) { "ERROR" } else { "INFO" });
                    record.body(|value| value.text(&body));
                    attributes(index, |key, value| record.attribute(key, value));
                    record.trace_id(&trace_id(index));
                    record.span_id(&random(index as u64 ^ 0x5eed).to_be_bytes());
                    record.flags(1);
                });
            }
        });
    });
    writer.finish()
}

/// Ten points a metric.
fn metrics(tenant: &str, records: usize) -> Vec<u8> {
    let mut writer = MetricsWriter::with_capacity(records * 440 + 512);
    writer.resource_metrics(|resource_metrics| {
        resource_metrics.resource(|writer| resource(writer, tenant));
        resource_metrics.scope_metrics(|scope_metrics| {
            scope_metrics.scope(scope);
            for first in (0..records).step_by(10) {
                scope_metrics.metric(|metric| {
                    metric.name(&format!("http.server.requests.{}", first / 10 % 50));
                    metric.description("How many requests were served");
                    metric.unit("{request}");
                    metric.sum(|sum| {
                        for index in first..records.min(first + 10) {
                            sum.data_point(|point| {
                                point.start_time_unix_nano(START);
                                point.time_unix_nano(START + index as u64 * 1_000_000);
                                point.as_int((random(index as u64) % 1_000_000) as i64);
                                attributes(index, |key, value| point.attribute(key, value));
                            });
                        }
                        sum.aggregation_temporality(2);
                        sum.is_monotonic(true);
                    });
                });
            }
        });
    });
    writer.finish()
}
