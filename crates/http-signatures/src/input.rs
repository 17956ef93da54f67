use crate::component::Component;
use crate::field::{self, MAX_FIELD};
use crate::{Message, Refused};
use sfv::{BareItem, InnerList, List, ListEntry, Parser};
use std::fmt::{self, Write};

/// Components of the longest list.
pub const MAX_COMPONENTS: usize = 32;

/// Bytes of the longest signature base, since one long field can be covered in several forms.
pub const MAX_BASE: usize = 64 * 1024;

/// The covered components and parameters of one signature: a member of `Signature-Input` without its label (RFC 9421
/// sections 2.3 and 4.1). Each component is there once, and nothing in it is unknown.
///
/// Displays as its strict serialisation, which is the value of `@signature-params`.
#[derive(Clone, Debug)]
pub struct SignatureInput {
    pub(crate) components: Vec<Component>,
    pub(crate) created: Option<u64>,
    pub(crate) expires: Option<u64>,
    pub(crate) nonce: Option<String>,
    pub(crate) keyid: Option<String>,
    pub(crate) alg: Option<String>,
    text: String,
}

impl SignatureInput {
    /// Reads `("@method" …);created=…;keyid="…"`.
    ///
    /// # Errors
    /// [`Refused::TooLarge`], [`Refused::Malformed`], [`Refused::Component`] or [`Refused::Parameter`].
    pub fn parse(text: &str) -> Result<Self, Refused> {
        if text.len() > MAX_FIELD {
            return Err(Refused::TooLarge);
        }
        let list: List = Parser::new(text).parse().map_err(|_| Refused::Malformed)?;
        match <[ListEntry; 1]>::try_from(list) {
            Ok([ListEntry::InnerList(list)]) => Self::of(list),
            _ => Err(Refused::Malformed),
        }
    }

    pub(crate) fn of(list: InnerList) -> Result<Self, Refused> {
        if list.items.len() > MAX_COMPONENTS {
            return Err(Refused::TooLarge);
        }
        let mut components = Vec::with_capacity(list.items.len());
        for item in &list.items {
            let component = Component::parse(item)?;
            if components.contains(&component) {
                return Err(Refused::Component);
            }
            components.push(component);
        }
        let mut input =
            Self { components, created: None, expires: None, nonce: None, keyid: None, alg: None, text: String::new() };
        for (parameter, value) in &list.params {
            let text = || Some(value.as_string()?.as_str().to_owned());
            let seconds = || u64::try_from(value.as_integer()?).ok();
            let understood = match parameter.as_str() {
                "created" => {
                    input.created = seconds();
                    input.created.is_some()
                }
                "expires" => {
                    input.expires = seconds();
                    input.expires.is_some()
                }
                "nonce" => {
                    input.nonce = text();
                    input.nonce.is_some()
                }
                "keyid" => {
                    input.keyid = text();
                    input.keyid.is_some()
                }
                "alg" => {
                    input.alg = text();
                    input.alg.is_some()
                }
                // Tells applications apart that share a key; here the key is for one.
                "tag" => matches!(value, BareItem::String(_)),
                _ => false,
            };
            if !understood {
                return Err(Refused::Parameter);
            }
        }
        input.text = field::list_of_one(list).ok_or(Refused::Malformed)?;
        Ok(input)
    }
}

impl fmt::Display for SignatureInput {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What is signed (RFC 9421 section 2.5): a line for each covered component of `message`, and one for the input itself.
///
/// # Errors
/// [`Refused::Component`] or [`Refused::ComponentValue`] when a component does not apply to the message or is not in it,
/// [`Refused::Malformed`] for the target, [`Refused::TooLarge`].
pub fn signature_base(message: Message, input: &SignatureInput) -> Result<String, Refused> {
    let mut base = String::new();
    for component in &input.components {
        let value = component.value(message)?;
        if base.len() + component.identifier.len() + value.len() > MAX_BASE {
            return Err(Refused::TooLarge);
        }
        // Writing to a string does not fail.
        let _ = writeln!(base, "{}: {value}", component.identifier);
    }
    let _ = write!(base, "\"@signature-params\": {input}");
    Ok(base)
}
