//! One question of RTSP (RFC 2326) and its answer: OPTIONS, which every server answers before anybody
//! signs in.

use std::fmt;

/// Longest head of an answer; theirs are under 1 KiB.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Every question has a connection of its own, so this number is never used twice on one.
pub(crate) const CSEQ: u32 = 1;

const PORT: u16 = 554;
const URI_BYTES_MAX: usize = 1_024;

/// Where a camera is asked, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What is asked for by OPTIONS; none where it is enough that somebody accepts a connection.
    pub(crate) uri: Option<String>,
}

impl Target {
    /// Reads `rtsp://HOST[:PORT][/PATH]`, `HOST[:PORT]`, or `tcp://HOST:PORT`. A user and a password
    /// in it are not sent: whether a camera is there can be asked without.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("identities.rtsp `{text}` is no rtsp://HOST[:PORT][/PATH]");
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_plain || text.len() > URI_BYTES_MAX {
            return Err(wrong());
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("rtsp", text));
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let address = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !address.ends_with(']') => (host, Some(port)),
            _ => (address, None),
        };
        let port = port.map(str::parse::<u16>).transpose();
        let port = port.map_err(|_| wrong())?.filter(|port| *port > 0);
        if host.is_empty() {
            return Err(wrong());
        }
        let bare = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        match scheme {
            "rtsp" => {
                let port = port.unwrap_or(PORT);
                Ok(Self {
                    host: bare,
                    port,
                    uri: Some(format!("rtsp://{host}:{port}{path}")),
                })
            }
            "tcp" => Ok(Self {
                host: bare,
                port: port.ok_or_else(wrong)?,
                uri: None,
            }),
            _ => Err(wrong()),
        }
    }

    /// Gives the bytes of the question.
    pub(crate) fn question(&self) -> Option<String> {
        let uri = self.uri.as_deref()?;
        Some(format!(
            "OPTIONS {uri} RTSP/1.0\r\nCSeq: {CSEQ}\r\nUser-Agent: cityhub\r\n\r\n"
        ))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// What an answer says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
}

impl Answer {
    /// The service lives and says that it cannot serve (5xx).
    pub fn is_faulty(self) -> bool {
        self.status >= 500
    }

    pub fn wants_sign_in(self) -> bool {
        self.status == 401
    }
}

/// Why what came is no answer to the question.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    #[error("another service answers there")]
    WrongService,
    #[error("the answer is to another question")]
    Cseq,
    #[error("the answer is longer than {HEAD_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the answer is not one of RTSP")]
    Malformed,
}

impl AnswerError {
    /// The word for the ledger.
    pub fn reason(self) -> &'static str {
        match self {
            Self::WrongService => "wrong_service",
            Self::Cseq => "cseq_mismatch",
            Self::TooLarge => "answer_too_large",
            Self::Malformed => "bad_answer",
        }
    }
}

/// Reads what was received so far; `None` wants more.
pub fn read(received: &[u8]) -> Option<Result<Answer, AnswerError>> {
    const NAME: &[u8] = b"RTSP/";
    if received
        .iter()
        .zip(NAME)
        .any(|(byte, expected)| byte != expected)
    {
        return Some(Err(AnswerError::WrongService));
    }
    if let Some(head) = head(received) {
        return Some(judge(head));
    }
    let is_too_large = received.len() > HEAD_BYTES_MAX;
    is_too_large.then_some(Err(AnswerError::TooLarge))
}

/// Gives the head, if its empty line is there.
fn head(received: &[u8]) -> Option<&[u8]> {
    let mut from = 0;
    while let Some(rest) = received.get(from..) {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        from += end + 1;
        let next = received.get(from..).unwrap_or_default();
        if next.starts_with(b"\n") || next.starts_with(b"\r\n") {
            return received.get(..from);
        }
    }
    None
}

fn judge(head: &[u8]) -> Result<Answer, AnswerError> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.lines();
    let mut start = lines.next().unwrap_or_default().split_ascii_whitespace();
    let version = start.next().unwrap_or_default();
    let status = start.next().filter(|status| status.len() == 3);
    let status = status.and_then(|status| status.parse::<u16>().ok());
    let status = status.filter(|status| (100..600).contains(status));
    let (true, Some(status)) = (version.starts_with("RTSP/"), status) else {
        return Err(AnswerError::Malformed);
    };
    let said = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim()
            .eq_ignore_ascii_case("cseq")
            .then(|| value.trim())
    });
    match said.and_then(|said| said.parse::<u32>().ok()) {
        Some(CSEQ) => Ok(Answer { status }),
        _ => Err(AnswerError::Cseq),
    }
}

#[cfg(test)]
mod tests;
