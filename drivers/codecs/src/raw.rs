//! Raw frames of devices in what carries them: bytes, digits, and digits among the values of a platform.

use crate::pressure_frame::{self, frame_len};
use crate::profile::{Book, Codec, Plan, Sender};
use crate::{Decoded, Undecodable, json, mapped, parse_json, plain};
use model::{Catalogue, Timestamp};
use serde_json::Value as Json;
use std::borrow::Cow;

/// Decodes a raw frame: bytes, digits, or digits within JSON.
pub(crate) fn decode(
    catalogue: &Catalogue,
    plan: &Plan,
    arrival: Timestamp,
    payload: &[u8],
    out: &mut Decoded,
) -> Result<(), Undecodable> {
    let bytes = pressure_frame::bytes_of(payload);
    let is_json = plan.frame.is_some() && frame_len(&bytes).is_some_and(|len| len.is_err());
    let within = is_json.then(|| {
        let tree = parse_json(payload).ok()?;
        pressure_frame::within(&tree, plan.frame.as_ref())
    });
    let bytes = within.flatten().map_or(bytes, Cow::Owned);
    pressure_frame::decode_into(catalogue, &bytes, arrival, out)
}

impl Book {
    /// Takes named values that a platform has decoded already, by the profile of the device. A device
    /// without a profile names metrics, or has the digits of a raw frame among its values.
    ///
    /// On an error `out` is as before, but for one rejected value that stands for the message.
    pub fn take_values(
        &self,
        catalogue: &Catalogue,
        sender: Sender<'_>,
        values: &Json,
        out: &mut Decoded,
    ) -> Result<(), Undecodable> {
        let plan = self.plan(sender.profile);
        let found = match plan {
            Some(plan) if plan.codec == Codec::PressureFrame => {
                let frame = pressure_frame::within(values, plan.frame.as_ref());
                let none = "no value is the digits of a frame".to_owned();
                Some(frame.ok_or_else(|| json::undecodable("start_marker", none)))
            }
            Some(_) => None,
            None => pressure_frame::within(values, None).map(Ok),
        };
        if let Some(frame) = found {
            let taken = frame.and_then(|frame| {
                pressure_frame::decode_into(catalogue, &frame, sender.arrival, out)
            });
            return taken.inspect_err(|why| out.reject_message(why));
        }
        let bare = Plan::bare();
        let plan = plan.filter(|plan| plan.codec.reads_json());
        let plan = plan.unwrap_or(&bare);
        if plan.rules.is_empty() {
            let record = plain::read(catalogue, plan, values);
            plain::take(catalogue, &record, None, out);
        } else {
            mapped::take(catalogue, plan, values, None, out);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
