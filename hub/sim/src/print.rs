//! Writes what would be sent as a stream: one JSON line a message, in the order of receipt.

use crate::fleet::Fleet;
use crate::plan::{Content, Message};
use crate::run::Source;
use std::io::{self, Write};

/// Writes the whole stream. The first and the last line carry a time alone: what the hub saw
/// begins and ends there.
pub(crate) fn write_stream(
    out: &mut impl Write,
    source: &mut Source<'_>,
    fleet: &Fleet,
    (start_ms, end_ms): (i64, i64),
) -> io::Result<()> {
    writeln!(out, "{{\"received_at\":{start_ms}}}")?;
    while let Some((after_us, message)) = source.next() {
        let received_at = start_ms + after_us / 1000;
        if received_at > end_ms {
            break;
        }
        let Some(device) = fleet.devices.get(message.device) else {
            continue;
        };
        let Some(message) = heard(message, fleet) else {
            continue;
        };
        let payload = message.payload();
        // The payload is an object with `ts` and `values`; the stream puts two fields before them.
        let fields = payload.strip_prefix(b"{").unwrap_or_default();
        write!(
            out,
            "{{\"received_at\":{received_at},\"device\":\"{}\",",
            device.id
        )?;
        out.write_all(fields)?;
        out.write_all(b"\n")?;
    }
    writeln!(out, "{{\"received_at\":{end_ms}}}")
}

/// Leaves of a message what the protocol of its device can say.
fn heard(mut message: Message, fleet: &Fleet) -> Option<Message> {
    let device = fleet.devices.get(message.device)?;
    if let (Some(way), Content::Observations(all)) =
        (fleet.way_of(message.device), &message.content)
    {
        let said = way.says(device, all).into_owned();
        if said.is_empty() {
            return None;
        }
        message.content = Content::Observations(said);
    }
    Some(message)
}
