use crate::{Policy, Refused};
use serde::Deserialize;
use std::time::Duration;

/// How far Cloudflare's clock and ours may differ. Both are kept by NTP, and RFC 7519 section 4.1.4 allows "usually no
/// more than a few minutes"; one is plenty, and a token outlives its `exp` by no more.
pub const LEEWAY: Duration = Duration::from_mins(1);

/// The claims that are looked at (RFC 7519 section 4.1, documentation page "Application token"). Absent and `null` are
/// the same; a member that comes twice is refused.
#[derive(Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: OneOrMany,
    exp: NumericDate,
    nbf: Option<NumericDate>,
    iat: Option<NumericDate>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub sub: Option<String>,
    pub email: Option<String>,
    pub common_name: Option<String>,
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
    /// Whether this is a token of the policy's team, for its application, at this time.
    pub fn check(&self, policy: &Policy, now: Duration) -> Result<(), Refused> {
        if self.iss != policy.team_domain.as_str() {
            return Err(Refused::Issuer);
        }
        let audience = policy.audience.as_str();
        if !match &self.aud {
            OneOrMany::One(aud) => aud == audience,
            OneOrMany::Many(auds) => auds.iter().any(|aud| aud == audience),
        } {
            return Err(Refused::Audience);
        }
        let (now, leeway) = (now.as_secs_f64(), LEEWAY.as_secs_f64());
        if now >= self.exp + leeway {
            return Err(Refused::Expired);
        }
        if [self.nbf, self.iat].into_iter().flatten().any(|start| start > now + leeway) {
            return Err(Refused::NotYetValid);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Audience, TeamDomain, token::object};
    use serde_json::{Value, json};

    const NOW: u64 = 1_800_000_000;

    fn check_json(json: &str) -> Result<(), Refused> {
        let policy = Policy {
            team_domain: TeamDomain::parse("https://team.cloudflareaccess.com").unwrap(),
            audience: Audience::parse("aud").unwrap(),
        };
        object::<Claims>(json.as_bytes())?.check(&policy, Duration::from_secs(NOW))
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
}
