//! The log: text or JSON, with the level and the outputs that the configuration names.

use std::fmt;
use std::fs::OpenOptions;
use std::io::IsTerminal;
use std::sync::Mutex;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::writer::{BoxMakeWriter, MakeWriterExt};
use tracing_subscriber::fmt::{FmtContext, FormatEvent};
use tracing_subscriber::registry::LookupSpan;

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
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_target(false)
        .with_ansi(false)
        .log_internal_errors(false);
    let started = match config.encoding {
        LogEncoding::Console => builder.try_init(),
        LogEncoding::Json => builder.event_format(Json).try_init(),
    };
    // It fails only when logging runs already.
    drop(started);
    for problem in problems {
        tracing::warn!("{problem}");
    }
}

/// Shows warnings on standard error for a command that ends at once, whatever the configuration says about logging.
pub fn init_for_command() {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(LIBRARIES))
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    // It fails only when logging runs already.
    drop(builder.without_time().with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init());
}

/// Lines with the keys of the collector's, by which filters on its log go.
struct Json;

/// What an event says: its message, and its fields by name.
#[derive(Default)]
struct Said {
    message: String,
    fields: Map<String, Value>,
}

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> tracing_subscriber::fmt::FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let Said { message, fields } = said;
        let (time, level) = (jiff::Timestamp::now(), level_word(*event.metadata().level()));
        write!(line, r#"{{"level":"{level}","ts":"{time:.3}","msg":{}"#, Value::from(message))?;
        for (name, value) in fields {
            write!(line, ",{}:{value}", Value::from(name))?;
        }
        writeln!(line, "}}")
    }
}

fn level_word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    }
}

impl Said {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.fields.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            _ => self.add(field, format!("{value:?}")),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }
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
    fn a_line_of_json_has_the_collectors_keys_beside_the_fields() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let writer = Mutex::new(file.reopen().expect("a file"));
        let log = tracing_subscriber::fmt().with_writer(writer).event_format(Json);
        tracing::subscriber::with_default(log.finish(), || {
            let (items, seconds, error) = (3_u64, 0.5, "no \"answer\"");
            tracing::error!(exporter = "otlp", items, seconds, %error, is_left = true, "items {}", "lost\n");
        });
        let said = std::fs::read_to_string(file.path()).expect("text");
        let (head, tail) = said.split_once(r#""ts":""#).expect("a time");
        let (time, tail) = tail.split_once('"').expect("its end");
        time.parse::<jiff::Timestamp>().expect("as RFC 3339 has it");
        assert_eq!((head, time.len()), (r#"{"level":"error","#, "2026-11-22T18:41:13.562Z".len()));
        let expected = r#","msg":"items lost\n","error":"no \"answer\"","exporter":"otlp","is_left":true,"items":3,"seconds":0.5}"#;
        assert_eq!(tail.strip_suffix('\n'), Some(expected));
    }

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
