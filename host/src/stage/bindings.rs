//! The plugin contract as wasmtime's bindings; lists go to the guest as slices, without a copy on this side.

wasmtime::component::bindgen!({
    path: "../wit/v0.1",
    world: "plugin",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: { default: trappable },
});
