//! Field values, as RFC 9421 section 2.1 makes them one, and as structured fields (RFC 8941, 9651).

use crate::Refused;
use sfv::visitor::{DictionaryVisitor, EntryVisitor};
use sfv::{Dictionary, FieldType, Item, KeyRef, List, ListEntry, Parser};

/// Bytes of the longest structured field that is parsed.
pub const MAX_FIELD: usize = 8 * 1024;

/// Members of the longest `Signature-Input`, `Signature` or `Content-Digest`.
const MAX_MEMBERS: usize = 8;

/// The fields of a message, in their order: name, in any case, and value.
pub type Fields<'a> = &'a [(&'a str, &'a [u8])];

/// The values of all lines of a field, without white space around them and unfolded. Nothing when there is no line.
pub fn lines(fields: Fields, name: &str) -> Result<Vec<Vec<u8>>, Refused> {
    fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| unfolded(value)).collect()
}

/// An obsolete fold becomes a space (RFC 9112 section 5.2); any other newline could forge a line of the signature base.
fn unfolded(value: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut lines = value.trim_ascii().split(|byte| *byte == b'\n');
    let mut whole = lines.next().unwrap_or_default().trim_ascii_end().to_vec();
    for folded in lines {
        if !matches!(folded, [b' ' | b'\t', ..]) {
            return Err(Refused::ComponentValue);
        }
        whole.push(b' ');
        whole.extend_from_slice(folded.trim_ascii());
    }
    Ok(whole)
}

/// All lines of a field as one value (RFC 9421 section 2.1). `None` when there is no line.
pub fn combined(fields: Fields, name: &str) -> Result<Option<String>, Refused> {
    let lines = lines(fields, name)?;
    if lines.is_empty() {
        return Ok(None);
    }
    let value = String::from_utf8(lines.join(&b", "[..])).map_err(|_| Refused::ComponentValue)?;
    // RFC 9421 section 2.5 knows no other bytes in a signature base; `bs` is there for them.
    if !value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
        return Err(Refused::ComponentValue);
    }
    Ok(Some(value))
}

/// A dictionary in which no key comes twice: RFC 8941 lets the last one win, which hides the others from whoever reads
/// differently, and RFC 9421 section 4 wants labels to be unique.
pub fn dictionary(text: &str) -> Result<Dictionary, Refused> {
    struct Unique(Dictionary);

    impl<'de> DictionaryVisitor<'de> for Unique {
        type Out = Dictionary;
        type Error = Refused;

        fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Refused> {
            if self.0.len() == MAX_MEMBERS || self.0.contains_key(key) {
                return Err(Refused::Malformed);
            }
            DictionaryVisitor::entry(&mut self.0, key).map_err(|never| match never {})
        }

        fn finish(self) -> Result<Dictionary, Refused> {
            Ok(self.0)
        }
    }

    if text.len() > MAX_FIELD {
        return Err(Refused::TooLarge);
    }
    Parser::new(text).parse_dictionary_with_visitor(Unique(Dictionary::new())).map_err(|_| Refused::Malformed)
}

/// The strict serialisation of a structured field (RFC 9421 section 2.1.1), whose type has to be known. Known are the
/// fields of HTTP's own specifications that are signed or that clients of an API send; any other is refused.
pub fn strict(name: &str, text: &str) -> Result<String, Refused> {
    fn again<T: FieldType>(text: &str, write: impl FnOnce(T) -> Option<String>) -> Result<String, Refused> {
        let value = Parser::new(text).parse().map_err(|_| Refused::ComponentValue)?;
        Ok(write(value).unwrap_or_default())
    }

    if text.len() > MAX_FIELD {
        return Err(Refused::TooLarge);
    }
    match name {
        // RFC 9421, 9530, 9218, 9213.
        "signature-input"
        | "signature"
        | "accept-signature"
        | "content-digest"
        | "repr-digest"
        | "want-content-digest"
        | "want-repr-digest"
        | "priority"
        | "cdn-cache-control" => again(text, |value: Dictionary| value.serialize()),
        // RFC 9211, 9209, 9440, 8942.
        "cache-status" | "proxy-status" | "client-cert-chain" | "accept-ch" => {
            again(text, |value: List| value.serialize())
        }
        // RFC 9440, and the draft of Idempotency-Key.
        "client-cert" | "idempotency-key" => again(text, |value: Item| Some(value.serialize())),
        _ => Err(Refused::ComponentValue),
    }
}

/// One member of a dictionary (RFC 9421 section 2.1.2). The identifier itself says that the field is one.
pub fn member(text: &str, key: &str) -> Result<String, Refused> {
    if text.len() > MAX_FIELD {
        return Err(Refused::TooLarge);
    }
    let dictionary: Dictionary = Parser::new(text).parse().map_err(|_| Refused::ComponentValue)?;
    let key = KeyRef::from_str(key).map_err(|_| Refused::ComponentValue)?;
    // As the only member of a list, which writes `?1` for what a dictionary leaves out.
    dictionary.get(key).cloned().and_then(list_of_one).ok_or(Refused::ComponentValue)
}

/// An item or inner list as it stands in a list or dictionary.
pub fn list_of_one(entry: impl Into<ListEntry>) -> Option<String> {
    List::from([entry.into()]).serialize()
}

/// The lines of a field, each as a byte sequence (RFC 9421 section 2.1.3).
pub fn wrapped(lines: Vec<Vec<u8>>) -> Option<String> {
    lines.into_iter().map(ListEntry::from).collect::<List>().serialize()
}
