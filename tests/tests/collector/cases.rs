//! The processor blocks that both get.

use sluice_wire::Signal::{self, Logs, Metrics, Traces};

/// A block, and for which signals it is tried.
pub(crate) struct Case {
    pub(crate) signals: &'static [Signal],
    /// YAML, on one line.
    pub(crate) block: &'static str,
    pub(crate) effect: Effect,
}

/// What the block must do to random telemetry, so that the comparison means something.
pub(crate) enum Effect {
    /// Drops some items and keeps others.
    Drops,
    /// Changes some items.
    Changes,
    /// Nothing in particular.
    Anything,
}

const fn drops(signals: &'static [Signal], block: &'static str) -> Case {
    Case { signals, block, effect: Effect::Drops }
}

const fn changes(block: &'static str) -> Case {
    Case { signals: &[Traces, Metrics, Logs], block, effect: Effect::Changes }
}

const fn anything(signals: &'static [Signal], block: &'static str) -> Case {
    Case { signals, block, effect: Effect::Anything }
}

pub(crate) const FILTER: &[Case] = &[
    // Conditions on spans.
    drops(&[Traces], r#"{traces: {span: ['attributes["http.route"] == "/health"']}}"#),
    drops(&[Traces], r#"{traces: {span: ['IsMatch(name, "^(GET|POST) /a") and attributes["n"] > 5']}}"#),
    drops(
        &[Traces],
        r#"{traces: {span: ['kind == SPAN_KIND_SERVER', 'status.code == STATUS_CODE_ERROR and not (attributes["flag"] == true)']}}"#,
    ),
    drops(&[Traces], r#"{traces: {span: ['attributes["n"] == nil or attributes["mixed"] == nil']}}"#),
    drops(
        &[Traces],
        r#"{traces: {span: ['resource.attributes["service.name"] == "shop" and instrumentation_scope.name != "lib"']}}"#,
    ),
    drops(&[Traces], r#"{traces: {span: ['end_time_unix_nano - start_time_unix_nano > 1000000']}}"#),
    drops(&[Traces], r#"{traces: {span: ['attributes["mixed"] >= 1.5', 'IsString(attributes["mixed"])']}}"#),
    drops(&[Traces], r#"{error_mode: silent, traces: {span: ['IsMatch(attributes["mixed"], "^[1-4t]")']}}"#),
    drops(
        &[Traces],
        r#"{error_mode: silent, traces: {span: ['Len(attributes["mixed"]) == 2', 'Int(attributes["mixed"]) > 40']}}"#,
    ),
    drops(&[Traces], r#"{traces: {span: ['IsRootSpan() and name != "tick"', 'trace_state["vendor"] == "1"']}}"#),
    drops(
        &[Traces],
        r#"{trace_conditions: ['span.attributes["half"] < 3 + 4 * 2', 'resource.attributes["tenant"] == "acme"']}"#,
    ),
    drops(
        &[Traces],
        r#"{traces: {resource: ['IsMatch(attributes["host.name"], "^edge-[12]$")'], span: ['name == "tick"']}}"#,
    ),
    drops(
        &[Traces],
        r#"{error_mode: silent, traces: {span: ['attributes["map"]["k"] == "v"', 'attributes["list"][0] == 1']}}"#,
    ),
    // Include and exclude of spans.
    drops(&[Traces], "{spans: {include: {match_type: strict, services: [shop, bank]}}}"),
    drops(
        &[Traces],
        "{spans: {exclude: {match_type: regexp, span_names: ['^GET', 'tick$'], attributes: [{key: http.route}]}}}",
    ),
    drops(&[Traces], "{spans: {include: {match_type: strict, attributes: [{key: n, value: 7}]}}}"),
    drops(
        &[Traces],
        "{spans: {exclude: {match_type: strict, attributes: [{key: flag, value: true}], libraries: [{name: lib}]}}}",
    ),
    drops(
        &[Traces],
        "{spans: {include: {match_type: regexp, services: ['^(shop|bank)$']}, exclude: {match_type: regexp, resources: [{key: host.name, value: 'edge-[23]'}], span_kinds: [SPAN_KIND_SERVER, SPAN_KIND_CLIENT]}}}",
    ),
    drops(&[Traces], "{spans: {include: {match_type: regexp, attributes: [{key: mixed, value: '^.?[1-5a-m]'}]}}}"),
    // Metrics.
    drops(
        &[Metrics],
        r#"{metrics: {metric: ['name == "queue.size"', 'type == METRIC_DATA_TYPE_SUM and is_monotonic == true']}}"#,
    ),
    drops(
        &[Metrics],
        r#"{metrics: {metric: ['unit == "s" or description == ""', 'aggregation_temporality == AGGREGATION_TEMPORALITY_DELTA']}}"#,
    ),
    drops(&[Metrics], r#"{metrics: {metric: ['HasAttrOnDatapoint("http.route", "/health")']}}"#),
    drops(
        &[Metrics],
        r#"{metrics: {datapoint: ['metric.type == METRIC_DATA_TYPE_SUM and value_int > 3', 'attributes["http.route"] == "/health"']}}"#,
    ),
    drops(
        &[Metrics],
        r#"{error_mode: silent, metrics: {datapoint: ['count > 5', 'value_double < 0.0', 'flags == FLAG_NO_RECORDED_VALUE']}}"#,
    ),
    drops(
        &[Metrics],
        r#"{metric_conditions: ['metric.name == "latency" and resource.attributes["service.name"] == "shop"', 'datapoint.attributes["n"] != nil']}"#,
    ),
    drops(&[Metrics], "{metrics: {include: {match_type: strict, metric_names: [queue.size, latency]}}}"),
    drops(
        &[Metrics],
        "{metrics: {include: {match_type: regexp, metric_names: ['^(queue|io)', 'total$']}, exclude: {match_type: strict, metric_names: [io]}}}",
    ),
    drops(
        &[Metrics],
        "{metrics: {exclude: {match_type: strict, resource_attributes: [{key: service.name, value: shop}]}}}",
    ),
    drops(
        &[Metrics],
        "{metrics: {include: {match_type: regexp, resource_attributes: [{key: host.name, value: '[12]$'}]}}}",
    ),
    // Logs.
    drops(
        &[Logs],
        r#"{logs: {log_record: ['severity_number != SEVERITY_NUMBER_UNSPECIFIED and severity_number < SEVERITY_NUMBER_WARN']}}"#,
    ),
    drops(
        &[Logs],
        r#"{error_mode: silent, logs: {log_record: ['body["level"] == "debug"', 'IsMap(body) and body["card"] != nil']}}"#,
    ),
    drops(&[Logs], r#"{logs: {log_record: ['IsMatch(body, "(?i)card|order [0-4]")', 'body == nil']}}"#),
    drops(
        &[Logs],
        r#"{logs: {log_record: ['trace_id == TraceID(0x00000000000000000000000000000000)', 'event_name == "login"', 'flags == 1']}}"#,
    ),
    drops(
        &[Logs],
        r#"{logs: {resource: ['attributes["service.name"] == "shop"'], log_record: ['observed_time_unix_nano == 0']}}"#,
    ),
    drops(
        &[Logs],
        r#"{log_conditions: [{context: log, conditions: ['log.attributes["mixed"] == "tick" or log.attributes["mixed"] == 42', 'log.severity_text == "INFO"']}]}"#,
    ),
    drops(&[Logs], "{logs: {include: {match_type: strict, severity_texts: [ERROR, WARN]}}}"),
    drops(&[Logs], "{logs: {include: {match_type: regexp, bodies: ['order [0-9]$', 'card']}}}"),
    drops(&[Logs], "{logs: {exclude: {match_type: strict, severity_number: {min: INFO, match_undefined: true}}}}"),
    drops(
        &[Logs],
        "{logs: {exclude: {match_type: regexp, record_attributes: [{key: http.route, value: '^/h'}], resource_attributes: [{key: service.name, value: 'o'}]}}}",
    ),
];

/// At most one blocked value each: the Collector of v0.155 takes several in random order.
pub(crate) const REDACTION: &[Case] = &[
    // Nothing but a search: the table comes without lists.
    changes("{allow_all_keys: true, blocked_values: ['4[0-9]{12}(?:[0-9]{3})?']}"),
    changes("{allow_all_keys: true, summary: debug, blocked_values: ['4[0-9]{12}(?:[0-9]{3})?']}"),
    changes(
        "{allow_all_keys: true, summary: info, blocked_values: ['[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\\.[A-Za-z]{2,}']}",
    ),
    changes(
        "{allowed_keys: [http.route, n, mixed, service.name, level, map, k], summary: debug, blocked_values: ['^t.ck$']}",
    ),
    changes("{allowed_keys: [http.route, card], ignored_keys: [email], summary: debug}"),
    changes("{summary: debug}"),
    changes("{allow_all_keys: true, blocked_key_patterns: ['(?i)password|^card$', 'ma.'], summary: debug}"),
    changes(
        "{allow_all_keys: true, ignored_key_patterns: ['^user', 'name$'], blocked_values: ['[a-z]+'], summary: debug}",
    ),
    changes("{allow_all_keys: true, redact_all_types: true, blocked_values: ['[0-4]+'], summary: debug}"),
    changes(
        "{allow_all_keys: true, redact_all_types: true, blocked_key_patterns: ['n', 'list'], allowed_values: ['^/health$'], summary: debug}",
    ),
    changes(
        "{allow_all_keys: true, blocked_values: ['[0-9]{4,}'], allowed_values: ['@example\\.com$', '^4111'], summary: debug}",
    ),
    changes("{allow_all_keys: true, hash_function: md5, blocked_values: ['\\b\\w+@\\w+'], summary: debug}"),
    changes("{allow_all_keys: true, hash_function: sha1, blocked_key_patterns: [email], summary: info}"),
    changes("{allow_all_keys: true, hash_function: sha3, blocked_values: ['4[0-9]+'], summary: silent}"),
    changes("{allow_all_keys: true, blocked_values: ['4[0-9]+'], summary: ''}"),
    changes("{allow_all_keys: true, blocked_values: ['4[0-9]+'], summary: loud}"),
    changes(
        "{allow_all_keys: true, hash_function: hmac-sha256, hmac_key: 0123456789abcdef0123456789abcdef, blocked_values: ['(?s)^.*$']}",
    ),
    changes(
        "{allowed_keys: [n, card, k, level], redact_all_types: true, hash_function: hmac-sha512, hmac_key: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef, blocked_values: ['[0-9]'], summary: debug}",
    ),
];

pub(crate) const SAMPLER: &[Case] = &[
    drops(&[Traces, Logs], "{sampling_percentage: 50}"),
    drops(&[Traces, Logs], "{sampling_percentage: 33.333, hash_seed: 22}"),
    drops(&[Traces, Logs], "{sampling_percentage: 75, hash_seed: 4294967295, fail_closed: false}"),
    drops(&[Traces, Logs], "{sampling_percentage: 50, mode: proportional}"),
    drops(
        &[Traces, Logs],
        "{sampling_percentage: 60.0001, mode: proportional, sampling_precision: 1, fail_closed: false}",
    ),
    drops(&[Traces, Logs], "{sampling_percentage: 93.75, mode: proportional, sampling_precision: 14}"),
    drops(&[Traces, Logs], "{sampling_percentage: 50, mode: equalizing}"),
    drops(&[Traces, Logs], "{sampling_percentage: 90, mode: equalizing, sampling_precision: 2, fail_closed: false}"),
    anything(&[Traces, Logs], "{sampling_percentage: 0}"),
    anything(&[Traces, Logs], "{sampling_percentage: 100, mode: proportional}"),
    anything(&[Traces, Logs], "{sampling_percentage: 0.001, mode: equalizing}"),
    anything(&[Traces, Logs], "{sampling_percentage: 150, fail_closed: true}"),
    drops(&[Logs], "{sampling_percentage: 40, attribute_source: record, from_attribute: log.record.uid}"),
    drops(&[Logs], "{sampling_percentage: 60, attribute_source: traceID, from_attribute: mixed, fail_closed: false}"),
    drops(&[Logs], "{sampling_percentage: 50, attribute_source: record, from_attribute: mixed, hash_seed: 1}"),
    drops(&[Logs], "{sampling_percentage: 50, attribute_source: '', from_attribute: mixed}"),
    drops(&[Traces, Logs], "{sampling_percentage: 50, mode: '', sampling_precision: -1}"),
    anything(&[Traces, Logs], "{sampling_percentage: 50, mode: equalizing, sampling_precision: -1}"),
    anything(&[Traces, Logs], "{sampling_percentage: 5, mode: proportional, sampling_precision: -1}"),
    drops(&[Logs], "{sampling_percentage: 20, sampling_priority: priority}"),
    drops(&[Logs], "{sampling_percentage: 30, mode: proportional, sampling_priority: priority, fail_closed: false}"),
    drops(&[Logs], "{sampling_percentage: 30, mode: equalizing, from_attribute: log.record.uid}"),
];
