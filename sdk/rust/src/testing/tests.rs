use sluice_wire::view::LogsView;
use sluice_wire::{LogsWriter, view::Value as View};

use super::*;
use crate::field::Field;
use crate::outcome::{Entities, Value};
use crate::pattern::Pattern;
use crate::setup::{Header, TableRequest, Text, Writes};
use crate::{Descriptor, clock, counter as counters, log};

/// What the stage of these tests shall do.
#[derive(Clone, Copy, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Act {
    DropSecond,
    Label,
    Mask,
    MaskBody,
    MaskUndeclared,
    Partition,
    ManyEdits,
    TooManyEdits,
    NamelessTenant,
    OtherTenant,
    WriteMetricNames,
    Undeclared,
    LongKeep,
    ShortKeep,
    EmptyKeep,
    ShortEntities,
    ReplacementAndKeep,
    ReplacementAndEdit,
    Fail,
    Remember,
}

#[derive(Debug)]
struct Probe {
    act: Act,
    level: Text,
    header: Header,
    digits: Pattern,
}

impl Stage for Probe {
    type Config = Act;
    const DESCRIPTOR: Descriptor = Descriptor::new("probe");

    fn configure(act: Act, setup: &mut Setup) -> Result<Self, ConfigErrors> {
        setup.table(TableRequest { records: true, bodies: true, ..Default::default() });
        setup.writes(match act {
            Act::Mask => Writes::AttributesAnd(Vec::new()),
            Act::MaskBody => Writes::Fields(vec![Field::record_intrinsic("body")]),
            Act::WriteMetricNames => Writes::Fields(vec![Field::metric_intrinsic("name")]),
            Act::ReplacementAndKeep | Act::ReplacementAndEdit => Writes::Everything,
            _ => Writes::Fields(vec![Field::resource("seen")]),
        });
        if matches!(act, Act::Fail) {
            setup.when_attributes([Field::record("fail")]);
        }
        let digits = setup.regex("[0-9]+").map_err(|error| ConfigErrors::one("", error))?;
        Ok(Self { act, level: setup.text(Field::record("level")), header: setup.header("X-Tenant"), digits })
    }

    fn process(&mut self, batch: &Batch) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::unchanged();
        match self.act {
            Act::DropSecond => {
                outcome.keep(Bitmap::from_fn(batch.rows(), |row| row != 1));
            }
            Act::Label => {
                outcome.set(Field::resource("seen"), Entities::All, batch.header(self.header).unwrap_or("none"));
            }
            Act::Mask | Act::MaskBody | Act::MaskUndeclared => {
                outcome.mask_matches(batch.find(self.digits, None), "#");
            }
            Act::Partition => {
                let levels = batch.text(self.level);
                let is_info = |row| u32::from(levels.get(row) == Some("info"));
                outcome.partition(vec!["rest".into(), "info".into()], (0..batch.rows()).map(is_info).collect());
            }
            Act::ManyEdits | Act::TooManyEdits => {
                for _ in 0..1_000 + usize::from(matches!(self.act, Act::TooManyEdits)) {
                    outcome.set(Field::resource("seen"), Entities::All, "often");
                }
            }
            Act::NamelessTenant => {
                outcome.belongs_to("");
            }
            Act::OtherTenant => {
                outcome.belongs_to("(other)");
            }
            Act::WriteMetricNames => {}
            Act::Undeclared => {
                outcome.set(Field::record("seen"), Entities::All, Value::Boolean(true));
            }
            Act::LongKeep => {
                outcome.force_keep(vec![1, 0]);
            }
            Act::ShortKeep => {
                outcome.keep(Bitmap::new(2, true));
            }
            Act::EmptyKeep => {
                outcome.keep(Bitmap::default());
            }
            Act::ShortEntities => {
                outcome.set(Field::resource("seen"), Bitmap::default(), "none");
            }
            Act::ReplacementAndKeep => {
                outcome.force_keep(vec![1]).replace_all(Vec::new());
            }
            Act::ReplacementAndEdit => {
                outcome.set(Field::resource("seen"), Entities::All, "it").replace_all(Vec::new());
            }
            Act::Fail => return Err(Failure::error("as told")),
            Act::Remember => {
                log::info("seen");
                counters::add("rows", batch.rows() as u64);
                outcome.set(Field::resource("seen"), Entities::All, clock::now_unix_nano() as i64);
            }
        }
        Ok(outcome)
    }
}

fn request() -> Vec<u8> {
    let mut logs = LogsWriter::new();
    logs.resource_logs(|resource| {
        resource.scope_logs(|scope| {
            for (level, body) in [("info", "took 15 ms"), ("warn", "none"), ("info", "2 of 3")] {
                scope.log_record(|record| {
                    record.attribute("level", |value| value.text(level));
                    record.body(|value| value.text(body));
                });
            }
        });
    });
    logs.finish()
}

