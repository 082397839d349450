//! Who may push: the address that nobody guesses, the networks of the platform, a header.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use nbiot::{AesKey, Platform, Token};
use schemars::JsonSchema;
use sdk::Network;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use subtle::ConstantTimeEq as _;

/// Characters of a last level that count as unguessable: 64 bits in hexadecimal digits.
const SECRET_CHARACTERS: usize = 16;

/// Which platform it is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// CTWing (AEP) of China Telecom.
    Ctwing,
    /// OneNET of China Mobile.
    Onenet,
    /// OceanConnect of Huawei.
    Oceanconnect,
}

/// `[drivers.NAME.push.PLATFORM]`: an NB-IoT platform that pushes to this port.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PushConfig {
    /// Which platform it is.
    pub format: Format,
    /// Where it pushes to: `/push/` and at least 16 random characters.
    pub path: String,
    /// OneNET: the token that its pushes are signed with.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub token: Option<Token>,
    /// OneNET: EncodingAESKey, where its pushes are enciphered.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub aes_key: Option<AesKey>,
    /// Addresses and networks that may push, with commas between: `203.0.113.7, 10.0.0.0/8`.
    #[serde(default)]
    pub from: Option<String>,
    /// A header that each push must have, as `Name: value`.
    #[serde(default)]
    pub header: Option<String>,
}

/// A platform that pushes, checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "PushConfig")]
pub struct Push {
    pub(crate) path: String,
    pub(super) platform: Platform,
    from: Option<Vec<Network>>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl TryFrom<PushConfig> for Push {
    type Error = String;
    fn try_from(config: PushConfig) -> Result<Self, String> {
        let path = config.path;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
        if !path.starts_with('/') || path.len() < 2 || !path.chars().all(is_plain) {
            return Err("path starts with `/` and has letters, digits and `-_.~` only".to_owned());
        }
        if path.starts_with("/devices/") {
            return Err("path: devices send to `/devices/`".to_owned());
        }
        let platform = match (config.format, config.token) {
            (Format::Onenet, Some(token)) => Platform::Onenet {
                token,
                key: config.aes_key,
            },
            (Format::Onenet, None) => {
                return Err("onenet needs `token`, which its pushes are signed with".to_owned());
            }
            (_, Some(_)) => return Err("token: only onenet signs its pushes".to_owned()),
            (_, None) if config.aes_key.is_some() => {
                return Err("aes_key: only onenet enciphers its pushes".to_owned());
            }
            (Format::Ctwing, None) => Platform::Ctwing,
            (Format::Oceanconnect, None) => Platform::Oceanconnect,
        };
        Ok(Self {
            path,
            platform,
            from: config.from.as_deref().map(networks).transpose()?,
            header: config.header.as_deref().map(header).transpose()?,
        })
    }
}

impl Push {
    /// Tells whether each push shows that it is the platform's.
    pub(crate) fn is_signed(&self) -> bool {
        matches!(self.platform, Platform::Onenet { .. })
    }

    /// Tells whether nothing but a path that can be guessed keeps others out.
    pub(crate) fn is_open(&self) -> bool {
        let last = self.path.rsplit('/').next().unwrap_or_default();
        let is_guarded = self.is_signed() || self.from.is_some() || self.header.is_some();
        !is_guarded && last.len() < SECRET_CHARACTERS
    }

    /// Lets a peer in, or tells in a word why not.
    pub(super) fn admit(&self, peer: IpAddr, headers: &HeaderMap) -> Result<(), &'static str> {
        let peer = peer.to_canonical();
        let is_there = |networks: &Vec<Network>| networks.iter().any(|of| of.holds(peer));
        if !self.from.as_ref().is_none_or(is_there) {
            return Err("forbidden_address");
        }
        let is_shown = |(name, value): &(HeaderName, HeaderValue)| {
            let shown = headers.get(name).map(HeaderValue::as_bytes);
            shown.is_some_and(|shown| shown.ct_eq(value.as_bytes()).into())
        };
        if !self.header.as_ref().is_none_or(is_shown) {
            return Err("wrong_header");
        }
        Ok(())
    }
}

fn networks(text: &str) -> Result<Vec<Network>, String> {
    Network::list(text).map_err(|error| format!("from: {error}"))
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    // The value is a secret and stays out of the message.
    let wrong = || "header is written `Name: value`".to_owned();
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let name = name.trim().parse::<HeaderName>().map_err(|_| wrong())?;
    let mut value = value.trim().parse::<HeaderValue>().map_err(|_| wrong())?;
    if value.is_empty() {
        return Err(wrong());
    }
    value.set_sensitive(true);
    Ok((name, value))
}

/// Every platform, by its path.
#[derive(Debug)]
pub(super) struct Gates {
    by_path: HashMap<String, (String, Push)>,
}

impl Gates {
    pub(super) fn new(pushes: &BTreeMap<String, Push>) -> Self {
        let gates = pushes
            .iter()
            .map(|(name, push)| (push.path.clone(), (name.clone(), push.clone())));
        Self {
            by_path: gates.collect(),
        }
    }

    pub(super) fn find(&self, path: &str) -> Option<(&str, &Push)> {
        let (name, push) = self.by_path.get(path)?;
        Some((name, push))
    }
}

#[cfg(test)]
mod tests;
