//! An Ed25519 public key, as an operator writes it into the policy.

use http_signatures::PublicKey;

pub fn run(input: &[u8]) {
    let Ok(Ok(key)) = str::from_utf8(input).map(PublicKey::from_pem) else { return };
    assert_eq!(PublicKey::from_pem(&key.to_pem()).unwrap(), key);
}
