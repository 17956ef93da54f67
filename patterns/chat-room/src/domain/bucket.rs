use super::moment::Moment;

/// How much is let through: `burst` at once, and `per_second` in the long run.
pub struct Rate {
    pub burst: f64,
    pub per_second: f64,
}

impl Rate {
    /// Milliseconds until an empty bucket is full: what is older need not be remembered.
    pub fn refills_in(&self) -> f64 {
        self.burst / self.per_second * 1000.0
    }
}

/// A token bucket.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    tokens: f64,
    at: Moment,
}

impl Bucket {
    pub fn full(rate: &Rate, now: Moment) -> Self {
        Self { tokens: rate.burst, at: now }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// How many milliseconds it takes until there is one.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a second")]
    pub fn take(&mut self, rate: &Rate, now: Moment) -> Result<(), u64> {
        let seconds = f64::from(u32::try_from(now.since(self.at)).unwrap_or(u32::MAX)) / 1000.0;
        self.tokens = (self.tokens + seconds * rate.per_second).min(rate.burst);
        self.at = now;
        if self.tokens < 1.0 {
            return Err(((1.0 - self.tokens) / rate.per_second * 1000.0).ceil() as u64);
        }
        self.tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3.0, per_second: 2.0 };

    fn taken(bucket: &mut Bucket, at: u64) -> Result<(), u64> {
        bucket.take(&RATE, Moment::from_millis(at))
    }

    #[test]
    fn a_burst_passes_and_then_as_many_as_flow_in() {
        let mut bucket = Bucket::full(&RATE, Moment::from_millis(0));
        assert_eq!([0; 4].map(|at| taken(&mut bucket, at)), [Ok(()), Ok(()), Ok(()), Err(500)]);
        assert_eq!(taken(&mut bucket, 250), Err(250));
        assert_eq!(taken(&mut bucket, 500), Ok(()));
        assert_eq!(taken(&mut bucket, 500), Err(500));
    }

    #[test]
    fn who_waited_for_long_has_a_burst_again_and_no_more() {
        let mut bucket = Bucket::full(&RATE, Moment::from_millis(0));
        let passed = [u64::MAX / 2; 5].map(|at| taken(&mut bucket, at).is_ok());
        assert_eq!(passed, [true, true, true, false, false]);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let mut bucket = Bucket::full(&RATE, Moment::from_millis(10_000));
        let passed = [10_000, 9_000, 8_000, 7_000].map(|at| taken(&mut bucket, at).is_ok());
        assert_eq!(passed, [true, true, true, false]);
    }
}
