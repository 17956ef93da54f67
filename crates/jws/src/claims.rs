use crate::Refused;
use serde::Deserialize;
use std::time::Duration;

/// How far the issuer's clock and ours may differ. Both are kept by NTP, and RFC 7519 section 4.1.4 allows "usually no more
/// than a few minutes"; one is plenty, and a token outlives its `exp` by no more.
pub const LEEWAY: Duration = Duration::from_mins(1);

/// The registered claims that are looked at (RFC 7519 section 4.1). Absent and `null` are the same; a member that comes
/// twice is refused.
#[derive(Deserialize)]
pub struct Claims {
    iss: String,
    aud: OneOrMany,
    exp: NumericDate,
    nbf: Option<NumericDate>,
    iat: Option<NumericDate>,
}

/// Seconds since 1970, perhaps with a fraction (RFC 7519 section 2). As `f64` no sum overflows; JSON knows no NaN.
type NumericDate = f64;

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Claims {
    /// Whether this is a token of `issuer` for `audience`, at this time, and until when it remains one: `exp` and the
    /// [`LEEWAY`]. Times are since the Unix epoch; from the returned one on, the token is refused.
    ///
    /// # Errors
    /// [`Refused::Issuer`], [`Refused::Audience`], [`Refused::Expired`] or [`Refused::NotYetValid`].
    pub fn check(&self, issuer: &str, audience: &str, now: Duration) -> Result<Duration, Refused> {
        if self.iss != issuer {
            return Err(Refused::Issuer);
        }
        if !match &self.aud {
            OneOrMany::One(aud) => aud == audience,
            OneOrMany::Many(auds) => auds.iter().any(|aud| aud == audience),
        } {
            return Err(Refused::Audience);
        }
        // One value decides and is given back, so that no rounding can come between the two.
        let until = since_epoch(self.exp + LEEWAY.as_secs_f64());
        if now >= until {
            return Err(Refused::Expired);
        }
        let latest = now.as_secs_f64() + LEEWAY.as_secs_f64();
        if [self.nbf, self.iat].into_iter().flatten().any(|start| start > latest) {
            return Err(Refused::NotYetValid);
        }
        Ok(until)
    }

    /// Seconds from `iat` to `exp`: how long the issuer meant the token to live. None without `iat`.
    pub fn lifetime(&self) -> Option<f64> {
        self.iat.map(|iat| self.exp - iat)
    }
}

