//! Programs that are built from their Go modules.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::shell;

/// The version of Jaeger.
pub(crate) const JAEGER: &str = "v1.62.0";

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
    for file in ["main.go", "go.mod", "go.sum"] {
        let source = shell::root().join("xtask/collector").join(file);
        if source.exists() {
            std::fs::copy(source, dir.join(file))?;
        }
    }
    go(dir, &["build", "-trimpath", "-ldflags", "-s -w", "-o", "otelcol", "."])
}

fn go(dir: &Path, args: &[&str]) -> Result<()> {
    let mut go = Command::new("go");
    go.args(args).current_dir(dir).env("GOFLAGS", "-mod=mod").env("CGO_ENABLED", "0");
    shell::run_logged(&mut go, &dir.join("fetch.log"))
}
