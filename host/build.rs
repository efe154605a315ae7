//! Builds the standard stages for WASM and lists them for `src/stage/embedded.rs`.
//!
//! `SLUICE_PRECOMPILED_DIR` names a directory of `<name>.cwasm` files, code compiled ahead of time, to embed as well if
//! the `<name>.wasm` beside it, from which it was compiled, is the component that is embedded.
//! `SLUICE_SKIP_GUESTS=1` embeds nothing; it saves time while working on other parts of the host.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const GUEST_TARGET: &str = "wasm32-wasip2";

fn main() {
    println!("cargo:rustc-env=SLUICE_TARGET={}", variable("TARGET"));
    println!("cargo:rerun-if-env-changed=SLUICE_PRECOMPILED_DIR");
    println!("cargo:rerun-if-env-changed=SLUICE_SKIP_GUESTS");
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("..");
    for watched in ["plugins", "sdk", "wit", "Cargo.lock", "host/build.rs"] {
        println!("cargo:rerun-if-changed={}", root.join(watched).display());
    }
    let names = if wants_guests() { plugins(&root) } else { Vec::new() };
    let components = if names.is_empty() { PathBuf::new() } else { build(&root, &names) };
    let list = Path::new(&variable("OUT_DIR")).join("embedded.rs");
    fs::write(&list, embedded(&names, &components)).unwrap_or_else(|error| panic!("{}: {error}", list.display()));
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

fn wants_guests() -> bool {
    if env::var_os("SLUICE_SKIP_GUESTS").is_some_and(|skip| skip == "1") {
        return false;
    }
    let printed = Command::new(variable("RUSTC")).args(["--print", "target-libdir", "--target", GUEST_TARGET]).output();
    let directory = printed.map(|printed| String::from_utf8_lossy(&printed.stdout).trim().to_owned());
    let installed = directory.as_ref().is_ok_and(|directory| !directory.is_empty() && Path::new(directory).is_dir());
    if !installed {
        // It changes when a target is added; else the build after that would leave the stages out once more.
        let targets = directory.ok().and_then(|directory| Some(Path::new(&directory).ancestors().nth(2)?.to_owned()));
        targets.iter().for_each(|targets| println!("cargo:rerun-if-changed={}", targets.display()));
        println!("cargo:warning=no standard stages built in: run `rustup target add {GUEST_TARGET}` and build again");
    }
    installed
}

/// The standard stages: directory, library and component type have the same name.
fn plugins(root: &Path) -> Vec<String> {
    let directory = root.join("plugins");
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let is_package = |path: &PathBuf| path.join("Cargo.toml").is_file();
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(is_package);
    let mut names: Vec<String> = paths.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
    names.sort();
    names
}

/// Builds the components in a target directory of their own: cargo holds a lock on the one of this build.
fn build(root: &Path, names: &[String]) -> PathBuf {
    let out = PathBuf::from(variable("OUT_DIR"));
    let target = out.ancestors().nth(4).unwrap_or(&out).join("guests");
    let mut cargo = Command::new(variable("CARGO"));
    cargo.current_dir(root).args(["build", "--release", "--target", GUEST_TARGET, "--target-dir"]).arg(&target);
    for name in names {
        cargo.args(["--package", &format!("sluice-{name}")]);
    }
    // What this build was asked for is not meant for the guests: flags, and the wrapper by which clippy checks.
    for (name, _) in env::vars_os() {
        let foreign = name.to_str().is_some_and(|name| {
            matches!(name, "RUSTFLAGS" | "CARGO_ENCODED_RUSTFLAGS" | "RUSTC_WRAPPER" | "RUSTC_WORKSPACE_WRAPPER")
                || name.starts_with("CARGO_PROFILE_")
                || name.starts_with("CARGO_BUILD_")
                || name.starts_with("CLIPPY_")
        });
        if foreign {
            cargo.env_remove(name);
        }
    }
    cargo.env("CARGO_PROFILE_RELEASE_LTO", "fat").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    let status = cargo.status().unwrap_or_else(|error| panic!("cargo does not start: {error}"));
    assert!(status.success(), "the standard stages do not build for {GUEST_TARGET}, see above");
    target.join(GUEST_TARGET).join("release")
}

/// Code that was compiled from this very component.
fn code_of(component: &Path, directory: &Path, name: &str) -> Option<PathBuf> {
    let (code, origin) = (directory.join(format!("{name}.cwasm")), directory.join(format!("{name}.wasm")));
    for path in [&code, &origin] {
        println!("cargo:rerun-if-changed={}", path.display());
    }
    let same = fs::read(origin).ok()? == fs::read(component).ok()?;
    (same && code.exists()).then_some(code)
}

fn embedded(names: &[String], components: &Path) -> String {
    let precompiled = env::var_os("SLUICE_PRECOMPILED_DIR").filter(|directory| !directory.is_empty());
    let mut list = String::from("&[\n");
    for name in names {
        let component = components.join(format!("{name}.wasm"));
        let code = precompiled.as_ref().and_then(|directory| code_of(&component, Path::new(directory), name));
        let code = code.map_or_else(|| "None".to_owned(), |path| format!("Some(include_bytes!({path:?}))"));
        writeln!(list, "    Embedded {{ name: {name:?}, component: include_bytes!({component:?}), code: {code} }},")
            .unwrap_or_else(|error| panic!("a string takes any text: {error}"));
    }
    list + "]\n"
}
