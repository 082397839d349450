//! Texts that DTUs send: as people write them, or as `hex:` and digits.

/// Reads a text of the configuration or of the register as the bytes on the wire.
pub(crate) fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let Some(digits) = text.strip_prefix("hex:") else {
        return Ok(text.as_bytes().to_vec());
    };
    let digits: Vec<u8> = digits.bytes().filter(|byte| *byte != b' ').collect();
    let wrong = || format!("`{text}` is no even number of hexadecimal digits");
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return Err(wrong());
    }
    let pairs = digits.chunks_exact(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        // `from_str_radix` would take a sign.
        pair.bytes()
            .all(|byte| byte.is_ascii_hexdigit())
            .then(|| u8::from_str_radix(pair, 16).ok())?
    });
    pairs.collect::<Option<_>>().ok_or_else(wrong)
}

/// Writes bytes as the text that [`bytes`] reads.
pub(crate) fn text(bytes: &[u8]) -> String {
    let plain = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() || c == ' '));
    plain.map_or_else(
        || {
            let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("hex:{}", digits.concat())
        },
        str::to_owned,
    )
}

#[cfg(test)]
mod tests {
    use super::{bytes, text};

    #[test]
    fn a_text_stands_for_its_bytes_and_hex_for_any() {
        assert_eq!(bytes("ZC1000"), Ok(b"ZC1000".to_vec()));
        assert_eq!(bytes("hex:01 03FF"), Ok(vec![1, 3, 255]));
        for wrong in ["hex:", "hex:1", "hex:xy", "hex:+1"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_came_is_written_so_that_it_can_be_registered() {
        assert_eq!(text(b"ZC1000"), "ZC1000");
        assert_eq!(text(&[1, 3, 255]), "hex:0103ff");
        assert_eq!(text("城".as_bytes()), "hex:e59f8e");
    }
}
