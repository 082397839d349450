//! HJ 212-2017 as a monitor of dust, noise or water speaks it: real-time data that wants an answer.

use super::frame::{Answer, Parcel, Wire, identity};
use crate::calendar::{Clock, whole_second};
use crate::fleet::Device;
use crate::kind::Kind;
use crate::observation::{Observation, json};
use crate::way::Way;

/// Codes by metric (tables B.1 to B.3); values are written in the hub's units, which the profile of
/// the device has to name where the standard has others: ug/m3 for dust.
const CODES: [(&str, &str); 14] = [
    ("tsp_ugm3", "a34001"),
    ("pm10_ugm3", "a34002"),
    ("pm25_ugm3", "a34004"),
    ("temperature_c", "a01001"),
    ("humidity_pct", "a01002"),
    ("air_pressure_kpa", "a01006"),
    ("wind_speed_ms", "a01007"),
    ("wind_direction_deg", "a01008"),
    ("laeq_dba", "LA"),
    ("flow_ls", "w00000"),
    ("ph", "w01001"),
    ("cod_mgl", "w01018"),
    ("ammonia_nitrogen_mgl", "w21003"),
    ("total_phosphorus_mgl", "w21011"),
];
/// What devices without a password of their own write.
const PASSWORD: &str = "123456";
/// Flag: edition 2017, an answer is wanted (6.3.3); and without that.
const FLAG_ANSWER: u8 = 5;
const FLAG_PLAIN: u8 = 4;
/// A frame has these bytes beside its segment: `##`, length, checksum, CR LF.
const AROUND: usize = 12;
const SEGMENT_BYTES_MAX: usize = 9999;

/// One monitor.
#[derive(Debug)]
pub(super) struct Hj212 {
    mn: String,
    password: String,
    /// Environment of the device: table 5.
    system: &'static str,
    last_qn_ms: i64,
}

impl Hj212 {
    pub(super) fn new(device: &Device) -> Self {
        Self {
            mn: identity(device, "hj212_mn").to_owned(),
            password: match device.secret.as_str() {
                "" => PASSWORD.to_owned(),
                secret => secret.to_owned(),
            },
            system: match device.kind {
                Kind::Noise => "23",
                Kind::Sewage => "32",
                _ => "39",
            },
            last_qn_ms: 0,
        }
    }

    /// Names an exchange: the moment, never the same twice.
    fn qn(&mut self, now_ms: i64) -> String {
        self.last_qn_ms = now_ms.max(self.last_qn_ms + 1);
        let clock = Clock::beijing(self.last_qn_ms);
        format!("{}{:03}", clock.digits(), clock.ms)
    }

    fn segment(&self, (qn, system, command): (&str, &str, &str), flag: u8, area: &str) -> Vec<u8> {
        frame(&format!(
            "QN={qn};ST={system};CN={command};PW={};MN={};Flag={flag};CP=&&{area}&&",
            self.password, self.mn
        ))
    }

    /// Answers a request as a simple monitor does: taken, perhaps a value, done (6.6.2).
    fn obey(&self, qn: &str, command: &str, now_ms: i64) -> Option<Vec<u8>> {
        let area = match command {
            "1011" => format!("SystemTime={}", Clock::beijing(now_ms).digits()),
            "1061" => "RtdInterval=30".to_owned(),
            "1063" => "MinInterval=10".to_owned(),
            "1000" | "1012" | "1062" | "1064" | "1072" | "2011" | "2012" => String::new(),
            _ => return None,
        };
        let mut bytes = self.segment((qn, "91", "9011"), FLAG_PLAIN, "QnRtn=1");
        if !area.is_empty() {
            bytes.extend(self.segment((qn, self.system, command), FLAG_PLAIN, &area));
        }
        bytes.extend(self.segment((qn, "91", "9012"), FLAG_PLAIN, "ExeRtn=1"));
        Some(bytes)
    }
}

impl Wire for Hj212 {
    fn greet(&mut self, _: i64) -> Vec<u8> {
        Vec::new()
    }

    fn encode(&mut self, device: &Device, ts_ms: i64, observations: &[Observation]) -> Parcel {
        let said = Way::Hj212.says(device, observations).into_owned();
        let ts_ms = whole_second(ts_ms);
        let qn = self.qn(crate::clock::wall_ms());
        let mut area = format!("DataTime={}", Clock::beijing(ts_ms).digits());
        for observation in &said {
            let metric = observation.metric.as_ref();
            if let Some((_, code)) = CODES.iter().find(|(known, _)| *known == metric) {
                let value = json(&observation.measure);
                area.push_str(&format!(";{code}-Rtd={value},{code}-Flag=N"));
            }
        }
        Parcel {
            bytes: self.segment((&qn, self.system, "2011"), FLAG_ANSWER, &area),
            expects: qn.parse().ok(),
            ts_ms,
            said,
        }
    }

    /// The edition of 2017 has none.
    fn heartbeat(&mut self, _: i64) -> Vec<u8> {
        Vec::new()
    }

    fn take(&mut self, received: &mut Vec<u8>, now_ms: i64) -> Option<Answer> {
        let segment = take_segment(received)?;
        let field = |name: &str| {
            let found = segment.split(';').find_map(|part| part.strip_prefix(name));
            found.unwrap_or_default().to_owned()
        };
        let (qn, command) = (field("QN="), field("CN="));
        Some(match command.as_str() {
            "9014" => match qn.parse() {
                Ok(qn) => Answer::Acked(Some(qn)),
                Err(_) => Answer::Nothing,
            },
            _ => match self.obey(&qn, &command, now_ms) {
                Some(bytes) => Answer::Say(bytes),
                None => Answer::Nothing,
            },
        })
    }
}

/// Encloses a segment (tables 2 and 3).
pub(super) fn frame(segment: &str) -> Vec<u8> {
    let crc = crc(segment.as_bytes());
    format!("##{:04}{segment}{crc:04X}\r\n", segment.len()).into_bytes()
}

/// The checksum of annex A: the running low byte is replaced, not mixed in, at each step.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        let mut crc = (crc >> 8) ^ u16::from(*byte);
        for _ in 0..8 {
            let out = crc & 1;
            crc >>= 1;
            if out == 1 {
                crc ^= 0xa001;
            }
        }
        crc
    })
}

/// Takes the next whole segment whose checksum is right; what stands before it is dropped.
fn take_segment(received: &mut Vec<u8>) -> Option<String> {
    loop {
        let start = received.windows(2).position(|two| two == b"##")?;
        received.drain(..start);
        let digits = std::str::from_utf8(received.get(2..6)?).ok();
        let length: Option<usize> = digits.and_then(|digits| digits.parse().ok());
        let Some(length) = length.filter(|length| *length <= SEGMENT_BYTES_MAX) else {
            received.drain(..1);
            continue;
        };
        let whole = received.get(..length + AROUND)?;
        let segment = whole.get(6..6 + length).unwrap_or_default();
        let written = whole.get(6 + length..10 + length).unwrap_or_default();
        let right = format!("{:04X}", crc(segment)).as_bytes() == written;
        let segment = String::from_utf8_lossy(segment).into_owned();
        if right {
            received.drain(..length + AROUND);
            return Some(segment);
        }
        received.drain(..1);
    }
}

#[cfg(test)]
mod tests;
