use std::sync::Arc;
use std::time::Duration;

use contract::{CredentialId, Proof};

use super::principals::{Holder, Principal};

/// Who calls: a proof of theirs has held.
#[derive(Clone, Debug)]
pub struct Caller {
    pub principal: Arc<Principal>,
    pub credential: CredentialId,
    pub proof: Proof,
}

/// What makes a request one that is accepted once.
#[derive(Debug, PartialEq, Eq)]
pub struct Once {
    /// Unique among all that the principal ever sends.
    pub name: String,
    /// The first moment, since the Unix epoch, at which the proof is refused as too old by every clock that differs from ours
    /// within what the proof allows.
    pub until: Duration,
}

impl Caller {
    pub fn of<T>(holder: &Holder<T>, proof: Proof) -> Self {
        Self { principal: holder.principal.clone(), credential: holder.credential.clone(), proof }
    }

    /// `nonce` has to be unique among those of the credential only. A credential's name holds no space, so no two triples make
    /// one name.
    pub fn once(&self, nonce: &str, until: Duration) -> Once {
        Once { name: format!("{} {} {nonce}", self.proof.as_str(), self.credential.as_str()), until }
    }
}
