use crate::component::{Component, Form, Of};
use crate::field::{combined, dictionary};
use crate::{ContentDigest, Failure, Key, Message, Refused, Request, SignatureInput, Verify, signature_base};
use sfv::{BareItem, Item, ListEntry};
use std::time::Duration;

/// Bytes of the longest `keyid`.
pub const MAX_KEYID: usize = 256;

/// Bytes of the longest `nonce`: each is remembered for as long as its signature could come again.
pub const MAX_NONCE: usize = 256;

/// How many components may have their field or the query read anew (`sf`, `key`, `@query-param`): each costs as much as the
/// field is long, before anybody has proven anything.
const MAX_PARSED: usize = 4;

/// How old a signature may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long after `created` a signature is accepted, by our clock.
    pub max_age: Duration,
    /// How far `created` may lie in the future, and how far the clocks of two verifiers may differ.
    pub max_skew: Duration,
}

/// A request whose signature says everything that it must, and says it in time. The signature itself is unchecked:
/// believe nothing but [`keyid`](Self::keyid), and that only to find the key.
#[derive(Debug)]
pub struct Checked {
    keyid: String,
    nonce: String,
    alg: Option<String>,
    remember_until: Duration,
    content_digest: Option<ContentDigest>,
    base: String,
    signature: Vec<u8>,
}

/// Judges everything about the request's signature that needs no key. `now` is the time since the Unix epoch.
///
/// - There is exactly one signature: of several, readers would differ in which one counts.
/// - It covers `@method`, `@authority`, and the target: `@target-uri`, `@request-target`, or `@path` with `@query`. `@path`
///   alone would leave the query to whoever comes between; `@query-param` does not cover what else the query holds. The
///   scheme may be left out: it does not say what is asked for, and TLS is the server's to demand.
/// - Further components may be covered. One that is unknown, twice there or absent from the message is refused.
/// - `created`, `keyid` and `nonce` are there; `created` is not older than the policy's age nor in the future beyond its
///   skew; `expires`, if there, has not passed, and no skew is granted to it: who signed vouches no longer.
/// - A covered `Content-Digest` is one that can be checked.
///
/// # Errors
/// [`Refused`], which says what is missing.
pub fn check(request: Request, policy: Policy, now: Duration) -> Result<Checked, Refused> {
    let (input, signature) = only_signature(request)?;
    let covers = |of: Of| input.components.iter().any(|component| component.of == of);
    let target = covers(Of::TargetUri) || covers(Of::RequestTarget) || covers(Of::Path) && covers(Of::Query);
    if !covers(Of::Method) || !covers(Of::Authority) || !target {
        return Err(Refused::NotCovered);
    }
    let is_parsed = |component: &&Component| {
        matches!(component.of, Of::QueryParam(_) | Of::Field(_, Form::Strict | Form::Member(_)))
    };
    if input.components.iter().filter(is_parsed).count() > MAX_PARSED {
        return Err(Refused::TooLarge);
    }

    let created = Duration::from_secs(input.created.ok_or(Refused::Undated)?);
    if created > now.saturating_add(policy.max_skew) {
        return Err(Refused::Future);
    }
    let stale = created.saturating_add(policy.max_age);
    if now > stale {
        return Err(Refused::Stale);
    }
    let expires = input.expires.map(Duration::from_secs);
    if expires.is_some_and(|expires| now >= expires) {
        return Err(Refused::Expired);
    }
    let remember_until = expires.map_or(stale, |expires| expires.min(stale)).saturating_add(policy.max_skew);

    let content_digest = match combined(request.headers, "content-digest")? {
        Some(value) if input.components.iter().any(is_whole_content_digest) => Some(ContentDigest::parse(&value)?),
        _ => None,
    };
    let base = signature_base(Message::Request(request), &input)?;
    let bounded = |text: Option<String>, max| text.filter(|text| (1..=max).contains(&text.len()));
    Ok(Checked {
        keyid: bounded(input.keyid, MAX_KEYID).ok_or(Refused::KeyId)?,
        nonce: bounded(input.nonce, MAX_NONCE).ok_or(Refused::Nonce)?,
        alg: input.alg,
        remember_until,
        content_digest,
        base,
        signature,
    })
}

/// One member of it would leave the others to whoever comes between.
fn is_whole_content_digest(component: &Component) -> bool {
    matches!(&component.of, Of::Field(name, Form::Plain | Form::Strict | Form::Wrapped) if name == "content-digest")
}

/// The one member of `Signature-Input` and of `Signature`, under one label (RFC 9421 section 4).
fn only_signature(request: Request) -> Result<(SignatureInput, Vec<u8>), Refused> {
    let only = |name| {
        let members = dictionary(&combined(request.headers, name)?.ok_or(Refused::Unsigned)?)?;
        let mut members = members.into_iter();
        match (members.next(), members.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(Refused::NotOneSignature),
        }
    };
    let (label, input) = only("signature-input")?;
    let (other, signature) = only("signature")?;
    if label != other {
        return Err(Refused::NotOneSignature);
    }
    match (input, signature) {
        (ListEntry::InnerList(list), ListEntry::Item(Item { bare_item: BareItem::ByteSequence(signature), .. })) => {
            Ok((SignatureInput::of(list)?, signature))
        }
        _ => Err(Refused::Malformed),
    }
}

impl Checked {
    /// Which key claims to have signed.
    pub fn keyid(&self) -> &str {
        &self.keyid
    }

    /// Whether one of `keys` has signed the request: while a key is replaced, the old one and the new one are good.
    ///
    /// # Errors
    /// [`Failure::Refused`] when none has, [`Failure::Unchecked`] when `verify` failed to tell.
    pub async fn verify<V: Verify>(self, keys: &[Key], verify: &V) -> Result<Verified, Failure<V::Error>> {
        let mut why = Refused::Algorithm;
        for key in keys.iter().filter(|key| self.alg.as_deref().is_none_or(|alg| alg == key.algorithm())) {
            why = Refused::Signature;
            if verify.verify(key, self.base.as_bytes(), &self.signature).await.map_err(Failure::Unchecked)? {
                return Ok(Verified(self));
            }
        }
        Err(Failure::Refused(why))
    }
}

/// A request that the owner of a key has signed. Two steps are the caller's: its content has to be
/// [checked](Self::check_content), and its [`nonce`](Self::nonce) to be admitted once.
#[derive(Debug)]
pub struct Verified(Checked);

impl Verified {
    /// What makes this signature one that comes once: unique among those of the key.
    pub fn nonce(&self) -> &str {
        &self.0.nonce
    }

    /// The time since the Unix epoch until which a nonce must be remembered: later, no verifier whose clock is within
    /// the policy's skew of ours accepts the signature.
    pub fn remember_until(&self) -> Duration {
        self.0.remember_until
    }

    /// Whether `content`, all of it, is what was signed. Without content no digest is needed; one that is covered holds
    /// for the empty content, too.
    ///
    /// # Errors
    /// [`Refused::ContentNotCovered`] or [`Refused::Digest`].
    pub fn check_content(&self, content: &[u8]) -> Result<(), Refused> {
        match &self.0.content_digest {
            Some(digest) => digest.verify(content),
            None if content.is_empty() => Ok(()),
            None => Err(Refused::ContentNotCovered),
        }
    }
}
