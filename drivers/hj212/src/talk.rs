//! The protocol's side of one connection: which device it is, what is kept, what is answered.

use crate::answer::answer;
use crate::command::{AnswerKind, Command, Content};
use crate::crc::Checksum;
use crate::frame::{Finder, Found, Frame};
use crate::order::{Address, Requests};
use crate::readings::{Decoded, Dialect};
use crate::segment::{Edition, Segment, text_of};
use bytes::{Bytes, BytesMut};
use model::{DeviceKey, Observation, Reason, Rejected, Timestamp};
use sdk::{
    Committed, Context, DeviceEntry, Line, Order, OrderError, Part, RawFrame, Reply, SecretHash,
    Step, Submission, Talk,
};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The key of a device's MN among its identities.
const IDENTITY: &str = "hj212_mn";

/// Devices that one connection speaks for; more are looked up each time.
const KNOWN_MAX: usize = 1024;

/// Longest MN that is repeated to people; the standard has 24 letters.
const CLAIMED_CHARS_MAX: usize = 64;

/// What all connections of one driver share.
#[derive(Debug)]
pub struct Shared {
    pub(crate) cx: Context,
    pub(crate) dialects: HashMap<String, Arc<Dialect>>,
    /// Of devices that name no profile.
    pub(crate) usual: Arc<Dialect>,
    pub(crate) segment_bytes_max: usize,
    /// Devices that have said that they are broken, and when they said so last.
    pub(crate) faulty: Mutex<HashMap<DeviceKey, Option<Timestamp>>>,
}

/// A device that spoke on this connection.
#[derive(Debug)]
struct Known {
    entry: Arc<DeviceEntry>,
    dialect: Arc<Dialect>,
    address: Address,
    /// Codes that looked as if their unit was never set, and of which people were told.
    told: HashSet<String>,
}

/// The talk of one connection.
#[derive(Debug)]
pub struct Hj212Talk {
    shared: Arc<Shared>,
    finder: Finder,
    line: Line,
    known: HashMap<String, Known>,
    /// The register as it was when those were looked up.
    version: u64,
    requests: Requests,
}

impl Hj212Talk {
    pub fn new(shared: Arc<Shared>, line: Line) -> Self {
        Self {
            finder: Finder::new(shared.segment_bytes_max),
            version: shared.cx.devices.version(),
            shared,
            line,
            known: HashMap::new(),
            requests: Requests::default(),
        }
    }
}

impl Talk for Hj212Talk {
    fn next(&mut self, received: &mut BytesMut, now: Timestamp) -> Option<Step> {
        let found = self.finder.next(received)?;
        Some(self.step(found, now))
    }

    fn stalled(&mut self, received: &mut BytesMut, now: Timestamp) -> Option<Step> {
        let found = self.finder.stalled(received)?;
        Some(self.step(found, now))
    }

    fn order(&mut self, order: Order, now: Timestamp) -> Option<Bytes> {
        let mut known = self.known.values();
        let Some(known) = known.find(|known| known.entry.key == order.device) else {
            order.answer(Err(OrderError::NotConnected));
            return None;
        };
        self.requests.ask(order, &known.address, now)
    }
}

impl Hj212Talk {
    fn step(&mut self, found: Found, now: Timestamp) -> Step {
        match found {
            Found::Frame(frame) => match self.take(&frame, now) {
                Ok(step) | Err(step) => step,
            },
            Found::Skipped {
                bytes,
                reason,
                detail,
            } => Step::Skipped {
                bytes,
                reason: reason.into(),
                detail,
            },
        }
    }

    /// Takes a whole frame; an error is a step that turns it away.
    fn take(&mut self, frame: &Frame, now: Timestamp) -> Result<Step, Step> {
        let text = text_of(&frame.segment);
        let segment = parse(frame, &text)?;
        let mn = self.admit(frame, &segment)?;
        let Some(known) = self.known.get(&mn) else {
            return Err(bad(frame, "bad_segment"));
        };
        let dialect = Arc::clone(&known.dialect);
        let plain = match (segment.is_sealed(), &dialect.profile.sm4_key) {
            (false, _) => None,
            (true, None) => return Err(bad(frame, "no_key")),
            (true, Some(key)) => {
                let plain = segment.unseal(&text, key);
                Some(plain.ok_or_else(|| bad(frame, "wrong_key"))?)
            }
        };
        let text = plain.as_deref().map_or(text, text_of);
        let segment = parse(frame, &text)?;
        let checksum = match (&plain, frame.checksum) {
            (Some(plain), None) => {
                let crc = frame.crc_value().unwrap_or(0);
                Checksum::matching(plain, crc)
            }
            (_, checksum) => checksum,
        };
        if !checksum.is_some_and(|sum| dialect.profile.checksums.contains(&sum)) {
            // A wrong key garbles the plain text, and the checksum is of that.
            let reason = if plain.is_some() {
                "wrong_key"
            } else {
                "crc_mismatch"
            };
            return Err(bad(frame, reason));
        }
        self.meet(&mn, &segment);
        Ok(self.carry_out(frame, &segment, &mn, now))
    }

