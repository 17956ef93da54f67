use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use contract::{CredentialId, PrincipalId};
use http_signatures::{Key, PublicKey, Secret as SharedSecret};
use serde::Deserialize;

use super::own_jwt::MIN_SECRET;
use super::scope::Scopes;

/// Bytes of the longest document: some two thousand machines. It is read in one go, of which the free plan's 10 ms leave room
/// for no more.
pub const MAX_DOCUMENT: usize = 512 << 10;

/// Who may call, by what they prove it with, and what they may do: the policy document, read and indexed.
#[derive(Debug, Default)]
pub struct Principals {
    pub service_tokens: Holders<()>,
    /// By SHA-256 fingerprint, in lower-case hexadecimal.
    pub certificates: Holders<()>,
    /// By `keyid`.
    pub signers: Holders<Key>,
    /// By `kid`.
    pub issuers: Holders<Issuer>,
    /// What was left out, for the log: scopes and kinds of credentials that only a later version knows.
    pub ignored: Vec<String>,
}

/// Whose a credential is, by its public name, with what it is checked by.
///
/// No name belongs to two principals: nobody could tell whom it means. One principal may list a name twice, with the old
/// secret and the new one, while it changes them.
#[derive(Debug)]
pub struct Holders<T>(HashMap<String, Holder<T>>);

#[derive(Debug)]
pub struct Holder<T> {
    pub principal: Arc<Principal>,
    pub credential: CredentialId,
    /// One, or two during a rotation.
    pub valid: Vec<T>,
}

/// A machine, or a group of machines that are one to us.
#[derive(Debug, PartialEq, Eq)]
pub struct Principal {
    pub id: PrincipalId,
    pub scopes: Scopes,
}

/// Who may sign JWTs under a `kid`, and with what.
#[derive(Debug)]
pub struct Issuer {
    /// What `iss` must say.
    pub name: String,
    pub secret: SharedSecret,
}

