use std::fmt;

/// Why a token is not believed. The texts are safe to log: they carry nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// Too long, or not three parts of base64url without padding, or not the JSON that RFC 7515 and 7519 describe.
    Malformed,
    /// Not the algorithm that the key is for: `none` and the others (RFC 8725 section 3.1).
    Algorithm,
    /// A critical extension (RFC 7515 section 4.1.11): none is understood here, so each must be refused.
    Critical,
    /// `typ` says that this is no JWT (RFC 7519 section 5.1, RFC 8725 section 3.11).
    Type,
    /// `exp` has passed (RFC 7519 section 4.1.4).
    Expired,
    /// `nbf` or `iat` lies in the future (RFC 7519 sections 4.1.5 and 4.1.6).
    NotYetValid,
    /// `iss` is another (RFC 7519 section 4.1.1).
    Issuer,
    /// `aud` does not hold the audience: a token for somebody else (RFC 7519 section 4.1.3).
    Audience,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the token is malformed",
            Self::Algorithm => "the token's algorithm is not its key's",
            Self::Critical => "the token has a critical extension",
            Self::Type => "the token's typ is not JWT",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::Issuer => "the token is another issuer's",
            Self::Audience => "the token is for another audience",
        })
    }
}

impl std::error::Error for Refused {}
