//! Work that takes long on a thread which others wait for.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Does work that takes long, if the runtime has other threads for what else there is to do.
pub(crate) fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
