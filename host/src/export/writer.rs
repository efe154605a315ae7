//! What is written to on a thread of its own: a pipe that nobody reads must not hold the threads of all others.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::blocking::blocking;

/// Files and the like, written to by one at a time. The others wait without a thread, of which there are few.
#[derive(Debug)]
pub(crate) struct Writer<T>(Arc<Mutex<T>>);

impl<T: Send + 'static> Writer<T> {
    pub(crate) fn new(target: T) -> Self {
        Self(Arc::new(Mutex::new(target)))
    }

    /// Writes. Whoever stops waiting leaves a write that goes on, before all later ones.
    pub(crate) async fn write<R: Send + 'static>(&self, write: impl FnOnce(&mut T) -> R + Send + 'static) -> R {
        let mut target = Arc::clone(&self.0).lock_owned().await;
        blocking(move || write(&mut target)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::FutureExt;

    use super::*;

    /// On a runtime of one thread.
    #[tokio::test]
    async fn a_write_that_stands_still_holds_up_later_ones_and_nothing_else() {
        let writer = Writer::new(Vec::new());
        let (go_on, stands) = mpsc::channel::<()>();
        let first = writer.write(move |written: &mut Vec<u8>| {
            let _ = stands.recv();
            written.push(1);
        });
        assert!(Box::pin(first).now_or_never().is_none(), "given up at once");
        let mut second = Box::pin(writer.write(|written| {
            written.push(2);
            written.clone()
        }));
        assert!((&mut second).now_or_never().is_none());
        tokio::task::yield_now().await;
        drop(go_on);
        assert_eq!(second.await, [1, 2]);
    }
}
