//! The WASI imports that standard libraries list whether they use them or not: fixed, harmless answers, else a trap.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType};
use wasmtime::{Result, StoreContextMut, bail};

use super::guest::Guest;

/// Packages that a standard library drags in. Whoever lists others wants something that a plugin can't have.
const PACKAGES: [&str; 5] = ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:io", "wasi:random"];
/// The same on every machine, so that a plugin's maps iterate in the same order everywhere.
const INSECURE_SEED: (u64, u64) = (0x5317_1c3a_9e1d_7a05, 0x0b6f_24d1_55e8_93c7);
/// What an output stream takes in one go.
const STREAM_BYTES: u64 = 4_096;

// Resources of WASI that a guest can hold a handle of. There is nothing behind them.
struct InputStream;
struct OutputStream;
struct Failure;
struct Terminal;
struct Descriptor;
struct Other;

/// What stands where a stream does not work.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    #[allow(dead_code)]
    LastOperationFailed(Resource<Failure>),
    #[component(name = "closed")]
    Closed,
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

/// Whether this is the name of an interface that `link` can answer for.
pub(super) fn is_answered(interface: &str) -> bool {
    interface.split_once('/').is_some_and(|(package, _)| PACKAGES.contains(&package))
}

/// Answers all WASI imports of a component.
pub(super) fn link(linker: &mut Linker<Guest>, component: &Component) -> Result<()> {
    let engine = linker.engine().clone();
    for (name, item) in component.component_type().imports(&engine) {
        let ComponentItem::ComponentInstance(instance) = item.ty else { continue };
        if !is_answered(name) {
            continue;
        }
        let interface = name.split_once('@').map_or(name, |(interface, _)| interface);
        let mut linked = linker.instance(name)?;
        for (member, item) in instance.exports(&engine) {
            match item.ty {
                ComponentItem::Resource(_) => linked.resource(member, resource(member), |_, _| Ok(()))?,
                ComponentItem::ComponentFunc(_) => function(&mut linked, interface, member)?,
                _ => {}
            }
        }
    }
    Ok(())
}

fn resource(name: &str) -> ResourceType {
    match name {
        "input-stream" => ResourceType::host::<InputStream>(),
        "output-stream" => ResourceType::host::<OutputStream>(),
        "error" => ResourceType::host::<Failure>(),
        "terminal-input" | "terminal-output" => ResourceType::host::<Terminal>(),
        "descriptor" => ResourceType::host::<Descriptor>(),
        _ => ResourceType::host::<Other>(),
    }
}

type Store<'a> = StoreContextMut<'a, Guest>;

fn function(linked: &mut LinkerInstance<'_, Guest>, interface: &str, name: &str) -> Result<()> {
    match (interface, name) {
        ("wasi:cli/environment", "get-environment") => {
            linked.func_wrap(name, |_: Store<'_>, ()| Ok((Vec::<(String, String)>::new(),)))
        }
        ("wasi:cli/environment", "get-arguments") => {
            linked.func_wrap(name, |_: Store<'_>, ()| Ok((Vec::<String>::new(),)))
        }
        ("wasi:cli/environment", "initial-cwd") => linked.func_wrap(name, |_: Store<'_>, ()| Ok((None::<String>,))),
        ("wasi:cli/stdin", "get-stdin") => {
            linked.func_wrap(name, |_: Store<'_>, ()| Ok((Resource::<InputStream>::new_own(0),)))
        }
        ("wasi:cli/stdout" | "wasi:cli/stderr", "get-stdout" | "get-stderr") => {
            linked.func_wrap(name, |_: Store<'_>, ()| Ok((Resource::<OutputStream>::new_own(1),)))
        }
        ("wasi:cli/terminal-stdin" | "wasi:cli/terminal-stdout" | "wasi:cli/terminal-stderr", _) => {
            linked.func_wrap(name, |_: Store<'_>, ()| Ok((None::<Resource<Terminal>>,)))
        }
        ("wasi:random/insecure-seed", _) => linked.func_wrap(name, |_: Store<'_>, ()| Ok((INSECURE_SEED,))),
        ("wasi:filesystem/preopens", "get-directories") => {
            linked.func_wrap(name, |_: Store<'_>, ()| Ok((Vec::<(Resource<Descriptor>, String)>::new(),)))
        }
        ("wasi:clocks/monotonic-clock" | "wasi:clocks/wall-clock", "now" | "resolution") => {
            clock(linked, interface, name)
        }
        ("wasi:io/streams", _) => stream(linked, name),
        _ => trap(linked, interface, name),
    }
}

/// The clocks show when the batch was received.
fn clock(linked: &mut LinkerInstance<'_, Guest>, interface: &str, name: &str) -> Result<()> {
    let datetime =
        |nanos: u64| Datetime { seconds: nanos / 1_000_000_000, nanoseconds: (nanos % 1_000_000_000) as u32 };
    match (interface, name) {
        ("wasi:clocks/wall-clock", "now") => {
            linked.func_wrap(name, move |store: Store<'_>, ()| Ok((datetime(store.data().now_unix_nano),)))
        }
        ("wasi:clocks/wall-clock", _) => linked.func_wrap(name, move |_: Store<'_>, ()| Ok((datetime(1),))),
        (_, "now") => linked.func_wrap(name, |store: Store<'_>, ()| Ok((store.data().now_unix_nano,))),
        _ => linked.func_wrap(name, |_: Store<'_>, ()| Ok((1_u64,))),
    }
}

/// Nothing comes in; what goes out stands in the log.
fn stream(linked: &mut LinkerInstance<'_, Guest>, name: &str) -> Result<()> {
    type Out = Resource<OutputStream>;
    match name {
        "[method]output-stream.check-write" => {
            linked.func_wrap(name, |_: Store<'_>, (_,): (Out,)| Ok((Ok::<u64, StreamError>(STREAM_BYTES),)))
        }
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => {
            linked.func_wrap(name, |mut store: Store<'_>, (_, bytes): (Out, Vec<u8>)| {
                store.data_mut().stdio(&bytes);
                Ok((Ok::<(), StreamError>(()),))
            })
        }
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => {
            linked.func_wrap(name, |_: Store<'_>, (_,): (Out,)| Ok((Ok::<(), StreamError>(()),)))
        }
        "[method]input-stream.read" | "[method]input-stream.blocking-read" => {
            linked.func_wrap(name, |_: Store<'_>, (_, _): (Resource<InputStream>, u64)| {
                Ok((Err::<Vec<u8>, StreamError>(StreamError::Closed),))
            })
        }
        _ => trap(linked, "wasi:io/streams", name),
    }
}

fn trap(linked: &mut LinkerInstance<'_, Guest>, interface: &str, name: &str) -> Result<()> {
    let called = format!("{interface} {name}");
    linked.func_new(name, move |_, _, _, _| bail!("the plugin called {called}, which no plugin can use"))
}
