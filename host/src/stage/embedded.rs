//! The standard stages that this executable carries; `build.rs` makes the list.

use std::sync::Arc;

use super::code_cache::Digest;
use super::component::{LoadError, Origin, Plugin};
use super::engine::Engine;

/// A plugin inside the executable.
#[derive(Clone, Copy)]
pub(super) struct Embedded {
    /// Its component type.
    pub(super) name: &'static str,
    pub(super) component: &'static [u8],
    /// The same, compiled ahead of time.
    pub(super) code: Option<&'static [u8]>,
}

/// All of them.
pub(super) static EMBEDDED: &[Embedded] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

impl Embedded {
    /// Makes it a plugin; without compiling it, if possible.
    pub(super) fn load(&self, engine: &Engine) -> Result<Arc<Plugin>, LoadError> {
        let digest = Digest::of(self.component);
        match self.code.and_then(|code| engine.precompiled(code)) {
            Some(compiled) => {
                let size_bytes = self.component.len() as u64;
                Plugin::from_component(engine, &compiled, digest, Origin::BuiltIn, size_bytes)
            }
            None => Plugin::load(engine, self.component, digest, Origin::BuiltIn),
        }
    }
}

/// A standard stage, compiled for any machine of this architecture.
#[derive(Clone, Debug)]
pub struct Precompiled {
    /// Its component type.
    pub name: &'static str,
    /// What it was compiled from.
    pub component: &'static [u8],
    /// The machine code.
    pub code: Vec<u8>,
}

/// The standard stages in the form that `SLUICE_PRECOMPILED_DIR` takes.
///
/// # Errors
/// If one of them is no valid component, which the build would have shown.
pub fn precompile_standard_stages(engine: &Engine) -> Result<Vec<Precompiled>, String> {
    let precompile = |stage: &Embedded| {
        let Embedded { name, component, .. } = *stage;
        Ok(Precompiled { name, component, code: engine.precompile(component)? })
    };
    EMBEDDED.iter().map(precompile).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::EngineConfig;

    #[test]
    fn code_that_was_compiled_ahead_is_the_same_plugin() {
        let engine = Engine::new(EngineConfig::default()).expect("an engine");
        // One is enough: it takes seconds.
        let Some(stage) = EMBEDDED.iter().find(|stage| stage.name == "sampler") else { return };
        let code: &'static [u8] = engine.precompile(stage.component).expect("a component").leak();
        assert!(engine.precompiled(code).is_some());
        let named = |code| Embedded { code, ..*stage }.load(&engine).expect("a plugin").descriptor().name.clone();
        assert_eq!(named(Some(code)), named(None));
        assert!(engine.precompiled(b"of another engine").is_none());
    }
}
