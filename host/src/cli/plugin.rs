//! `sluice plugin`: looks at a component, packs its descriptor, and compiles the standard stages ahead of time.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::stage::{Catalog, Engine, EngineConfig, precompile_standard_stages};

/// Arguments of `sluice plugin`.
#[derive(Debug, Args)]
pub(super) struct PluginArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print what a component is: name, version, signals, capabilities and the schema of its configuration.
    #[command(after_help = "Example:\n  sluice plugin inspect plugins/filter.wasm")]
    Inspect {
        /// The component.
        file: PathBuf,
    },
    /// Write what a component says about itself into a section of it, where tools read it without running code.
    #[command(
        after_help = "Example:\n  sluice plugin pack target/wasm32-wasip2/release/status_class.wasm --output plugins/status_class.wasm"
    )]
    Pack {
        /// The component.
        file: PathBuf,
        /// Where to write; the file itself if not given.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Compile the built-in stages to <directory>/<stage>.cwasm, for a build with SLUICE_PRECOMPILED_DIR.
    Precompile {
        /// Where to write.
        #[arg(long, value_name = "DIRECTORY")]
        output: PathBuf,
    },
}

/// Does what the arguments say and gives what to print.
pub(super) fn run(arguments: &PluginArgs) -> Result<String, String> {
    let engine = Engine::new(EngineConfig::default()).map_err(|error| error.to_string())?;
    match &arguments.command {
        Command::Inspect { file } => inspect(engine, file),
        Command::Pack { file, output } => pack(engine, file, output.as_deref().unwrap_or(file)),
        Command::Precompile { output } => precompile(&engine, output),
    }
}

fn inspect(engine: Engine, file: &Path) -> Result<String, String> {
    let inspected = Catalog::new(engine, None).inspect(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut page = inspected.descriptor.to_json();
    page["capabilities"] = serde_json::json!(inspected.capabilities);
    page["sha256"] = inspected.digest.to_string().into();
    page["size_bytes"] = inspected.size_bytes.into();
    page["known_from"] = if inspected.is_read { "its section, no code was run" } else { "running describe" }.into();
    serde_json::to_string_pretty(&page).map(|page| page + "\n").map_err(|error| error.to_string())
}

fn pack(engine: Engine, file: &Path, output: &Path) -> Result<String, String> {
    let said = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let packed = Catalog::new(engine, None).pack(file).map_err(|error| said(file, &error))?;
    let name = output.file_name().ok_or_else(|| said(output, &"not the name of a file"))?;
    // Whoever watches the directory sees the whole file or none; names with a dot are nobody's plugin.
    let half = output.with_file_name(format!(".{}.new", name.to_string_lossy()));
    let written = std::fs::write(&half, &packed).and_then(|()| std::fs::rename(&half, output));
    written.map_err(|error| said(output, &error))?;
    Ok(format!("{} ({} bytes)\n", output.display(), packed.len()))
}

fn precompile(engine: &Engine, output: &Path) -> Result<String, String> {
    let mut printed = String::new();
    for stage in precompile_standard_stages(engine)? {
        let path = output.join(format!("{}.cwasm", stage.name));
        write_if_changed(&path.with_extension("wasm"), stage.component)?;
        write_if_changed(&path, &stage.code)?;
        printed.push_str(&format!("{} ({} bytes)\n", path.display(), stage.code.len()));
    }
    Ok(printed)
}

/// A file that stays as it is does not make the next build build anything.
fn write_if_changed(path: &Path, content: &[u8]) -> Result<(), String> {
    if std::fs::read(path).is_ok_and(|before| before == content) {
        return Ok(());
    }
    std::fs::write(path, content).map_err(|error| format!("{}: {error}", path.display()))
}
