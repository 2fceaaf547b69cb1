//! How what is sent is signed: Standard Webhooks, symmetric.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What an endpoint's owner checks signatures with, as libraries take it.
pub(crate) fn shown(secret: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(secret))
}

/// `webhook-signature`: one for each secret, with spaces between.
pub(super) fn sign<'a>(secrets: impl Iterator<Item = &'a [u8]>, id: &str, timestamp: i64, body: &[u8]) -> String {
    let sign = |secret: &[u8]| {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    };
    secrets.map(sign).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_libraries_of_the_standard_have_it() {
        // The example that the libraries of Standard Webhooks test themselves with.
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64");
        assert_eq!(shown(&secret), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;
        let (id, at) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330);
        let one = sign(std::iter::once(secret.as_slice()), id, at, body);
        assert_eq!(one, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let both = sign([secret.as_slice(), b"another".as_slice()].into_iter(), id, at, body);
        assert!(both.starts_with(&format!("{one} v1,")), "{both}");
    }
}
