use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use edge_http::Invocation;
use worker::{Date, Error, Result, console_error};

use crate::domain::refresh::{Limits, Refresh, Step};

/// Something that lives elsewhere, as this isolate last saw it: Access's keys, the policy. [`Refresh`] says when it is fetched.
///
/// - No request waits for another's fetch: in workerd that one ends with its own request.
/// - Who has a value that may be used does not wait for a newer one, unless it is told that only that can help.
pub struct Fetched<T> {
    /// What it is, for the log.
    what: &'static str,
    /// Held for a moment only, never over an `await`.
    seen: Mutex<Refresh<Arc<T>>>,
}

impl<T: 'static> Fetched<T> {
    pub fn new(what: &'static str, limits: Limits) -> Arc<Self> {
        Arc::new(Self { what, seen: Mutex::new(Refresh::new(limits)) })
    }

    /// The value for a request at `now`; `missing` says that it did not find in the last one what it looks for. What can be
    /// fetched after the answer is left to the invocation.
    pub async fn get<F: Future<Output = Result<Arc<T>>> + 'static>(
        self: &Arc<Self>,
        now: Duration,
        missing: bool,
        invocation: &Invocation,
        fetch: impl FnOnce(Option<Arc<T>>) -> F,
    ) -> Result<Arc<T>> {
        let (step, known) = {
            let mut seen = self.seen();
            (seen.step(now, missing), seen.known().cloned())
        };
        match step {
            Step::Use(value) => Ok(value),
            Step::Renew(value) => {
                let (own, fetch) = (self.clone(), fetch(known));
                invocation.context().wait_until(async move { drop(own.renew(now, fetch).await) }); // a failure is in the log
                Ok(value)
            }
            Step::Fetch { instead } => self.renew(now, fetch(known)).await.or_else(|cause| instead.ok_or(cause)),
            Step::GiveUp => Err(Error::RustError(format!("{}: failed a moment ago", self.what))),
        }
    }

    async fn renew(&self, now: Duration, fetch: impl Future<Output = Result<Arc<T>>>) -> Result<Arc<T>> {
        match fetch.await {
            Ok(value) => {
                self.seen().fetched(value.clone(), now);
                Ok(value)
            }
            Err(cause) => {
                self.seen().failed(Duration::from_millis(Date::now().as_millis())); // not `now`: it may have hung for long
                console_error!("{} was not fetched: {cause}", self.what);
                Err(cause)
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, Refresh<Arc<T>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
