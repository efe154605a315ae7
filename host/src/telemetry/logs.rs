//! The log: to stderr, as text or JSON, with the level that the configuration names.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// For people.
    #[default]
    Console,
    /// One JSON object a line.
    Json,
}

/// Starts logging. A second call changes nothing, so that tests can each start it.
pub fn init(level: &str, encoding: Encoding) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_timer(SystemTime)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    let started = match encoding {
        Encoding::Console => builder.try_init(),
        Encoding::Json => builder.json().flatten_event(true).try_init(),
    };
    drop(started);
}
