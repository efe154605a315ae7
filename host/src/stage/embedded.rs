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
pub(super) const EMBEDDED: &[Embedded] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

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
