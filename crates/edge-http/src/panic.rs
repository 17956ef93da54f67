//! What happens when a handler panics, in a build that unwinds. (In a Durable Object, over RPC, in a queue or a schedule, and in
//! a build that aborts: `js/entry.mjs`.)

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// The future panicked; message and place are in the log, by `worker`'s panic hook.
pub(crate) struct Panicked;

/// Runs a future to its end, or to its panic.
///
/// What it leaves half changed is its own: handlers share bindings and constants only, so `AssertUnwindSafe` holds. (A
/// Durable Object's memory is another matter, and `js/entry.mjs` throws it away.)
pub(crate) async fn catch_panic<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    std::future::poll_fn(move |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(_) => {
            // Still: a destructor panicked while this panic unwound. What was dropped twice then leaves the instance's table of
            // JavaScript objects wrong for everybody, and only a new instance is safe.
            #[cfg(target_arch = "wasm32")]
            if std::thread::panicking() {
                core::arch::wasm32::unreachable()
            }
            Poll::Ready(Err(Panicked))
        }
    })
    .await
}
