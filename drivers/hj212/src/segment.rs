//! What a data segment says: who, which command, which fields.

use crate::seal::{self, Key};
use crate::time;
use model::Timestamp;
use std::borrow::Cow;

/// Edition of the standard, as bits 2 and up of `Flag` say.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Edition {
    E2005,
    E2017,
    E2025,
}

impl Edition {
    /// Devices are not always right about it.
    pub fn of(flag: u8) -> Option<Self> {
        match flag >> 2 {
            0 => Some(Self::E2005),
            1 => Some(Self::E2017),
            2 => Some(Self::E2025),
            _ => None,
        }
    }

    pub fn year(self) -> &'static str {
        match self {
            Self::E2005 => "2005",
            Self::E2017 => "2017",
            Self::E2025 => "2025",
        }
    }

    /// The bits of `Flag` that name it.
    pub fn bits(self) -> u8 {
        match self {
            Self::E2005 => 0,
            Self::E2017 => 4,
            Self::E2025 => 8,
        }
    }
}

/// A data segment, read. Texts are as they were sent, without blanks around them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment<'a> {
    pub qn: Option<&'a str>,
    pub st: Option<&'a str>,
    pub cn: Option<&'a str>,
    pub pw: Option<&'a str>,
    pub mn: Option<&'a str>,
    pub flag: Option<u8>,
    pub pnum: Option<u32>,
    pub pno: Option<u32>,
    /// What stands between `CP=&&` and the closing `&&`.
    pub content: &'a str,
}

/// `code-sub=value` or, without a sub-field, `name=value`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    pub name: &'a str,
    pub sub: Option<&'a str>,
    pub value: &'a str,
}

/// Gives the text of a segment: UTF-8, or GB 18030, of which the GBK of older devices is a part.
pub fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => encoding_rs::GB18030.decode_without_bom_handling(bytes).0,
    }
}

impl<'a> Segment<'a> {
    /// Reads a segment; `None` if it has no data area or no closing mark.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (head, rest) = text.split_once("CP=&&")?;
        let content = rest.strip_suffix("&&")?;
        let mut segment = Self {
            content,
            ..Self::default()
        };
        for field in head.split(';') {
            let Some((name, value)) = field.split_once('=') else {
                continue;
            };
            let value = value.trim();
            let text = (!value.is_empty()).then_some(value);
            match name.trim() {
                "QN" => segment.qn = text,
                "ST" => segment.st = text,
                "CN" => segment.cn = text,
                "PW" => segment.pw = text,
                "MN" => segment.mn = text,
                "Flag" => segment.flag = value.parse().ok(),
                "PNUM" => segment.pnum = value.parse().ok(),
                "PNO" => segment.pno = value.parse().ok(),
                _ => {}
            }
        }
        Some(segment)
    }

    pub fn edition(&self) -> Option<Edition> {
        self.flag.and_then(Edition::of)
    }

    /// Tells whether the device waits for an answer.
    pub fn wants_answer(&self) -> bool {
        self.flag.is_some_and(|flag| flag & 1 == 1)
    }

    /// Tells whether it is one part of several.
    pub fn is_part(&self) -> bool {
        self.flag.is_some_and(|flag| flag & 2 == 2) || self.pnum.is_some()
    }

    /// Tells whether the data area is enciphered.
    pub fn is_sealed(&self) -> bool {
        self.content.starts_with("{0x")
    }

    /// Deciphers the segment; `None` if this key, or any, cannot.
    pub fn unseal(&self, text: &str, key: &Key) -> Option<Vec<u8>> {
        let (head, _) = text.split_once("CP=&&")?;
        let content = seal::open(key, self.content)?;
        Some([head.as_bytes(), b"CP=&&", &content, b"&&"].concat())
    }

    /// Lists the fields of the data area in their order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> {
        let mut rest = self.content;
        let parts = std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (part, after) = split_field(rest);
            rest = after;
            Some(part)
        });
        parts.filter_map(field)
    }

    /// Finds a field without a sub-field, such as `DataTime` or `QnRtn`.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        let mut fields = self.fields();
        let found = fields.find(|field| field.sub.is_none() && field.name == name);
        found.map(|field| field.value)
    }

    /// Reads `DataTime`: when a sample was taken, or where its period begins (table 4).
    pub fn data_time(&self) -> Option<Timestamp> {
        self.param("DataTime").and_then(time::parse)
    }
}

/// Cuts at the next `;` or `,`, but not within `//…//`, which holds text.
fn split_field(text: &str) -> (&str, &str) {
    let plain = text.find([';', ',']).unwrap_or(text.len());
    let opened = text.get(..plain).and_then(|part| part.find("=//"));
    let end = opened.map_or(plain, |opened| {
        let from = opened + 3;
        let closed = text.get(from..).and_then(|rest| rest.find("//"));
        let from = closed.map_or(from, |closed| from + closed + 2);
        let rest = text.get(from..).unwrap_or_default();
        rest.find([';', ',']).map_or(text.len(), |at| from + at)
    });
    let after = text.get(end + 1..).unwrap_or_default();
    (text.get(..end).unwrap_or_default(), after)
}

fn field(text: &str) -> Option<Field<'_>> {
    let (key, value) = text.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    Some(match key.rsplit_once('-') {
        Some((name, sub)) => Field {
            name: name.trim(),
            sub: Some(sub.trim()),
            value,
        },
        None => Field {
            name: key,
            sub: None,
            value,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::{Field, Segment, text_of};

    fn fields(content: &str) -> Vec<(String, String)> {
        let text = format!("CP=&&{content}&&");
        let segment = Segment::parse(&text).unwrap();
        let pair = |field: Field<'_>| {
            let sub = field.sub.map(|sub| format!("-{sub}")).unwrap_or_default();
            (format!("{}{sub}", field.name), field.value.to_owned())
        };
        segment.fields().map(pair).collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn blanks_and_a_last_semicolon_do_no_harm() {
        assert_eq!(
            fields("DataTime = 20160801085857; LA-Rtd=50.1, LA-Flag = N;"),
            owned(&[
                ("DataTime", "20160801085857"),
                ("LA-Rtd", "50.1"),
                ("LA-Flag", "N")
            ])
        );
    }

    #[test]
    fn text_between_slashes_is_one_value() {
        assert_eq!(
            fields("i11001-Info=//a;b,c=d&&e//,PolId=w01018"),
            owned(&[("i11001-Info", "//a;b,c=d&&e//"), ("PolId", "w01018")])
        );
    }

    #[test]
    fn text_of_older_devices_is_gbk() {
        // `iconv -t GBK`
        assert_eq!(text_of(b"\xc7\xe5\xcf\xb4"), "清洗");
        assert_eq!(text_of("清洗".as_bytes()), "清洗");
    }
}
