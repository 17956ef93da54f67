use access_jwt::{Audience, Policy, TeamDomain};
use worker::send::SendWrapper;
use worker::{Env, Error, Result};

use crate::keys::Keys;
use crate::orders::Orders;

/// What wrangler.toml binds and sets, found once an isolate; what is missing or wrong is named in the log, and then nothing
/// is answered but 500.
pub struct Bindings {
    /// Which tokens are believed.
    pub policy: Policy,
    /// The public keys of `policy.team_domain`.
    pub keys: Keys,
    /// The internal Worker.
    pub orders: Orders,
}

impl Bindings {
    pub fn of(env: &Env) -> Result<Self> {
        let wrong = |name: &str, why: access_jwt::Invalid| Error::RustError(format!("variable {name}: {why}"));
        let team_domain =
            TeamDomain::parse(&env.var("TEAM_DOMAIN")?.to_string()).map_err(|why| wrong("TEAM_DOMAIN", why))?;
        let audience = Audience::parse(&env.var("POLICY_AUD")?.to_string()).map_err(|why| wrong("POLICY_AUD", why))?;
        Ok(Self {
            keys: Keys::of(&team_domain),
            policy: Policy { team_domain, audience },
            orders: Orders(SendWrapper(env.service("ORDERS")?.into_rpc())),
        })
    }
}
