use crate::Refused;
use crate::field::Fields;

/// A request, as its server sees it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, in its own case.
    pub method: &'a str,
    /// The absolute target URI (RFC 9110 section 7.1), without a fragment. It is compared byte for byte: what a server
    /// normalises before it comes here, the client has to have signed normalised.
    pub target_uri: &'a str,
    /// The header fields, in their order: name, in any case, and value. Several lines of a name are several entries;
    /// a server that only sees them joined cannot verify `bs` over them.
    pub headers: Fields<'a>,
}

/// A response, as its client sees it.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// The status code.
    pub status: u16,
    /// The header fields, as those of a [`Request`].
    pub headers: Fields<'a>,
    /// The request that it answers, which components with `req` are taken from (RFC 9421 section 2.4).
    pub request: Option<Request<'a>>,
}

/// What a signature is about.
#[derive(Clone, Copy, Debug)]
pub enum Message<'a> {
    /// A request.
    Request(Request<'a>),
    /// A response.
    Response(Response<'a>),
}

/// The parts of a target URI that derived components are made of (RFC 9421 section 2.2).
pub struct Target<'a> {
    pub scheme: String,
    /// In lower case and without the scheme's own port (RFC 9110 section 4.2.3).
    pub authority: String,
    pub path: &'a str,
    pub query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Splits an absolute URI. User information is refused (RFC 9110 section 4.2.4): it makes one host look like another.
    pub fn parse(uri: &'a str) -> Result<Self, Refused> {
        let (scheme, rest) = uri.split_once("://").ok_or(Refused::Malformed)?;
        if uri.contains('#') {
            return Err(Refused::Malformed);
        }
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.is_empty() || authority.contains('@') {
            return Err(Refused::Malformed);
        }
        let scheme = scheme.to_ascii_lowercase();
        let authority = authority.to_ascii_lowercase();
        let own_port = match &*scheme {
            "https" => ":443",
            "http" => ":80",
            _ => ":",
        };
        let authority = authority.strip_suffix(own_port).unwrap_or(&authority).to_owned();
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        Ok(Self { scheme, authority, path: if path.is_empty() { "/" } else { path }, query })
    }
}
