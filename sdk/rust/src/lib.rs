//! The Rust SDK for Sluice plugins.
//!
//! A plugin is one struct, its configuration type, and one `process` over typed columns. It builds for
//! `wasm32-wasip2` as a component, and natively for its tests.
//!
//! ```
//! use sluice_sdk::{Batch, Bitmap, ConfigErrors, Descriptor, Dictionary, Failure, Field, Outcome, Setup, Stage};
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct Config {
//!     /// Routes whose rows are dropped.
//!     routes: Vec<String>,
//! }
//!
//! struct DropRoutes {
//!     routes: Vec<String>,
//!     route: Dictionary,
//! }
//!
//! impl Stage for DropRoutes {
//!     type Config = Config;
//!     const DESCRIPTOR: Descriptor = Descriptor::new("drop_routes").description("Drops rows by their route.");
//!
//!     fn configure(config: Config, setup: &mut Setup) -> Result<Self, ConfigErrors> {
//!         Ok(Self { routes: config.routes, route: setup.dictionary(Field::record("http.route")) })
//!     }
//!
//!     fn process(&mut self, batch: &Batch) -> Result<Outcome, Failure> {
//!         let routes = batch.dictionary(self.route);
//!         let dropped: Vec<bool> = routes.texts().iter().map(|route| self.routes.iter().any(|r| r == route)).collect();
//!         let mut outcome = Outcome::unchanged();
//!         outcome.keep(Bitmap::from_fn(batch.rows(), |row| match routes.code(row) {
//!             0 => true,
//!             code => !dropped[code as usize - 1],
//!         }));
//!         Ok(outcome)
//!     }
//! }
//!
//! sluice_sdk::export!(DropRoutes);
//! # fn main() {}
//! ```

// The generated bindings name this crate in the way in which a plugin's crate does.
extern crate self as sluice_sdk;

mod batch;
#[allow(missing_docs, unreachable_pub, clippy::too_many_arguments, clippy::unwrap_used)]
mod bindings;
mod bitmap;
mod config;
mod descriptor;
mod field;
pub mod go_pattern;
#[cfg(target_family = "wasm")]
mod guest;
mod host;
mod outcome;
mod pattern;
mod setup;
mod stage;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod texts;

pub use batch::Batch;
pub use batch::columns::{
    BooleanColumn, BytesColumn, DictionaryColumn, F64Column, KindColumn, S64Column, TextColumn, U64Column, ValueKind,
};
pub use batch::table::{Owner, Table};
pub use bitmap::Bitmap;
pub use config::{ConfigError, ConfigErrors, path_key};
pub use descriptor::{Descriptor, Drops, OnError, Signal};
pub use field::{Field, Level, Selector};
pub use host::{clock, counter, key_value, log, token_bucket};
pub use outcome::{Entities, Failure, Outcome, Value, Values};
pub use pattern::{Matches, Pattern};
pub use setup::{
    Boolean, Bytes, Dictionary, Encoding, F64, Header, Kind, MAX_COLUMNS, S64, Setup, TableLists, TableRequest, Text,
    U64, Writes,
};
pub use sluice_wire::go_json;
/// What stands in the bytes of an array or a map: `AnyValue::from` reads it.
pub use sluice_wire::view::Value as AnyValue;
pub use stage::Stage;
pub use texts::{Texts, TextsView};

/// Makes a stage the exports of the component. Does nothing in a native build.
#[macro_export]
macro_rules! export {
    ($stage:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            use $crate::__private::{Guest, Slot, types};

            struct Component;

            ::std::thread_local! {
                static SLOT: Slot<$stage> = const { Slot::empty() };
            }

            impl Guest for Component {
                fn describe() -> types::Descriptor {
                    Slot::<$stage>::describe()
                }

                fn configure(
                    config: ::std::string::String,
                    signal: types::Signal,
                ) -> ::std::result::Result<types::Projection, ::std::vec::Vec<types::ConfigError>> {
                    SLOT.with(|slot| slot.configure(&config, signal))
                }

                fn process(batch: types::Batch) -> ::std::result::Result<types::Outcome, types::Failure> {
                    SLOT.with(|slot| slot.process(batch))
                }
            }

    $crate::__private::bindings::export!(Component with_types_in $crate::__private::bindings);
        };
    };
}

/// For the macros only.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_family = "wasm")]
    pub use crate::bindings::{Guest, sluice::plugin::types};
    #[cfg(target_family = "wasm")]
    pub use crate::guest::Slot;
    pub use wit_bindgen::rt;
    #[cfg(target_family = "wasm")]
    pub mod bindings {
        //! The generated bindings.
        pub use crate::bindings::*;
    }
}
