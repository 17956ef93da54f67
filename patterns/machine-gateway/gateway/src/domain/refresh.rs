use std::time::Duration;

/// How long a value may be used, and how often it is asked for.
pub struct Limits {
    /// Younger than this, the value is used and nothing else happens.
    pub fresh: Duration,
    /// Older than this it is not believed, whatever happened to the attempts at renewing it.
    pub max_age: Duration,
    /// Nothing is a reason to ask again sooner than this after the last time, while there is a value to use.
    pub min_interval: Duration,
    /// Without a value each request asks, some dozens in this time, unless an attempt failed this shortly ago.
    pub backoff: Duration,
}

/// How many requests fetch in the time of one backoff while there is no value.
const MAX_BURST: u32 = 32;

/// What this isolate knows of a value `T` that lives elsewhere, and when to ask for it again. Times are of the Unix epoch.
///
/// Whoever is told to fetch does so by himself: in workerd a fetch ends with the request that began it, so nobody can wait
/// for another's.
pub struct Refresh<T> {
    limits: Limits,
    /// The value, and when the fetch that brought it was begun: it may have changed right after.
    known: Option<(T, Duration)>,
    /// When the fetch was begun that keeps others from beginning one for `min_interval`.
    begun: Duration,
    failed: Option<Duration>,
    /// Since when requests without a value were counted, and how many there were.
    burst: (Duration, u32),
}

/// What a request does for its value. After a fetch it tells [`Refresh::fetched`] or [`Refresh::failed`].
#[derive(Debug, PartialEq)]
pub enum Step<T> {
    Use(T),
    /// Use this one now, and fetch a newer one in the background.
    Renew(T),
    /// Fetch, and wait for it; when it fails, `instead` will do, if there is one.
    Fetch {
        instead: Option<T>,
    },
    GiveUp,
}

impl<T: Clone> Refresh<T> {
    pub const fn new(limits: Limits) -> Self {
        Self { limits, known: None, begun: Duration::ZERO, failed: None, burst: (Duration::ZERO, 0) }
    }

    /// What a request at `now` does; `missing` says that it did not find in the value at hand what it needs, so that only a
    /// newer one can help it.
    pub fn step(&mut self, now: Duration, missing: bool) -> Step<T> {
        let within = |time: Duration, since: Duration| now.saturating_sub(since) < time;
        match &self.known {
            Some((value, at)) if within(self.limits.max_age, *at) => {
                let value = value.clone();
                if (!missing && within(self.limits.fresh, *at)) || within(self.limits.min_interval, self.begun) {
                    return Step::Use(value);
                }
                self.begun = now;
                if missing { Step::Fetch { instead: Some(value) } } else { Step::Renew(value) }
            }
            _ if self.failed.is_some_and(|at| within(self.limits.backoff, at)) => Step::GiveUp,
            // Several at once when the isolate is new, but not as many as strangers like.
            _ => {
                if !within(self.limits.backoff, self.burst.0) {
                    self.burst = (now, 0);
                }
                self.burst.1 += 1;
                if self.burst.1 > MAX_BURST { Step::GiveUp } else { Step::Fetch { instead: None } }
            }
        }
    }

    /// The value at hand, of whatever age.
    pub fn known(&self) -> Option<&T> {
        self.known.as_ref().map(|(value, _)| value)
    }

    /// Takes the answer to a fetch that was begun at `begun`. One that was overtaken by a later fetch is dropped: it may hold
    /// what has been revoked meanwhile.
    pub fn fetched(&mut self, value: T, begun: Duration) {
        if self.known.as_ref().is_none_or(|(_, at)| *at <= begun) {
            self.known = Some((value, begun));
            self.begun = self.begun.max(begun);
            self.failed = None;
        }
    }

