use std::time::Duration;

use contract::Proof;

use super::Checked;
use crate::config::Bindings;
use crate::domain::caller::Caller;
use crate::domain::own_jwt::OwnJwt;
use crate::domain::principals::Principals;
use crate::error::Error;

/// Whose a token is that a machine signed itself. To read, it may come again until it expires; a token that `writes` is good
/// once.
pub fn check(
    bindings: &Bindings,
    principals: &Principals,
    token: &str,
    writes: bool,
    now: Duration,
) -> Result<Checked, Error> {
    let token = OwnJwt::parse(token).map_err(Error::refused)?;
    let holder = principals.issuers.get(token.kid()).ok_or(Error::unknown())?;
    let proven = token.verify(&holder.valid, bindings.access.audience.as_str(), now).map_err(Error::refused)?;
    let caller = Caller::of(holder, Proof::Jwt);
    let once = match proven.jti {
        _ if !writes => None,
        Some(jti) => Some(caller.once(&jti, proven.until)),
        None => return Err(Error::refused("a token that writes needs a jti")),
    };
    Ok(Checked { caller, once, signed: None })
}
