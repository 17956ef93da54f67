//! Tokens that a principal signs itself, with a secret it shares with us: HS256 (RFC 7518, section 3.2).
//!
//! A fallback for callers who can do nothing better. The token says nothing of the request that it comes with, so it lives
//! for minutes only, and to change something its `jti` is good for once.

use std::fmt;
use std::time::Duration;

use jws::Claims;
use serde::Deserialize;

use super::principals::Issuer;

/// From `iat` to `exp` at most.
pub const MAX_LIFETIME: Duration = Duration::from_mins(5);
/// Bytes of the shortest secret: that of the hash (RFC 7518, section 3.2, "MUST").
pub const MIN_SECRET: usize = 32;

/// The token in `Authorization: Bearer …`; none when the header is of another scheme (RFC 9110, section 11.1; the name's case
/// does not matter). What is there in place of a token is for [`OwnJwt::parse`] to judge.
pub fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ').unwrap_or((authorization, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}

/// A token whose header is acceptable and whose signature is unchecked.
pub struct OwnJwt<'a>(jws::Token<'a>);

/// What a token proved.
#[derive(Debug, PartialEq, Eq)]
pub struct Proven {
    /// Names the token: to be admitted once, when it is to change something. None for a token that may only read.
    pub jti: Option<String>,
    /// The first moment, since the Unix epoch, at which the token is refused by a clock like ours: `exp` and the leeway. It is
    /// what a replay must be remembered for, and not `exp`: in the minute between them the token is still taken.
    pub until: Duration,
}

/// Why a token is not believed. The texts are for the log and carry nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// What is wrong with any token.
    Token(jws::Refused),
    /// No secret of the key made this signature.
    Signature,
    /// Without `iat`, or meant to live for longer than [`MAX_LIFETIME`], or for no time.
    Lifetime,
    /// `jti` is not 1 to [`OwnJwt::MAX_JTI`] visible ASCII characters.
    Id,
}

/// The claim that [`Claims`] does not read.
#[derive(Deserialize)]
struct Id {
    jti: Option<String>,
}

impl<'a> OwnJwt<'a> {
    /// Characters of the longest `jti`: a UUID has 36, and each is stored until the token has expired.
    pub const MAX_JTI: usize = 128;

    /// What can be refused without a secret.
    ///
    /// # Errors
    /// [`Refused::Token`].
    pub fn parse(token: &'a str) -> Result<Self, Refused> {
        jws::Token::parse(token, "HS256").map(Self).map_err(Refused::Token)
    }

    /// Under which name the secrets are to be found.
    pub fn kid(&self) -> &str {
        self.0.kid()
    }

    /// Whether the token is signed by one of `issuers` (two during a rotation), for `audience`, and good at `now`, the time
    /// since the Unix epoch.
    ///
    /// The clocks of callers are their own, so `exp`, `nbf` and `iat` have the same minute of leeway as in Access's tokens
    /// ([`jws::LEEWAY`]). It widens when a token is taken, from a minute before `iat` to a minute after `exp`, seven minutes
    /// at most; not how long it may be meant to live, which is a difference of two times of one clock.
    ///
    /// # Errors
    /// The first thing that is wrong; claims are read only after the signature held.
    pub fn verify(&self, issuers: &[Issuer], audience: &str, now: Duration) -> Result<Proven, Refused> {
        let is_by = |issuer: &&Issuer| issuer.secret.verify(self.0.signing_input(), self.0.signature());
        let issuer = issuers.iter().find(is_by).ok_or(Refused::Signature)?;
        let claims: Claims = self.0.payload().map_err(Refused::Token)?;
        let until = claims.check(&issuer.name, audience, now).map_err(Refused::Token)?;
        if !claims.lifetime().is_some_and(|seconds| seconds > 0.0 && seconds <= MAX_LIFETIME.as_secs_f64()) {
            return Err(Refused::Lifetime);
        }
        let Id { jti } = self.0.payload().map_err(Refused::Token)?;
        if jti.as_ref().is_some_and(|jti| !is_id(jti)) {
            return Err(Refused::Id);
        }
        Ok(Proven { jti, until })
    }
}

