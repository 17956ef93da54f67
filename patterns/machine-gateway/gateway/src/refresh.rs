//! When the team's keys are fetched: plain Rust, time passed in.

use std::time::Duration;

/// Access rotates its keys every six weeks and signs with the new one at once.
const FRESH: Duration = Duration::from_hours(1);
/// While the key server does not answer, old keys are as good as they were: Access lets them verify for a week.
const MAX_AGE: Duration = Duration::from_hours(24);
/// Anybody can send a token with an unknown key, so that is a reason to ask again no more often than this.
const MIN_INTERVAL: Duration = Duration::from_mins(1);
/// Without any keys each request fetches, unless a fetch failed this shortly ago.
const BACKOFF: Duration = Duration::from_secs(1);

/// What is known of some keys `K`, and when it was learned. Times are of the Unix epoch.
pub struct Refresh<K> {
    /// The keys, and when they were fetched.
    known: Option<(K, Duration)>,
    /// When a fetch was begun for which others did not: one is enough.
    begun: Duration,
    failed: Option<Duration>,
}

#[derive(Debug, PartialEq)]
pub enum Step<K> {
    Use(K),
    /// Fetch, and tell [`Refresh::fetched`] or [`Refresh::failed`]; when it fails, these will do.
    Fetch {
        instead: Option<K>,
    },
    GiveUp,
}

impl<K> Default for Refresh<K> {
    fn default() -> Self {
        Self { known: None, begun: Duration::ZERO, failed: None }
    }
}

impl<K: Clone> Refresh<K> {
    /// What a request at `now` does for its keys; `unknown` says that the token's key is not among those at hand.
    pub fn step(&mut self, now: Duration, unknown: bool) -> Step<K> {
        let within = |time: Duration, since: Duration| now.saturating_sub(since) < time;
        match &self.known {
            Some((keys, at)) if within(MAX_AGE, *at) => {
                if (unknown || !within(FRESH, *at)) && !within(MIN_INTERVAL, self.begun) {
                    self.begun = now;
                    return Step::Fetch { instead: Some(keys.clone()) };
                }
                Step::Use(keys.clone())
            }
            // Several at once when the isolate is new: nobody can wait for another request's fetch.
            _ if self.failed.is_some_and(|at| within(BACKOFF, at)) => Step::GiveUp,
            _ => Step::Fetch { instead: None },
        }
    }

    pub fn fetched(&mut self, keys: K, now: Duration) {
        *self = Self { known: Some((keys, now)), begun: now, failed: None };
    }

    pub fn failed(&mut self, now: Duration) {
        self.failed = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_hours(500_000);

    fn at(refresh: &mut Refresh<u8>, after: Duration, unknown: bool) -> Step<u8> {
        refresh.step(START + after, unknown)
    }

    fn with_keys() -> Refresh<u8> {
        let mut refresh = Refresh::default();
        refresh.fetched(7, START);
        refresh
    }

    #[test]
    fn keys_are_used_for_an_hour_and_then_fetched_by_one_request_a_minute() {
        let mut refresh = with_keys();
        assert_eq!(at(&mut refresh, Duration::from_mins(59), false), Step::Use(7));
        assert_eq!(at(&mut refresh, FRESH, false), Step::Fetch { instead: Some(7) });
        assert_eq!(at(&mut refresh, FRESH, false), Step::Use(7));
        assert_eq!(at(&mut refresh, FRESH + MIN_INTERVAL, false), Step::Fetch { instead: Some(7) });
    }

    #[test]
    fn an_unknown_key_is_a_reason_to_fetch_once_a_minute() {
        let mut refresh = with_keys();
        assert_eq!(at(&mut refresh, Duration::ZERO, true), Step::Use(7));
        assert_eq!(at(&mut refresh, MIN_INTERVAL, true), Step::Fetch { instead: Some(7) });
        assert_eq!(at(&mut refresh, MIN_INTERVAL, true), Step::Use(7));
    }

    #[test]
    fn keys_that_could_not_be_renewed_for_a_day_are_not_believed() {
        let mut refresh = with_keys();
        refresh.failed(START + FRESH);
        assert_eq!(at(&mut refresh, MAX_AGE, false), Step::Fetch { instead: None });
    }

    #[test]
    fn without_keys_every_request_fetches_but_not_right_after_a_failure() {
        let mut refresh = Refresh::<u8>::default();
        assert_eq!(at(&mut refresh, Duration::ZERO, false), Step::Fetch { instead: None });
        assert_eq!(at(&mut refresh, Duration::ZERO, false), Step::Fetch { instead: None });
        refresh.failed(START);
        assert_eq!(at(&mut refresh, Duration::ZERO, false), Step::GiveUp);
        assert_eq!(at(&mut refresh, BACKOFF, false), Step::Fetch { instead: None });
    }
}
