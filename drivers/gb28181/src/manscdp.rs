//! What devices say of themselves in the body of a MESSAGE: MANSCDP, a small XML (GB/T 28181-2016 annex A).
//!
//! No document type, so many nodes at most, and names without their namespace. GB 2312 and UTF-8 are
//! told apart by the bytes, since what the declaration says is often not true.

use roxmltree::{Document, Node, ParsingOptions};
use std::borrow::Cow;

/// Nodes of one document; a catalogue of 200 channels has some 7,000.
const NODES_MAX: u32 = 20_000;

/// Channels that are read from one document.
const CHANNELS_MAX: usize = 1_024;

/// Longest id that is taken; theirs have 20 digits.
const ID_CHARS_MAX: usize = 64;

/// What a device said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notice {
    /// `Keepalive`, `Catalog`, `Alarm` …
    pub(crate) command: String,
    pub(crate) serial: Option<u64>,
    pub(crate) device: String,
    pub(crate) status: Option<String>,
    /// Channels at fault, of a Keepalive.
    pub(crate) faulty: Vec<String>,
    /// Channels and their state, of a Catalog.
    pub(crate) channels: Vec<(String, String)>,
    pub(crate) alarm_priority: Option<u8>,
    pub(crate) alarm_method: Option<u8>,
    /// Local time of the device, as it wrote it.
    pub(crate) alarm_time: Option<String>,
}

/// Why a body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoticeError {
    #[error("a document type is not taken")]
    Dtd,
    #[error("more than {NODES_MAX} nodes")]
    TooLarge,
    #[error("no XML: {0}")]
    Malformed(String),
    #[error("no `{0}` in it")]
    Missing(&'static str),
}

impl NoticeError {
    /// The word for the ledger.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Dtd => "dtd_forbidden",
            Self::TooLarge => "xml_too_large",
            Self::Malformed(_) => "bad_xml",
            Self::Missing(_) => "missing_element",
        }
    }
}

/// Reads a body. The name of the root is not looked at: `Query` is seen where `Notify` should be.
pub(crate) fn read(body: &[u8]) -> Result<Notice, NoticeError> {
    let text = text(body);
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: NODES_MAX,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(&text, options).map_err(|error| match error {
        roxmltree::Error::DtdDetected => NoticeError::Dtd,
        roxmltree::Error::NodesLimitReached => NoticeError::TooLarge,
        other => NoticeError::Malformed(other.to_string()),
    })?;
    let root = document.root_element();
    let command = said(root, "CmdType").ok_or(NoticeError::Missing("CmdType"))?;
    let device = said(root, "DeviceID").ok_or(NoticeError::Missing("DeviceID"))?;
    let list = child(root, "DeviceList");
    let items = list.into_iter().flat_map(|list| elements(list, "Item"));
    let channels = items.filter_map(|item| Some((id(item)?, said(item, "Status")?.to_owned())));
    let infos = elements(root, "Info");
    let faulty = infos
        .flat_map(|info| elements(info, "DeviceID"))
        .filter_map(|node| short(node.text()?));
    let number = |name| said(root, name).and_then(|text| text.parse().ok());
    Ok(Notice {
        command: command.to_owned(),
        serial: said(root, "SN").and_then(|text| text.parse().ok()),
        device: short(device).ok_or(NoticeError::Missing("DeviceID"))?,
        status: said(root, "Status").map(str::to_owned),
        faulty: faulty.take(CHANNELS_MAX).collect(),
        channels: channels.take(CHANNELS_MAX).collect(),
        alarm_priority: number("AlarmPriority"),
        alarm_method: number("AlarmMethod"),
        alarm_time: said(root, "AlarmTime").map(str::to_owned),
    })
}

/// Decodes a body: UTF-8 if it is that, else GB 18030, which holds GB 2312.
fn text(body: &[u8]) -> Cow<'_, str> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    // Some pad the body with zeros, or with blanks before the declaration.
    let ends = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    let from = body.iter().position(|byte| !ends(byte)).unwrap_or(0);
    let to = body.iter().rposition(|byte| !ends(byte));
    let body = body.get(from..to.map_or(from, |at| at + 1));
    let body = body.unwrap_or_default();
    std::str::from_utf8(body).map_or_else(
        |_| {
            encoding_rs::GB18030
                .decode_without_bom_handling(body)
                .0
                .into_owned()
                .into()
        },
        Cow::Borrowed,
    )
}

fn elements<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    let children = node.children();
    children.filter(move |child| child.is_element() && child.tag_name().name() == name)
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> Option<Node<'a, 'i>> {
    elements(node, name).next()
}

fn said<'a>(node: Node<'a, '_>, name: &'static str) -> Option<&'a str> {
    let text = child(node, name)?.text()?.trim();
    (!text.is_empty()).then_some(text)
}

fn id(item: Node<'_, '_>) -> Option<String> {
    said(item, "DeviceID").and_then(short)
}

fn short(id: &str) -> Option<String> {
    let id = id.trim();
    (!id.is_empty() && id.len() <= ID_CHARS_MAX).then(|| id.to_owned())
}

#[cfg(test)]
pub(crate) mod tests;
