//! What `sluice validate` says beyond the check of the configuration itself.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result};

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

/// Configurations as AWS and others publish them, with the components that are not part of this version.
const REFERENCES: &[(&str, &[&str])] = &[
    ("adot_v0.14.0_default.yaml", &["exporters::awsemf", "exporters::awsxray", "receivers::awsxray"]),
    (
        "adot_v0.14.0_ecs-amp-xray.yaml",
        &["exporters::awsxray", "processors::resourcedetection", "receivers::awsecscontainermetrics"],
    ),
    ("adot_v0.14.0_ecs-amp.yaml", &["processors::resourcedetection", "receivers::awsecscontainermetrics"]),
    (
        "adot_v0.14.0_ecs-cloudwatch.yaml",
        &[
            "exporters::awsemf/application",
            "exporters::awsemf/performance",
            "processors::metricstransform",
            "processors::resource",
            "processors::resourcedetection",
            "receivers::awsecscontainermetrics",
        ],
    ),
    (
        "adot_v0.14.0_ecs-default-config.yaml",
        &["exporters::awsemf", "exporters::awsxray", "receivers::awsxray", "receivers::statsd"],
    ),
    ("adot_v0.14.0_ecs-xray.yaml", &["exporters::awsxray", "processors::resourcedetection"]),
    ("adot_v0.49_default.yaml", &["exporters::awsemf", "exporters::awsxray", "receivers::awsxray"]),
    (
        "adot_v0.49_ecs/container-insights/otel-task-metrics-config.yaml",
        &[
            "exporters::awsemf/application",
            "exporters::awsemf/performance",
            "exporters::awsxray",
            "processors::metricstransform",
            "processors::resource",
            "receivers::awsecscontainermetrics",
            "receivers::awsxray",
            "receivers::statsd",
        ],
    ),
    (
        "adot_v0.49_ecs/ecs-amp-prometheus.yaml",
        &["processors::resourcedetection", "receivers::awsecscontainermetrics", "receivers::prometheus"],
    ),
    (
        "adot_v0.49_ecs/ecs-amp-xray-prometheus.yaml",
        &[
            "exporters::awsxray",
            "processors::resourcedetection",
            "receivers::awsecscontainermetrics",
            "receivers::prometheus",
        ],
    ),
    (
        "adot_v0.49_ecs/ecs-amp-xray.yaml",
        &["exporters::awsxray", "processors::resourcedetection", "receivers::awsecscontainermetrics"],
    ),
    ("adot_v0.49_ecs/ecs-amp.yaml", &["processors::resourcedetection", "receivers::awsecscontainermetrics"]),
    (
        "adot_v0.49_ecs/ecs-cloudwatch-xray.yaml",
        &[
            "exporters::awsemf/application",
            "exporters::awsxray",
            "processors::resource",
            "processors::resourcedetection",
        ],
    ),
    (
        "adot_v0.49_ecs/ecs-cloudwatch.yaml",
        &["exporters::awsemf/application", "processors::resource", "processors::resourcedetection"],
    ),
    (
        "adot_v0.49_ecs/ecs-default-config.yaml",
        &["exporters::awsemf", "exporters::awsxray", "receivers::awsxray", "receivers::statsd"],
    ),
    ("adot_v0.49_ecs/ecs-xray.yaml", &["exporters::awsxray", "processors::resourcedetection"]),
    (
        "adot_v0.49_ecs/otel-instance-metrics-config.yaml",
        &["exporters::awsemf", "receivers::awscontainerinsightreceiver"],
    ),
    ("article-aws-ecs-xaccount.yaml", &["receivers::awsecscontainermetrics", "receivers::prometheus"]),
    ("article-dnx-central-observability.yaml", &["receivers::awsecscontainermetrics", "receivers::statsd"]),
];

/// All that is said of the file, sorted: an error for each component of a later version and none besides, so that the
/// plugins take their blocks as they are.
#[test]
fn reference_configurations_are_valid_but_for_components_that_come_later() -> Result<()> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/cases/reference-configs");
    let cache = concat!("yaml:plugins::cache_directory: ", env!("CARGO_TARGET_TMPDIR"), "/stage-code-cache");
    let endpoint = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write";
    let mut seen = Vec::new();
    for file in yaml_files(Path::new(directory))? {
        let mut sluice = Command::new(sluice_tests::sluice::binary()?);
        sluice.current_dir(directory).args(["validate", "--config", &file, "--config", cache]);
        sluice.env("AWS_REGION", "eu-west-1").env("AWS_PROMETHEUS_ENDPOINT", endpoint);
        sluice.env("AWS_PROMETHEUS_SCRAPING_ENDPOINT", "a:1");
        let output = sluice.output()?;
        let said = String::from_utf8(output.stderr)?;
        let mut errors: Vec<String> = said.lines().filter(|line| line.starts_with("error: ")).map(component).collect();
        errors.sort_unstable();
        let expected = REFERENCES.iter().find(|(name, _)| *name == file).with_context(|| file.clone())?.1;
        assert_eq!(errors, expected, "{file}: {said}");
        assert_eq!(output.status.success(), expected.is_empty(), "{file}: {said}");
        seen.push(file);
    }
    assert_eq!(seen, REFERENCES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    Ok(())
}

/// The component that is said to come later, such as `receivers::awsxray`; any other error as it is.
fn component(error: &str) -> String {
    let later = || {
        let (_, said) = error.strip_prefix("error: ")?.split_once(": ")?;
        let (path, what) = said.split_once(": ")?;
        what.contains(" is not part of this version").then(|| path.to_owned())
    };
    later().unwrap_or_else(|| error.to_owned())
}

/// Paths below a directory, sorted.
fn yaml_files(directory: &Path) -> Result<Vec<String>> {
    let (mut files, mut directories) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(next) = directories.pop() {
        for entry in std::fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                files.push(path.strip_prefix(directory)?.display().to_string());
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// As with `2>&1 | head -1`: whoever reads the mistakes is gone.
#[test]
fn an_exit_code_needs_nobody_who_reads_the_mistakes() -> Result<()> {
    let full = || std::fs::File::options().write(true).open("/dev/full");
    let binary = sluice_tests::sluice::binary()?;
    let commands: [&[&str]; 3] = [
        &["validate", "--config", "/nowhere"],
        &["healthcheck", "--port", "1"],
        &["components", "--plugins", "/nowhere"],
    ];
    for arguments in commands {
        let status = Command::new(&binary).args(arguments).stderr(full()?).status()?;
        assert_eq!(status.code(), Some(1), "{arguments:?}");
    }
    Ok(())
}
