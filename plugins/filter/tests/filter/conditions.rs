//! Makes up conditions out of everything that the language has.

use serde_json::{Value, json};
use sluice_sdk::Signal;

use crate::legacy;
use crate::random::Random;

/// A made-up configuration, as JSON.
pub(crate) fn config(signal: Signal, seed: u64) -> Value {
    let mut random = Random::new(seed ^ 0xc0ffee);
    match seed % 8 {
        6 => legacy::config(signal, &mut random),
        7 => groups(signal, &mut random),
        _ => lists(signal, &mut random),
    }
}

fn contexts(signal: Signal) -> &'static [&'static str] {
    match signal {
        Signal::Traces => &["span", "span", "resource"],
        Signal::Metrics => &["metric", "datapoint", "datapoint", "resource"],
        Signal::Logs => &["log_record", "log_record", "resource"],
    }
}

fn conditions(random: &mut Random, list: &str) -> Vec<String> {
    let count = 1 + random.below(2);
    (0..count).map(|_| Writer { random, list }.condition(2)).collect()
}

fn mode(random: &mut Random) -> &'static str {
    random.pick(&["ignore", "ignore", "silent", "propagate"])
}

fn lists(signal: Signal, random: &mut Random) -> Value {
    let list = random.pick(contexts(signal));
    let conditions = conditions(random, list);
    let block = match signal {
        Signal::Traces => "traces",
        Signal::Metrics => "metrics",
        Signal::Logs => "logs",
    };
    json!({ "error_mode": mode(random), block: { list: conditions } })
}

fn groups(signal: Signal, random: &mut Random) -> Value {
    let count = 1 + random.below(2);
    let group = |_| {
        let list = random.pick(contexts(signal));
        let context = if list == "log_record" { "log" } else { list };
        json!({ "context": context, "conditions": conditions(random, list), "error_mode": mode(random) })
    };
    let groups: Vec<Value> = (0..count).map(group).collect();
    let key = match signal {
        Signal::Traces => "trace_conditions",
        Signal::Metrics => "metric_conditions",
        Signal::Logs => "log_conditions",
    };
    json!({ key: groups })
}

struct Writer<'r> {
    random: &'r mut Random,
    list: &'r str,
}

const SHARED: &[&str] = &[
    "resource.attributes[\"service.name\"]",
    "resource.attributes[\"mixed\"]",
    "resource.schema_url",
    "resource.dropped_attributes_count",
    "instrumentation_scope.name",
    "scope.version",
    "instrumentation_scope.attributes[\"text\"]",
    "scope.schema_url",
];
const RESOURCE: &[&str] = &["schema_url", "dropped_attributes_count", "resource.attributes[\"text\"]"];
const ATTRIBUTES: &[&str] = &[
    "attributes[\"http.route\"]",
    "attributes[\"http.route\"]",
    "attributes[\"text\"]",
    "attributes[\"int\"]",
    "attributes[\"double\"]",
    "attributes[\"bool\"]",
    "attributes[\"bytes\"]",
    "attributes[\"list\"]",
    "attributes[\"map\"]",
    "attributes[\"empty\"]",
    "attributes[\"mixed\"]",
    "attributes[\"other\"]",
    "attributes[\"absent\"]",
    "attributes[\"map\"][\"k\"]",
    "attributes[\"list\"][0]",
    "attributes[\"mixed\"][\"k\"]",
    "attributes[\"map\"][\"z\"][1]",
];
const SPAN: &[&str] = &[
    "name",
    "span.name",
    "kind",
    "kind.string",
    "kind.deprecated_string",
    "status.code",
    "status.message",
    "trace_id",
    "trace_id.string",
    "span_id",
    "span_id.string",
    "parent_span_id",
    "parent_span_id.string",
    "trace_state",
    "trace_state[\"ot\"]",
    "flags",
    "start_time_unix_nano",
    "end_time_unix_nano",
    "start_time",
    "end_time",
    "dropped_attributes_count",
    "dropped_events_count",
    "dropped_links_count",
];
const METRIC: &[&str] = &[
    "name",
    "metric.name",
    "description",
    "unit",
    "type",
    "aggregation_temporality",
    "is_monotonic",
    "metadata[\"text\"]",
    "metadata[\"mixed\"]",
];
const POINT: &[&str] = &[
    "metric.name",
    "metric.type",
    "metric.is_monotonic",
    "metric.aggregation_temporality",
    "start_time_unix_nano",
    "time_unix_nano",
    "time",
    "value_int",
    "value_double",
    "datapoint.value_double",
    "flags",
    "count",
    "sum",
    "scale",
    "zero_count",
];
const LOG: &[&str] = &[
    "body",
    "body",
    "body.string",
    "log.body",
    "body[\"k\"]",
    "body[\"a\"][\"k\"]",
    "body[0]",
    "severity_number",
    "severity_text",
    "time_unix_nano",
    "observed_time_unix_nano",
    "time",
    "observed_time",
    "flags",
    "trace_id",
    "trace_id.string",
    "span_id",
    "span_id.string",
    "event_name",
    "dropped_attributes_count",
];
const LITERALS: &[&str] = &[
    "\"/health\"",
    "\"GET\"",
    "\"\"",
    "\"42\"",
    "\"shop\"",
    "\"lib.a\"",
    "\"INFO\"",
    "\"th:8\"",
    "\"Server\"",
    "nil",
    "nil",
    "true",
    "false",
    "0",
    "1",
    "-7",
    "42",
    "200",
    "1.5",
    "0.0",
    "1e3.",
    "-7.25",
    "0x01",
    "0x474554",
    "\"0102030405060708090a0b0c0d0e0f10\"",
    "1700000000000000000",
    "9223372036854775807",
    "[\"a\"]",
    "[]",
];
const PATTERNS: &[&str] = &[
    "^/health",
    "G.T",
    "(?i)get",
    "^$",
    "^-?\\\\d+$",
    "[[:alpha:]]+",
    "shop|cart",
    "\\\\bget\\\\b",
    "^\\\\w+$",
    "<b>",
    "u003c",
    "k",
    "^\\\\{",
    "true",
    "^1\\\\.5",
    "^[^/]*$",
    "\\\\s",
];

