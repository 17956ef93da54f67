use serde::{Deserialize, Serialize};

use crate::message::{Message, Version1};

/// Who calls, as the gateway has established it: goes along with every call inwards, as one JSON text. It is believed
/// because of the way that it came: a service binding, which nobody outside can reach.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)] // a member that we do not know may restrict what we would do
pub struct Identity {
    v: Version1,
    /// On whose behalf; what is stored belongs to this one.
    pub principal: PrincipalId,
    /// What the principal proved itself with, of those that it has.
    pub credential: CredentialId,
    pub proof: Proof,
    /// W3C Trace Context, so that all Workers' log lines belong together.
    pub traceparent: String,
    /// What the request is called in all logs.
    pub request_id: String,
}

/// A machine, or a group of them, that the policy knows: 1 to 64 of `A-Z`, `a-z`, `0-9`, `-`, `_`, `.`, the first a letter or
/// a digit. It is a database's and a bucket's key and never folded: upper case makes another principal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PrincipalId(String);

/// The public name of a credential: a service token's client id, a certificate's fingerprint, a `keyid`, a `kid`. 1 to 256
/// visible ASCII characters. Never a secret: it is logged.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct CredentialId(String);

/// How a caller proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// A service token, which Cloudflare Access turned into a JWT of its own.
    Access,
    /// A TLS client certificate.
    ClientCertificate,
    /// An HTTP message signature (RFC 9421).
    HttpSignature,
    /// A JWT that the caller signed (RFC 7519).
    Jwt,
    /// None but a service binding: another Worker that calls on its own behalf.
    Binding,
}

impl Message for Identity {}

impl Identity {
    pub fn new(
        principal: PrincipalId,
        credential: CredentialId,
        proof: Proof,
        traceparent: String,
        request_id: String,
    ) -> Self {
        Self { v: Version1, principal, credential, proof, traceparent, request_id }
    }
}

impl TryFrom<String> for PrincipalId {
    type Error = &'static str;

    fn try_from(id: String) -> Result<Self, &'static str> {
        let plain = |b: u8| b.is_ascii_alphanumeric();
        let fits = (1..=64).contains(&id.len()) && id.bytes().next().is_some_and(plain);
        if fits && id.bytes().all(|b| plain(b) || b"-_.".contains(&b)) {
            Ok(Self(id))
        } else {
            Err("a principal is 1 to 64 of A-Z, a-z, 0-9, -, _ and ., and begins with a letter or a digit")
        }
    }
}

impl TryFrom<String> for CredentialId {
    type Error = &'static str;

    fn try_from(id: String) -> Result<Self, &'static str> {
        let fits = (1..=256).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(id)) } else { Err("a credential's id is 1 to 256 visible ASCII characters") }
    }
}

impl PrincipalId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl CredentialId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Proof {
    /// As it is written, also in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::ClientCertificate => "client-certificate",
            Self::HttpSignature => "http-signature",
            Self::Jwt => "jwt",
            Self::Binding => "binding",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &str = r#"{"v":1,"principal":"acme","credential":"k1","proof":"http-signature","traceparent":"00-…-01","request_id":"ray"}"#;

    #[test]
    fn an_identity_is_written_as_it_was_read() {
        assert_eq!(Identity::read(SENT).unwrap().write().unwrap(), SENT);
    }

    #[test]
    fn another_version_a_missing_an_unknown_or_a_doubled_member_and_a_later_proof_are_not_understood() {
        assert!(Identity::read(SENT).is_some());
        for (from, to) in [
            ("\"v\":1", "\"v\":2"),
            ("\"v\":1,", ""),
            ("\"v\":1", "\"v\":1,\"delegate\":\"bob\""),
            ("\"v\":1", "\"v\":1,\"v\":1"),
            ("http-signature", "passkey"),
            ("\"acme\"", "\"a/b\""),
            ("\"acme\"", "null"),
            ("\"k1\"", "\"\""),
        ] {
            assert!(SENT.contains(from), "{from}");
            assert_eq!(Identity::read(&SENT.replacen(from, to, 1)), None, "{from} -> {to}");
        }
        assert_eq!(Identity::read(""), None);
        assert_eq!(Identity::read(&"[".repeat(10_000)), None);
    }

    #[test]
    fn a_proof_is_logged_as_it_is_written() {
        for proof in [Proof::Access, Proof::ClientCertificate, Proof::HttpSignature, Proof::Jwt, Proof::Binding] {
            assert_eq!(serde_json::to_string(&proof).unwrap(), format!("\"{}\"", proof.as_str()));
        }
    }

    #[test]
    fn a_principal_is_short_and_plain() {
        for id in ["a", "0", "Acme-2_x.access", &"a".repeat(64)] {
            assert!(PrincipalId::try_from(id.to_owned()).is_ok(), "{id}");
        }
        for id in ["", "a b", "é", "a/b", "..", "-a", "a\n", "%", &"a".repeat(65)] {
            assert!(PrincipalId::try_from(id.to_owned()).is_err(), "{id}");
        }
    }

    #[test]
    fn a_credential_is_visible_ascii() {
        assert!(CredentialId::try_from("88bf3b6d.access".to_owned()).is_ok());
        for id in ["", "a b", "é", "a\n", &"a".repeat(257)] {
            assert!(CredentialId::try_from(id.to_owned()).is_err(), "{id}");
        }
    }
}
