use axum::http::{HeaderMap, Uri};

/// Fields of a head: an Access token, a signature and its input, and what proxies add, many times over.
const MAX_FIELDS: usize = 64;
/// Bytes of all names and values: two tokens of the longest kind.
const MAX_HEAD: usize = 16 << 10;
/// Bytes of path and query: the longest path here has 50, the longest cursor 100.
const MAX_TARGET: usize = 2 << 10;

/// What a request's head is too large in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLarge {
    Target,
    Fields,
    Size,
}

/// Cloudflare's own limits (128 KB of head, 16 KB of URL) leave room for what no client of this API sends.
pub fn check(uri: &Uri, headers: &HeaderMap) -> Result<(), TooLarge> {
    if uri.path_and_query().map_or(0, |target| target.as_str().len()) > MAX_TARGET {
        return Err(TooLarge::Target);
    }
    if headers.len() > MAX_FIELDS {
        return Err(TooLarge::Fields);
    }
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > MAX_HEAD { Err(TooLarge::Size) } else { Ok(()) }
}
