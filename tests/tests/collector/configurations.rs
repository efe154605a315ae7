//! The configurations that the Collector tests its own processors with: Sluice takes those that the Collector takes, and
//! refuses the others.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use sluice_tests::{parts, sluice};

/// The processors, with the signals that the Collector's take.
const PROCESSORS: [(&str, &[&str]); 3] = [
    ("filter", &["traces", "metrics", "logs"]),
    ("redaction", &["traces", "metrics", "logs"]),
    ("probabilistic_sampler", &["traces", "logs"]),
];

/// Compiling the stages takes longest; other tests have done it.
const CACHE: &str = concat!("yaml:plugins::cache_directory: ", env!("CARGO_TARGET_TMPDIR"), "/stage-code-cache");

/// Blocks that the Collector takes and Sluice refuses, and what it says; the README of `filter` has the reasons.
const WANTED: &[(&str, &str, &str)] = &[
    ("filterprocessor-config_expr.yaml", "filter/empty", EXPRESSIONS),
    ("filterprocessor-config_expr.yaml", "filter/include", EXPRESSIONS),
    ("filterprocessor-config_expr.yaml", "filter/exclude", EXPRESSIONS),
    ("filterprocessor-config_expr.yaml", "filter/includeexclude", EXPRESSIONS),
    ("filterprocessor-config_ottl.yaml", "filter/ottl", EVENTS),
    ("filterprocessor-config_ottl.yaml", "filter/advance_style", EVENTS),
    ("filterprocessor-config_ottl.yaml", "filter/flat_style", PROFILES),
    ("filterprocessor-config_ottl.yaml", "filter/context_conditions_error_mode", PROFILES),
    ("filterprocessor-config_ottl.yaml", "filter/context_inferred_profile", PROFILES),
    ("filterprocessor-config_profiles.yaml", "filter/profiles", PROFILES),
];
const EXPRESSIONS: &str = "match_type expr and expressions are not supported";
const EVENTS: &str = "single span events can't be dropped";
const PROFILES: &str = "there are no profiles here";

#[test]
fn blocks_that_the_collector_takes_are_taken() -> Result<()> {
    let Some(collector) = parts::part("collector", "otelcol") else { return Ok(()) };
    let (mut taken, mut refused, mut differ, mut differences) = (0, 0, 0, Vec::new());
    for (file, id, block) in blocks(&collector.join("configurations"))? {
        let Some((_, signals)) = PROCESSORS.iter().find(|(name, _)| id.split('/').next() == Some(*name)) else {
            continue;
        };
        let config = configuration(&id, &block, signals);
        let mut theirs = Command::new(collector.join("otelcol"));
        theirs.arg("validate");
        let theirs = verdict(theirs, &config)?;
        let mut ours = Command::new(sluice::binary()?);
        ours.args(["validate", "--config", CACHE]);
        let ours = verdict(ours, &config)?;
        let said = String::from_utf8_lossy(&ours.stderr).into_owned();
        match theirs.status.success() {
            true => taken += 1,
            false => refused += 1,
        }
        let wanted = WANTED.iter().find(|wanted| (wanted.0, wanted.1) == (file.as_str(), id.as_str()));
        differ += usize::from(wanted.is_some());
        let is_right = match wanted {
            Some((_, _, reason)) => theirs.status.success() && !ours.status.success() && said.contains(reason),
            None => theirs.status.success() == ours.status.success(),
        };
        if !is_right {
            let expected = String::from_utf8_lossy(&theirs.stderr).into_owned();
            differences.push(format!("{file} {id}: {block}\nthe Collector: {}\n{expected}\n{said}", theirs.status));
        }
    }
    ensure!(differ == WANTED.len(), "only {differ} of the wanted differences are there");
    ensure!(taken > 50 && refused > 10, "{taken} taken and {refused} refused by the Collector: where are the others?");
    ensure!(differences.is_empty(), "{} differ\n{}", differences.len(), differences.join("\n\n"));
    Ok(())
}

/// All blocks of all files, with the names of both.
fn blocks(directory: &Path) -> Result<Vec<(String, String, Value)>> {
    let mut blocks = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let parsed: Value = serde_yaml::from_str(&std::fs::read_to_string(&path)?).with_context(|| file.clone())?;
        let processors = parsed.get("processors").unwrap_or(&parsed).as_object().cloned().unwrap_or_default();
        blocks.extend(processors.into_iter().map(|(id, block)| (file.clone(), id, block)));
    }
    Ok(blocks)
}

fn configuration(id: &str, block: &Value, signals: &[&str]) -> String {
    let pipeline = json!({"receivers": ["otlp"], "processors": [id], "exporters": ["debug"]});
    let pipelines: Map<String, Value> = signals.iter().map(|signal| ((*signal).to_owned(), pipeline.clone())).collect();
    let processors: Map<String, Value> = [(id.to_owned(), block.clone())].into_iter().collect();
    json!({
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": "127.0.0.1:4318"}}}},
        "processors": processors,
        "exporters": {"debug": {}},
        "service": {"pipelines": pipelines},
    })
    .to_string()
}

fn verdict(mut program: Command, config: &str) -> Result<Output> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, config)?;
    Ok(program.arg(format!("--config={}", file.display())).output()?)
}
