//! The guests of the tests and benchmarks, built for WASM once per process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The component of `tests/guests/<name>`.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    let path = directory().join(format!("guest_{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The component of the standard stage `filter`.
#[allow(dead_code, reason = "not all who include this need it")]
pub(crate) fn filter() -> Vec<u8> {
    let path = directory().join("filter.wasm");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(build)
}

fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../guests");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root).args(["build", "--quiet", "--release", "--target", "wasm32-wasip2"]);
    cargo
        .args(["--package", "guest-probe", "--package", "guest-noop", "--package", "sluice-filter", "--target-dir"])
        .arg(&target);
    cargo.env("CARGO_PROFILE_RELEASE_LTO", "fat").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    cargo.env_remove("RUSTFLAGS").env_remove("RUSTC_WORKSPACE_WRAPPER");
    assert!(cargo.status().expect("cargo starts").success(), "the guests do not build");
    target.join("wasm32-wasip2/release")
}
