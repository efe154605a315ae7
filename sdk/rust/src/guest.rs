//! A stage as the exports of a component.

use std::cell::RefCell;
use std::sync::Once;

use crate::batch::Batch;
use crate::bindings::sluice::plugin::types as wit;
use crate::config;
use crate::setup::Setup;
use crate::stage::Stage;

/// The stage of this instance, once it is configured.
pub struct Slot<S>(RefCell<Option<Configured<S>>>);

struct Configured<S> {
    stage: S,
    /// Whether it asked for the attribute table.
    has_table: bool,
}

impl<S: Stage> Slot<S> {
    /// Holds no stage yet.
    pub const fn empty() -> Self {
        Self(RefCell::new(None))
    }

    /// Exports `describe`.
    pub fn describe() -> wit::Descriptor {
        report_panics();
        let schema = schemars::schema_for!(S::Config);
        S::DESCRIPTOR.to_wit(schema.as_value().to_string())
    }

    /// Exports `configure`.
    pub fn configure(&self, config: &str, signal: wit::Signal) -> Result<wit::Projection, Vec<wit::ConfigError>> {
        report_panics();
        let config = config::parse::<S::Config>(config).map_err(config::ConfigErrors::into_vec)?;
        let mut setup = Setup::new(signal);
        let stage = S::configure(config, &mut setup).map_err(config::ConfigErrors::into_vec)?;
        let projection = setup.into_projection();
        self.0.replace(Some(Configured { stage, has_table: projection.table.is_some() }));
        Ok(projection)
    }

    /// Exports `process`.
    pub fn process(&self, batch: wit::Batch) -> Result<wit::Outcome, wit::Failure> {
        match self.0.borrow_mut().as_mut() {
            Some(Configured { stage, has_table }) => {
                let batch = Batch::new(batch, *has_table);
                stage.process(&batch)?.into_wit(batch.rows()).map_err(wit::Failure::error)
            }
            None => Err(wit::Failure::error("process was called before configure")),
        }
    }
}

/// Tells the host where a panic happened, right before the trap.
fn report_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let payload = info.payload();
            let message = payload.downcast_ref::<&str>().copied();
            let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic");
            let (file, line) = info.location().map_or(("", 0), |place| (place.file(), place.line()));
            crate::bindings::panicked(message, file, line);
        }));
    });
}
