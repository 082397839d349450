//! What the hub has for devices: who may use it, and what their messages become.

use crate::frame::Answer;
use crate::peer::Heard;
use crate::request::{Method, Request};
use coap_lite::{CoapOption, ResponseType};
use codecs::{Book, Decoded, Format, Sender, Undecodable, pressure_frame};
use model::Rejected;
use sdk::{
    Committed, Context, DeviceEntry, Devices, IngestError, Part, RawFrame, Refusal, Submission,
};
use serde_json::json;
use std::sync::Arc;

/// Content formats (IANA, CoRE parameters).
pub(crate) const LINKS: u16 = 40;
pub(crate) const JSON: u16 = 50;

/// Bytes of an undecodable message that are kept for an engineer to look at.
const QUARANTINED_BYTES_MAX: usize = 4096;

/// What a device is told to wait before it sends again.
const MAX_AGE_S: u32 = 5;

/// What an answer tells of refused values; the rest is counted.
const TOLD_MAX: usize = 8;

/// The name of raw pressure frames in a device's identities.
const PRESSURE: &str = "pressure_frame";

/// Names of the device in requests that may be kept when it is refused.
const CLAIMED_CHARS_MAX: usize = 128;

/// The resources (RFC 6690).
pub(crate) const CORE: &str = "</devices/{id}/telemetry>;ct=\"50 60 110 112\",\
                               </devices/{id}/commands>;ct=50;obs";

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    Core,
    Telemetry(String),
    Commands(String),
    Command(String, String),
    /// The raw uplink of NB-IoT modules.
    Raw,
}

impl Resource {
    pub(crate) fn find(request: &Request) -> Result<Self, Box<Answer>> {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let found = match path.as_slice() {
            [".well-known", "core"] => Self::Core,
            ["devices", device, "telemetry"] => Self::Telemetry((*device).to_owned()),
            ["devices", device, "commands"] => Self::Commands((*device).to_owned()),
            ["devices", device, "commands", number] => {
                Self::Command((*device).to_owned(), (*number).to_owned())
            }
            ["t", "r"] => Self::Raw,
            _ => {
                let answer = Answer::refusal(ResponseType::NotFound, "there is no such resource");
                return Err(Box::new(answer));
            }
        };
        let method = match found {
            Self::Core | Self::Commands(_) => Method::Get,
            Self::Telemetry(_) | Self::Command(..) | Self::Raw => Method::Post,
        };
        if request.method == method {
            return Ok(found);
        }
        let why = if method == Method::Get {
            "use GET"
        } else {
            "use POST"
        };
        Err(Box::new(Answer::refusal(
            ResponseType::MethodNotAllowed,
            why,
        )))
    }
}

/// What a message becomes.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) submission: Submission,
    pub(crate) rejected: Vec<Rejected>,
}

/// The resources behind an endpoint.
#[derive(Debug)]
pub(crate) struct Resources {
    pub(crate) cx: Context,
    /// How the devices with a profile write their payloads.
    pub(crate) book: Book,
    /// Raw frames count without the device's secret, as over plain UDP.
    pub(crate) raw_without_secret: bool,
}

impl Resources {
    /// Counts something that was turned away.
    pub(crate) fn refuse(&self, heard: &Heard, reason: &'static str, claimed: Option<&str>) {
        self.cx.ingest.refuse(Refusal {
            reason: reason.into(),
            claimed: claimed.map(|claimed| claimed.chars().take(CLAIMED_CHARS_MAX).collect()),
            peer: heard.peer.address.to_string(),
            message: true,
        });
    }

