use crate::{Audience, Failure, Identity, Jwk, KeySet, Refused, TeamDomain, claims::Claims, token::Token};
use std::time::Duration;

/// What a token must be to be believed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Who must have issued it.
    pub team_domain: TeamDomain,
    /// Which application it must be for: a team signs the tokens of all its applications with one key.
    pub audience: Audience,
}

/// Verifies a `token` that [`Token::parse`] read, as documentation page "Validate JWTs" asks, and says who calls. `now` is the time since the Unix
/// epoch.
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
) -> Result<Identity, Failure<E>> {
    let key = keys.find(&token.kid).ok_or(Refused::UnknownKey)?;
    if !check(key, token.signing_input, &token.signature).await.map_err(Failure::Unchecked)? {
        return Err(Refused::Signature.into());
    }
    let claims: Claims = token.claims()?;
    claims.check(policy, now)?;
    Ok(Identity::of(claims)?)
}
