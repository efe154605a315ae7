//! The command line: `sluice run`, `validate`, `components`, `healthcheck` and `print-config`.

mod components;
mod healthcheck;
mod plugin;
mod quickstart;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::app;
use crate::config::{self, Config, ConfigErrors, Reading, Sources};
use crate::telemetry::logs;

const EXAMPLES: &str = "\
Examples:
  sluice --config=/etc/otel-config.yaml
  sluice run --config=base.yaml --config=team.yaml --set exporters.otlp.endpoint=collector:4317
  sluice validate --config=/etc/otel-config.yaml
  sluice healthcheck --port 13133

The environment variable AOT_CONFIG_CONTENT, if it exists, is the configuration; --config is then ignored.";

const SOURCE_HELP: &str = "\
Where the configuration comes from; several are merged, later ones win:
  /etc/otel-config.yaml, file:otel-config.yaml   a file
  env:MY_CONFIG                                  an environment variable that holds it
  'yaml:processors::batch::timeout: 2s'          the text itself";

/// Routes telemetry at the edge: OTLP in, WASM stages, signed to Amazon Managed Prometheus, OpenSearch and OTLP.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: ConfigArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a configuration until SIGTERM or SIGINT (the default command); without --config the quickstart.
    #[command(after_help = "Example:\n  sluice run --config=/etc/otel-config.yaml")]
    Run(ConfigArgs),
    /// Check a configuration: print every mistake with its file and line; exit 1 if there is one.
    #[command(after_help = "Example:\n  sluice validate --config=base.yaml --config=team.yaml")]
    Validate(ConfigArgs),
    /// List the components that a configuration can name, as YAML.
    #[command(after_help = "Examples:\n  sluice components\n  sluice components --plugins=/etc/sluice/plugins")]
    Components(ComponentsArgs),
    /// Ask a running process whether it is ready; exit 0 only if it says 200.
    #[command(
        after_help = "Examples:\n  sluice healthcheck --endpoint http://127.0.0.1:13133/health\n  in an ECS container definition:\n    \"healthCheck\": {\"command\": [\"CMD\", \"/sluice\", \"healthcheck\"]}"
    )]
    Healthcheck(HealthcheckArgs),
    /// Print the effective configuration as YAML: merged, expanded, with defaults, secrets redacted.
    #[command(after_help = "Example:\n  sluice print-config --config=base.yaml --config=team.yaml")]
    PrintConfig(ConfigArgs),
    /// Look at a plugin, or compile the built-in ones ahead of time.
    #[command(after_help = "Example:\n  sluice plugin inspect plugins/filter.wasm")]
    Plugin(plugin::PluginArgs),
}

#[derive(Debug, Default, Args)]
struct ConfigArgs {
    #[arg(long, value_name = "SOURCE", help = SOURCE_HELP)]
    config: Vec<String>,
    /// A single setting over all sources, for example exporters.otlp.endpoint=collector:4317; repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Accepted for compatibility with the collector; has no effect.
    #[arg(long, value_name = "GATES", allow_hyphen_values = true)]
    feature_gates: Vec<String>,
}

#[derive(Debug, Args)]
struct ComponentsArgs {
    /// Directory whose plugins are listed too.
    #[arg(long, value_name = "DIRECTORY")]
    plugins: Option<PathBuf>,
    #[command(flatten)]
    sources: ConfigArgs,
}

#[derive(Debug, Args)]
struct HealthcheckArgs {
    /// Port of the extension health_check on this host.
    #[arg(long, default_value_t = 13133)]
    port: u16,
    /// Whole address instead, for example http://127.0.0.1:13133/health.
    #[arg(long, value_name = "URL", conflicts_with = "port")]
    endpoint: Option<String>,
    /// How long the answer may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: u64,
}

impl ConfigArgs {
    fn load(self) -> Result<Config, ConfigErrors> {
        self.read().sound()
    }

    fn read(self) -> Reading {
        let sources = Sources { configs: self.config, sets: self.set };
        let mut reading = config::read(&sources, &config::process_environment);
        if !self.feature_gates.is_empty() {
            let message = "--feature-gates has no effect: there are no feature gates".to_owned();
            reading.found.warnings.push(config::ConfigError { place: None, path: String::new(), message });
        }
        reading
    }
}