    /// Lets the device in, or a gateway that speaks for it: by the key of the session, or by its
    /// secret. A stranger does not learn whether there is such a device.
    pub(crate) fn admit(
        &self,
        heard: &Heard,
        device: &str,
        secret: Option<&str>,
    ) -> Result<Arc<DeviceEntry>, Box<Answer>> {
        let refused = |code, reason: &'static str, why: &str| {
            self.refuse(heard, reason, Some(device));
            Err(Box::new(Answer::refusal(code, why)))
        };
        let stranger = "who is it? give the device's secret as ?k=, or use DTLS";
        let devices = &self.cx.devices;
        let Some(target) = devices.find(device) else {
            return refused(ResponseType::Unauthorized, "unknown_device", stranger);
        };
        let of_session = heard.identity.as_deref().and_then(|id| devices.find(id));
        let is_of_session = of_session
            .is_some_and(|writer| writer.device.enabled && Devices::may_write(&writer, &target));
        let is_let_in = is_of_session || secret.is_some_and(|secret| self.knows(&target, secret));
        let reason = if secret.is_none() && heard.identity.is_none() {
            "no_secret"
        } else {
            "wrong_secret"
        };
        if !target.device.enabled {
            let answer = "the device is disabled";
            return refused(ResponseType::Forbidden, "device_disabled", answer);
        }
        if is_let_in {
            return Ok(target);
        }
        refused(ResponseType::Unauthorized, reason, stranger)
    }

    /// Tells whether a secret is the device's, or that of the gateway before it.
    fn knows(&self, target: &DeviceEntry, secret: &str) -> bool {
        let devices = &self.cx.devices;
        if devices
            .authenticate(target.device.id.as_str(), secret)
            .is_some()
        {
            return true;
        }
        let parent = target.device.parent.as_ref();
        let gateway = parent.and_then(|parent| devices.authenticate(parent.as_str(), secret));
        gateway.is_some_and(|gateway| Devices::may_write(&gateway, target))
    }

    /// Tells how a payload is written by its content format.
    pub(crate) fn format(
        &self,
        heard: &Heard,
        device: &DeviceEntry,
        named: Option<u32>,
    ) -> Result<Option<Format>, Box<Answer>> {
        match named {
            // No name, or only that it is bytes: the first of them tell.
            None | Some(42) => Ok(None),
            Some(50) => Ok(Some(Format::Json)),
            Some(60) => Ok(Some(Format::Cbor)),
            // SenML and SenSML in JSON and CBOR (RFC 8428 section 12.3).
            Some(110..=113) => Ok(Some(Format::Senml)),
            Some(other) => {
                let id = device.device.id.as_str();
                self.refuse(heard, "unsupported_format", Some(id));
                let why = format!("the content format {other} is not one of 50, 60, 110, 112");
                let code = ResponseType::UnsupportedContentFormat;
                Err(Box::new(Answer::refusal(code, &why)))
            }
        }
    }

    /// Turns a payload of a device into what is to be committed.
    pub(crate) fn telemetry(
        &self,
        entry: &DeviceEntry,
        format: Option<Format>,
        payload: &[u8],
    ) -> Taken {
        let profile = entry.device.profile.as_deref();
        let is_frame = || pressure_frame::frame_len(payload).is_some_and(|len| len.is_ok());
        let sender = Sender {
            profile,
            arrival: self.cx.clock.now(),
        };
        let (catalogue, mut out) = (&self.cx.catalogue, Decoded::new(entry.key));
        let read = match format {
            None if is_frame() && !self.book.has(profile) => return self.frame(entry, payload),
            None if is_frame() => self.book.decode_into(catalogue, sender, payload, &mut out),
            _ => {
                let named = (sender, format.unwrap_or_else(|| Format::guess(payload)));
                self.book.decode_as(catalogue, named, payload, &mut out)
            }
        };
        taken(out, read.err(), payload)
    }

    /// Takes one raw frame of a pressure terminal.
    fn frame(&self, entry: &DeviceEntry, payload: &[u8]) -> Taken {
        match pressure_frame::parse(payload) {
            Ok(frame) => {
                let now = self.cx.clock.now();
                let out = pressure_frame::decode(&self.cx.catalogue, entry.key, &frame, now);
                taken(out, None, payload)
            }
            Err(why) => {
                let mut out = Decoded::new(entry.key);
                out.reject_message(&why);
                taken(out, Some(why), payload)
            }
        }
    }

    /// Takes what an NB-IoT module posts as it is: a frame of a pressure terminal, which names its
    /// device, or what `?d=` names.
    pub(crate) fn raw(&self, heard: &Heard, request: &Request) -> Result<Taken, Box<Answer>> {
        let secret = request.asked("k");
        if let Some(device) = request.asked("d") {
            let entry = self.admit(heard, device, secret)?;
            return Ok(self.telemetry(&entry, None, &request.payload));
        }
        let bytes = pressure_frame::bytes_of(&request.payload);
        let frame = pressure_frame::parse(&bytes).map_err(|why| {
            tracing::debug!(detail = why.detail, driver = self.cx.name, "no frame");
            self.refuse(heard, "invalid_frame", None);
            Box::new(Answer::refusal(ResponseType::BadRequest, &why.detail))
        })?;
        let named = self.cx.devices.find_identity(PRESSURE, frame.device);
        let Some(entry) = named else {
            self.refuse(heard, "unknown_device", Some(frame.device));
            let answer = Answer::refusal(ResponseType::Unauthorized, "who is it?");
            return Err(Box::new(answer));
        };
        if !(self.raw_without_secret && entry.device.enabled) {
            self.admit(heard, entry.device.id.as_str(), secret)?;
        }
        Ok(self.frame(&entry, &bytes))
    }
}

