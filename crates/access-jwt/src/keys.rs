use crate::Invalid;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

/// The RSA keys a team signs with now, or signed with until lately (RFC 7517 section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet(Vec<Jwk>);

/// A public key for RS256, of 2,048 to 4,096 bits, reduced to what the check needs. It serialises as the JWK (RFC 7517
/// section 4) that Web Crypto's `importKey` takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Jwk {
    /// By which tokens name it.
    pub kid: String,
    kty: &'static str,
    alg: &'static str,
    r#use: &'static str,
    /// The modulus, big-endian, in base64url (RFC 7518 section 6.3.1.1).
    pub n: String,
    /// The exponent, likewise.
    pub e: String,
}

impl KeySet {
    /// Access publishes the current and the previous key, with certificates, in some 8 KiB.
    pub const MAX_BYTES: usize = 64 * 1024;
    /// Access publishes two; a longer list costs every token a search.
    pub const MAX_KEYS: usize = 32;

    /// Reads the answer of [`TeamDomain::certs_url`](crate::TeamDomain::certs_url). Keys that cannot be used are
    /// ignored (RFC 7517 section 5), so that a new kind of key beside the old ones locks nobody out.
    ///
    /// # Errors
    /// [`Invalid`] when it is too large, not a key set, or without a usable key.
    pub fn parse(json: &[u8]) -> Result<Self, Invalid> {
        #[derive(Deserialize)]
        struct Certs {
            keys: Vec<serde_json::Value>,
        }

        if json.len() > Self::MAX_BYTES {
            return Err(Invalid("the key set is larger than 64 KiB"));
        }
        let certs: Certs = serde_json::from_slice(json).map_err(|_| Invalid("the key set is not a JWK Set"))?;
        if certs.keys.len() > Self::MAX_KEYS {
            return Err(Invalid("the key set has more than 32 keys"));
        }
        let keys: Vec<_> = certs.keys.into_iter().filter_map(usable).collect();
        if keys.is_empty() {
            return Err(Invalid("the key set has no usable RSA key"));
        }
        Ok(Self(keys))
    }

    pub(crate) fn find(&self, kid: &str) -> Option<&Jwk> {
        self.0.iter().find(|key| key.kid == kid)
    }
}

/// The key, reduced, when it may check RS256 signatures (RFC 7517 section 4, RFC 7518 section 6.3.1).
fn usable(key: serde_json::Value) -> Option<Jwk> {
    #[derive(Deserialize)]
    struct Published {
        kid: String,
        kty: String,
        alg: Option<String>,
        r#use: Option<String>,
        key_ops: Option<Vec<String>>,
        n: String,
        e: String,
    }

    let Published { kid, kty, alg, r#use, key_ops, n, e } = serde_json::from_value(key).ok()?;
    let fits = kty == "RSA"
        && alg.is_none_or(|alg| alg == "RS256")
        && r#use.is_none_or(|r#use| r#use == "sig")
        && key_ops.is_none_or(|operations| operations.iter().any(|operation| operation == "verify"))
        && modulus_fits(&n)
        && exponent_fits(&e);
    fits.then_some(Jwk { kid, kty: "RSA", alg: "RS256", r#use: "sig", n, e })
}

/// At least 2,048 bits (RFC 7518 section 3.3), at most the 4,096 that the `rsa` crate takes: a check costs the square.
fn modulus_fits(n: &str) -> bool {
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(n) else { return false };
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    let bits = bytes.len() * 8 - first.leading_zeros() as usize;
    // No leading zero octet (RFC 7518 section 6.3.1.1); an even number is no product of two primes.
    *first != 0 && last % 2 == 1 && (2048..=4096).contains(&bits)
}

/// Odd and from 65,537 (FIPS 186-5 section A.1.1; what everybody uses) to the 33 bits that Workers' Web Crypto takes.
fn exponent_fits(e: &str) -> bool {
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(e) else { return false };
    let exponent = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    bytes.len() <= 5 && exponent % 2 == 1 && (65_537..1 << 33).contains(&exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn modulus(bytes: usize) -> String {
        URL_SAFE_NO_PAD.encode(vec![0xff; bytes])
    }

    fn key() -> Value {
        json!({"kid": "k", "kty": "RSA", "alg": "RS256", "use": "sig", "n": modulus(256), "e": "AQAB"})
    }

    fn parse(keys: &Value) -> Result<KeySet, Invalid> {
        KeySet::parse(json!({"keys": keys, "public_cert": {"kid": "k", "cert": "…"}}).to_string().as_bytes())
    }

    #[test]
    fn a_key_is_found_by_its_kid_and_by_no_other() {
        let keys = parse(&json!([key()])).unwrap();
        assert!(keys.find("k").is_some());
        assert!(keys.find("K").is_none() && keys.find("").is_none());
    }

    #[test]
    fn what_the_check_does_not_need_is_dropped() {
        let mut with_more = key();
        with_more["d"] = json!("private");
        with_more["x5u"] = json!("https://elsewhere.example");
        with_more["key_ops"] = json!(["verify"]);
        let keys = parse(&json!([with_more])).unwrap();
        assert_eq!(serde_json::to_value(keys.find("k").unwrap()).unwrap(), key());
    }

    #[test]
    fn alg_and_use_may_be_absent() {
        let mut bare = key();
        bare.as_object_mut().unwrap().retain(|name, _| name != "alg" && name != "use");
        assert!(parse(&json!([bare])).is_ok());
    }

    #[test]
    fn a_key_that_cannot_be_used_is_ignored_and_one_beside_it_is_not() {
        for (member, value) in [
            ("kid", json!(null)),
            ("kid", json!(7)),
            ("kty", json!("oct")),
            ("kty", json!("EC")),
            ("alg", json!("RS512")),
            ("alg", json!("HS256")),
            ("alg", json!("none")),
            ("use", json!("enc")),
            ("key_ops", json!(["sign"])),
            ("n", json!(null)),
            ("n", json!("")),
            ("n", json!("not base64!")),
            ("n", json!(modulus(128))),
            ("n", json!(modulus(255))),
            ("n", json!(modulus(513))),
            ("n", json!(URL_SAFE_NO_PAD.encode([vec![0], vec![0xff; 256]].concat()))),
            ("n", json!(URL_SAFE_NO_PAD.encode([vec![0x7f], vec![0xff; 255]].concat()))),
            ("n", json!(URL_SAFE_NO_PAD.encode([vec![0xff; 255], vec![0xfe]].concat()))),
            ("e", json!("")),
            ("e", json!("AQ")),
            ("e", json!("Aw")),
            ("e", json!("AQAA")),
            ("e", json!(modulus(16))),
        ] {
            let mut bad = key();
            bad[member] = value.clone();
            assert!(parse(&json!([bad])).is_err(), "{member} {value}");
            let mut good = key();
            good["kid"] = json!("good");
            assert!(parse(&json!([bad, "no key", 1, good])).is_ok_and(|keys| keys.find("good").is_some()));
        }
    }

    #[test]
    fn a_set_that_is_too_large_or_no_set_is_an_error() {
        assert!(parse(&json!(vec![key(); 32])).is_ok());
        assert!(parse(&json!(vec![key(); 33])).is_err());
        assert!(KeySet::parse(&[b" ".repeat(KeySet::MAX_BYTES), br#"{"keys":[]}"#.to_vec()].concat()).is_err());
        for bad in ["", "null", "[]", "{}", r#"{"keys":null}"#, r#"{"keys":[]}"#, "<html>", &"[".repeat(60_000)] {
            assert!(KeySet::parse(bad.as_bytes()).is_err(), "{bad:.20}");
        }
    }
}
