//! From PUBLISH packets to one submission: many messages, one commit, one row of acknowledgements.

mod sparkplug;
mod thingsboard;

use crate::exchange::Exchange;
use crate::packet::{Publish, Qos};
use crate::topics::{self, Target};
use codecs::{Book, Decoded, Sender, Undecodable, Uplink, Uplinks, pressure_frame};
use model::{Catalogue, DeviceKey, Timestamp};
use sdk::{Committed, DeviceEntry, Devices, Part, RawFrame, Submission};
use std::sync::Arc;

/// The name of pressure terminals in a device's identities.
const PRESSURE_FRAME: &str = "pressure_frame";

/// Readings after which a batch takes no further message: the bound of one submission.
pub(crate) const BATCH_READINGS_MAX: usize = 4096;

/// Messages after which a batch is handed over, so that a flood of empty ones is bounded too.
const BATCH_MESSAGES_MAX: usize = 4096;

/// An answer that a message waits for, with the packet id that it goes to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) qos: Qos,
    pub(crate) packet_id: u16,
    pub(crate) verdict: Verdict,
}

/// What became of a message. The first three need the proof of a commit.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Good, or good in part.
    Stored,
    /// A QoS 2 message that came again, of which nothing is stored a second time.
    Repeated,
    /// No value of it could be taken: it is counted, and in quarantine if it is no message.
    Unusable,
    /// Turned away, with a version 5 reason code.
    Refused(u8),
    /// A command that the bus took.
    Handed(crate::bus::Handed),
    /// A report that could not be read; version 3.1.1 is told elsewhere.
    Unreadable,
}

impl Verdict {
    /// Judges again by what the writer made of the batch, which may refuse a value for its time.
    ///
    /// The receipt is the batch's and does not tell whose values were refused. Only if nothing of
    /// the batch was stored is it known of each message; when something was, all of them stay a
    /// success, for a device must never take for lost what is on disk.
    pub(crate) fn after(self, proof: Option<&Committed>) -> Self {
        let receipt = proof.map(Committed::receipt);
        let all_refused = receipt.is_some_and(|receipt| {
            receipt.stored == 0 && receipt.duplicate == 0 && !receipt.rejected.is_empty()
        });
        match self {
            Self::Stored if all_refused => Self::Unusable,
            other => other,
        }
    }
}

/// Messages of one connection that are committed together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    parts: Vec<Decoded>,
    quarantined: Vec<RawFrame>,
    pub(crate) acks: Vec<Ack>,
    readings: usize,
    messages: usize,
}

/// Why a telemetry message is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Forbidden {
    /// The topic as a whole is not the client's to write to.
    Topic {
        reason: &'static str,
        claimed: Option<String>,
    },
    /// Every device that a gateway named in its payload was refused, and counted one by one.
    EveryChild,
}

/// What decides about messages: the sender and the tables of the hub.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Desk<'a> {
    pub(crate) writer: &'a DeviceEntry,
    pub(crate) devices: &'a Devices,
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) book: &'a Book,
    pub(crate) now: Timestamp,
    /// The largest packet, and the unanswered messages of one client.
    pub(crate) limits: (usize, u16),
}

impl Batch {
    pub(crate) fn is_full(&self) -> bool {
        self.readings >= BATCH_READINGS_MAX || self.messages >= BATCH_MESSAGES_MAX
    }

    /// Tells whether there is neither something to commit nor something to answer.
    pub(crate) fn is_empty(&self) -> bool {
        self.messages == 0 && self.acks.is_empty()
    }

