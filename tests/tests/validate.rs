//! What `sluice validate` says beyond the check of the configuration itself.

use std::process::Command;

use anyhow::Result;

const CONFIG: &str = "
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}
processors: {sampler: {}}
exporters: {debug: {}}
service: {pipelines: {logs: {receivers: [otlp], processors: [sampler], exporters: [debug]}}}
";

#[test]
fn shows_what_plugins_warn_of() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("config.yaml");
    std::fs::write(&path, CONFIG)?;
    let output = Command::new(sluice_tests::sluice::binary()?).args(["validate", "--config"]).arg(&path).output()?;
    let said = String::from_utf8(output.stderr)?;
    assert!(said.contains("WARN sampling_percentage is 0"), "{said}");
    assert!(output.status.success(), "{said}");
    Ok(())
}