    /// A fetch failed at `now`.
    pub fn failed(&mut self, now: Duration) {
        self.failed = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_hours(500_000);
    const FRESH: Duration = Duration::from_hours(1);
    const MAX_AGE: Duration = Duration::from_hours(24);
    const MIN_INTERVAL: Duration = Duration::from_mins(1);
    const BACKOFF: Duration = Duration::from_secs(1);

    fn without() -> Refresh<u8> {
        Refresh::new(Limits { fresh: FRESH, max_age: MAX_AGE, min_interval: MIN_INTERVAL, backoff: BACKOFF })
    }

    fn with_value() -> Refresh<u8> {
        let mut refresh = without();
        refresh.fetched(7, START);
        refresh
    }

    fn at(refresh: &mut Refresh<u8>, after: Duration, missing: bool) -> Step<u8> {
        refresh.step(START + after, missing)
    }

    #[test]
    fn a_value_is_used_while_it_is_fresh_and_then_renewed_by_one_request_a_minute_that_does_not_wait() {
        let mut refresh = with_value();
        assert_eq!(at(&mut refresh, Duration::from_mins(59), false), Step::Use(7));
        assert_eq!(at(&mut refresh, FRESH, false), Step::Renew(7));
        assert_eq!(at(&mut refresh, FRESH, false), Step::Use(7));
        refresh.failed(START + FRESH + BACKOFF);
        assert_eq!(at(&mut refresh, FRESH + BACKOFF, false), Step::Use(7), "a failure is no reason to give up");
        assert_eq!(at(&mut refresh, FRESH + MIN_INTERVAL, false), Step::Renew(7));
    }

    #[test]
    fn what_is_missing_is_a_reason_to_fetch_and_wait_once_a_minute() {
        let mut refresh = with_value();
        assert_eq!(at(&mut refresh, Duration::ZERO, true), Step::Use(7));
        assert_eq!(at(&mut refresh, MIN_INTERVAL, true), Step::Fetch { instead: Some(7) });
        assert_eq!(at(&mut refresh, MIN_INTERVAL, true), Step::Use(7));
        assert_eq!(at(&mut refresh, FRESH, true), Step::Fetch { instead: Some(7) });
        assert_eq!(at(&mut refresh, FRESH, false), Step::Use(7), "it is being fetched");
    }

    #[test]
    fn a_value_that_could_not_be_renewed_until_its_age_is_not_believed() {
        let mut refresh = with_value();
        refresh.failed(START + FRESH);
        assert_eq!(at(&mut refresh, MAX_AGE, false), Step::Fetch { instead: None });
        refresh.failed(START + MAX_AGE);
        assert_eq!(at(&mut refresh, MAX_AGE, false), Step::GiveUp);
    }

    #[test]
    fn without_a_value_every_request_fetches_but_not_right_after_a_failure() {
        let mut refresh = without();
        assert_eq!(at(&mut refresh, Duration::ZERO, false), Step::Fetch { instead: None });
        assert_eq!(at(&mut refresh, Duration::ZERO, false), Step::Fetch { instead: None });
        refresh.failed(START);
        assert_eq!(at(&mut refresh, Duration::ZERO, false), Step::GiveUp);
        assert_eq!(at(&mut refresh, BACKOFF, false), Step::Fetch { instead: None });
    }

    #[test]
    fn an_answer_that_was_overtaken_is_dropped_and_an_age_counts_from_when_it_was_asked_for() {
        let mut refresh = with_value();
        refresh.fetched(9, START + FRESH);
        refresh.fetched(8, START + FRESH.saturating_sub(BACKOFF));
        assert_eq!(refresh.known(), Some(&9));
        assert_eq!(at(&mut refresh, FRESH + FRESH, false), Step::Renew(9));
    }

    #[test]
    fn without_a_value_a_bounded_number_of_requests_fetches_at_a_time() {
        let mut refresh = without();
        let mut fetches = |after| (0..1_000).filter(|_| at(&mut refresh, after, false) != Step::GiveUp).count();
        assert_eq!(fetches(Duration::ZERO), MAX_BURST as usize);
        assert_eq!(fetches(BACKOFF / 2), 0);
        assert_eq!(fetches(BACKOFF), MAX_BURST as usize);
    }
}