    /// Takes one message, and tells whether a value of it could be decoded.
    ///
    /// `refuse_child` hears of each device that a gateway named in its payload and may not write
    /// for.
    pub(crate) fn take(
        &mut self,
        desk: Desk<'_>,
        exchange: &mut Exchange,
        publish: &Publish<'_>,
        refuse_child: &mut dyn FnMut(&str, &'static str),
    ) -> Result<Verdict, Forbidden> {
        let verdict = match topics::target(publish.topic) {
            Target::Telemetry { device } => {
                let whose = own_or_child(desk, device)?;
                self.take_own(desk, &whose, publish.payload, refuse_child)?
            }
            Target::ThingsboardDevice => {
                let whose = Whose::of(desk.writer);
                self.take_own(desk, &whose, publish.payload, refuse_child)?
            }
            Target::ThingsboardGateway if is_gateway(desk.writer) => {
                self.take_gateway(desk, exchange, publish.payload, refuse_child)?
            }
            Target::Thingsboard(word) => {
                self.take_thingsboard(desk, exchange, (word, publish.payload), refuse_child)?
            }
            Target::ChirpstackUp { dev_eui } if is_gateway(desk.writer) => {
                let named = Named::DevEui(dev_eui);
                self.take_uplink(desk, named, publish.payload, refuse_child)?
            }
            Target::TtsUp {
                application,
                device,
            } if is_gateway(desk.writer) => {
                let named = Named::Tts(application, device);
                self.take_uplink(desk, named, publish.payload, refuse_child)?
            }
            Target::Sparkplug(said) => {
                let nodes = &mut exchange.nodes;
                self.take_sparkplug(desk, nodes, (said, publish.payload), refuse_child)?
            }
            Target::PressureFrame => self.take_frame(desk, publish.payload, refuse_child)?,
            // There is nothing to store, and the server must not send it again.
            Target::NetworkEvent if is_gateway(desk.writer) => Verdict::Stored,
            Target::ThingsboardGateway
            | Target::ChirpstackUp { .. }
            | Target::TtsUp { .. }
            | Target::NetworkEvent
            | Target::Commands { .. }
            | Target::CaseSteps { .. }
            | Target::Unknown => {
                return Err(forbidden_topic(desk));
            }
        };
        self.messages += 1;
        Ok(verdict)
    }

    /// Takes a QoS 2 message that came again: nothing to store, but what it repeats must be on disk
    /// before it is answered, so it has a commit of its own, which is behind the first.
    pub(crate) fn take_repeated(&mut self) -> Verdict {
        self.messages += 1;
        Verdict::Repeated
    }

    /// Takes what a device says of itself, in the format of its profile; a network server, for
    /// which there is one too, speaks of its devices.
    fn take_own(
        &mut self,
        desk: Desk<'_>,
        whose: &Whose,
        payload: &[u8],
        refuse_child: &mut dyn FnMut(&str, &'static str),
    ) -> Result<Verdict, Forbidden> {
        let profile = whose.profile.as_deref();
        let server = profile.and_then(|_| desk.book.server(profile));
        if let Some(server) =
            server.filter(|_| is_gateway(desk.writer) && whose.key == desk.writer.key)
        {
            return self.take_uplink(desk, Named::InPayload(server), payload, refuse_child);
        }
        let sender = Sender {
            profile,
            arrival: desk.now,
        };
        let part = self.part_of(whose.key);
        let before = part.observations.len();
        let decoded = desk.book.decode_into(desk.catalogue, sender, payload, part);
        let added = part.observations.len() - before;
        self.readings += added;
        Ok(match decoded {
            Ok(()) => verdict_on(added),
            Err(why) => self.quarantine(whose.key, why, payload),
        })
    }

    /// Takes what a network server says of one of its devices. Where the topic names the device,
    /// the payload must name the same.
    fn take_uplink(
        &mut self,
        desk: Desk<'_>,
        named: Named<'_>,
        payload: &[u8],
        refuse_child: &mut dyn FnMut(&str, &'static str),
    ) -> Result<Verdict, Forbidden> {
        let uplink = Uplink::read(named.server(), payload).and_then(|uplink| {
            if named.is(&uplink) {
                return Ok(uplink);
            }
            Err(Undecodable {
                reason: "other_device".into(),
                detail: "the topic names another device than the payload".to_owned(),
            })
        });
        let uplink = match uplink {
            Ok(uplink) => uplink,
            Err(why) => {
                let own = desk.writer.key;
                self.part_of(own).reject_message(&why);
                return Ok(self.quarantine(own, why, payload));
            }
        };
        let names = uplink.identities();
        let child = names
            .iter()
            .find_map(|(protocol, name)| desk.devices.find_identity(protocol, name));
        let claimed = names.first().map_or("", |(_, name)| name.as_str());
        let child = own_of(desk, child, claimed, refuse_child)?;
        let part = self.part_of(child.key);
        let before = part.observations.len();
        let profile = child.device.profile.as_deref();
        desk.book
            .take_uplink(desk.catalogue, profile, &uplink, part);
        let added = part.observations.len() - before;
        self.readings += added;
        Ok(verdict_on(added))
    }

    /// Takes the raw frame of a pressure terminal: the sender, or a child of it.
    fn take_frame(
        &mut self,
        desk: Desk<'_>,
        payload: &[u8],
        refuse_child: &mut dyn FnMut(&str, &'static str),
    ) -> Result<Verdict, Forbidden> {
        let bytes = pressure_frame::bytes_of(payload);
        let device = match pressure_frame::parse(&bytes) {
            Ok(frame) => frame.device,
            Err(why) => {
                let own = desk.writer.key;
                self.part_of(own).reject_message(&why);
                return Ok(self.quarantine(own, why, payload));
            }
        };
        let named = desk.devices.find_identity(PRESSURE_FRAME, device);
        let terminal = own_of(desk, named, device, refuse_child)?;
        let part = self.part_of(terminal.key);
        let before = part.observations.len();
        let taken = pressure_frame::decode_into(desk.catalogue, &bytes, desk.now, part);
        if let Err(why) = taken {
            part.reject_message(&why);
            return Ok(self.quarantine(terminal.key, why, payload));
        }
        let added = part.observations.len() - before;
        self.readings += added;
        Ok(verdict_on(added))
    }

    fn take_gateway(
        &mut self,
        desk: Desk<'_>,
        exchange: &mut Exchange,
        payload: &[u8],
        refuse_child: &mut dyn FnMut(&str, &'static str),
    ) -> Result<Verdict, Forbidden> {
        let mut refused = false;
        let at = (desk.catalogue, desk.now);
        let decoded = codecs::thingsboard::decode_gateway(desk.book, at, payload, &mut |name| {
            let child = thingsboard::child(desk, exchange, name, refuse_child);
            refused |= child.is_none();
            child.map(|child| (child.key, child.profile))
        });
        match decoded {
            Ok(parts) if parts.is_empty() && refused => Err(Forbidden::EveryChild),
            Ok(parts) => {
                let before = self.readings;
                for part in parts {
                    self.readings += part.observations.len();
                    self.parts.push(part);
                }
                Ok(verdict_on(self.readings - before))
            }
            Err(why) => {
                let own = desk.writer.key;
                self.part_of(own).reject_message(&why);
                Ok(self.quarantine(own, why, payload))
            }
        }
    }

    /// Gives the part that messages of this device go to. Messages in a row share one, which spares
    /// the writer thousands of small ones.
    fn part_of(&mut self, device: DeviceKey) -> &mut Decoded {
        let fresh = self.parts.last().is_none_or(|last| last.device != device);
        if fresh {
            self.parts.push(Decoded::new(device));
        }
        let last = self.parts.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "one was pushed if there was none")]
        &mut self.parts[last]
    }

    fn quarantine(&mut self, device: DeviceKey, why: Undecodable, payload: &[u8]) -> Verdict {
        self.quarantined.push(RawFrame {
            device: Some(device),
            reason: why.reason,
            detail: why.detail,
            bytes: payload.to_vec(),
        });
        Verdict::Unusable
    }

    /// Splits the batch into what is committed, if anything, and what is answered afterwards.
    pub(crate) fn close(self) -> (Option<Submission>, Vec<Ack>) {
        let parts = self.parts.into_iter().map(|decoded| Part {
            device: decoded.device,
            received: decoded.received,
            observations: decoded.observations,
            rejected: decoded.rejected,
        });
        let submission = Submission {
            parts: parts.collect(),
            quarantined: self.quarantined,
        };
        ((self.messages > 0).then_some(submission), self.acks)
    }
}

/// Judges a message that could be read by the values that were found in it: with none that could be
/// decoded, it must not look like one that was stored.
fn verdict_on(values: usize) -> Verdict {
    if values == 0 {
        Verdict::Unusable
    } else {
        Verdict::Stored
    }
}

/// Tells whether a device may name others in its payload. One that is no gateway would otherwise
/// have the metrics of a misdirected message taken for names of devices.
fn is_gateway(device: &DeviceEntry) -> bool {
    device.device.kind == "gateway"
}

fn forbidden_topic(desk: Desk<'_>) -> Forbidden {
    Forbidden::Topic {
        reason: "forbidden_topic",
        claimed: Some(desk.writer.device.id.as_str().to_owned()),
    }
}

/// A device that is written for, and how it writes.
struct Whose {
    key: DeviceKey,
    profile: Option<String>,
}

impl Whose {
    fn of(device: &DeviceEntry) -> Self {
        Self {
            key: device.key,
            profile: device.device.profile.clone(),
        }
    }
}

/// The device of an uplink as its topic names it.
#[derive(Copy, Clone, Debug)]
enum Named<'a> {
    /// Only the payload does.
    InPayload(Uplinks),
    DevEui(&'a str),
    Tts(&'a str, &'a str),
}

impl Named<'_> {
    fn server(self) -> Uplinks {
        match self {
            Self::InPayload(server) => server,
            Self::DevEui(_) => Uplinks::ChirpstackV4,
            Self::Tts(..) => Uplinks::TtsV3,
        }
    }

    fn is(self, uplink: &Uplink) -> bool {
        match self {
            Self::InPayload(_) => true,
            Self::DevEui(named) => named.eq_ignore_ascii_case(&uplink.dev_eui),
            Self::Tts(application, device) => uplink
                .tts
                .as_ref()
                .is_some_and(|(of, name)| of == application && name == device),
        }
    }
}

/// Finds the device that is written for: the sender itself, or a child of it.
fn own_or_child(desk: Desk<'_>, name: &str) -> Result<Whose, Forbidden> {
    if name == desk.writer.device.id.as_str() {
        return Ok(Whose::of(desk.writer));
    }
    let claimed = || Some(name.to_owned());
    match desk.devices.find(name) {
        Some(target) if Devices::may_write(desk.writer, &target) => Ok(Whose::of(&target)),
        // Another's device is not claimed to be unknown: what counts is who tried.
        Some(_) => Err(forbidden_topic(desk)),
        None => Err(Forbidden::Topic {
            reason: "unknown_device",
            claimed: claimed(),
        }),
    }
}

/// Lets the sender speak for a device that its message names: for itself, or for a child.
fn own_of(
    desk: Desk<'_>,
    named: Option<Arc<DeviceEntry>>,
    claimed: &str,
    refuse_child: &mut dyn FnMut(&str, &'static str),
) -> Result<Arc<DeviceEntry>, Forbidden> {
    let reason = match named {
        Some(device) if Devices::may_write(desk.writer, &device) => return Ok(device),
        Some(_) => "forbidden_topic",
        None => "unknown_device",
    };
    refuse_child(claimed, reason);
    Err(Forbidden::EveryChild)
}

/// Tells whether a device may leave a will on this topic.
pub(crate) fn may_will(desk: Desk<'_>, topic: &str) -> Result<(), Forbidden> {
    match topics::target(topic) {
        Target::Telemetry { device } => own_or_child(desk, device).map(drop),
        Target::ThingsboardDevice => Ok(()),
        Target::ThingsboardGateway if is_gateway(desk.writer) => Ok(()),
        Target::Sparkplug(said) if sparkplug::may_die(desk, said) => Ok(()),
        Target::ThingsboardGateway
        | Target::Thingsboard(_)
        | Target::Sparkplug(_)
        | Target::ChirpstackUp { .. }
        | Target::TtsUp { .. }
        | Target::NetworkEvent
        | Target::PressureFrame
        | Target::Commands { .. }
        | Target::CaseSteps { .. }
        | Target::Unknown => Err(forbidden_topic(desk)),
    }
}
