//! The digests of RFC 9530, over the content that its examples show.

use http_signatures::{ContentDigest, Refused};

const HELLO: &[u8] = b"{\"hello\": \"world\"}";
const HELLO_SHA256: &str = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";
const HELLO_SHA512: &str =
    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";

fn verify(field: &str, content: &[u8]) -> Result<(), Refused> {
    ContentDigest::parse(field)?.verify(content)
}

#[test]
fn the_digests_of_appendix_b_are_those_of_the_content() {
    // The RFC prints this with 8b 08 80 at its head; hashed was what brotli makes of the text.
    let brotli = b"\x0b\x09\x80{\"hello\": \"world\"}\n\x03";
    let book = b"{\n  \"id\": \"123\",\n  \"title\": \"New Title\"\n}\n";
    let created =
        b"{\n  \"status\": \"created\",\n  \"id\": \"123\",\n  \"ts\": 1569327729,\n  \"instance\": \"/books/123\"\n}\n";
    let not_found =
        b"{\n  \"title\": \"Not Found\",\n  \"detail\": \"Cannot PATCH a non-existent resource\",\n  \"status\": 404\n}\n";
    for (field, content) in [
        ("sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:", &b"{\"hello\": \"world\"}\n"[..]), // B.1
        ("sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:", b""),                              // B.2
        ("sha-256=:jjcgBDWNAtbYUXI37CVG3gRuGOAjaaDRGpIUFsdyepQ=:", b"\"world\"}\n"),                  // B.3
        ("sha-256=:d435Qo+nKZ+gLcUHn7GQtQ72hiBVAgqoLsZnZPiTGPk=:", brotli),                           // B.4
        (
            "sha-256=:d435Qo+nKZ+gLcUHn7GQtQ72hiBVAgqoLsZnZPiTGPk=:, \
             sha-512=:db7fdBbgZMgX1Wb2MjA8zZj+rSNgfmDCEEXM8qLWfpfoNY0sCpHAzZbj09X1/7HAb7Od5Qfto4QpuBsFbUO3dQ==:",
            brotli, // B.6
        ),
        ("sha-256=:mEkdbO7Srd9LIOegftO0aBX+VPTVz7/CSHes2Z27gc4=:", b"{\"title\": \"New Title\"}\n"), // B.7
        ("sha-256=:uVSlinTTdQUwm2On4k8TJUikGN1bf/Ds8WPX4oe0h9I=:", book),                            // B.7
        ("sha-256=:yXIGDTN5VrfoyisKlXgRKUHHMs35SNtyC3szSz1dbO8=:", created),                         // B.8
        ("sha-256=:EXB0S2VF2H7ijkAVJkH1Sm0pBho0iDZcvVUHHXTTZSA=:", not_found),                       // B.10
    ] {
        assert_eq!(verify(field, content), Ok(()), "{field}");
        assert_eq!(verify(field, &[content, b" "].concat()), Err(Refused::Digest), "{field}");
    }
}

#[test]
fn of_the_samples_of_appendix_d_only_the_active_algorithms_count() {
    assert_eq!(verify(HELLO_SHA256, HELLO), Ok(()));
    assert_eq!(verify(HELLO_SHA512, HELLO), Ok(()));
    assert_eq!(ContentDigest::sha256(HELLO).to_string(), HELLO_SHA256);
    for deprecated in [
        "md5=:Sd/dVLAcvNLSq16eXua5uQ==:",
        "sha=:07CavjDP4u3/TungoUHJO/Wzr4c=:",
        "unixsum=:GQU=:",
        "unixcksum=:7zsHAA==:",
        "adler=:OZkGFw==:",
        "crc32c=:Q3lHIA==:",
        "",
    ] {
        assert_eq!(verify(deprecated, HELLO), Err(Refused::DigestAlgorithm), "{deprecated}");
        if !deprecated.is_empty() {
            assert_eq!(verify(&format!("{deprecated}, {HELLO_SHA256}"), HELLO), Ok(()));
        }
    }
}

#[test]
fn one_wrong_digest_of_two_is_wrong() {
    let other = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
    assert_eq!(verify(&format!("{HELLO_SHA256}, {HELLO_SHA512}"), HELLO), Ok(()));
    assert_eq!(verify(&format!("{other}, {HELLO_SHA512}"), HELLO), Err(Refused::Digest));
    assert_eq!(verify(&format!("{HELLO_SHA512}, {other}"), HELLO), Err(Refused::Digest));
}

#[test]
fn a_field_that_is_no_dictionary_of_digests_is_malformed() {
    for field in [
        "sha-256",
        "sha-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=", // RFC 3230's form
        "sha-256=\"X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=\"",
        "sha-256=(:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:)",
        "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBA==:", // 31 bytes
        "sha-256=::",
        "SHA-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:",
        &format!("{HELLO_SHA256},"),
        &format!("{HELLO_SHA256}, {HELLO_SHA256}"), // which one counts?
        &format!("{HELLO_SHA256}, sha-512=1"),
        &format!("{HELLO_SHA256}, a, b, c, d, e, f, g, h"), // more than anybody sends
    ] {
        assert_eq!(ContentDigest::parse(field).unwrap_err(), Refused::Malformed, "{field}");
    }
    let too_large = format!("{HELLO_SHA256}, a=\"{}\"", "x".repeat(http_signatures::MAX_FIELD));
    assert_eq!(ContentDigest::parse(&too_large).unwrap_err(), Refused::TooLarge);
}

#[test]
fn what_is_written_is_read_again() {
    for field in [HELLO_SHA256, HELLO_SHA512, &format!("{HELLO_SHA256}, {HELLO_SHA512}")] {
        assert_eq!(ContentDigest::parse(field).unwrap().to_string(), field);
    }
}
