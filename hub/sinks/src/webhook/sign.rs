//! Signatures of Standard Webhooks 1.0.0: HMAC-SHA256 over `id.timestamp.body`, in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// What a symmetric secret begins with.
const PREFIX: &str = "whsec_";

/// The specification asks for 24 to 64 bytes.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A key that signs.
#[derive(Clone, Debug)]
pub(crate) struct Key(hmac::Key);

impl Key {
    /// Reads `whsec_` and base64.
    pub(crate) fn parse(secret: &str) -> Result<Self, String> {
        let bytes = secret
            .strip_prefix(PREFIX)
            .and_then(|text| STANDARD.decode(text).ok())
            .ok_or_else(|| format!("must be `{PREFIX}` and base64"))?;
        if !KEY_BYTES.contains(&bytes.len()) {
            return Err(format!(
                "has {} bytes; Standard Webhooks asks for {} to {}",
                bytes.len(),
                KEY_BYTES.start(),
                KEY_BYTES.end()
            ));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }
}

/// Gives the header `webhook-signature`: one signature for each key, so that a subscriber can go
/// over to the next secret at a moment of its own.
pub(crate) fn sign(keys: &[Key], id: &str, timestamp_s: i64, body: &[u8]) -> String {
    let prefix = format!("{id}.{timestamp_s}.");
    let signature = |key: &Key| {
        let mut context = hmac::Context::with_key(&key.0);
        context.update(prefix.as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    };
    let signatures: Vec<String> = keys.iter().map(signature).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Key, sign};

    /// The example of the specification and of its reference libraries:
    /// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn a_signature_is_what_an_independent_implementation_computes() {
        // printf '%s' 'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}' \
        //   | openssl dgst -sha256 -binary -mac HMAC \
        //       -macopt hexkey:$(printf MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw | base64 -d | od -An -tx1 | tr -d " \n") | base64
        let key = Key::parse(SECRET).unwrap();
        let signature = sign(
            &[key],
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn during_a_rotation_both_secrets_sign() {
        let old = Key::parse(SECRET).unwrap();
        let new = Key::parse("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX").unwrap();
        let both = sign(&[old.clone(), new.clone()], "7", 1, b"{}");
        let one = |key: &Key| sign(std::slice::from_ref(key), "7", 1, b"{}");
        assert_eq!(both, format!("{} {}", one(&old), one(&new)));
    }

    #[test]
    fn a_secret_that_is_none_is_refused() {
        for secret in [
            "",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_*",
            "whsec_c2hvcnQ=",
        ] {
            assert!(Key::parse(secret).is_err(), "{secret}");
        }
    }
}
