//! Programs that are built from their Go modules.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell;

/// The version of Jaeger.
pub(crate) const JAEGER: &str = "v1.62.0";

/// The collector's processors that ours are compared with.
pub(crate) const PROCESSORS: [&str; 3] = ["filterprocessor", "probabilisticsamplerprocessor", "redactionprocessor"];

/// Jaeger's query service, which reads what the `opensearch` exporter writes.
pub(crate) fn jaeger(dir: &Path) -> Result<()> {
    let module =
        format!("module sluice.example/jaeger\n\ngo 1.23\n\nrequire github.com/jaegertracing/jaeger {JAEGER}\n");
    std::fs::write(dir.join("go.mod"), module)?;
    let package = "github.com/jaegertracing/jaeger/cmd/query";
    go(dir, &["get", &format!("{package}@{JAEGER}")])?;
    go(dir, &["build", "-trimpath", "-ldflags", "-s -w", "-o", "jaeger-query", package])
}

/// The collector, from the module list in `xtask/collector`.
pub(crate) fn collector(dir: &Path) -> Result<()> {
    for file in ["main.go", "ask.go", "go.mod", "go.sum"] {
        let source = shell::root().join("xtask/collector").join(file);
        if source.exists() {
            std::fs::copy(source, dir.join(file))?;
        }
    }
    go(dir, &["build", "-trimpath", "-ldflags", "-s -w", "-o", "otelcol", "."])?;
    configurations(dir)
}

/// The configurations that the processors' own tests have, for ours.
fn configurations(dir: &Path) -> Result<()> {
    let to = dir.join("configurations");
    std::fs::create_dir_all(&to)?;
    for processor in PROCESSORS {
        let module = format!("github.com/open-telemetry/opentelemetry-collector-contrib/processor/{processor}");
        let mut list = command(dir, &["list", "-m", "-f", "{{.Dir}}", &module]);
        let testdata = Path::new(shell::output(&mut list)?.trim()).join("testdata");
        for entry in std::fs::read_dir(&testdata).with_context(|| testdata.display().to_string())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                std::fs::write(to.join(format!("{processor}-{name}")), std::fs::read(&path)?)?;
            }
        }
    }
    Ok(())
}

fn go(dir: &Path, args: &[&str]) -> Result<()> {
    shell::run_logged(&mut command(dir, args), &dir.join("fetch.log"))
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut go = Command::new("go");
    go.args(args).current_dir(dir).env("GOFLAGS", "-mod=mod").env("CGO_ENABLED", "0");
    go
}
