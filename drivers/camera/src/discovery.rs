//! What ONVIF cameras call across their LAN: WS-Discovery 2005/04 over UDP, an extra where there is no
//! router in between.
//!
//! Nobody proves who he is here, so a call can say that a camera is there and never that it is gone:
//! after a Bye it is asked again. Names are compared by their namespaces, no document type is taken.

use roxmltree::{Document, Node, ParsingOptions};
use std::net::IpAddr;

const NODES_MAX: u32 = 4_096;
/// Cameras in one message, and addresses of one camera.
const MATCHES_MAX: usize = 64;
const ADDRESSES_MAX: usize = 16;

const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
const ADDRESSING: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
const DISCOVERY: &str = "http://schemas.xmlsoap.org/ws/2005/04/discovery";
const ONVIF: &str = "http://www.onvif.org/ver10/network/wsdl";
const NAME_SCOPE: &str = "onvif://www.onvif.org/name/";

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    ProbeMatches,
    Hello,
    Bye,
}

impl Call {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ProbeMatches => "ProbeMatches",
            Self::Hello => "Hello",
            Self::Bye => "Bye",
        }
    }
}

/// Somebody of whom a call tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) uuid: String,
    pub(crate) is_camera: bool,
    pub(crate) name: Option<String>,
    pub(crate) addresses: Vec<String>,
}

impl Caller {
    /// Gives the address to use: one of the sender's own, else one that is not of the link alone.
    pub(crate) fn address(&self, sender: Option<IpAddr>) -> Option<&str> {
        let has_host = |address: &&String, host: &str| {
            let rest = address
                .split_once("://")
                .map_or(address.as_str(), |(_, rest)| rest);
            rest.starts_with(host)
        };
        let sender = sender.map(|sender| sender.to_string());
        let own =
            sender.and_then(|host| self.addresses.iter().find(|known| has_host(known, &host)));
        let routed = || {
            self.addresses
                .iter()
                .find(|known| !has_host(known, "169.254."))
        };
        let found = own.or_else(routed).or_else(|| self.addresses.first());
        found.map(String::as_str)
    }
}

/// Why a datagram is none of these calls.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    #[error("a document type is not taken")]
    Dtd,
    #[error("more than {NODES_MAX} nodes")]
    TooLarge,
    #[error("no XML: {0}")]
    Malformed(String),
    #[error("no call of WS-Discovery")]
    Unknown,
}

impl CallError {
    /// The word for the ledger.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Dtd => "dtd_forbidden",
            Self::TooLarge => "xml_too_large",
            Self::Malformed(_) => "bad_xml",
            Self::Unknown => "unknown_call",
        }
    }
}

/// Reads a datagram.
pub(crate) fn read(bytes: &[u8]) -> Result<(Call, Vec<Caller>), CallError> {
    let text = std::str::from_utf8(bytes);
    let text = text.map_err(|error| CallError::Malformed(error.to_string()))?;
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: NODES_MAX,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::DtdDetected => CallError::Dtd,
        roxmltree::Error::NodesLimitReached => CallError::TooLarge,
        other => CallError::Malformed(other.to_string()),
    })?;
    let body = child(document.root_element(), SOAP, "Body").ok_or(CallError::Unknown)?;
    let calls = [Call::ProbeMatches, Call::Hello, Call::Bye];
    let found = calls
        .into_iter()
        .find_map(|call| Some((call, child(body, DISCOVERY, call.name())?)));
    let (call, node) = found.ok_or(CallError::Unknown)?;
    let callers = match call {
        Call::ProbeMatches => {
            let matches = node
                .children()
                .filter(|child| is(child, DISCOVERY, "ProbeMatch"));
            matches.take(MATCHES_MAX).filter_map(caller).collect()
        }
        Call::Hello | Call::Bye => caller(node).into_iter().collect(),
    };
    Ok((call, callers))
}

fn is(node: &Node<'_, '_>, namespace: &str, name: &str) -> bool {
    node.is_element()
        && node.tag_name().namespace() == Some(namespace)
        && node.tag_name().name() == name
}

fn child<'a, 'i>(node: Node<'a, 'i>, namespace: &str, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| is(child, namespace, name))
}

fn caller(node: Node<'_, '_>) -> Option<Caller> {
    let reference = child(node, ADDRESSING, "EndpointReference")?;
    let address = child(reference, ADDRESSING, "Address")?.text()?.trim();
    let uuid = address.rsplit(':').next().filter(|uuid| !uuid.is_empty())?;
    let words = |name: &str| {
        let text = child(node, DISCOVERY, name).and_then(|node| node.text());
        text.unwrap_or_default().split_ascii_whitespace()
    };
    let is_transmitter = |word: &str| {
        let (prefix, local) = word.split_once(':').unwrap_or(("", word));
        let types = child(node, DISCOVERY, "Types");
        let known = types
            .and_then(|types| types.lookup_namespace_uri((!prefix.is_empty()).then_some(prefix)));
        local == "NetworkVideoTransmitter" && known == Some(ONVIF)
    };
    Some(Caller {
        uuid: uuid.to_ascii_lowercase(),
        is_camera: words("Types").any(is_transmitter),
        name: words("Scopes").find_map(|scope| Some(decoded(scope.strip_prefix(NAME_SCOPE)?))),
        addresses: words("XAddrs")
            .take(ADDRESSES_MAX)
            .map(str::to_owned)
            .collect(),
    })
}

/// Decodes `%20` and its like.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let digit = |at: usize| more.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let coded = (*first == b'%').then(|| digit(0).zip(digit(1))).flatten();
        match coded.and_then(|(high, low)| u8::try_from(high * 16 + low).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = more.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Writes the question to all cameras of a LAN; `id` is any UUID.
pub(crate) fn probe(id: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><s:Envelope xmlns:s=\"{SOAP}\" xmlns:a=\"{ADDRESSING}\" \
         xmlns:d=\"{DISCOVERY}\" xmlns:n=\"{ONVIF}\"><s:Header>\
         <a:Action s:mustUnderstand=\"1\">{DISCOVERY}/Probe</a:Action>\
         <a:MessageID>uuid:{id}</a:MessageID>\
         <a:To s:mustUnderstand=\"1\">urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To>\
         </s:Header><s:Body><d:Probe><d:Types>n:NetworkVideoTransmitter</d:Types></d:Probe></s:Body>\
         </s:Envelope>"
    )
}

#[cfg(test)]
mod tests;
