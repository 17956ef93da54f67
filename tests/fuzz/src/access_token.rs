//! The token in `Cf-Access-Jwt-Assertion`: its header, and its claims as if the signature were right.

use access_jwt::{Audience, KeySet, Policy, TeamDomain, Token, verify};
use futures_util::FutureExt;
use std::{convert::Infallible, sync::LazyLock, time::Duration};

/// One key with `kid` "k"; seeds are of this team, this application and before this time.
static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let modulus = "_".repeat(341);
    KeySet::parse(format!(r#"{{"keys":[{{"kid":"k","kty":"RSA","n":"{modulus}w","e":"AQAB"}}]}}"#).as_bytes()).unwrap()
});
static POLICY: LazyLock<Policy> = LazyLock::new(|| Policy {
    team_domain: TeamDomain::parse("https://team.cloudflareaccess.com").unwrap(),
    audience: Audience::parse("aud").unwrap(),
});
const NOW: Duration = Duration::from_secs(1_799_999_999);

pub fn run(input: &[u8]) {
    let Ok(Ok(token)) = str::from_utf8(input).map(Token::parse) else { return };
    let _ = verify(&token, &KEYS, &POLICY, NOW, async |_, _, _| Ok::<_, Infallible>(true)).now_or_never().unwrap();
}