/// Why a document is not used. It names places and members, never a secret.
#[derive(Debug, PartialEq, Eq)]
pub struct Invalid(String);

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The document as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    principals: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    id: PrincipalId,
    scopes: Vec<String>,
    credentials: Vec<Credential>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Credential {
    AccessServiceToken(ServiceToken),
    ClientCertificate(Certificate),
    HttpSignature(Signature),
    Jwt(Jwt),
    #[serde(other)]
    Later,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceToken {
    client_id: CredentialId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Certificate {
    fingerprint_sha256: String,
}

#[derive(Deserialize)]
struct Signature {
    keyid: CredentialId,
    #[serde(flatten)]
    key: SignatureKey,
}

#[derive(Deserialize)]
#[serde(tag = "alg")]
enum SignatureKey {
    #[serde(rename = "hmac-sha256")]
    HmacSha256(Secret),
    #[serde(rename = "ed25519")]
    Ed25519(PublicPem),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PublicPem {
    public_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Secret {
    secret: Option<String>,
    secret_name: Option<String>,
}

#[derive(Deserialize)]
struct Jwt {
    kid: CredentialId,
    issuer: String,
    #[serde(flatten)]
    key: JwtKey,
}

#[derive(Deserialize)]
#[serde(tag = "alg")]
enum JwtKey {
    #[serde(rename = "HS256")]
    Hs256(Secret),
}

impl Secret {
    /// A secret of `min` bytes at least, which is written in the document, or named there and kept among the Worker's secrets.
    fn read(self, look_up: &impl Fn(&str) -> Option<String>, min: usize) -> Result<SharedSecret, String> {
        let base64 = match (self.secret, self.secret_name) {
            (Some(secret), None) => secret,
            (None, Some(name)) => look_up(&name).ok_or("the Worker has no secret of this secret_name")?,
            _ => return Err("either a secret or a secret_name is wanted".into()),
        };
        let bytes = STANDARD.decode(base64.trim()).map_err(|_| "the secret is not base64")?;
        if bytes.len() < min {
            return Err(format!("the secret is shorter than {min} bytes"));
        }
        SharedSecret::parse(&bytes).map_err(|why| why.to_string())
    }
}

impl Principals {
    /// Reads a document; `secret` looks up what a `secret_name` stands for, in base64 like a `secret`.
    ///
    /// # Errors
    /// [`Invalid`] when anything in it is wrong: half a policy would be somebody else's policy.
    pub fn parse(document: &str, secret: impl Fn(&str) -> Option<String>) -> Result<Self, Invalid> {
        if document.len() > MAX_DOCUMENT {
            return Err(Invalid(format!("the document is longer than {MAX_DOCUMENT} bytes")));
        }
        let Document { version, principals } = serde_json::from_str(document).map_err(|e| {
            // Not serde's own sentence, which shows the value that it does not like.
            Invalid(format!("line {} column {}: not what version 1 of the document has there", e.line(), e.column()))
        })?;
        if version != 1 {
            return Err(Invalid(format!("version {version} is not known, 1 is")));
        }
        let mut all = Self::default();
        let mut ids = HashSet::new();
        for listed in principals {
            if !ids.insert(listed.id.clone()) {
                return Err(Invalid(format!("principal {}: it is listed twice", listed.id.as_str())));
            }
            let (scopes, unknown) = Scopes::read(&listed.scopes);
            all.ignored
                .extend(unknown.into_iter().map(|scope| format!("principal {}: scope {scope}", listed.id.as_str())));
            let principal = Arc::new(Principal { id: listed.id, scopes });
            for credential in listed.credentials {
                all.add(&principal, credential, &secret)
                    .map_err(|why| Invalid(format!("principal {}: {why}", principal.id.as_str())))?;
            }
        }
        Ok(all)
    }

    fn add(
        &mut self,
        principal: &Arc<Principal>,
        credential: Credential,
        secret: &impl Fn(&str) -> Option<String>,
    ) -> Result<(), String> {
        match credential {
            Credential::AccessServiceToken(ServiceToken { client_id }) => {
                self.service_tokens.add(client_id, principal, ())
            }
            Credential::ClientCertificate(Certificate { fingerprint_sha256: fingerprint }) => {
                if fingerprint.len() != 64 || !fingerprint.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                    return Err("a fingerprint_sha256 is 64 digits of lower-case hexadecimal".into());
                }
                self.certificates.add(CredentialId::try_from(fingerprint)?, principal, ())
            }
            Credential::HttpSignature(Signature { keyid, key }) => {
                let key = match key {
                    SignatureKey::HmacSha256(written) => written.read(secret, SharedSecret::MIN).map(Key::HmacSha256),
                    SignatureKey::Ed25519(PublicPem { public_key }) => {
                        PublicKey::from_pem(&public_key).map(Key::Ed25519).map_err(|why| why.to_string())
                    }
                };
                let key = key.map_err(|why| format!("keyid {}: {why}", keyid.as_str()))?;
                self.signers.add(keyid, principal, key)
            }
            Credential::Jwt(Jwt { kid, key: JwtKey::Hs256(written), issuer }) => {
                let secret = written.read(secret, MIN_SECRET).map_err(|why| format!("kid {}: {why}", kid.as_str()))?;
                self.issuers.add(kid, principal, Issuer { name: issuer, secret })
            }
            Credential::Later => {
                self.ignored
                    .push(format!("principal {}: a credential of a type that is not known", principal.id.as_str()));
                Ok(())
            }
        }
    }
}

impl<T> Default for Holders<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Holders<T> {
    /// How many keys of one name are valid at a time: each costs a check.
    const MAX_VALID: usize = 2;

    pub fn get(&self, name: &str) -> Option<&Holder<T>> {
        self.0.get(name)
    }

    fn add(&mut self, name: CredentialId, principal: &Arc<Principal>, valid: T) -> Result<(), String> {
        let holder = self.0.entry(name.as_str().to_owned()).or_insert_with(|| Holder {
            principal: principal.clone(),
            credential: name,
            valid: Vec::new(),
        });
        let name = holder.credential.as_str();
        if !Arc::ptr_eq(&holder.principal, principal) {
            return Err(format!("{name} is another principal's too"));
        }
        if holder.valid.len() == Self::MAX_VALID {
            return Err(format!("{name} is listed more than {} times", Self::MAX_VALID));
        }
        holder.valid.push(valid);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::scope::Scope;
    use serde_json::{Value, json};

    const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="; // 32 bytes
    const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----\n"; // RFC 9421, B.1.4

    fn parse(document: &Value) -> Result<Principals, Invalid> {
        Principals::parse(&document.to_string(), |name| (name == "ACME_KEY").then(|| SECRET.to_owned()))
    }

    /// A document of one principal with these credentials.
    fn with(credentials: Value) -> Result<Principals, Invalid> {
        parse(&json!({"version": 1, "principals": [{"id": "acme", "scopes": [], "credentials": credentials}]}))
    }

    #[test]
    fn each_kind_of_credential_is_found_by_its_name() {
        let all =
            parse(&json!({"version": 1, "principals": [{"id": "acme", "scopes": ["orders:read"], "credentials": [
                {"type": "access_service_token", "client_id": "id.access"},
                {"type": "client_certificate", "fingerprint_sha256": "ab".repeat(32)},
                {"type": "http_signature", "keyid": "k1", "alg": "hmac-sha256", "secret": SECRET},
                {"type": "http_signature", "keyid": "k2", "alg": "ed25519", "public_key": PEM},
                {"type": "jwt", "kid": "j1", "alg": "HS256", "secret_name": "ACME_KEY", "issuer": "acme"},
            ]}]}))
            .unwrap();
        let principal = &all.service_tokens.get("id.access").unwrap().principal;
        assert_eq!(principal.id.as_str(), "acme");
        assert!(principal.scopes.contains(Scope::OrdersRead) && !principal.scopes.contains(Scope::OrdersWrite));
        assert_eq!(all.certificates.get(&"ab".repeat(32)).unwrap().principal.id.as_str(), "acme");
        assert!(matches!(all.signers.get("k1").unwrap().valid[..], [Key::HmacSha256(_)]));
        assert!(matches!(all.signers.get("k2").unwrap().valid[..], [Key::Ed25519(_)]));
        assert!(matches!(&all.issuers.get("j1").unwrap().valid[..], [issuer] if issuer.name == "acme"));
        assert!(all.signers.get("j1").is_none() && all.ignored.is_empty());
    }

    #[test]
    fn two_keys_of_one_name_are_valid_while_they_rotate_and_a_third_is_refused() {
        let key =
            |secret: &str| json!({"type": "http_signature", "keyid": "k", "alg": "hmac-sha256", "secret": secret});
        let other = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";
        assert_eq!(with(json!([key(SECRET), key(other)])).unwrap().signers.get("k").unwrap().valid.len(), 2);
        assert!(with(json!([key(SECRET), key(other), key(SECRET)])).is_err());
    }

    #[test]
    fn a_credential_of_two_principals_is_refused() {
        let principal = |id: &str, client: &str| {
            let credentials = json!([{"type": "access_service_token", "client_id": client}]);
            json!({"id": id, "scopes": [], "credentials": credentials})
        };
        let both = |a: Value, b: Value| parse(&json!({"version": 1, "principals": [a, b]}));
        assert!(both(principal("a", "one.access"), principal("b", "two.access")).is_ok());
        assert!(both(principal("a", "one.access"), principal("b", "one.access")).is_err());
        assert!(both(principal("a", "one.access"), principal("a", "two.access")).is_err());
    }

    #[test]
    fn what_only_a_later_version_knows_grants_nothing_and_is_told() {
        let all = parse(&json!({"version": 1, "principals": [{"id": "acme", "scopes": ["orders:delete", "orders:read"],
            "credentials": [{"type": "passkey", "id": "x"}, {"type": "access_service_token", "client_id": "id.access"}]}]}))
        .unwrap();
        assert_eq!(
            all.ignored,
            ["principal acme: scope orders:delete", "principal acme: a credential of a type that is not known"]
        );
        assert!(all.service_tokens.get("id.access").is_some());
    }

    #[test]
    fn what_is_wrong_is_refused_as_a_whole() {
        for document in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"version":1}"#,
            r#"{"version":2,"principals":[]}"#,
            r#"{"version":1,"principals":[],"more":1}"#,
            r#"{"version":1,"version":1,"principals":[]}"#,
        ] {
            assert!(Principals::parse(document, |_| None).is_err(), "{document}");
        }
        assert!(parse(&json!({"version": 1, "principals": []})).is_ok());
        for id in ["", "a b", "a/b", "é", &"a".repeat(65)] {
            assert!(
                parse(&json!({"version": 1, "principals": [{"id": id, "scopes": [], "credentials": []}]})).is_err(),
                "{id}"
            );
        }
        let hmac = |more: Value| {
            let mut key = json!({"type": "http_signature", "keyid": "k", "alg": "hmac-sha256"});
            key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            key
        };
        assert!(with(json!([hmac(json!({"secret": SECRET}))])).is_ok());
        for credential in [
            json!({"client_id": "id.access"}),
            json!({"type": "access_service_token"}),
            json!({"type": "access_service_token", "client_id": ""}),
            json!({"type": "access_service_token", "client_id": "two\nlines"}),
            json!({"type": "access_service_token", "client_id": "id.access", "secret": "x"}),
            json!({"type": "client_certificate", "fingerprint_sha256": "AB".repeat(32)}),
            json!({"type": "client_certificate", "fingerprint_sha256": "ab".repeat(20)}),
            hmac(json!({})),
            hmac(json!({"secret": SECRET, "secret_name": "ACME_KEY"})),
            hmac(json!({"secret_name": "NOT_SET"})),
            hmac(json!({"secret": "not base64!"})),
            hmac(json!({"secret": "c2hvcnQ="})),
            hmac(json!({"secret": SECRET, "alg": "none"})),
            hmac(json!({"secret": SECRET, "public_key": PEM})),
            json!({"type": "http_signature", "keyid": "k", "alg": "ed25519", "public_key": "PEM"}),
            json!({"type": "http_signature", "keyid": "k", "alg": "ed25519", "secret": SECRET}),
            json!({"type": "http_signature", "keyid": "k", "alg": "ed25519", "public_key": PEM, "not_after": "2020-01-01"}),
            json!({"type": "jwt", "kid": "j", "alg": "RS256", "secret": SECRET, "issuer": "acme"}),
            json!({"type": "jwt", "kid": "j", "alg": "HS256", "secret": "MDEyMzQ1Njc4OWFiY2RlZg==", "issuer": "acme"}),
            json!({"type": "jwt", "kid": "j", "alg": "HS256", "secret": SECRET}),
        ] {
            assert!(with(json!([credential])).is_err(), "{credential}");
        }
    }

    #[test]
    fn what_is_told_of_a_wrong_document_holds_no_secret() {
        for credential in [
            json!({"type": "http_signature", "keyid": ["hunter2"], "alg": "hmac-sha256", "secret": "hunter2"}),
            json!({"type": "http_signature", "keyid": "k", "alg": "hunter2", "secret": SECRET}),
            json!({"type": "http_signature", "keyid": "k", "alg": "hmac-sha256", "secret": "hunter2"}),
            json!({"type": "jwt", "kid": "j", "alg": "HS256", "secret": 5, "hunter2": 1}),
        ] {
            let Invalid(why) = with(json!([credential])).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
