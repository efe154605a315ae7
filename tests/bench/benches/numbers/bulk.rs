//! OTLP to `_bulk`, beside what serde_json takes to write the same documents.
//!
//! serde_json has the easier part: its documents are built before, as `Value`s, since attributes make them differ; it
//! only writes them, into a buffer that is large enough. The exporter finds the fields in OTLP, writes, and hashes each
//! document for its id.

use std::hint::black_box;

use serde_json::Value;
use sluice::config::component::{MappingMode, OpenSearchConfig};
use sluice::config::types::Url;
use sluice::export::Exporter;
use sluice::export::client::Authenticator;
use sluice::export::opensearch::OpenSearch;
use sluice::model::{Batch, Signal};

use super::{Bench, Bounds, ITEMS, item, print, time};
use sluice_bench as work;

/// Prints both times and their ratio for each schema that takes the signal.
pub(crate) fn measure(bench: &Bench, signal: Signal) {
    let modes = match signal {
        Signal::Traces => &[(MappingMode::Ss4o, "ss4o"), (MappingMode::Jaeger, "jaeger")][..],
        _ => &[(MappingMode::Ss4o, "ss4o"), (MappingMode::Ecs, "ecs")][..],
    };
    let batch = work::batch(signal, ITEMS);
    for (mode, name) in modes {
        let exporter = exporter(*mode);
        let documents = documents(&exporter, &batch);
        let mut out = Vec::with_capacity(8 << 20);
        let in_turn = bench.in_turn(
            || time(|| drop(black_box(exporter.encode(black_box(&batch), 0)))),
            || time(|| write(black_box(&documents), &mut out)),
        );
        let what = format!("{} to _bulk, {name}", item(signal));
        print(&format!("{what}: per item"), in_turn.one / ITEMS as f64, "ns", Bounds::NONE);
        print(&format!("{what}: serde_json"), in_turn.other / ITEMS as f64, "ns", Bounds::NONE);
        print(&format!("{what}: of serde_json"), in_turn.ratio, "x", Bounds::new(2.0, 2.0));
    }
}

fn exporter(mode: MappingMode) -> OpenSearch {
    let mut config = OpenSearchConfig::default();
    config.http.endpoint = Url::new("http://127.0.0.1:9200");
    config.mapping.mode = mode;
    OpenSearch::new("opensearch", &config, Authenticator::None).expect("a valid configuration")
}

/// Action and source lines of the batch, as serde_json has them.
fn documents(exporter: &OpenSearch, batch: &Batch) -> Vec<Value> {
    let encoded = exporter.encode(batch, 0);
    let bodies: Vec<u8> = encoded.requests.iter().flat_map(|request| request.body().to_vec()).collect();
    let lines = std::str::from_utf8(&bodies).expect("UTF-8").lines();
    lines.map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn write(documents: &[Value], out: &mut Vec<u8>) {
    out.clear();
    for document in documents {
        serde_json::to_writer(&mut *out, document).expect("writes to memory");
        out.push(b'\n');
    }
    black_box(&*out);
}