/// Does what the command line says.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(as_subcommand(arguments)) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(sources) => run(sources),
        Command::Validate(sources) => validate(sources),
        Command::Components(arguments) => list_components(arguments),
        Command::Healthcheck(arguments) => healthcheck(&arguments),
        Command::PrintConfig(sources) => print_config(sources),
        Command::Plugin(arguments) => match plugin::run(&arguments) {
            Ok(text) => print(&text),
            Err(error) => {
                say(&error.to_string());
                ExitCode::FAILURE
            }
        },
    }
}

/// The images of ADOT have a second binary `/healthcheck`, which takes `-port`; a link of that name works here.
fn as_subcommand(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let is_healthcheck =
        arguments.first().is_some_and(|name| Path::new(name).file_stem() == Some("healthcheck".as_ref()));
    if is_healthcheck {
        for argument in &mut arguments[1..] {
            match argument.to_str() {
                Some("-port") => *argument = "--port".into(),
                Some(text) if text.starts_with("-port=") => *argument = format!("-{text}").into(),
                _ => {}
            }
        }
        arguments.insert(1, "healthcheck".into());
    }
    arguments
}

fn run(mut sources: ConfigArgs) -> ExitCode {
    if sources.config.is_empty() && config::process_environment(config::CONTENT_VARIABLE).is_none() {
        match quickstart::prepare(config::process_environment) {
            Ok(source) => sources.config.push(source),
            Err(error) => {
                say(&format!("error: {error}"));
                return ExitCode::FAILURE;
            }
        }
    }
    let mut reading = sources.read();
    // A sound one is configured when it runs.
    if !reading.found.errors.is_empty() {
        check_plugins(&mut reading);
    }
    match reading.sound() {
        Ok(config) => app::run(config),
        Err(errors) => fail(&errors),
    }
}

fn validate(sources: ConfigArgs) -> ExitCode {
    let mut reading = sources.read();
    check_plugins(&mut reading);
    let config = match reading.sound() {
        Ok(config) => config,
        Err(errors) => return fail(&errors),
    };
    warn(&config.warnings);
    let pipelines = config.service.pipelines.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    print(&format!("configuration is valid; pipelines: {pipelines}\n"))
}

/// Adds the mistakes in the blocks of plugins to what was found, and shows what the plugins warn of.
fn check_plugins(reading: &mut Reading) {
    logs::init_for_command();
    if let Some(config) = &reading.config {
        let mistakes = app::check_plugins(config, &reading.found.errors);
        reading.found.add(mistakes);
    }
}

fn list_components(arguments: ComponentsArgs) -> ExitCode {
    if let Some(directory) = arguments.plugins.as_ref().filter(|directory| !directory.is_dir()) {
        say(&format!("error: --plugins: {:?} is not a directory", directory.display().to_string()));
        return ExitCode::FAILURE;
    }
    let mut plugins = config::PluginsConfig { directory: arguments.plugins, ..config::PluginsConfig::default() };
    if !arguments.sources.config.is_empty() && plugins.directory.is_none() {
        match arguments.sources.load() {
            Ok(config) => plugins = config.plugins,
            Err(errors) => return fail(&errors),
        }
    }
    print(&components::list(&config::plugin_files(&plugins)))
}

fn healthcheck(arguments: &HealthcheckArgs) -> ExitCode {
    let endpoint = arguments.endpoint.clone().unwrap_or_else(|| format!("http://localhost:{}/", arguments.port));
    match healthcheck::ask(&endpoint, Duration::from_secs(arguments.timeout)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{endpoint}: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn print_config(sources: ConfigArgs) -> ExitCode {
    match sources.load() {
        Ok(config) => {
            warn(&config.warnings);
            let (schemas, unknown) = app::plugin_schemas(&config);
            warn(&unknown);
            print(&config::print(&config, &|plugin| schemas.get(plugin).cloned()))
        }
        Err(errors) => fail(&errors),
    }
}

/// Writes to standard output; a reader that has gone away (`sluice components | head`) is no failure.
fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            say(&format!("can't write to standard output: {error}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Writes a line to standard error. Nobody can be told that it can't be written, and `eprintln!` would panic.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn warn(warnings: &[config::ConfigError]) {
    for warning in warnings {
        say(&format!("warning: {warning}"));
    }
}

fn fail(errors: &ConfigErrors) -> ExitCode {
    warn(&errors.warnings);
    for error in &errors.errors {
        say(&format!("error: {error}"));
    }
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests;