fn taken(out: Decoded, wrong: Option<Undecodable>, payload: &[u8]) -> Taken {
    let kept = payload.len().min(QUARANTINED_BYTES_MAX);
    let quarantined = wrong.map(|why| RawFrame {
        device: Some(out.device),
        reason: why.reason,
        detail: why.detail,
        bytes: payload.get(..kept).unwrap_or_default().to_vec(),
    });
    let rejected = out.rejected.clone();
    let part = Part {
        device: out.device,
        received: out.received,
        observations: out.observations,
        rejected: out.rejected,
    };
    Taken {
        submission: Submission {
            parts: vec![part],
            quarantined: quarantined.into_iter().collect(),
        },
        rejected,
    }
}

/// Tells the device what became of its message: only a commit can be answered positively.
pub(crate) fn stored(proof: &Committed, mut rejected: Vec<Rejected>, wants_json: bool) -> Answer {
    let receipt = proof.receipt();
    rejected.extend_from_slice(&receipt.rejected);
    let taken = receipt.stored + receipt.duplicate;
    let Some(first) = rejected.first() else {
        return Answer::of(ResponseType::Changed);
    };
    if taken == 0 {
        let why = first.detail.as_deref().unwrap_or(first.reason.as_ref());
        return Answer::refusal(refusal_code(first), why);
    }
    if !wants_json {
        return Answer::of(ResponseType::Changed);
    }
    let told: Vec<_> = rejected
        .iter()
        .take(TOLD_MAX)
        .map(|bad| json!({"metric": bad.metric, "reason": bad.reason}))
        .collect();
    let body = json!({"stored": taken, "rejected": told, "rejected_count": rejected.len()});
    Answer::of(ResponseType::Changed).with_payload(JSON, body.to_string().into_bytes())
}

/// 4.00 for what could not be read, 4.22 for what was read and not taken (RFC 8132 section 3.2).
fn refusal_code(first: &Rejected) -> ResponseType {
    let unreadable = first.metric.is_none() && first.reason != "no_values";
    if unreadable {
        ResponseType::BadRequest
    } else {
        ResponseType::UnprocessableEntity
    }
}

/// 5.03 says that nothing was kept, and when to try again (RFC 7252 section 5.9.3.4); 4.29 that it
/// is the device's own doing (RFC 8516 section 3).
pub(crate) fn busy(error: IngestError) -> Answer {
    let why = error.to_string();
    if let IngestError::TooFast { retry_after_s } = error {
        let answer = Answer::refusal(ResponseType::TooManyRequests, &why);
        return answer.with(CoapOption::MaxAge, retry_after_s);
    }
    Answer::refusal(ResponseType::ServiceUnavailable, &why).with(CoapOption::MaxAge, MAX_AGE_S)
}
