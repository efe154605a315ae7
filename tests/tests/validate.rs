//! What `sluice validate` says beyond the check of the configuration itself.

use std::process::{Command, Output};

use anyhow::Result;

const CONFIG: &str = "
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}
processors: {sampler: {}}
exporters: {debug: {}}
service: {pipelines: {logs: {receivers: [otlp], processors: [sampler], exporters: [debug]}}}
";

/// A mistake of every kind: of a native component, of a plugin's schema, of what a plugin itself reads, of a reference.
const FIVE_MISTAKES: &str = r#"
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}
processors:
  redaction:
    alow_all_keys: true
    blocked_values: ['4[0-9]{12}', '(']
  filter/noise:
    traces:
      span: ['name == "health"', 'nme == "health"']
exporters:
  opensearch:
    http: {endpoint: 'http://127.0.0.1:9200'}
    mapping:
      mode: ss5o
service:
  pipelines:
    traces:
      receivers: [otlp]
      processors: [filter/noise, redaction, sampler]
      exporters: [opensearch]
"#;

/// What a command says of a configuration, with the configuration as its working directory has it.
fn said_of(command: &str, config: &str) -> Result<Output> {
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("config.yaml"), config)?;
    // Compiling the stages takes longest; the tests of the host have done it already.
    let cache = concat!("yaml:plugins::cache_directory: ", env!("CARGO_TARGET_TMPDIR"), "/stage-code-cache");
    let mut sluice = Command::new(sluice_tests::sluice::binary()?);
    sluice.current_dir(directory.path()).args([command, "--config", "config.yaml", "--config", cache]);
    Ok(sluice.output()?)
}

#[test]
fn all_mistakes_of_a_file_come_at_once_in_the_order_of_the_text() -> Result<()> {
    for command in ["validate", "run"] {
        let output = said_of(command, FIVE_MISTAKES)?;
        assert_eq!(output.status.code(), Some(1), "{command}");
        let said = String::from_utf8(output.stderr)?;
        let beginnings = [
            "error: config.yaml:5: processors::redaction::alow_all_keys: unknown key; did you mean \"allow_all_keys\"?",
            "error: config.yaml:6: processors::redaction::blocked_values::1: ",
            "error: config.yaml:9: processors::filter/noise::traces::span::1: ",
            "error: config.yaml:14: exporters::opensearch::mapping::mode: \"ss5o\" is not one of",
            "error: config.yaml:19: service::pipelines::traces: references processor \"sampler\" which is not configured",
        ];
        // A regular expression is shown with a mark below it, in further lines.
        let lines: Vec<&str> = said.lines().filter(|line| line.contains("config.yaml")).collect();
        assert_eq!(lines.len(), beginnings.len(), "{command}: {said}");
        for (line, beginning) in lines.iter().zip(beginnings) {
            assert!(line.starts_with(beginning), "{command}: no {beginning:?} in\n{said}");
        }
    }
    Ok(())
}

/// `run` does not configure plugins twice: what is right natively is refused when the pipelines are built.
#[test]
fn a_start_that_plugins_refuse_names_every_mistake_in_a_line_of_its_own() -> Result<()> {
    let config = FIVE_MISTAKES.replace("ss5o", "ss4o").replace(", sampler]", "]");
    let said = String::from_utf8(said_of("run", &config)?.stderr)?;
    let errors: Vec<&str> = said.lines().filter_map(|line| line.split_once("ERROR ")).map(|(_, error)| error).collect();
    let places: Vec<_> = errors.iter().filter_map(|error| error.split_once(": ")).map(|(place, _)| place).collect();
    assert_eq!(places, ["config.yaml:5", "config.yaml:6", "config.yaml:9"], "{said}");
    Ok(())
}

#[test]
fn shows_what_plugins_warn_of() -> Result<()> {
    let traces = "traces: {receivers: [otlp], processors: [sampler], exporters: [debug]}";
    let config = CONFIG.replace("pipelines: {", &format!("pipelines: {{{traces}, "));
    let output = said_of("validate", &config)?;
    let said = String::from_utf8(output.stderr)?;
    assert!(said.contains("WARN sampling_percentage is 0"), "{said}");
    assert_eq!(said.matches("WARN").count(), 1, "said once, not for each signal: {said}");
    assert!(said.contains("stage=\"sampler\"") && !said.contains("suppressed"), "{said}");
    assert!(output.status.success(), "{said}");
    Ok(())
}
