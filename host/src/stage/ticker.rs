//! The clock behind deadlines: a thread that moves the engine's epoch every millisecond while plugins run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

/// The unit of deadlines.
pub(super) const TICK: Duration = Duration::from_millis(1);
/// The thread sleeps for good after so many ticks without a call, so that an idle process wakes no CPU.
const IDLE_TICKS: u32 = 250;

/// Moves the epoch of one engine; ends with it.
pub(super) struct Ticker {
    state: Arc<State>,
    thread: Thread,
}

/// The time of one call.
pub(super) struct CallGuard<'a>(&'a State);

#[derive(Default)]
struct State {
    // Orders are SeqCst: either the thread sees the call, or the call sees that the thread sleeps.
    calls: AtomicUsize,
    asleep: AtomicBool,
    ended: AtomicBool,
}

impl Ticker {
    /// Starts the thread.
    pub(super) fn start(engine: &wasmtime::Engine) -> std::io::Result<Self> {
        let state = Arc::new(State::default());
        let (engine, seen) = (engine.weak(), Arc::clone(&state));
        let thread = thread::Builder::new().name("plugin-epoch".into()).spawn(move || tick(&engine, &seen))?;
        Ok(Self { state, thread: thread.thread().clone() })
    }

    /// Keeps the epoch going until the guard is dropped.
    pub(super) fn enter(&self) -> CallGuard<'_> {
        self.state.calls.fetch_add(1, Ordering::SeqCst);
        if self.state.asleep.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        CallGuard(&self.state)
    }
}

impl Drop for CallGuard<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

fn tick(engine: &wasmtime::EngineWeak, state: &State) {
    let mut idle = 0;
    while !state.ended.load(Ordering::SeqCst) {
        thread::sleep(TICK);
        let Some(engine) = engine.upgrade() else { return };
        engine.increment_epoch();
        drop(engine);
        idle = if state.calls.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
        if idle >= IDLE_TICKS {
            sleep_until_called(state);
            idle = 0;
        }
    }
}

fn sleep_until_called(state: &State) {
    state.asleep.store(true, Ordering::SeqCst);
    while state.calls.load(Ordering::SeqCst) == 0 && !state.ended.load(Ordering::SeqCst) {
        thread::park();
    }
    state.asleep.store(false, Ordering::SeqCst);
}
