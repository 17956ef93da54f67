use crate::{Message, Refused, SignatureInput, field, signature_base};
use sfv::KeyRef;

/// Signs `message` and gives the values of `Signature-Input` and `Signature` (RFC 9421 sections 3.1 and 4).
///
/// `sign` gets the signature base and gives the signature; the time and the nonce in `input` are the caller's.
///
/// # Errors
/// As [`signature_base`]; [`Refused::Malformed`] when `label` is no key of a dictionary (RFC 8941 section 3.2).
pub fn sign(
    message: Message,
    label: &str,
    input: &SignatureInput,
    sign: impl FnOnce(&[u8]) -> Vec<u8>,
) -> Result<(String, String), Refused> {
    let label = KeyRef::from_str(label).map_err(|_| Refused::Malformed)?;
    let signature = sign(signature_base(message, input)?.as_bytes());
    let signature = field::list_of_one(signature).unwrap_or_default();
    Ok((format!("{label}={input}"), format!("{label}={signature}")))
}
