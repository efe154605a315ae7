//! What command lines mean.

use clap::CommandFactory;

use super::*;

fn parse(line: &str) -> Result<Command, clap::Error> {
    let arguments = as_subcommand(line.split(' ').map(OsString::from));
    Cli::try_parse_from(arguments).map(|cli| cli.command.unwrap_or(Command::Run(cli.run)))
}

#[test]
fn is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_an_example_in_its_help() {
    let mut cli = Cli::command();
    let mut commands = vec![cli.clone()];
    commands.extend(cli.get_subcommands_mut().map(|command| command.clone()));
    for mut command in commands {
        let help = command.render_help().to_string();
        assert!(help.contains("Example") && help.contains("  sluice "), "{help}");
    }
}

#[test]
fn runs_by_default_and_takes_the_flags_of_adot() {
    for line in [
        "sluice --config=a.yaml --config b.yaml --set k.sub=v --feature-gates -a,+b",
        "sluice run --config=a.yaml --config b.yaml --set k.sub=v --feature-gates=-a,+b",
    ] {
        let Ok(Command::Run(arguments)) = parse(line) else { panic!("{line} does not run") };
        assert_eq!(arguments.config, ["a.yaml", "b.yaml"]);
        assert_eq!(arguments.set, ["k.sub=v"]);
        assert_eq!(arguments.feature_gates, ["-a,+b"]);
    }
    assert!(matches!(parse("sluice"), Ok(Command::Run(_))));
}

#[test]
fn says_its_version() {
    for line in ["sluice --version", "sluice -V"] {
        let shown = parse(line).expect_err("nothing to run");
        assert_eq!(shown.kind(), clap::error::ErrorKind::DisplayVersion, "{line}");
        assert_eq!(shown.to_string(), format!("sluice {}\n", env!("CARGO_PKG_VERSION")), "{line}");
    }
    assert_eq!(main(["sluice", "--version"].map(OsString::from)), ExitCode::SUCCESS);
}

#[test]
fn is_a_health_check_by_the_name_of_the_other_binary() {
    for (line, port) in [
        ("/healthcheck", 13133),
        ("/healthcheck -port 99", 99),
        ("healthcheck -port=99", 99),
        ("sluice healthcheck --port 7", 7),
    ] {
        let Ok(Command::Healthcheck(arguments)) = parse(line) else { panic!("{line} is no health check") };
        assert_eq!(arguments.port, port, "{line}");
    }
}

#[test]
fn refuses_what_it_does_not_know() {
    for line in [
        "sluice --confg=a",
        "sluice walk",
        "sluice validate extra",
        "sluice healthcheck --port 70000",
        "sluice healthcheck --timeout 0",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn lists_components_and_plugins() {
    let text = components::list(&["filter".into(), "mine".into(), "batch".into()]);
    let listing: serde_yaml::Value = serde_yaml::from_str(&text).expect("YAML");
    let names = |section: &str| -> Vec<String> {
        let items = listing[section].as_sequence().into_iter().flatten();
        items.filter_map(|item| item["name"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(names("receivers"), ["otlp"]);
    assert_eq!(
        names("processors"),
        ["batch", "memory_limiter", "filter", "redaction", "tenant_label", "sampler", "mine"]
    );
    assert_eq!(names("extensions"), ["sigv4auth", "health_check"]);
    assert!(names("exporters").contains(&"awsprometheusremotewrite".to_owned()));
    assert!(text.contains("instead of the standard one"), "{text}");
    assert!(!text.contains("statsd"), "{text}");
    let stability = |section: &str, name: &str| {
        let items = listing[section].as_sequence().into_iter().flatten();
        items
            .into_iter()
            .find(|item| item["name"] == name)
            .map(|item| serde_yaml::to_string(&item["stability"]).expect("YAML"))
    };
    for (section, name, expected) in [
        ("receivers", "otlp", "logs: Beta\nmetrics: Beta\ntraces: Beta\n"),
        ("processors", "sampler", "logs: Beta\ntraces: Beta\n"),
        ("processors", "mine", "null\n"),
        ("exporters", "opensearch", "logs: Beta\ntraces: Beta\n"),
        ("exporters", "awsprometheusremotewrite", "metrics: Deprecated\n"),
        ("extensions", "sigv4auth", "extension: Beta\n"),
    ] {
        assert_eq!(stability(section, name).as_deref(), Some(expected), "{section} {name}");
    }
    assert_eq!(listing["processors"][6]["module"], "mine.wasm");
}

#[test]
fn lists_no_components_of_a_directory_that_is_not_there() {
    assert_eq!(main(["sluice", "components", "--plugins=/nope"].map(OsString::from)), ExitCode::FAILURE);
}
