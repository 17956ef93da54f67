use crate::Refused;
use crate::field;
use sfv::{BareItem, Dictionary, FieldType, Item, ListEntry, key_ref};
use sha2::{Digest, Sha256, Sha512};
use std::fmt;

/// `Content-Digest` (RFC 9530 section 2): the digests of a message's content. Holds one at least.
///
/// Known are the algorithms whose status is "Active" (section 5): sha-256 and sha-512. Others are ignored, as section 2
/// allows, and as deprecated ones must be where somebody may be an adversary. Displays as the field's value, without
/// what was ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentDigest {
    sha256: Option<[u8; 32]>,
    sha512: Option<[u8; 64]>,
}

impl ContentDigest {
    /// Reads the field's value.
    ///
    /// # Errors
    /// [`Refused::DigestAlgorithm`] when no algorithm is known, [`Refused::Malformed`] or [`Refused::TooLarge`].
    pub fn parse(value: &str) -> Result<Self, Refused> {
        let dictionary = field::dictionary(value)?;
        let digest = Self { sha256: bytes(&dictionary, "sha-256")?, sha512: bytes(&dictionary, "sha-512")? };
        if digest.sha256.is_none() && digest.sha512.is_none() {
            return Err(Refused::DigestAlgorithm);
        }
        Ok(digest)
    }

    /// The sha-256 of `content`, for who sends it.
    pub fn sha256(content: &[u8]) -> Self {
        Self { sha256: Some(Sha256::digest(content).into()), sha512: None }
    }

    /// Whether every known digest is the `content`'s: of two, the weaker one must not vouch alone.
    ///
    /// # Errors
    /// [`Refused::Digest`].
    pub fn verify(&self, content: &[u8]) -> Result<(), Refused> {
        let holds = self.sha256.is_none_or(|digest| Sha256::digest(content)[..] == digest)
            && self.sha512.is_none_or(|digest| Sha512::digest(content)[..] == digest);
        if holds { Ok(()) } else { Err(Refused::Digest) }
    }
}

/// The digest under `key`, which has to be of the algorithm's length.
fn bytes<const N: usize>(dictionary: &Dictionary, key: &'static str) -> Result<Option<[u8; N]>, Refused> {
    match dictionary.get(key_ref(key)) {
        None => Ok(None),
        Some(ListEntry::Item(Item { bare_item: BareItem::ByteSequence(bytes), .. })) => {
            bytes.as_slice().try_into().map(Some).map_err(|_| Refused::Malformed)
        }
        Some(_) => Err(Refused::Malformed),
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut dictionary = Dictionary::new();
        if let Some(digest) = &self.sha256 {
            dictionary.insert(key_ref("sha-256").to_owned(), digest.to_vec().into());
        }
        if let Some(digest) = &self.sha512 {
            dictionary.insert(key_ref("sha-512").to_owned(), digest.to_vec().into());
        }
        f.write_str(&dictionary.serialize().unwrap_or_default())
    }
}
