use crate::Invalid;
use std::{fmt, net::Ipv4Addr};

/// A Zero Trust organisation's origin, such as `https://team.cloudflareaccess.com`: the `iss` of its tokens, byte for
/// byte, and where its keys are published (documentation page "Validate JWTs").
///
/// An origin as RFC 6454 section 6.2 serialises it: scheme, lower-case host, port unless it is the scheme's own; no
/// user, path, query or trailing slash. `http` only on loopback, where nobody stands between us and the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamDomain(String);

impl TeamDomain {
    /// Takes the origin as it is: nothing is normalised, since `iss` is compared byte for byte.
    ///
    /// # Errors
    /// [`Invalid`] when `origin` is not such an origin.
    pub fn parse(origin: &str) -> Result<Self, Invalid> {
        let (https, authority) = match origin.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(Invalid("a team domain begins with https://")),
        };
        // The only IPv6 literal taken is loopback, which is also the only host with colons.
        let (host, port) = match authority.strip_prefix("[::1]") {
            Some("") => ("[::1]", None),
            Some(rest) => ("[::1]", Some(rest.strip_prefix(':').unwrap_or_default())),
            None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        if host != "[::1]" && !is_host(host) {
            return Err(Invalid("a team domain is an origin: scheme and lower-case host, without path or slash"));
        }
        if port.is_some_and(|port| !is_port(port, if https { "443" } else { "80" })) {
            return Err(Invalid("a team domain's port is a number, and absent when it is the scheme's own"));
        }
        if !https && !is_loopback(host) {
            return Err(Invalid("a team domain may be plain http on loopback only"));
        }
        Ok(Self(origin.to_owned()))
    }

    /// The origin, as `iss` holds it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the team publishes its keys, to be read by [`KeySet::parse`](crate::KeySet::parse).
    pub fn certs_url(&self) -> String {
        format!("{}/cdn-cgi/access/certs", self.0)
    }
}

impl fmt::Display for TeamDomain {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names and IPv4 addresses (RFC 1123 section 2.1).
fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

fn is_port(port: &str, default: &str) -> bool {
    port != default && !port.starts_with(['0', '+']) && port.parse::<u16>().is_ok()
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "[::1]" || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_kept_byte_for_byte_and_names_its_certs() {
        let team = TeamDomain::parse("https://team.cloudflareaccess.com").unwrap();
        assert_eq!(team.as_str(), "https://team.cloudflareaccess.com");
        assert_eq!(team.certs_url(), "https://team.cloudflareaccess.com/cdn-cgi/access/certs");
        assert!(TeamDomain::parse("https://team.example:8443").is_ok());
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for loopback in ["http://127.0.0.1:8788", "http://127.9.9.9", "http://localhost:1", "http://[::1]:65535"] {
            assert!(TeamDomain::parse(loopback).is_ok(), "{loopback}");
        }
        for remote in [
            "http://team.cloudflareaccess.com",
            "http://10.0.0.1",
            "http://127.0.0.1.example.com",
            "http://127.1",
            "http://0127.0.0.1",
            "http://localhost.example.com",
            "http://[::ffff:127.0.0.1]",
            "http://0.0.0.0",
        ] {
            assert!(TeamDomain::parse(remote).is_err(), "{remote}");
        }
    }

    #[test]
    fn anything_but_an_origin_is_refused() {
        for bad in [
            "",
            "https://",
            "team.cloudflareaccess.com",
            "//team.cloudflareaccess.com",
            "ftp://team.cloudflareaccess.com",
            "HTTPS://team.cloudflareaccess.com",
            "https://Team.cloudflareaccess.com",
            "https://team.cloudflareaccess.com/",
            "https://team.cloudflareaccess.com/path",
            "https://team.cloudflareaccess.com?q",
            "https://team.cloudflareaccess.com#f",
            "https://user@team.cloudflareaccess.com",
            "https://user:1@team.cloudflareaccess.com",
            "https://team.cloudflareaccess.com:443",
            "https://team.cloudflareaccess.com:",
            "https://team.cloudflareaccess.com:0",
            "https://team.cloudflareaccess.com:+1",
            "https://team.cloudflareaccess.com:08443",
            "https://team.cloudflareaccess.com:65536",
            "http://127.0.0.1:80",
            "http://[::1]8080",
            "http://[::1",
            "https://team..com",
            "https://team.com.",
            "https://-team.com",
            " https://team.com",
            "https://team.com\n",
            "https://téam.com",
            "https://https://team.com",
        ] {
            assert!(TeamDomain::parse(bad).is_err(), "{bad:?}");
        }
        assert!(TeamDomain::parse(&format!("https://{}com", "a.".repeat(200))).is_err());
    }
}
