//! Whole configurations, good and bad.
#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn smoke() {
    let yaml = "yaml:{receivers: {otlp: {protocols: {grpc: , http: {endpoint: 0.0.0.0:4318}}}}, exporters: {debug: }, service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}}";
    let config =
        load(&Sources { configs: vec![yaml.into()], sets: vec![] }, &|_| None).map_err(|e| println!("{e}")).unwrap();
    println!("{}", print(&config));
}
