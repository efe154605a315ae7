//! Receives OTLP and prints one line per batch: `cargo run --example otlp_receiver`, then point any client at it.

use std::sync::Arc;
use std::time::Duration;

use sluice::config::component::{OtlpHttpConfig, OtlpProtocols, OtlpReceiverConfig};
use sluice::config::types::{GrpcServerConfig, ListenAddress};
use sluice::limits::Budget;
use sluice::model::{Batch, Refusal};
use sluice::receive::otlp::{Deps, Receiver, Sockets};
use sluice::receive::{BoxFuture, Consume, Counters};
use sluice::telemetry::Telemetry;

/// Prints what it gets.
struct Print;

impl Consume for Print {
    fn consume(&self, batch: Batch) -> BoxFuture<'_, Result<(), Refusal>> {
        println!("{:?}: {} items in {} bytes", batch.signal, batch.items, batch.bytes.len());
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let grpc = GrpcServerConfig { endpoint: ListenAddress::new("localhost:4317"), ..GrpcServerConfig::default() };
    let protocols = OtlpProtocols { grpc: Some(grpc), http: Some(OtlpHttpConfig::default()) };
    let config = OtlpReceiverConfig { protocols };
    let telemetry = Telemetry::new("example")?;
    let consumer: Arc<dyn Consume> = Arc::new(Print);
    let deps = Deps {
        budget: Budget::new(256 << 20),
        consumers: [(); 3].map(|()| Some(Arc::clone(&consumer))),
        headers: Vec::new(),
        counters: Arc::new(Counters::register(&telemetry.metrics, "otlp")),
        max_connections: 1024,
        drain: Duration::from_secs(10),
    };
    let receiver = Receiver::new(&config, Sockets::bind(&config).await?, deps)?;
    println!("listening; Ctrl-C ends it");
    let stop = async {
        // If the signal can't be watched, the process still ends by the default action.
        let _ = tokio::signal::ctrl_c().await;
    };
    receiver.serve(stop).await;
    Ok(())
}