fn run(act: &str) -> Processed {
    let harness = Harness::<Probe>::new(format!("{act:?}"), Signal::Logs).expect("a valid configuration");
    harness.with_header("x-tenant", "acme").at_unix_nano(7).process(&request()).expect("processed")
}

fn bodies(request: &[u8]) -> Vec<String> {
    let logs = LogsView::new(request);
    let records = logs.resource_logs().flat_map(|resource| resource.scope_logs()).flat_map(|scope| scope.log_records());
    let text = |value| if let Some(View::Text(text)) = value { text.to_owned() } else { String::new() };
    records.map(|record| text(record.body())).collect()
}

fn seen(request: &[u8]) -> String {
    let logs = LogsView::new(request);
    let resource = logs.resource_logs().next().expect("one").resource();
    let found = resource.attributes().find(|attribute| attribute.key() == "seen");
    found.map(|attribute| format!("{:?}", attribute.value())).unwrap_or_default()
}

#[test]
fn drops_what_the_stage_does_not_keep() {
    let done = run("drop_second");
    assert_eq!(bodies(&done.bytes), ["took 15 ms", "2 of 3"]);
    assert_eq!(done.kept.iter_ones().collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn applies_edits_and_passes_headers() {
    assert_eq!(seen(&run("label").bytes), "Text(\"acme\")");
}

#[test]
fn masks_what_a_pattern_finds_in_texts_that_were_not_asked_for() {
    for act in ["mask", "mask_body"] {
        assert_eq!(bodies(&run(act).bytes), ["took # ms", "none", "# of #"]);
    }
}

#[test]
fn splits_by_tenant() {
    let done = run("partition");
    let parts: Vec<_> = done.partitions.iter().map(|(tenant, bytes)| (tenant.as_str(), bodies(bytes).len())).collect();
    assert_eq!(parts, [("rest", 1), ("info", 2)]);
    assert_eq!(done.bytes, request());
}

#[test]
fn remembers_what_the_stage_told_the_host() {
    reset();
    assert_eq!(seen(&run("remember").bytes), "Integer(7)");
    assert_eq!((counter("rows"), take_logs()), (3, vec![(Level::Info, "seen".to_owned())]));
}

#[test]
fn skips_what_the_stage_does_not_wait_for() {
    assert!(run("fail").skipped);
}

#[test]
#[should_panic(expected = "it edits record.attributes[\"seen\"] without having declared it")]
fn refuses_what_the_host_would_refuse() {
    run("undeclared");
}

#[test]
fn refuses_answers_that_the_host_would_refuse() {
    let cases = [
        ("long_keep", "keep has 2 values, 1 are needed"),
        ("short_keep", "keep has 2 bits, the batch has 3 rows"),
        ("empty_keep", "keep has 0 bits, the batch has 3 rows"),
        ("mask_undeclared", "edit 0: it edits record.body without having declared it"),
        ("nameless_tenant", "\"\" is no name of a tenant"),
        ("other_tenant", "\"(other)\" is no name of a tenant"),
        ("short_entities", "edit 0: entities has 0 values, 1 are needed"),
        ("replacement_and_keep", "its replacement comes with other changes"),
        ("replacement_and_edit", "its replacement comes with other changes"),
    ];
    for (act, expected) in cases {
        let panic = std::panic::catch_unwind(|| run(act)).expect_err(act);
        let message = panic.downcast_ref::<String>().expect("a message");
        assert_eq!(message, &format!("the answer breaks the contract: {expected}"));
    }
}

#[test]
fn takes_as_many_edits_as_the_host() {
    assert_eq!(seen(&run("many_edits").bytes), "Text(\"often\")");
}

#[test]
#[should_panic(expected = "edits exceed the limit of 1000")]
fn refuses_more_edits_than_the_host_takes() {
    run("too_many_edits");
}

#[test]
fn refuses_writes_of_what_the_signal_does_not_have() {
    let harness = |signal| Harness::<Probe>::new("\"write_metric_names\"", signal);
    assert!(harness(Signal::Metrics).is_ok());
    let errors = harness(Signal::Logs).expect_err("logs have no metrics");
    assert_eq!(errors.to_string(), "it writes metric.name, which can't be written in this signal");
}

#[test]
fn says_what_is_wrong_with_a_configuration() {
    let errors = Harness::<Probe>::new("\"dance\"", Signal::Logs).expect_err("no such act");
    assert!(errors.to_string().starts_with("unknown variant `dance`"), "{errors}");
}
