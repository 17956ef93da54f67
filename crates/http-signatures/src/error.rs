use std::fmt;

/// A key of the configuration that cannot be used, with the reason. The text carries nothing of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid(pub(crate) &'static str);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Invalid {}

/// Why a message is not believed. The texts are safe to log: they carry nothing of the message. They are not for the
/// client, who would learn from them which check to try next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// No `Signature-Input`, or no `Signature`.
    Unsigned,
    /// More than one signature, or one whose label the other field does not have.
    NotOneSignature,
    /// A field is not the structured field that it should be, or the target is no absolute URI.
    Malformed,
    /// A field, the list of components or what is signed is longer than the limits.
    TooLarge,
    /// A covered component, or a parameter of one, that is unknown, comes twice or does not apply to the message
    /// (RFC 9421 section 2.5).
    Component,
    /// A covered field is not in the message, or its value cannot be what is asked for.
    ComponentValue,
    /// A parameter of the signature that is not understood (RFC 9421 section 2.3), or of another type.
    Parameter,
    /// The method, the target or the authority is not covered.
    NotCovered,
    /// No `created`.
    Undated,
    /// `created` lies in the future.
    Future,
    /// `created` is too long ago.
    Stale,
    /// `expires` has passed.
    Expired,
    /// No `nonce`, or one that is empty or too long.
    Nonce,
    /// No `keyid`, or one that is empty or too long.
    KeyId,
    /// `alg` is not the key's algorithm (RFC 9421 section 3.2).
    Algorithm,
    /// The signature is not the key's.
    Signature,
    /// There is content, and the signature does not cover its digest.
    ContentNotCovered,
    /// No digest of the content is of an algorithm that is known and safe (RFC 9530 section 5).
    DigestAlgorithm,
    /// A digest is not the content's.
    Digest,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Unsigned => "the message is not signed",
            Self::NotOneSignature => "the message has not exactly one signature",
            Self::Malformed => "a field or the target is malformed",
            Self::TooLarge => "the signature, or what it covers, is too large",
            Self::Component => "a covered component is unknown, repeated or does not apply",
            Self::ComponentValue => "a covered component has no value in the message",
            Self::Parameter => "a parameter of the signature is not understood",
            Self::NotCovered => "the method, the target or the authority is not covered",
            Self::Undated => "the signature does not say when it was created",
            Self::Future => "the signature was created in the future",
            Self::Stale => "the signature was created too long ago",
            Self::Expired => "the signature has expired",
            Self::Nonce => "the signature has no usable nonce",
            Self::KeyId => "the signature has no usable keyid",
            Self::Algorithm => "the signature's alg is not the key's algorithm",
            Self::Signature => "the signature is wrong",
            Self::ContentNotCovered => "the signature does not cover the content's digest",
            Self::DigestAlgorithm => "no digest of the content has an algorithm that is known and safe",
            Self::Digest => "a digest is not the content's",
        })
    }
}

impl std::error::Error for Refused {}

/// How [`Checked::verify`](crate::Checked::verify) can fail; `E` is the error of the [`Verify`](crate::Verify) in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure<E> {
    /// The signature was judged and is not believed: the client's fault.
    Refused(Refused),
    /// The check itself did not run: ours, and no statement about the signature.
    Unchecked(E),
}