fn is_id(jti: &str) -> bool {
    (1..=OwnJwt::MAX_JTI).contains(&jti.len()) && jti.bytes().all(|byte| byte.is_ascii_graphic())
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Token(why) => why.fmt(f),
            Self::Signature => f.write_str("the token's signature is wrong"),
            Self::Lifetime => f.write_str("the token's lifetime is unknown, or not within five minutes"),
            Self::Id => f.write_str("the token's jti is not 1 to 128 visible ASCII characters"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use http_signatures::Secret;
    use serde_json::{Value, json};

    const NOW: u64 = 1_800_000_000;
    const SECRET: &[u8] = b"a secret of thirty-two bytes, no less";
    const OTHER: &[u8] = b"another secret, of the same great length";

    fn encode(part: impl AsRef<[u8]>) -> String {
        URL_SAFE_NO_PAD.encode(part)
    }

    fn sign(header: &str, claims: &str, secret: &[u8]) -> String {
        let input = format!("{}.{}", encode(header), encode(claims));
        let mac = Secret::parse(secret).unwrap().sign(input.as_bytes());
        format!("{input}.{}", encode(mac))
    }

    fn header() -> Value {
        json!({"alg": "HS256", "typ": "JWT", "kid": "j1"})
    }

    fn claims() -> Value {
        json!({"iss": "acme", "aud": "gateway", "iat": NOW, "exp": NOW + 300, "jti": "e5b2"})
    }

    fn with(mut object: Value, member: &str, value: Value) -> Value {
        object[member] = value;
        object
    }

    fn verify_at(token: &str, secrets: &[&[u8]], now: Duration) -> Result<Proven, Refused> {
        let issuer = |secret: &&[u8]| Issuer { name: "acme".into(), secret: Secret::parse(secret).unwrap() };
        OwnJwt::parse(token)?.verify(&secrets.iter().map(issuer).collect::<Vec<_>>(), "gateway", now)
    }

    fn verify(token: &str) -> Result<Proven, Refused> {
        verify_at(token, &[SECRET], Duration::from_secs(NOW))
    }

    fn with_claims(claims: &Value) -> Result<Proven, Refused> {
        verify(&sign(&header().to_string(), &claims.to_string(), SECRET))
    }

    fn with_header(header: &Value) -> Result<Proven, Refused> {
        verify(&sign(&header.to_string(), &claims().to_string(), SECRET))
    }

    #[test]
    fn a_token_signed_with_the_secret_is_believed_until_exp_and_the_leeway() {
        let token = sign(&header().to_string(), &claims().to_string(), SECRET);
        let until = Duration::from_secs(NOW + 360);
        assert_eq!(OwnJwt::parse(&token).ok().map(|token| token.kid().to_owned()), Some("j1".into()));
        assert_eq!(verify(&token), Ok(Proven { jti: Some("e5b2".into()), until }));
        assert!(verify_at(&token, &[SECRET], until.saturating_sub(Duration::from_millis(1))).is_ok());
        assert_eq!(verify_at(&token, &[SECRET], until), Err(Refused::Token(jws::Refused::Expired)));
    }

    #[test]
    fn the_example_of_rfc_7515_appendix_a_1_has_the_signature_that_we_compute() {
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let input = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = URL_SAFE_NO_PAD.decode("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        let key = URL_SAFE_NO_PAD.decode(key).unwrap();
        let secret = Secret::parse(&key).unwrap();
        assert!(secret.verify(input.as_bytes(), &signature));
        assert!(!secret.verify(input.as_bytes(), &signature[1..]));
        assert!(!secret.verify(input.as_bytes(), b""));
    }

    #[test]
    fn two_secrets_hold_during_a_rotation() {
        let [old, new] = [SECRET, OTHER].map(|secret| sign(&header().to_string(), &claims().to_string(), secret));
        let now = Duration::from_secs(NOW);
        for token in [&old, &new] {
            assert!(verify_at(token, &[SECRET, OTHER], now).is_ok());
            assert_eq!(verify_at(token, &[], now), Err(Refused::Signature));
        }
        assert_eq!(verify_at(&old, &[OTHER], now), Err(Refused::Signature));
    }

    #[test]
    fn the_algorithm_is_ours_and_not_the_tokens() {
        for alg in ["none", "None", "", "HS512", "HS384", "RS256", "ES256", "hs256"] {
            let refused = with_header(&with(header(), "alg", json!(alg)));
            assert_eq!(refused, Err(Refused::Token(jws::Refused::Algorithm)), "{alg}");
        }
        let unsigned = format!("{}.{}.", encode(header().to_string()), encode(claims().to_string()));
        assert_eq!(verify(&unsigned), Err(Refused::Signature));
    }

    #[test]
    fn a_key_that_the_token_brings_along_is_not_used() {
        let bring = [
            ("jwk", json!({"kty": "oct", "k": encode(OTHER)})),
            ("jku", json!("https://elsewhere.example/keys")),
            ("x5u", json!("https://elsewhere.example/certificate")),
        ];
        for (member, value) in bring {
            let header = with(header(), member, value);
            let forged = sign(&header.to_string(), &claims().to_string(), OTHER);
            assert_eq!(verify(&forged), Err(Refused::Signature), "{member}");
            assert!(with_header(&header).is_ok(), "{member} is ignored where the secret is ours");
        }
    }

    #[test]
    fn a_kid_is_a_name_and_is_given_out_as_it_stands() {
        for kid in ["../../dev/null", "j1' OR '1'='1", "j1\0", "", "https://elsewhere.example"] {
            let token = sign(&with(header(), "kid", json!(kid)).to_string(), &claims().to_string(), SECRET);
            assert_eq!(OwnJwt::parse(&token).ok().map(|token| token.kid().to_owned()), Some(kid.into()));
        }
        let malformed = Err(Refused::Token(jws::Refused::Malformed));
        assert_eq!(with_header(&with(header(), "kid", json!(null))), malformed);
        assert_eq!(with_header(&with(header(), "kid", json!(["j1"]))), malformed);
    }

    #[test]
    fn a_critical_extension_and_another_type_are_refused() {
        let critical = with_header(&with(header(), "crit", json!(["exp"])));
        assert_eq!(critical, Err(Refused::Token(jws::Refused::Critical)));
        let typed = with_header(&with(header(), "typ", json!("at+jwt")));
        assert_eq!(typed, Err(Refused::Token(jws::Refused::Type)));
    }

    #[test]
    fn claims_are_checked() {
        for (member, value, why) in [
            ("iss", json!("else"), Refused::Token(jws::Refused::Issuer)),
            ("aud", json!("else"), Refused::Token(jws::Refused::Audience)),
            ("aud", json!([]), Refused::Token(jws::Refused::Audience)),
            ("aud", json!(null), Refused::Token(jws::Refused::Malformed)),
            ("exp", json!(null), Refused::Token(jws::Refused::Malformed)),
            ("exp", json!(NOW - 60), Refused::Token(jws::Refused::Expired)),
            ("nbf", json!(NOW + 61), Refused::Token(jws::Refused::NotYetValid)),
            ("iat", json!(NOW + 61), Refused::Token(jws::Refused::NotYetValid)),
            ("iat", json!(null), Refused::Lifetime),
            ("iat", json!(NOW - 1), Refused::Lifetime),
            ("exp", json!(NOW + 301), Refused::Lifetime),
            ("exp", json!(1e308), Refused::Lifetime),
            ("exp", json!(NOW), Refused::Lifetime),
            ("exp", json!(NOW - 1), Refused::Lifetime),
            ("jti", json!(""), Refused::Id),
            ("jti", json!("two words"), Refused::Id),
            ("jti", json!("é"), Refused::Id),
            ("jti", json!("a".repeat(129)), Refused::Id),
            ("jti", json!(7), Refused::Token(jws::Refused::Malformed)),
        ] {
            let changed = with(claims(), member, value.clone());
            assert_eq!(with_claims(&changed), Err(why), "{member} {value}");
            let forged = sign(&header().to_string(), &changed.to_string(), OTHER);
            assert_eq!(verify(&forged), Err(Refused::Signature), "{member} was read of a token that nobody signed");
        }
        assert!(with_claims(&with(claims(), "aud", json!(["else", "gateway"]))).is_ok());
        assert!(with_claims(&with(claims(), "nbf", json!(NOW + 60))).is_ok());
        assert!(with_claims(&with(claims(), "jti", json!("a".repeat(128)))).is_ok());
        assert_eq!(with_claims(&with(claims(), "jti", json!(null))).map(|proven| proven.jti), Ok(None));
    }

    #[test]
    fn a_claim_that_comes_twice_is_refused() {
        for member in [r#""aud":"else""#, r#""exp":1900000000"#, r#""jti":"other""#, r#""\u0069ss":"else""#] {
            let twice = claims().to_string().replacen('{', &format!("{{{member},"), 1);
            let refused = verify(&sign(&header().to_string(), &twice, SECRET));
            assert_eq!(refused, Err(Refused::Token(jws::Refused::Malformed)), "{member}");
        }
    }

    #[test]
    fn a_token_has_one_spelling_and_a_limit() {
        let token = sign(&header().to_string(), &claims().to_string(), SECRET);
        for other in [format!("{token}="), format!("{token} "), format!(" {token}")] {
            assert_eq!(verify(&other), Err(Refused::Token(jws::Refused::Malformed)), "{other}");
        }
        assert_eq!(verify(&format!("{token}.AAAA")), Err(Refused::Signature), "a fourth part");
        // 32 bytes leave two bits over in the last of 43 characters: each other value there would decode alike.
        let (rest, last) = token.split_at(token.len() - 1);
        for bits in 1..4_u8 {
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let at = alphabet.iter().position(|byte| [*byte] == *last.as_bytes()).unwrap();
            let loose = format!("{rest}{}", char::from(alphabet[at | usize::from(bits)]));
            assert_eq!(verify(&loose), Err(Refused::Token(jws::Refused::Malformed)), "{loose}");
        }
        let long = with_claims(&with(claims(), "x", json!("a".repeat(jws::MAX_TOKEN))));
        assert_eq!(long, Err(Refused::Token(jws::Refused::Malformed)));
    }

    #[test]
    fn changing_any_one_byte_of_a_token_refuses_it() {
        let token = sign(&header().to_string(), &claims().to_string(), SECRET);
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] ^= [0x01, 0x02, 0x20][at % 3];
            let changed = String::from_utf8(bytes).unwrap();
            assert!(verify(&changed).is_err(), "byte {at}: {changed}");
        }
    }

    #[test]
    fn only_the_scheme_bearer_presents_a_token() {
        assert_eq!(bearer("Bearer a.b.c"), Some("a.b.c"));
        assert_eq!(bearer("bEARER   a.b.c"), Some("a.b.c"));
        assert_eq!(bearer("Bearer"), Some(""));
        assert_eq!(bearer("Bearer "), Some(""));
        for other in ["Basic YTpi", "", " Bearer a", "Bearera", "Bearer\ta", "{\"cf-access-client-id\": \"a\"}"] {
            assert_eq!(bearer(other), None, "{other}");
        }
    }
}
