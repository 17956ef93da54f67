use std::fmt;

/// A value of the configuration, or a key set, that cannot be used, with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid(pub(crate) &'static str);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Invalid {}

/// Why a token is not believed. The texts are safe to log and to answer: they carry nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// Too long, or not three parts of base64url without padding, or not the JSON that RFC 7515 and 7519 describe.
    Malformed,
    /// Not RS256, the one algorithm of Access: `none`, HS256 and the others (RFC 8725 section 3.1).
    Algorithm,
    /// A critical extension (RFC 7515 section 4.1.11): none is understood here, so each must be refused.
    Critical,
    /// `typ` says that this is no JWT (RFC 7519 section 5.1, RFC 8725 section 3.11).
    Type,
    /// No usable key has this `kid`. Access rotates its keys every six weeks, so the caller fetches them again and
    /// retries; anybody can send an unknown `kid`, so it bounds how often.
    UnknownKey,
    /// The signature is not the key's.
    Signature,
    /// `exp` has passed (RFC 7519 section 4.1.4).
    Expired,
    /// `nbf` or `iat` lies in the future (RFC 7519 sections 4.1.5 and 4.1.6).
    NotYetValid,
    /// `iss` is not the team domain (RFC 7519 section 4.1.1).
    Issuer,
    /// `aud` does not hold the policy's audience: a token for another application (RFC 7519 section 4.1.3).
    Audience,
    /// Neither a service token nor a person, or not an application token ("type": "app").
    Identity,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the token is malformed",
            Self::Algorithm => "the token's algorithm is not RS256",
            Self::Critical => "the token has a critical extension",
            Self::Type => "the token's typ is not JWT",
            Self::UnknownKey => "the token's key is unknown",
            Self::Signature => "the token's signature is wrong",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::Issuer => "the token is another issuer's",
            Self::Audience => "the token is for another audience",
            Self::Identity => "the token names neither a service nor a person",
        })
    }
}

impl std::error::Error for Refused {}

impl From<jws::Refused> for Refused {
    fn from(why: jws::Refused) -> Self {
        match why {
            jws::Refused::Malformed => Self::Malformed,
            jws::Refused::Algorithm => Self::Algorithm,
            jws::Refused::Critical => Self::Critical,
            jws::Refused::Type => Self::Type,
            jws::Refused::Expired => Self::Expired,
            jws::Refused::NotYetValid => Self::NotYetValid,
            jws::Refused::Issuer => Self::Issuer,
            jws::Refused::Audience => Self::Audience,
        }
    }
}

/// How [`verify`](crate::verify) can fail; `E` is the error of the caller's signature check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure<E> {
    /// The token was judged and is not believed: the client's fault.
    Refused(Refused),
    /// The check itself did not run: ours, and no statement about the token.
    Unchecked(E),
}

impl<E> From<Refused> for Failure<E> {
    fn from(why: Refused) -> Self {
        Self::Refused(why)
    }
}
