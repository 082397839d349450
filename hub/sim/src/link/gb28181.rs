//! A camera that speaks GB/T 28181: REGISTER with a digest, and keepalives by MESSAGE, over SIP.

use super::frame::{Answer, Parcel, Wire, identity};
use crate::fleet::Device;
use crate::observation::Observation;
use crate::random::Random;
use md5::{Digest as _, Md5};

/// Seconds that a registration holds.
const EXPIRES_S: u32 = 3600;
/// Digits that name a domain, and what stands behind the first eight in a server's id: 00 industry,
/// 200 signalling centre, and the first of them (annex D).
const DOMAIN_DIGITS: usize = 10;
const CENTRE_DIGITS: usize = 8;
const SERVER: &str = "002000000001";
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// One camera.
#[derive(Debug)]
pub(super) struct Gb28181 {
    id: String,
    domain: String,
    server: String,
    password: String,
    transport: &'static str,
    call: String,
    /// Number of the last request, and that of the REGISTER that is under way.
    number: u32,
    registering: u32,
    /// A challenge was answered, so that another one means that the password is wrong.
    answered: bool,
    ready: bool,
}

impl Gb28181 {
    pub(super) fn new(device: &Device, password: &str, transport: &'static str) -> Self {
        let id = identity(device, "gb28181").to_owned();
        let head = |digits| id.get(..digits).unwrap_or_default().to_owned();
        let mut random = Random::from_text(&format!("{id}/{}", crate::clock::wall_ms()));
        Self {
            domain: head(DOMAIN_DIGITS),
            server: head(CENTRE_DIGITS) + SERVER,
            password: password.to_owned(),
            transport,
            call: format!("{:016x}", random.bits()),
            number: 0,
            registering: 0,
            answered: false,
            ready: false,
            id,
        }
    }

    fn uri(&self) -> String {
        format!("sip:{}@{}", self.server, self.domain)
    }

    /// Writes a request; each has a branch of its own (RFC 3261, 8.1.1.7).
    fn request(&mut self, method: &str, to: &str, more: &str, body: &str) -> Vec<u8> {
        self.number += 1;
        let (id, domain, number, call) = (&self.id, &self.domain, self.number, &self.call);
        format!(
            "{method} {uri} SIP/2.0\r\n\
             Via: SIP/2.0/{transport} 127.0.0.1:5060;rport;branch=z9hG4bK{call}{number}\r\n\
             From: <sip:{id}@{domain}>;tag={call}\r\n\
             To: <sip:{to}@{domain}>\r\n\
             Call-ID: {call}-{method}\r\n\
             CSeq: {number} {method}\r\n\
             Max-Forwards: 70\r\n\
             {more}\
             Content-Length: {length}\r\n\r\n{body}",
            uri = self.uri(),
            transport = self.transport,
            length = body.len(),
        )
        .into_bytes()
    }

    fn register(&mut self, authorization: &str) -> Vec<u8> {
        let id = self.id.clone();
        let more = format!(
            "Contact: <sip:{id}@127.0.0.1:5060>\r\n{authorization}User-Agent: IP Camera\r\n\
             Expires: {EXPIRES_S}\r\n"
        );
        let bytes = self.request("REGISTER", &id, &more, "");
        self.registering = self.number;
        bytes
    }

    fn keepalive(&mut self) -> Vec<u8> {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"GB2312\"?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n\
             <SN>{}</SN>\r\n<DeviceID>{}</DeviceID>\r\n<Status>OK</Status>\r\n</Notify>\r\n",
            self.number + 1,
            self.id
        );
        let server = self.server.clone();
        let more = "Content-Type: Application/MANSCDP+xml\r\n";
        self.request("MESSAGE", &server, more, &body)
    }

    fn answer(&mut self, status: u16, head: &str) -> Answer {
        let number = header(head, "cseq").and_then(|value| value.split(' ').next());
        let Some(number) = number.and_then(|number| number.parse::<u32>().ok()) else {
            return Answer::Nothing;
        };
        if number == self.registering {
            return match (status, header(head, "www-authenticate")) {
                (200, _) => {
                    self.ready = true;
                    Answer::Nothing
                }
                (401, Some(challenge)) if !self.answered => {
                    self.answered = true;
                    let authorization = self.authorization(challenge);
                    Answer::Say(self.register(&authorization))
                }
                _ => Answer::Nothing,
            };
        }
        match status {
            200..300 => Answer::Acked(Some(u64::from(number))),
            // Unknown to the hub, which was restarted perhaps: register anew.
            401 | 403 | 404 => {
                self.answered = false;
                Answer::Say(self.register(""))
            }
            _ => Answer::Refused(u64::from(number)),
        }
    }

    /// Answers a challenge by RFC 2617 without `qop`, as 9.1 has it.
    fn authorization(&self, challenge: &str) -> String {
        let field = |name: &str| {
            let from = challenge.split_once(&format!("{name}=\""));
            from.and_then(|(_, rest)| rest.split_once('"'))
                .map_or("", |(value, _)| value)
        };
        let (realm, nonce, uri) = (field("realm"), field("nonce"), self.uri());
        let (id, password) = (&self.id, &self.password);
        let response = response((id, realm, password), ("REGISTER", &uri), nonce);
        format!(
            "Authorization: Digest username=\"{id}\", realm=\"{realm}\", nonce=\"{nonce}\", \
             uri=\"{uri}\", response=\"{response}\", algorithm=MD5\r\n"
        )
    }
}

impl Wire for Gb28181 {
    fn greet(&mut self, _: i64) -> Vec<u8> {
        self.ready = false;
        self.answered = false;
        self.register("")
    }

    fn ready(&self) -> bool {
        self.ready
    }

    /// A camera measures nothing: that it is there is the message, and the hub's own clock its time.
    fn encode(&mut self, _: &Device, ts_ms: i64, _: &[Observation]) -> Parcel {
        let bytes = self.keepalive();
        Parcel {
            bytes,
            expects: Some(u64::from(self.number)),
            ts_ms,
            said: Vec::new(),
        }
    }

    fn heartbeat(&mut self, _: i64) -> Vec<u8> {
        self.keepalive()
    }

    fn take(&mut self, received: &mut Vec<u8>, _: i64) -> Option<Answer> {
        let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
            if received.len() > HEAD_BYTES_MAX {
                received.clear();
            }
            return None;
        };
        let head = String::from_utf8_lossy(received.get(..end)?).into_owned();
        let length = header(&head, "content-length").and_then(|value| value.parse().ok());
        let whole = end + 4 + length.unwrap_or(0);
        if received.len() < whole {
            return None;
        }
        received.drain(..whole);
        let status = head
            .strip_prefix("SIP/2.0 ")
            .and_then(|rest| rest.get(..3)?.parse().ok());
        Some(match status {
            Some(status) => self.answer(status, &head),
            None => Answer::Nothing,
        })
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.split("\r\n").filter_map(|line| line.split_once(':'));
    let found = fields.find(|(known, _)| known.trim().eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim())
}

/// The digest of RFC 2069: who, nonce, what.
fn response(
    (user, realm, password): (&str, &str, &str),
    (method, uri): (&str, &str),
    nonce: &str,
) -> String {
    let who = md5(&format!("{user}:{realm}:{password}"));
    let what = md5(&format!("{method}:{uri}"));
    md5(&format!("{who}:{nonce}:{what}"))
}

fn md5(text: &str) -> String {
    let digest = Md5::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
