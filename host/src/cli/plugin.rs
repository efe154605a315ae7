//! `sluice plugin`: looks at a component, and compiles the standard stages ahead of time.

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
        Command::Precompile { output } => precompile(&engine, output),
    }
}

fn inspect(engine: Engine, file: &Path) -> Result<String, String> {
    let plugin = Catalog::new(engine, None).open(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let descriptor = plugin.descriptor();
    let page = serde_json::json!({
        "name": descriptor.name,
        "aliases": descriptor.aliases,
        "version": descriptor.version,
        "description": descriptor.description,
        "signals": descriptor.signals.iter().map(|signal| signal.name()).collect::<Vec<_>>(),
        "capabilities": plugin.capabilities(),
        "sha256": plugin.digest().to_string(),
        "size_bytes": plugin.size_bytes(),
        "config_schema": descriptor.config_schema,
    });
    serde_json::to_string_pretty(&page).map(|page| page + "\n").map_err(|error| error.to_string())
}

fn precompile(engine: &Engine, output: &Path) -> Result<String, String> {
    let mut printed = String::new();
    for (name, code) in precompile_standard_stages(engine)? {
        let path = output.join(format!("{name}.cwasm"));
        std::fs::write(&path, &code).map_err(|error| format!("{}: {error}", path.display()))?;
        printed.push_str(&format!("{} ({} bytes)\n", path.display(), code.len()));
    }
    Ok(printed)
}
