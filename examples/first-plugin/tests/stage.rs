//! The stage natively, on bytes as they come from the network.

use serde_json::json;
use sluice_sdk::Signal;
use sluice_sdk::testing::Harness;
use sluice_wire::LogsWriter;
use sluice_wire::view::{LogsView, Value};
use status_class::StatusClass;

/// A request with one log record per status code.
fn request(codes: &[i64]) -> Vec<u8> {
    let mut writer = LogsWriter::with_capacity(256);
    writer.resource_logs(|resource| {
        resource.scope_logs(|scope| {
            for &code in codes {
                scope.log_record(|record| record.attribute("http.response.status_code", |value| value.integer(code)));
            }
        });
    });
    writer.finish()
}

/// What stands at `http.status_class` of each log record.
fn classes(bytes: &[u8]) -> Vec<Option<String>> {
    let records =
        LogsView::new(bytes).resource_logs().flat_map(|logs| logs.scope_logs()).flat_map(|logs| logs.log_records());
    let class = |record: sluice_wire::view::LogRecord<'_>| {
        let attribute = record.attributes().find(|attribute| attribute.key() == "http.status_class")?;
        match attribute.value() {
            Value::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    };
    records.map(class).collect()
}

#[test]
fn writes_the_class_of_each_status_code() {
    let mut stage = Harness::<StatusClass>::new(json!({"label": "http.status_class"}), Signal::Logs).expect("valid");
    let processed = stage.process(&request(&[204, 503, 42])).expect("processed");
    let expected = if cfg!(feature = "words") { ["success", "server error"] } else { ["2xx", "5xx"] };
    let [two, five] = expected.map(|class| Some(class.to_owned()));
    assert_eq!(classes(&processed.bytes), [two, five, None]);
}

#[test]
fn refuses_a_configuration_without_a_label() {
    let error = Harness::<StatusClass>::new(json!({}), Signal::Logs).err().expect("not valid");
    assert!(error.to_string().contains("label"), "{error}");
}
