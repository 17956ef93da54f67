use crate::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, crypto::rust_crypto::DEFAULT_PROVIDER, errors::Error};

/// The signature check for [`verify`](crate::verify) in Rust (RFC 7518 section 3.3), for where there is no Web Crypto.
///
/// # Errors
/// When `key` cannot be read, which no key of a [`KeySet`](crate::KeySet) is.
pub async fn rust_crypto(key: &Jwk, signing_input: &[u8], signature: &[u8]) -> Result<bool, Error> {
    let key = DecodingKey::from_rsa_components(&key.n, &key.e)?;
    // Not the process's default provider: that one panics when another crate enables a second backend.
    let verifier = (DEFAULT_PROVIDER.verifier_factory)(&Algorithm::RS256, &key)?;
    Ok(verifier.verify(signing_input, &signature.to_vec()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeySet;
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    // RFC 7515 appendix A.2, signed by somebody else's code.
    const KEY: &str = r#"{"kty":"RSA","kid":"k","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#;
    const SIGNING_INPUT: &[u8] = b"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const SIGNATURE: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

    fn check(signing_input: &[u8], signature: &[u8]) -> bool {
        let keys = KeySet::parse(format!(r#"{{"keys":[{KEY}]}}"#).as_bytes()).unwrap();
        match pin!(rust_crypto(keys.find("k").unwrap(), signing_input, signature))
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(answer) => answer.unwrap(),
            Poll::Pending => panic!("nothing to wait for"),
        }
    }

    #[test]
    fn the_example_of_rfc_7515_is_verified() {
        assert!(check(SIGNING_INPUT, &URL_SAFE_NO_PAD.decode(SIGNATURE).unwrap()));
    }

    #[test]
    fn another_text_or_a_signature_of_another_length_is_not() {
        let signature = URL_SAFE_NO_PAD.decode(SIGNATURE).unwrap();
        assert!(!check(b"eyJhbGciOiJSUzI1NiJ9.e30", &signature));
        assert!(!check(SIGNING_INPUT, b""));
        assert!(!check(SIGNING_INPUT, &signature[1..]));
        assert!(!check(SIGNING_INPUT, &[&[0], &*signature].concat()));
        for byte in [0, 1, 0xff] {
            assert!(!check(SIGNING_INPUT, &[byte; 256]));
        }
    }
}
