//! Work on threads that nothing else waits for.

use std::panic::resume_unwind;

use tokio::task::spawn_blocking;

/// Does work on a thread of its own. Whoever stops waiting leaves work that goes on.
pub(super) async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime ends, and with it whoever waits here.
            Err(_) => std::future::pending().await,
        },
    }
}
