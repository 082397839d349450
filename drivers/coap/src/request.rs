//! What a request asks for: its options read and checked (RFC 7252 section 5).

use crate::block::Block;
use crate::frame::{Answer, HOP_LIMIT, Kind, Message, REQUEST_TAG};
use coap_lite::{CoapOption, ResponseType};

/// Options that this hub understands: how often they may come, and how long their values may be
/// (RFC 7252 table 4, RFC 7641 table 1, RFC 7959 table 1, RFC 7967 table 1, RFC 9175 table 1).
const KNOWN: [(CoapOption, Times, std::ops::RangeInclusive<usize>); 13] = [
    (CoapOption::UriHost, Times::Once, 1..=255),
    (CoapOption::Observe, Times::Once, 0..=3),
    (CoapOption::UriPort, Times::Once, 0..=2),
    (CoapOption::UriPath, Times::Often, 0..=255),
    (CoapOption::ContentFormat, Times::Once, 0..=2),
    (CoapOption::UriQuery, Times::Often, 0..=255),
    (HOP_LIMIT, Times::Once, 1..=1),
    (CoapOption::Accept, Times::Once, 0..=2),
    (CoapOption::Block2, Times::Once, 0..=3),
    (CoapOption::Block1, Times::Once, 0..=3),
    (CoapOption::Size1, Times::Once, 0..=4),
    (CoapOption::NoResponse, Times::Once, 0..=1),
    (REQUEST_TAG, Times::Often, 0..=8),
];

#[derive(Copy, Clone, PartialEq, Eq)]
enum Times {
    Once,
    Often,
}

/// What is done to a resource.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Method {
    Get,
    Post,
    /// Anything else that is a request; nothing here has it.
    Other(u8),
}

/// A request whose options are all understood.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<String>,
    pub(crate) format: Option<u32>,
    pub(crate) accept: Option<u32>,
    pub(crate) observe: Option<u32>,
    pub(crate) block1: Option<Block>,
    pub(crate) block2: Option<Block>,
    pub(crate) size1: Option<u32>,
    pub(crate) tag: Vec<Vec<u8>>,
    pub(crate) payload: Vec<u8>,
}

impl Request {
    /// Reads a message with a method; what cannot be understood is a refusal.
    pub(crate) fn read(message: &Message) -> Result<Self, Box<Answer>> {
        for (number, values) in message.options() {
            // An odd number is critical (RFC 7252 section 5.4.6): it must not be passed over.
            if number % 2 == 1 && !is_understood(number, &values) {
                let text = format!("the option {number} is not understood");
                let code = if [35, 39].contains(&number) {
                    ResponseType::ProxyingNotSupported
                } else {
                    ResponseType::BadOption
                };
                return Err(Box::new(Answer::refusal(code, &text)));
            }
        }
        let texts = |option| {
            let texts = message.values(option).map(|value| {
                let text = std::str::from_utf8(value).map_err(|_| {
                    let why = "path and query are UTF-8 (RFC 7252 section 3.2)";
                    Box::new(Answer::refusal(ResponseType::BadRequest, why))
                })?;
                Ok(text.to_owned())
            });
            texts.collect::<Result<Vec<_>, Box<Answer>>>()
        };
        let block = |option| {
            let value = message.number(option);
            let block = value.map(Block::read);
            block.transpose().map_err(|why| {
                let refusal = Answer::refusal(ResponseType::BadRequest, why);
                Box::new(refusal)
            })
        };
        Ok(Self {
            method: match message.code() {
                1 => Method::Get,
                2 => Method::Post,
                other => Method::Other(other),
            },
            path: texts(CoapOption::UriPath)?,
            query: texts(CoapOption::UriQuery)?,
            format: elective(message, CoapOption::ContentFormat),
            accept: message.number(CoapOption::Accept),
            observe: elective(message, CoapOption::Observe),
            block1: block(CoapOption::Block1)?,
            block2: block(CoapOption::Block2)?,
            size1: elective(message, CoapOption::Size1),
            tag: message.values(REQUEST_TAG).map(<[u8]>::to_vec).collect(),
            payload: message.payload().to_vec(),
        })
    }

    /// Gives the value of `name=value` in the query.
    pub(crate) fn asked(&self, name: &str) -> Option<&str> {
        let mut pairs = self.query.iter();
        pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

/// The classes of answers that the sender does not want to hear (RFC 7967 section 2.1).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unwanted(u8);

impl Unwanted {
    pub(crate) fn read(message: &Message) -> Self {
        let value = elective(message, CoapOption::NoResponse).unwrap_or(0);
        Self(u8::try_from(value).unwrap_or(0))
    }

    /// 2.xx is bit 1, 4.xx is bit 3, 5.xx is bit 4.
    pub(crate) fn is_unwanted(self, code: ResponseType) -> bool {
        let class = u8::from(coap_lite::MessageClass::Response(code)) >> 5;
        class
            .checked_sub(1)
            .is_some_and(|bit| self.0 >> bit & 1 == 1)
    }
}

/// Gives an option that is passed over when it is too long or comes too often (RFC 7252 section 5.4).
fn elective(message: &Message, option: CoapOption) -> Option<u32> {
    let values: Vec<_> = message.values(option).collect();
    if !is_understood(option.into(), &values) {
        return None;
    }
    message.number(option)
}

fn is_understood(number: u16, values: &[&[u8]]) -> bool {
    let known = KNOWN.iter().find(|(known, ..)| u16::from(*known) == number);
    known.is_some_and(|(_, times, length)| {
        (*times == Times::Often || values.len() <= 1)
            && values.iter().all(|value| length.contains(&value.len()))
    })
}

/// Tells whether a message asks for something, and is to be answered.
pub(crate) fn is_request(message: &Message) -> bool {
    let carries = matches!(message.kind(), Kind::Confirmable | Kind::NonConfirmable);
    carries && (1..0x20).contains(&message.code())
}
