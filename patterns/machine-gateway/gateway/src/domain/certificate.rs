/// What Cloudflare's edge says of a client certificate, in `request.cf.tlsClientAuth`; what it does not say is `None`.
/// <https://developers.cloudflare.com/workers/runtime-apis/request/#incomingrequestcfproperties>
#[derive(Debug, Default)]
pub struct ClientCertificate {
    /// `certVerified`: "SUCCESS", "FAILED:…" or "NONE".
    pub verified: Option<String>,
    /// `certRevoked`: "1" or "0".
    pub revoked: Option<String>,
    /// `certFingerprintSHA256`, in hexadecimal.
    pub fingerprint: Option<String>,
}

impl ClientCertificate {
    /// The fingerprint of a certificate that is to be believed, in lower case: of one of the zone's own authorities, and not
    /// revoked. "SUCCESS" alone does not say the second, and silence says nothing.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn fingerprint(self) -> Result<String, &'static str> {
        if self.verified.as_deref() != Some("SUCCESS") {
            return Err("the client certificate is not verified");
        }
        if self.revoked.as_deref() != Some("0") {
            return Err("the client certificate is revoked, or nobody says that it is not");
        }
        self.fingerprint.map(|hex| hex.to_ascii_lowercase()).ok_or("the client certificate has no fingerprint")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(
        verified: Option<&str>,
        revoked: Option<&str>,
        fingerprint: Option<&str>,
    ) -> Result<String, &'static str> {
        let own = |text: Option<&str>| text.map(str::to_owned);
        ClientCertificate { verified: own(verified), revoked: own(revoked), fingerprint: own(fingerprint) }
            .fingerprint()
    }

    #[test]
    fn a_verified_certificate_that_is_not_revoked_is_believed() {
        assert_eq!(fingerprint(Some("SUCCESS"), Some("0"), Some("AB12")), Ok("ab12".into()));
    }

    #[test]
    fn one_that_is_revoked_or_not_verified_is_refused() {
        for (verified, revoked) in
            [("NONE", "0"), ("FAILED:self signed certificate", "0"), ("success", "0"), ("", "0"), ("SUCCESS", "1")]
        {
            assert!(fingerprint(Some(verified), Some(revoked), Some("ab12")).is_err(), "{verified} {revoked}");
        }
    }

    #[test]
    fn what_the_edge_does_not_say_is_a_refusal() {
        assert!(fingerprint(None, Some("0"), Some("ab12")).is_err());
        assert!(fingerprint(Some("SUCCESS"), None, Some("ab12")).is_err());
        assert!(fingerprint(Some("SUCCESS"), Some("0"), None).is_err());
    }
}
