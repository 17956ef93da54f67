use crate::field::{self, Fields};
use crate::message::{Message, Request, Target};
use crate::{Refused, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sfv::{BareItem, FieldType, Item};

/// What `application/x-www-form-urlencoded` percent-encodes (URL standard).
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

/// A component identifier (RFC 9421 section 2): which part of a message is covered, and in which form.
#[derive(Clone, Debug)]
pub struct Component {
    /// As the signer wrote it, strictly serialised: the order of its parameters is kept.
    pub identifier: String,
    pub of: Of,
    /// Whether it is the request's that the message answers (`req`).
    pub req: bool,
}

/// Two identifiers that differ in the order of their parameters only are equal here, as section 2 says.
impl PartialEq for Component {
    fn eq(&self, other: &Self) -> bool {
        (&self.of, self.req) == (&other.of, other.req)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    Method,
    TargetUri,
    Authority,
    Scheme,
    RequestTarget,
    Path,
    Query,
    /// With the name, encoded.
    QueryParam(String),
    Status,
    /// With the name, in lower case.
    Field(String, Form),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is, several lines joined.
    Plain,
    /// `sf`
    Strict,
    /// `key`
    Member(String),
    /// `bs`
    Wrapped,
}

impl Component {
    /// Reads an identifier. Whatever is not understood is refused, since it might say that less is covered. So is `tr`:
    /// servers do not hand trailers over with the request.
    pub fn parse(item: &Item) -> Result<Self, Refused> {
        let BareItem::String(name) = &item.bare_item else { return Err(Refused::Component) };
        let (mut strict, mut wrapped, mut req, mut key, mut query_name) = (false, false, false, None, None);
        for (parameter, value) in &item.params {
            match (parameter.as_str(), value) {
                ("sf", BareItem::Boolean(true)) => strict = true,
                ("bs", BareItem::Boolean(true)) => wrapped = true,
                ("req", BareItem::Boolean(true)) => req = true,
                ("key", BareItem::String(value)) => key = Some(value.as_str().to_owned()),
                ("name", BareItem::String(value)) => query_name = Some(value.as_str().to_owned()),
                _ => return Err(Refused::Component),
            }
        }
        let of = match (name.as_str(), key, strict, wrapped, query_name) {
            ("@method", None, false, false, None) => Of::Method,
            ("@target-uri", None, false, false, None) => Of::TargetUri,
            ("@authority", None, false, false, None) => Of::Authority,
            ("@scheme", None, false, false, None) => Of::Scheme,
            ("@request-target", None, false, false, None) => Of::RequestTarget,
            ("@path", None, false, false, None) => Of::Path,
            ("@query", None, false, false, None) => Of::Query,
            ("@query-param", None, false, false, Some(name)) => Of::QueryParam(name),
            ("@status", None, false, false, None) => Of::Status,
            (name, key, strict, wrapped, None) if is_field_name(name) => {
                let form = match (key, strict, wrapped) {
                    (None, false, false) => Form::Plain,
                    (None, true, false) => Form::Strict,
                    // `key` is always strict.
                    (Some(key), _, false) => Form::Member(key),
                    (None, false, true) => Form::Wrapped,
                    _ => return Err(Refused::Component),
                };
                Of::Field(name.to_owned(), form)
            }
            _ => return Err(Refused::Component),
        };
        Ok(Self { identifier: item.serialize(), of, req })
    }

    /// The component's value in `message`.
    pub fn value(&self, message: Message) -> Result<String, Refused> {
        match (message, self.req) {
            (Message::Request(request), false) | (Message::Response(Response { request: Some(request), .. }), true) => {
                self.of_request(request)
            }
            (Message::Response(response), false) => match &self.of {
                Of::Status if (100..1000).contains(&response.status) => Ok(response.status.to_string()),
                Of::Field(name, form) => of_field(response.headers, name, form),
                _ => Err(Refused::Component),
            },
            _ => Err(Refused::Component),
        }
    }

    fn of_request(&self, request: Request) -> Result<String, Refused> {
        let target = || Target::parse(request.target_uri);
        let value = match &self.of {
            Of::Method => request.method.to_owned(),
            Of::TargetUri => request.target_uri.to_owned(),
            Of::Authority => target()?.authority,
            Of::Scheme => target()?.scheme,
            // The origin form: a server that sees no more than the target URI can tell no other.
            Of::RequestTarget => match target()? {
                Target { path, query: Some(query), .. } => format!("{path}?{query}"),
                Target { path, query: None, .. } => path.to_owned(),
            },
            Of::Path => target()?.path.to_owned(),
            Of::Query => format!("?{}", target()?.query.unwrap_or_default()),
            Of::QueryParam(name) => query_param(target()?.query.unwrap_or_default(), name)?,
            Of::Status => return Err(Refused::Component),
            Of::Field(name, form) => return of_field(request.headers, name, form),
        };
        // A newline would forge a line of the signature base, a space at an end be lost on the way.
        if value.bytes().all(|byte| matches!(byte, b' '..=b'~')) && value.trim_ascii() == value {
            Ok(value)
        } else {
            Err(Refused::ComponentValue)
        }
    }
}

/// RFC 9110 section 5.1, in lower case (RFC 9421 section 2.1).
fn is_field_name(name: &str) -> bool {
    let is_token = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9') || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

fn of_field(fields: Fields, name: &str, form: &Form) -> Result<String, Refused> {
    if *form == Form::Wrapped {
        return field::wrapped(field::lines(fields, name)?).ok_or(Refused::ComponentValue);
    }
    let text = field::combined(fields, name)?.ok_or(Refused::ComponentValue)?;
    match form {
        Form::Strict => field::strict(name, &text),
        Form::Member(key) => field::member(&text, key),
        Form::Plain | Form::Wrapped => Ok(text),
    }
}

/// RFC 9421 section 2.2.8. A name that comes twice is refused: readers differ in which one they take.
fn query_param(query: &str, name: &str) -> Result<String, Refused> {
    let encoded = |text: &str| utf8_percent_encode(text, FORM).to_string();
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(other, _)| encoded(other) == name);
    match (values.next(), values.next()) {
        (Some((_, value)), None) => Ok(encoded(&value)),
        _ => Err(Refused::ComponentValue),
    }
}
