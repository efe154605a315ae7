//! What a walk allocates: nothing, once the buffers of its columns have grown.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use sluice_wire::{
    Columns, Encoding, Field, Intrinsic, Level, LogsWriter, Projection, Read, Signal, TableLists, TableRequest, sample,
};

/// The system's allocator, which counts for each thread how often it was asked.
struct Counting;

thread_local! {
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends may free and allocate when its locals are gone.
    let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
}

// SAFETY: it hands on to the system's allocator, which keeps what the trait asks for.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the trait's conditions, which are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `work` asks for memory.
fn allocations(work: impl FnOnce()) -> usize {
    let before = ASKED.get();
    work();
    ASKED.get() - before
}

/// A column of each encoding.
fn reads() -> Vec<Read> {
    let read = |field, encoding| Read { field, encoding };
    vec![
        read(Field::attribute(Level::Resource, "tenant"), Encoding::Dictionary),
        read(Field::attribute(Level::Record, "http.route"), Encoding::Dictionary),
        read(Field::attribute(Level::Record, "url.full"), Encoding::Text),
        read(Field::attribute(Level::Record, "user.id"), Encoding::Bytes),
        read(Field::attribute(Level::Record, "server.port"), Encoding::S64),
        read(Field::attribute(Level::Record, "server.port"), Encoding::U64),
        read(Field::attribute(Level::Record, "server.port"), Encoding::F64),
        read(Field::attribute(Level::Record, "server.port"), Encoding::Boolean),
        read(Field::attribute(Level::Record, "user.email"), Encoding::Kind),
        read(Field::intrinsic(Level::Scope, Intrinsic::Name), Encoding::Dictionary),
    ]
}

/// Log records whose bodies are maps.
fn structured(records: usize) -> Vec<u8> {
    let mut logs = LogsWriter::new();
    logs.resource_logs(|resource| {
        resource.scope_logs(|scope| {
            for index in 0..records {
                scope.log_record(|record| {
                    record.attribute("http.route", |value| value.text("/health"));
                    record.body(|value| {
                        value.map(|map| {
                            map.member("index", |value| value.integer(index as i64));
                            map.member("text", |value| value.text("served"));
                        });
                    });
                });
            }
        });
    });
    logs.finish()
}

#[test]
fn a_second_walk_allocates_nothing() {
    let flat = TableRequest { nested: false, ..TableRequest::ALL };
    let tables = [
        ("no table", None),
        ("entries", Some(TableRequest::ALL)),
        ("texts", Some(TableRequest { lists: TableLists::Never, body_parts: false, ..flat })),
        ("texts or entries", Some(TableRequest { lists: TableLists::StructuredBodies, ..flat })),
    ];
    let plain = |signal| sample::request(signal, 200);
    let series = [
        (Signal::Traces, vec![plain(Signal::Traces)]),
        (Signal::Metrics, vec![plain(Signal::Metrics)]),
        (Signal::Logs, vec![plain(Signal::Logs)]),
        (Signal::Logs, vec![structured(200)]),
        (Signal::Logs, vec![plain(Signal::Logs), structured(200)]),
    ];
    for (number, (signal, requests)) in series.iter().enumerate() {
        for (name, table) in &tables {
            let projection = Projection::new(*signal, &reads(), *table).unwrap();
            let mut columns = Columns::new();
            let mut extract = || allocations(|| requests.iter().for_each(|bytes| columns.extract(&projection, bytes)));
            assert!(extract() > 0, "the first walk has buffers to make");
            assert_eq!(extract(), 0, "{}, series {number}, {name}", signal.name());
            assert_eq!(columns.rows(), 200);
        }
    }
}
