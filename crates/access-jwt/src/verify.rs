use crate::{Audience, Failure, Identity, Jwk, KeySet, Refused, TeamDomain, Token, identity::Names};
use std::time::Duration;

/// What a token must be to be believed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Who must have issued it.
    pub team_domain: TeamDomain,
    /// Which application it must be for: a team signs the tokens of all its applications with one key.
    pub audience: Audience,
}

/// What a token proves, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Who calls.
    pub identity: Identity,
    /// The first moment, since the Unix epoch, at which the same token is refused as expired: its `exp` and
    /// [`LEEWAY`](crate::LEEWAY). Until then the same token need not be verified again, as long as its key is published.
    pub until: Duration,
}

/// Verifies a `token` that [`Token::parse`] read, as documentation page "Validate JWTs" asks, and says who calls. `now` is
/// the time since the Unix epoch.
///
/// `check` says whether `signature` (third argument) is `key`'s RSASSA-PKCS1-v1_5 with SHA-256 over `signing_input`
/// (second). It is called once at most, with a key of [`KeySet`], and before any claim is read.
///
/// # Errors
/// [`Failure::Refused`] when the token is not believed, [`Failure::Unchecked`] when `check` failed to tell.
pub async fn verify<E>(
    token: &Token<'_>,
    keys: &KeySet,
    policy: &Policy,
    now: Duration,
    check: impl AsyncFn(&Jwk, &[u8], &[u8]) -> Result<bool, E>,
) -> Result<Verified, Failure<E>> {
    let key = keys.find(token.0.kid()).ok_or(Refused::UnknownKey)?;
    if !check(key, token.0.signing_input(), token.0.signature()).await.map_err(Failure::Unchecked)? {
        return Err(Refused::Signature.into());
    }
    let claims: jws::Claims = token.0.payload().map_err(Refused::from)?;
    let until = claims.check(policy.team_domain.as_str(), policy.audience.as_str(), now).map_err(Refused::from)?;
    let names: Names = token.0.payload().map_err(Refused::from)?;
    Ok(Verified { identity: Identity::of(names)?, until })
}
