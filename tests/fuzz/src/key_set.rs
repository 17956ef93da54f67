//! What Access's `/cdn-cgi/access/certs` answers.

use access_jwt::KeySet;

pub fn run(input: &[u8]) {
    // Read-only: what was parsed is asked for a key by a token, in target `access_token`.
    let _ = KeySet::parse(input);
}
