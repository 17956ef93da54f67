use std::time::Duration;

use edge_http::within;
use worker::RateLimiter;

use crate::domain::principals::Principal;
use crate::error::Error;

/// Seconds of the window that `wrangler.toml` sets, for `Retry-After`.
pub const PERIOD: &str = "10";

/// How long the count is waited for; it is kept near.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How often one machine may call. Cloudflare counts for each of its locations, and approximately: it keeps a caller that has
/// lost its mind from the Workers behind, it is no quota.
pub struct Limiter(pub RateLimiter);

impl Limiter {
    pub async fn admit(&self, principal: &Principal) -> Result<(), Error> {
        match within(TIMEOUT, self.0.limit(principal.id.as_str().to_owned())).await {
            Ok(outcome) if outcome.success => Ok(()),
            Ok(_) => Err(Error::TooMany),
            Err(cause) => Err(Error::Undecided(cause)),
        }
    }
}
