//! Writes a scenario as a stream: one JSON line a message, in the order of receipt.

use super::stage::Stage;
use crate::fleet::Fleet;
use std::io::{self, Write};

/// Writes the whole stream. The first and the last line carry a time alone: what the hub saw
/// begins and ends there.
pub(crate) fn write_stream(
    out: &mut impl Write,
    stage: &mut Stage<'_>,
    fleet: &Fleet,
    (start_ms, end_ms): (i64, i64),
) -> io::Result<()> {
    writeln!(out, "{{\"received_at\":{start_ms}}}")?;
    while let Some((after_ms, message)) = stage.next() {
        let Some(device) = fleet.devices.get(message.device) else {
            continue;
        };
        let payload = message.payload();
        // The payload is an object with `ts` and `values`; the stream puts two fields before them.
        let fields = payload.strip_prefix(b"{").unwrap_or_default();
        let received_at = start_ms + after_ms;
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
