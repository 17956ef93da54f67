use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use jws::Claims;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::moment::Moment;
use super::names::{Name, Person, PersonId};

/// How long a session lasts.
pub const LIFETIME: u64 = 30 * 24 * 3600 * 1000;
/// Bytes of the shortest secret: that of the hash (RFC 7518, section 3.2, "MUST").
const MIN_SECRET: usize = 32;
/// Who issues the tokens, and for whom: this Worker for itself.
const US: &str = env!("CARGO_PKG_NAME");

/// What a token says: who somebody is, until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub person: Person,
    pub expires: Moment,
}

/// What sessions are signed with (JWT, HS256): nothing of a session is stored.
pub struct Secrets {
    current: Hmac<Sha256>,
    /// During a rotation.
    previous: Option<Hmac<Sha256>>,
}

/// The claims besides the registered ones that [`Claims`] reads.
#[derive(Deserialize)]
struct Named {
    sub: PersonId,
    name: Name,
}

#[derive(Serialize)]
struct Issued<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a PersonId,
    name: &'a Name,
    iat: u64,
    exp: u64,
}

impl Secrets {
    /// One secret, or two with a space between: the first one signs, each of them is believed.
    ///
    /// # Errors
    /// What is wrong with them; nothing of their text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut secrets = text.split_ascii_whitespace().map(|secret| {
            let long = secret.len() >= MIN_SECRET;
            Hmac::new_from_slice(secret.as_bytes()).ok().filter(|_| long).ok_or("a secret has 32 bytes at least")
        });
        let (Some(current), previous, None) = (secrets.next(), secrets.next(), secrets.next()) else {
            return Err("one secret, or two with a space between");
        };
        Ok(Self { current: current?, previous: previous.transpose()? })
    }

    /// A token for `person`, and what it says.
    pub fn issue(&self, person: Person, now: Moment) -> (String, Session) {
        let session = Session { person, expires: now.plus(LIFETIME) };
        let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        // The header needs a `kid`, though the secrets have no names: there are two at most.
        let header = encode(br#"{"alg":"HS256","typ":"JWT","kid":"session"}"#);
        let Person { id: sub, name } = &session.person;
        let (iat, exp) = (now.millis() / 1000, session.expires.millis() / 1000);
        let claims = serde_json::to_vec(&Issued { iss: US, aud: US, sub, name, iat, exp }).unwrap_or_default();
        let input = format!("{header}.{}", encode(&claims));
        let mac = self.current.clone().chain_update(&input).finalize().into_bytes();
        (format!("{input}.{}", encode(&mac)), session)
    }

    /// Who `token` is of, at `now`. None when it is not ours, or has expired.
    pub fn verify(&self, token: &str, now: Moment) -> Option<Session> {
        let token = jws::Token::parse(token, "HS256").ok()?;
        // In a time that does not depend on where it differs.
        let is_by = |secret: &Hmac<Sha256>| {
            secret.clone().chain_update(token.signing_input()).verify_slice(token.signature()).is_ok()
        };
        if !is_by(&self.current) && !self.previous.as_ref().is_some_and(is_by) {
            return None;
        }
        let claims: Claims = token.payload().ok()?;
        let until = claims.check(US, US, std::time::Duration::from_millis(now.millis())).ok()?;
        let Named { sub, name } = token.payload().ok()?;
        let expires = Moment::from_millis(u64::try_from(until.as_millis()).unwrap_or(u64::MAX));
        Some(Session { person: Person { id: sub, name }, expires })
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Secrets")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "an-old-secret-of-thirty-two-bytes";

    fn secrets(text: &str) -> Secrets {
        Secrets::parse(text).unwrap()
    }

    fn ann() -> Person {
        Person { id: PersonId::try_from("ann".to_owned()).unwrap(), name: Name::try_from("Ann Ü".to_owned()).unwrap() }
    }

    fn at(millis: u64) -> Moment {
        Moment::from_millis(1_800_000_000_000 + millis)
    }

    #[test]
    fn a_token_says_who_somebody_is_until_it_expires() {
        let (token, session) = secrets(OLD).issue(ann(), at(0));
        assert_eq!(session.expires, at(LIFETIME));
        let verified = secrets(OLD).verify(&token, at(1)).unwrap();
        assert_eq!((verified.person, verified.expires), (ann(), at(LIFETIME + 60_000)), "with a minute for clocks");
        assert_eq!(secrets(OLD).verify(&token, at(LIFETIME + 60_000)), None);
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "a sub-protocol's name");
    }

    #[test]
    fn two_secrets_hold_during_a_rotation_and_the_first_signs() {
        let new = "a-new-secret-of-thirty-two-bytes-or-so";
        let (old, both) = (secrets(OLD), secrets(&format!("{new} {OLD}")));
        assert!(both.verify(&old.issue(ann(), at(0)).0, at(1)).is_some());
        let (token, _) = both.issue(ann(), at(0));
        assert!(secrets(new).verify(&token, at(1)).is_some());
        assert_eq!(old.verify(&token, at(1)), None);
    }

    #[test]
    fn secrets_are_one_or_two_and_long() {
        for wrong in [
            "",
            " ",
            "short",
            &"x".repeat(31),
            &format!("{} y", "x".repeat(32)),
            &["x".repeat(32).as_str(); 3].join(" "),
        ] {
            assert!(Secrets::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(format!("{:?}", secrets(OLD)), "Secrets");
    }

    #[test]
    fn changing_any_byte_of_a_token_refuses_it() {
        let (token, _) = secrets(OLD).issue(ann(), at(0));
        for index in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[index] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(secrets(OLD).verify(&changed, at(1)), None, "byte {index}");
        }
        for none in ["", ".", "..", "a.b.c"] {
            assert_eq!(secrets(OLD).verify(none, at(1)), None);
        }
    }
}
