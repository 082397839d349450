//! From reports to readings: by the profile of the device, at the platform's time.

use crate::{Content, Moment, Report, undecodable};
use codecs::{Book, Decoded, Sender, Undecodable, is_believable, pressure_frame};
use model::{Catalogue, Cause, DeviceKey, Observation, Quality, Timestamp, Value};
use std::borrow::Cow;

/// How the device that a report is about is registered.
#[derive(Copy, Clone, Debug)]
pub struct Subject<'a> {
    pub key: DeviceKey,
    pub profile: Option<&'a str>,
    /// Its number as a pressure terminal, which a raw frame must show.
    pub terminal: Option<&'a str>,
}

impl Report {
    /// Gives the number of the pressure terminal whose raw frame this is.
    pub fn terminal(&self) -> Option<String> {
        let bytes = self.frame()?;
        let frame = pressure_frame::parse(&bytes).ok()?;
        Some(frame.device.to_owned())
    }

    fn frame(&self) -> Option<Cow<'_, [u8]>> {
        match &self.content {
            Ok(Content::Bytes(bytes)) => Some(pressure_frame::bytes_of(bytes)),
            Ok(Content::Values(values)) => pressure_frame::within(values, None).map(Cow::Owned),
            Ok(Content::Online(_) | Content::Nothing) | Err(_) => None,
        }
    }

    /// Gives what is kept of a report that no reading could be made of; none where it was not even
    /// cut out of its push.
    pub fn raw(&self) -> Option<Vec<u8>> {
        match &self.content {
            Ok(Content::Bytes(bytes)) => Some(bytes.clone()),
            Ok(Content::Values(values)) => Some(values.to_string().into_bytes()),
            Ok(Content::Online(_) | Content::Nothing) | Err(_) => None,
        }
    }

    /// Gives what the report says of its device. A value whose time nobody could believe has none,
    /// and counts as of its arrival.
    pub fn take(
        &self,
        catalogue: &Catalogue,
        book: &Book,
        subject: Subject<'_>,
        arrival: Timestamp,
    ) -> Decoded {
        let mut out = Decoded::new(subject.key);
        let desk = Desk {
            catalogue,
            book,
            sender: Sender {
                profile: subject.profile,
                arrival,
            },
        };
        if let Err(why) = self.check(subject).and_then(|()| desk.take(self, &mut out)) {
            out = Decoded::new(subject.key);
            out.reject_message(&why);
        }
        for observation in &mut out.observations {
            self.settle(observation, arrival);
        }
        out
    }

    /// Gives a value its time: its own, else the platform's, as far as they can be right.
    fn settle(&self, observation: &mut Observation, arrival: Timestamp) {
        let own = observation.observed_at;
        if own.is_some_and(|own| is_believable(own, arrival)) {
            return;
        }
        let (at, is_sure) = match self.at {
            Moment::At(at) if is_believable(at, arrival) => (Some(at), true),
            Moment::At(_) | Moment::Wrong(_) => (None, false),
            Moment::Unsaid => (None, true),
        };
        observation.observed_at = at;
        if own.is_some() || !is_sure {
            let doubt = Quality::uncertain(Cause::Clock);
            observation.quality = observation.quality.worst(doubt);
        }
    }

    fn check(&self, subject: Subject<'_>) -> Result<(), Undecodable> {
        let (Some(wanted), Some(found)) = (subject.terminal, self.terminal()) else {
            return Ok(());
        };
        if wanted == found {
            return Ok(());
        }
        let detail = format!("the frame is of terminal {found}, the device is {wanted}");
        Err(undecodable("other_device", detail))
    }
}

struct Desk<'a> {
    catalogue: &'a Catalogue,
    book: &'a Book,
    sender: Sender<'a>,
}

impl Desk<'_> {
    fn take(&self, report: &Report, out: &mut Decoded) -> Result<(), Undecodable> {
        match report.content.as_ref().map_err(Undecodable::clone)? {
            Content::Values(values) => {
                self.book
                    .take_values(self.catalogue, self.sender, values, out)
            }
            Content::Bytes(bytes) => self.bytes(bytes, out),
            Content::Online(true) => {
                self.alive(out);
                Ok(())
            }
            // The hub judges silence by the device's own pace; a platform calls one that sleeps offline.
            Content::Online(false) | Content::Nothing => Ok(()),
        }
    }

    fn bytes(&self, bytes: &[u8], out: &mut Decoded) -> Result<(), Undecodable> {
        if self.book.has(self.sender.profile) {
            return self
                .book
                .decode_into(self.catalogue, self.sender, bytes, out);
        }
        let frame = pressure_frame::bytes_of(bytes);
        if pressure_frame::begins(&frame) {
            let arrival = self.sender.arrival;
            return pressure_frame::decode_into(self.catalogue, &frame, arrival, out);
        }
        if bytes.trim_ascii_start().starts_with(b"{") {
            return self
                .book
                .decode_into(self.catalogue, self.sender, bytes, out);
        }
        let detail = format!("{} bytes that nobody knows", bytes.len());
        Err(undecodable("unknown_payload", detail))
    }

    fn alive(&self, out: &mut Decoded) {
        let found = self.catalogue.find("heartbeat").zip(Value::number(1.0));
        let Some((metric, value)) = found else {
            return;
        };
        out.received = out.received.saturating_add(1);
        out.observations.push(Observation {
            metric,
            value,
            quality: self.catalogue.judge(metric, &value),
            observed_at: None,
        });
    }
}