    /// Finds out which device this is and whether it may come in; gives its MN.
    fn admit(&mut self, frame: &Frame, segment: &Segment<'_>) -> Result<String, Step> {
        let mn = segment.mn.filter(|mn| *mn != "null");
        let mn = mn.ok_or_else(|| bad(frame, "no_mn"))?;
        let refused = |reason: &'static str| Step::Refused {
            reason: reason.into(),
            claimed: mn.chars().take(CLAIMED_CHARS_MAX).collect(),
            say: None,
        };
        let devices = &self.shared.cx.devices;
        let version = devices.version();
        if version != self.version || self.known.len() > KNOWN_MAX {
            self.known.clear();
            self.version = version;
        }
        if let Some(known) = self.known.get(mn)
            && known.address.pw.as_deref() == segment.pw
        {
            return Ok(mn.to_owned());
        }
        let entry = devices.find_identity(IDENTITY, mn);
        let entry = entry.ok_or_else(|| refused("unknown_device"))?;
        if !entry.device.enabled {
            return Err(refused("device_disabled"));
        }
        let shown = segment.pw.unwrap_or_default();
        let shown = || SecretHash::of(devices.salt(), shown);
        if entry.secret.is_some_and(|secret| secret != shown()) {
            return Err(refused("wrong_secret"));
        }
        let dialect = self.shared.dialect(&entry);
        let address = Address {
            st: String::new(),
            pw: segment.pw.map(str::to_owned),
            mn: mn.to_owned(),
            edition: Edition::E2017,
            checksum: dialect.profile.answer_checksum,
        };
        let known = Known {
            entry,
            dialect,
            address,
            told: HashSet::new(),
        };
        self.known.insert(mn.to_owned(), known);
        Ok(mn.to_owned())
    }

    /// Remembers how the device is spoken to, and takes its orders from now on.
    fn meet(&mut self, mn: &str, segment: &Segment<'_>) {
        let Some(known) = self.known.get_mut(mn) else {
            return;
        };
        let chosen = known.dialect.profile.edition.edition();
        if let Some(edition) = chosen.or_else(|| segment.edition()) {
            known.address.edition = edition;
        }
        // Results come from the system of interaction, which is none that can be asked.
        let st = segment.st.filter(|st| *st != "91" && *st != "null");
        if let Some(st) = st
            && known.address.st != st
        {
            st.clone_into(&mut known.address.st);
        }
        self.line.bind(known.entry.key);
    }

    fn carry_out(
        &mut self,
        frame: &Frame,
        segment: &Segment<'_>,
        mn: &str,
        now: Timestamp,
    ) -> Step {
        let Some(known) = self.known.get_mut(mn) else {
            return Step::Nothing;
        };
        let dialect = Arc::clone(&known.dialect);
        let profile = &dialect.profile;
        let mut command = Command::of(segment);
        let is_ours = |cn: &str| profile.acknowledge.iter().any(|own| own == cn);
        if segment.cn.is_some_and(is_ours) {
            command.answer = Some(AnswerKind::Data);
        }
        let reply = command
            .answer
            .and_then(|kind| answer(segment, kind, profile));
        let device = known.entry.key;
        match command.content {
            Content::RealTime | Content::Statistics(_) => {
                // History that was asked for is kept like any other.
                self.requests.data(device, segment);
                let decoded = dialect.decode(&self.shared.cx.catalogue, segment, command.content);
                known.warn(&decoded);
                let fault = self
                    .shared
                    .fault_of(device, &dialect, &decoded, command.content);
                commit(keep(frame, device, decoded, fault), reply)
            }
            Content::Reply if self.requests.data(device, segment) => Step::Nothing,
            Content::Reply | Content::Raw => {
                commit(keep_raw(frame, device, segment, command), reply)
            }
            Content::Result => {
                self.requests.result(segment);
                Step::Nothing
            }
            Content::Notice if profile.calibrate && segment.cn == Some("1013") => {
                let time = self.requests.calibrate(&known.address, now);
                Step::Say([reply.unwrap_or_default(), time].concat().into())
            }
            Content::Notice | Content::Heartbeat | Content::Login => {
                reply.map_or(Step::Nothing, Step::Say)
            }
            Content::Nothing => Step::Nothing,
        }
    }
}

