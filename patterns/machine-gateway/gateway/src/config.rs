use access_jwt::{Audience, TeamDomain};
use worker::send::SendWrapper;
use worker::{Env, Error, Result};

use crate::keys::Keys;
use crate::limiter::Limiter;
use crate::nonces::Nonces;
use crate::orders::Orders;
use crate::policy::Policy;
use crate::reports::Reports;
use crate::web_crypto::WebCrypto;

/// What wrangler.toml binds and sets, found once an isolate; what is missing or wrong is named in the log, and then nothing
/// is answered but 500.
pub struct Bindings {
    /// Who may call.
    pub policy: Policy,
    /// Which tokens of Access are believed.
    pub access: access_jwt::Policy,
    /// The public keys of `access.team_domain`.
    pub keys: Keys,
    /// For the keys in the policy.
    pub web_crypto: WebCrypto,
    pub limiter: Limiter,
    pub nonces: Nonces,
    /// The internal Workers.
    pub orders: Orders,
    pub reports: Reports,
}

impl Bindings {
    pub fn of(env: &Env) -> Result<Self> {
        let wrong = |name: &str, why: access_jwt::Invalid| Error::RustError(format!("variable {name}: {why}"));
        let team_domain =
            TeamDomain::parse(&env.var("TEAM_DOMAIN")?.to_string()).map_err(|why| wrong("TEAM_DOMAIN", why))?;
        let audience = Audience::parse(&env.var("POLICY_AUD")?.to_string()).map_err(|why| wrong("POLICY_AUD", why))?;
        Ok(Self {
            policy: Policy::of(env)?,
            keys: Keys::of(&team_domain),
            access: access_jwt::Policy { team_domain, audience },
            web_crypto: WebCrypto::default(),
            limiter: Limiter(env.rate_limiter("LIMITER")?),
            nonces: Nonces(env.durable_object("NONCES")?),
            orders: Orders(env.service("ORDERS")?),
            reports: Reports(SendWrapper(env.service("REPORTS")?.into_rpc())),
        })
    }
}