/// Dates outside of what a [`Duration`] holds become its ends.
fn since_epoch(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object;
    use serde_json::{Value, json};

    const NOW: u64 = 1_800_000_000;

    fn until(json: &str) -> Result<Duration, Refused> {
        object::<Claims>(json.as_bytes())?.check("https://team.cloudflareaccess.com", "aud", Duration::from_secs(NOW))
    }

    fn check_json(json: &str) -> Result<(), Refused> {
        until(json).map(|_| ())
    }

    fn check(member: &str, value: Value) -> Result<(), Refused> {
        let mut claims = json!({"iss": "https://team.cloudflareaccess.com", "aud": ["aud"], "exp": NOW + 100});
        claims[member] = value;
        check_json(&claims.to_string())
    }

    #[test]
    fn the_issuer_is_compared_byte_for_byte() {
        assert_eq!(check("iss", json!("https://team.cloudflareaccess.com")), Ok(()));
        for iss in [
            "https://team.cloudflareaccess.com/",
            "https://TEAM.cloudflareaccess.com",
            "http://team.cloudflareaccess.com",
            "https://other.cloudflareaccess.com",
            "team.cloudflareaccess.com",
            "",
        ] {
            assert_eq!(check("iss", json!(iss)), Err(Refused::Issuer), "{iss}");
        }
        assert_eq!(check("iss", json!(["https://team.cloudflareaccess.com"])), Err(Refused::Malformed));
    }

    #[test]
    fn the_audience_is_one_string_or_one_of_several() {
        assert_eq!(check("aud", json!("aud")), Ok(()));
        assert_eq!(check("aud", json!(["other", "aud"])), Ok(()));
        for aud in [json!([]), json!(""), json!("au"), json!(["AUD"]), json!(["aud "])] {
            assert_eq!(check("aud", aud.clone()), Err(Refused::Audience), "{aud}");
        }
        for aud in [json!(null), json!(1), json!({"aud": "aud"}), json!(["aud", 1])] {
            assert_eq!(check("aud", aud.clone()), Err(Refused::Malformed), "{aud}");
        }
    }

    #[test]
    fn a_token_lives_until_exp_and_the_leeway() {
        assert_eq!(check("exp", json!(NOW - 59)), Ok(()));
        assert_eq!(check("exp", json!(NOW - 60)), Err(Refused::Expired));
        assert_eq!(check("exp", json!(1_799_999_940.5)), Ok(()));
        assert_eq!(check("exp", json!(null)), Err(Refused::Malformed));
        assert_eq!(check("exp", json!("1900000000")), Err(Refused::Malformed));
    }

    #[test]
    fn a_token_from_the_future_waits() {
        for member in ["nbf", "iat"] {
            assert_eq!(check(member, json!(NOW + 60)), Ok(()));
            assert_eq!(check(member, json!(1_800_000_060.5)), Err(Refused::NotYetValid));
            assert_eq!(check(member, json!("soon")), Err(Refused::Malformed));
        }
    }

    #[test]
    fn absurd_dates_neither_overflow_nor_panic() {
        for absurd in ["-1", "-0", "-1e308", "0", "1e-400", "-9223372036854775809"] {
            let json = format!(r#"{{"iss":"https://team.cloudflareaccess.com","aud":"aud","exp":{absurd}}}"#);
            assert_eq!(check_json(&json), Err(Refused::Expired), "{absurd}");
        }
        for absurd in ["1e308", "18446744073709551615", "99999999999999999999999999"] {
            let json =
                format!(r#"{{"iss":"https://team.cloudflareaccess.com","aud":"aud","exp":{absurd},"nbf":{absurd}}}"#);
            assert_eq!(check_json(&json), Err(Refused::NotYetValid), "{absurd}");
        }
        for no_number in ["1e400", "NaN", "Infinity", "0x10", "true", "[1]"] {
            let json = format!(r#"{{"iss":"https://team.cloudflareaccess.com","aud":"aud","exp":{no_number}}}"#);
            assert_eq!(check_json(&json), Err(Refused::Malformed), "{no_number}");
        }
    }

    #[test]
    fn a_claim_that_comes_twice_is_refused() {
        let twice = r#"{"iss":"https://team.cloudflareaccess.com","aud":"other","aud":"aud","exp":1900000000}"#;
        assert_eq!(check_json(twice), Err(Refused::Malformed));
    }

    #[test]
    fn until_is_the_first_moment_at_which_the_token_is_refused() {
        for exp in ["1800000100", "1800000000.75", "1799999940.001"] {
            let json = format!(r#"{{"iss":"https://team.cloudflareaccess.com","aud":"aud","exp":{exp}}}"#);
            let (claims, until) = (object::<Claims>(json.as_bytes()).unwrap(), until(&json).unwrap());
            let check = |now| claims.check("https://team.cloudflareaccess.com", "aud", now);
            assert_eq!(check(until.saturating_sub(Duration::from_nanos(1))), Ok(until), "{exp}");
            assert_eq!(check(until), Err(Refused::Expired), "{exp}");
        }
        let forever = r#"{"iss":"https://team.cloudflareaccess.com","aud":"aud","exp":1e308}"#;
        assert_eq!(until(forever), Ok(Duration::MAX));
    }

    #[test]
    fn a_lifetime_is_known_with_iat_only() {
        let lifetime = |iat: &str| {
            object::<Claims>(format!(r#"{{"iss":"","aud":"","exp":1800000300{iat}}}"#).as_bytes()).unwrap().lifetime()
        };
        assert_eq!(lifetime(""), None);
        assert_eq!(lifetime(r#","iat":null"#), None);
        assert_eq!(lifetime(r#","iat":1800000000"#), Some(300.0));
        assert_eq!(lifetime(r#","iat":1800000400"#), Some(-100.0));
    }
}
