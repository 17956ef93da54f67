use std::collections::BTreeMap;
use std::time::Duration;

use sha2::{Digest, Sha256};

/// What tokens proved, so that the same one is not verified again at each request: a hash of it costs some microseconds, an
/// RSA signature and two readings of JSON some ten times that.
///
/// - A token is known by the SHA-256 of all its bytes: whoever finds another of the same hash could forge signatures, too.
/// - Forgotten when the token expires. The owner drops the whole memory with the keys that proved what is in it.
/// - Only what was proven enters, so nobody without a key can fill it.
pub struct ProvenTokens<T>(BTreeMap<[u8; 32], (T, Duration)>);

impl<T> Default for ProvenTokens<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Clone> ProvenTokens<T> {
    /// Tokens that are remembered. An Access token lives for hours, and one machine uses one at a time.
    pub const MAX: usize = 1_000;

    /// What `token` proved, if it did, and is still good at `now`.
    pub fn get(&self, token: &str, now: Duration) -> Option<T> {
        let (what, until) = self.0.get(&digest(token))?;
        (now < *until).then(|| what.clone())
    }

    /// Remembers what `token` proved, until the first moment at which it is refused.
    pub fn insert(&mut self, token: &str, what: T, until: Duration) {
        // All at once: that costs each token one more verification, and no request more than its own.
        if self.0.len() >= Self::MAX {
            self.0.clear();
        }
        self.0.insert(digest(token), (what, until));
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNTIL: Duration = Duration::from_hours(500_000);

    #[test]
    fn a_token_is_remembered_until_it_expires() {
        let mut proven = ProvenTokens::default();
        assert_eq!(proven.get("token", Duration::ZERO), None);
        proven.insert("token", "acme", UNTIL);
        assert_eq!(proven.get("token", UNTIL.saturating_sub(Duration::from_nanos(1))), Some("acme"));
        assert_eq!(proven.get("token", UNTIL), None);
    }

    #[test]
    fn a_token_that_differs_anywhere_is_another() {
        let mut proven = ProvenTokens::default();
        proven.insert("header.payload.signature", "acme", UNTIL);
        for other in ["header.payload.signaturf", "Header.payload.signature", "header.payload.signature ", "", "header"]
        {
            assert_eq!(proven.get(other, Duration::ZERO), None, "{other}");
        }
    }

    #[test]
    fn it_never_holds_more_than_its_bound() {
        let mut proven = ProvenTokens::default();
        for i in 0..10 * ProvenTokens::<usize>::MAX {
            proven.insert(&i.to_string(), i, UNTIL);
            assert!(proven.0.len() <= ProvenTokens::<usize>::MAX);
            assert_eq!(proven.get(&i.to_string(), Duration::ZERO), Some(i), "the latest is always known");
        }
    }
}
