//! The whole receiver on loopback sockets, asked by clients of hyper.
#![allow(clippy::unwrap_used)]

mod budget;
mod grpc;
mod http;
mod kit;
mod life;
mod tls;
