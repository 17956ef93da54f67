//! The value of `Content-Digest`.

use http_signatures::ContentDigest;

pub fn run(input: &[u8]) {
    let Ok(Ok(digest)) = str::from_utf8(input).map(ContentDigest::parse) else { return };
    let written = digest.to_string();
    assert_eq!(ContentDigest::parse(&written).unwrap(), digest);
    assert!(digest.verify(written.as_bytes()).is_err(), "nobody finds a text with its own digest");
}
