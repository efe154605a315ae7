//! The log: text or JSON, with the level and the outputs that the configuration names.

use std::fs::OpenOptions;
use std::io::IsTerminal;
use std::sync::Mutex;

use tracing_subscriber::fmt::writer::{BoxMakeWriter, MakeWriterExt};
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{LogEncoding, LogLevel, LogsConfig};

/// What libraries may say: below warnings they drown ours. The modules of the AWS SDK that show whole answers of STS may
/// say nothing, since an answer may repeat a token; the signer's own message tells what failed.
const LIBRARIES: &str = "warn,aws_config::meta=off,aws_config::profile::credentials=off,aws_config::sts=off,\
                         aws_config::web_identity_token=off";

/// Starts logging. What can't be written is lost in silence: reporting it would end the process where that is standard
/// error itself. A second call changes nothing, so that tests can each start it.
pub fn init(config: &LogsConfig) {
    let level = match config.level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn | LogLevel::Warning => "warn",
        LogLevel::Error | LogLevel::DPanic | LogLevel::Panic | LogLevel::Fatal => "error",
    };
    let filter = EnvFilter::new(format!("{LIBRARIES},sluice={level}"));
    let (writer, problems) = writer(&config.output_paths);
    let builder = fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_target(false)
        .with_ansi(false)
        .log_internal_errors(false);
    let started = match config.encoding {
        LogEncoding::Console => builder.try_init(),
        LogEncoding::Json => builder.json().flatten_event(true).try_init(),
    };
    // It fails only when logging runs already.
    drop(started);
    for problem in problems {
        tracing::warn!("{problem}");
    }
}

/// Shows warnings on standard error for a command that ends at once, whatever the configuration says about logging.
pub fn init_for_command() {
    let builder =
        fmt().with_env_filter(EnvFilter::new(LIBRARIES)).with_writer(std::io::stderr).log_internal_errors(false);
    // It fails only when logging runs already.
    drop(builder.without_time().with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init());
}

/// Where to write, and the files that can't be written to.
fn writer(paths: &[String]) -> (BoxMakeWriter, Vec<String>) {
    let mut all: Option<BoxMakeWriter> = None;
    let mut problems = Vec::new();
    for path in paths {
        let one = match path.as_str() {
            "stderr" => BoxMakeWriter::new(std::io::stderr),
            "stdout" => BoxMakeWriter::new(std::io::stdout),
            path => match OpenOptions::new().create(true).append(true).open(file(path)) {
                Ok(file) => BoxMakeWriter::new(Mutex::new(file)),
                Err(error) => {
                    problems.push(format!("can't log to {path}: {error}"));
                    continue;
                }
            },
        };
        all = Some(match all {
            None => one,
            Some(all) => BoxMakeWriter::new(all.and(one)),
        });
    }
    (all.unwrap_or_else(|| BoxMakeWriter::new(std::io::stderr)), problems)
}

/// A file may be named by its path or by a URL, as in the collector.
fn file(path: &str) -> &str {
    path.strip_prefix("file://").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[test]
    fn writes_to_files_named_by_path_and_by_url() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name).display().to_string();
        let (writer, problems) = writer(&[at("a.log"), format!("file://{}", at("b.log"))]);
        writer.make_writer().write_all(b"said").expect("written");
        let written = ["a.log", "b.log"].map(|name| std::fs::read_to_string(at(name)).expect("a file"));
        assert_eq!((written, problems), (["said".to_owned(), "said".to_owned()], Vec::new()));
    }
}
