//! What wit-bindgen makes of the contract; natively only the types of it are used.

wit_bindgen::generate!({
    path: "../../wit/v0.1",
    world: "plugin",
    additional_derives: [PartialEq],
    pub_export_macro: true,
    runtime_path: "::sluice_sdk::__private::rt",
});
