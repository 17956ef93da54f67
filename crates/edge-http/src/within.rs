use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use worker::{Delay, Result};

/// The answer of `call` to another Worker, an object or a database, if it comes in `time`. Whether a call that is given up
/// took effect is not known.
///
/// # Errors
/// Those of `call`, and one that says that time is up.
pub async fn within<T>(time: Duration, call: impl Future<Output = Result<T>>) -> Result<T> {
    match select(pin!(call), pin!(Delay::from(time))).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => Err("no answer in time".into()),
    }
}