impl Known {
    /// Tells people once that a unit cannot be right.
    fn warn(&mut self, decoded: &Decoded) {
        let Some(code) = &decoded.doubtful_code else {
            return;
        };
        if self.told.len() < KNOWN_MAX && self.told.insert(code.clone()) {
            let device = self.entry.device.id.as_str();
            tracing::warn!(
                device,
                code,
                "a value is too small for its unit; set the unit in the device's profile"
            );
        }
    }
}

impl Shared {
    fn dialect(&self, entry: &DeviceEntry) -> Arc<Dialect> {
        let named = entry.device.profile.as_deref();
        let dialect = named.and_then(|name| self.dialects.get(name));
        Arc::clone(dialect.unwrap_or(&self.usual))
    }

    /// Makes the observation that a device says it is broken, and later that it is so no more.
    fn fault_of(
        &self,
        device: DeviceKey,
        dialect: &Dialect,
        decoded: &Decoded,
        content: Content,
    ) -> Option<Observation> {
        let is_faulty = decoded.is_faulty.filter(|_| content == Content::RealTime)?;
        let mut faulty = self.faulty.lock().unwrap_or_else(PoisonError::into_inner);
        let at = decoded.at;
        let changed = if is_faulty {
            faulty.insert(device, at);
            true
        } else {
            // What was sampled before the fault says nothing of its end.
            let since = faulty.get(&device);
            let is_over = since.is_some_and(|since| at.is_none() || *since < at);
            is_over && faulty.remove(&device).is_some()
        };
        drop(faulty);
        changed.then(|| dialect.fault(is_faulty, at)).flatten()
    }
}

fn parse<'a>(frame: &Frame, text: &'a str) -> Result<Segment<'a>, Step> {
    let segment = Segment::parse(text).filter(|segment| segment.cn.is_some());
    segment.ok_or_else(|| bad(frame, "bad_segment"))
}

/// Counts a frame that cannot be trusted; nobody is answered, and the device sends it again.
fn bad(frame: &Frame, reason: &'static str) -> Step {
    let first = frame.segment.get(..frame.segment.len().min(96));
    Step::Skipped {
        bytes: frame.segment.len(),
        reason: reason.into(),
        detail: first.unwrap_or_default().escape_ascii().to_string(),
    }
}

fn commit(submission: Submission, reply: Option<Bytes>) -> Step {
    Step::Commit {
        submission,
        reply: reply.map(|bytes| Box::new(|proof: &Committed| acknowledge(bytes, proof)) as Reply),
    }
}

/// 9014: what the device is told once its data is on disk, and not before.
fn acknowledge(bytes: Bytes, _proof: &Committed) -> Bytes {
    bytes
}

fn keep(
    frame: &Frame,
    device: DeviceKey,
    mut decoded: Decoded,
    fault: Option<Observation>,
) -> Submission {
    if decoded.received == 0 {
        return raw(
            frame,
            device,
            "no_values".into(),
            "there is no value in it".to_owned(),
        );
    }
    decoded.received = decoded.received.saturating_add(u32::from(fault.is_some()));
    decoded.observations.extend(fault);
    Submission {
        parts: vec![Part {
            device,
            received: decoded.received,
            observations: decoded.observations,
            rejected: decoded.rejected,
        }],
        quarantined: Vec::new(),
    }
}

fn keep_raw(
    frame: &Frame,
    device: DeviceKey,
    segment: &Segment<'_>,
    command: Command,
) -> Submission {
    let cn: String = segment.cn.unwrap_or_default().chars().take(8).collect();
    let detail = format!("CN {cn}: {}", command.name);
    raw(frame, device, "kept_raw".into(), detail)
}

/// Keeps a frame as it came, where an engineer can look at it; it counts as one value.
fn raw(frame: &Frame, device: DeviceKey, reason: Reason, detail: String) -> Submission {
    Submission {
        parts: vec![Part {
            device,
            received: 1,
            observations: Vec::new(),
            rejected: vec![Rejected {
                metric: None,
                reason: reason.clone(),
                detail: Some(detail.clone()),
            }],
        }],
        quarantined: vec![RawFrame {
            device: Some(device),
            reason,
            detail,
            bytes: frame.segment.to_vec(),
        }],
    }
}