impl Writer<'_> {
    fn condition(&mut self, depth: usize) -> String {
        if depth == 0 || self.random.once_in(3) {
            return self.leaf();
        }
        let parts = [self.condition(depth - 1), self.condition(depth - 1)];
        match self.random.below(5) {
            0 | 1 => format!("{} and {}", parts[0], parts[1]),
            2 => format!("({} or {})", parts[0], parts[1]),
            3 => format!("({}) and not ({})", parts[0], parts[1]),
            _ => format!("not ({} or {})", parts[0], parts[1]),
        }
    }

    fn leaf(&mut self) -> String {
        let operator = self.random.pick(&["==", "==", "!=", "<", "<=", ">", ">="]);
        match self.random.below(10) {
            0..=3 => format!("{} {operator} {}", self.path(), self.literal()),
            4 => format!("{} {operator} {}", self.path(), self.path()),
            5 => format!("{} {operator} {}", self.literal(), self.path()),
            6 => format!("{} {operator} {}", self.value(), self.literal()),
            7 => format!("IsMatch({}, \"{}\")", self.value(), self.pattern()),
            _ => self.question(),
        }
    }

    fn pattern(&mut self) -> &'static str {
        self.random.pick(PATTERNS)
    }

    fn literal(&mut self) -> String {
        if self.random.once_in(4) {
            let symbols: &[&str] = match self.list {
                "span" => &["SPAN_KIND_SERVER", "STATUS_CODE_ERROR", "SPAN_KIND_UNSPECIFIED"],
                "metric" => &["METRIC_DATA_TYPE_SUM", "AGGREGATION_TEMPORALITY_DELTA", "METRIC_DATA_TYPE_GAUGE"],
                "datapoint" => &["METRIC_DATA_TYPE_HISTOGRAM", "FLAG_NO_RECORDED_VALUE"],
                "log_record" => &["SEVERITY_NUMBER_WARN", "SEVERITY_NUMBER_UNSPECIFIED"],
                _ => &["1"],
            };
            return self.random.pick(symbols).to_owned();
        }
        self.random.pick(LITERALS).replace("1e3.", "1.e3")
    }

    fn path(&mut self) -> String {
        let own: &[&str] = match self.list {
            "span" => SPAN,
            "metric" => METRIC,
            "datapoint" => POINT,
            "log_record" => LOG,
            _ => RESOURCE,
        };
        let path = match self.random.below(6) {
            0 | 1 if self.list != "metric" => self.random.pick(ATTRIBUTES),
            2 if self.list != "resource" => self.random.pick(SHARED),
            _ => self.random.pick(own),
        };
        path.to_owned()
    }

    /// A value that is more than a path.
    fn value(&mut self) -> String {
        let path = self.path();
        match self.random.below(24) {
            0..=5 => path,
            6 => format!("ToLowerCase({path})"),
            7 => format!("ConvertCase({path}, \"upper\")"),
            8 => format!("Len({path})"),
            9 => format!("Int({path})"),
            10 => format!("Double({path})"),
            11 => format!("String({path})"),
            12 => format!("Bool({path})"),
            13 => format!("Concat([{path}, \"x\", {}], \"-\")", self.path()),
            14 => format!("Substring({path}, 0, 2)"),
            15 => format!("Trim({path}, \"/G\")"),
            16 => format!("TrimPrefix({path}, \"/\")"),
            17 => format!("Split({path}, \"e\")[0]"),
            18 => format!("Coalesce([{path}, {}, 42])", self.path()),
            19 => format!("Index({path}, \"e\")"),
            20 => format!("{path} + 1"),
            21 => format!("{path} * 2 - {}", self.path()),
            22 => format!("-{path}"),
            _ => format!("Hex({path})"),
        }
    }

    fn question(&mut self) -> String {
        let path = self.path();
        match self.random.below(15) {
            0 => format!("IsString({path})"),
            1 => format!("IsInt({path})"),
            2 => format!("IsBool({path})"),
            3 => format!("IsDouble({path})"),
            4 => format!("IsMap({path})"),
            5 => format!("IsList({path})"),
            6 => format!("HasPrefix({path}, \"G\")"),
            7 => format!("HasSuffix({path}, \"{}\")", self.random.pick(&["h", "b", "T"])),
            8 => format!("ContainsValue({path}, {})", self.literal()),
            9 => format!("ContainsValue([\"GET\", 42, {}], {path})", self.path()),
            10 => format!("IsInCIDR({path}, [\"10.0.0.0/8\"])"),
            11 if self.list == "span" => "IsRootSpan()".to_owned(),
            12 if self.list == "span" => "trace_id == TraceID(0x0102030405060708090a0b0c0d0e0f10)".to_owned(),
            11 if self.list == "metric" => {
                format!("HasAttrKeyOnDatapoint(\"{}\")", self.random.pick(&["text", "empty"]))
            }
            12 if self.list == "metric" => {
                format!("HasAttrOnDatapoint(\"{}\", \"{}\")", self.random.pick(&["text", "mixed"]), "GET")
            }
            13 => format!("Bool({path})"),
            _ => format!("IsMatch({path}, \"{}\")", self.pattern()),
        }
    }
}
