//! Where a line is: the `connect` of the configuration, and how to get there.

use crate::serial::{Parity, Settings};
use schemars::JsonSchema;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

const MODBUS_PORT: u16 = 502;
const BAUD: u32 = 9600;

/// `tcp://HOST:PORT` (Modbus TCP), `rtu:///dev/ttyUSB0?baud=9600&parity=none&stop_bits=1` (a serial
/// line), `rtu+tcp://HOST:PORT` (RTU frames to a serial server) or `rtu+tcp-listen://ADDRESS:PORT`
/// (RTU frames over DTUs that dial in).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Connect(pub(crate) Place);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Tcp(String),
    RtuTcp(String),
    Serial(Settings),
    Listen(SocketAddr),
}

impl TryFrom<String> for Connect {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("`{text}` has no scheme; {SCHEMES}"));
        };
        let place = match scheme {
            "tcp" => Place::Tcp(target(rest)?),
            "rtu+tcp" => Place::RtuTcp(target(rest)?),
            "rtu" => Place::Serial(serial(rest)?),
            "rtu+tcp-listen" => Place::Listen(
                rest.parse()
                    .map_err(|_| format!("`{rest}` is no address and port to listen on"))?,
            ),
            _ => return Err(format!("unknown scheme `{scheme}`; {SCHEMES}")),
        };
        Ok(Self(place))
    }
}

const SCHEMES: &str = "known: tcp://, rtu://, rtu+tcp://, rtu+tcp-listen://";

fn target(rest: &str) -> Result<String, String> {
    let rest = rest.trim_end_matches('/');
    if rest.is_empty() || rest.contains(['/', '?', '@', ' ']) {
        return Err(format!("`{rest}` is no host and port"));
    }
    // An IPv6 address stands in brackets.
    let after_host = rest.rsplit_once(']').map_or(rest, |(_, after)| after);
    match after_host.rsplit_once(':') {
        None => Ok(format!("{rest}:{MODBUS_PORT}")),
        Some((_, port)) => match port.parse::<u16>() {
            Ok(1..) => Ok(rest.to_owned()),
            _ => Err(format!("`{port}` is no port")),
        },
    }
}

fn serial(rest: &str) -> Result<Settings, String> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !path.starts_with('/') {
        return Err(format!(
            "`{path}` is no path of a line, such as /dev/ttyUSB0"
        ));
    }
    let mut settings = Settings {
        path: PathBuf::from(path),
        baud: BAUD,
        parity: Parity::None,
        two_stop_bits: false,
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let wrong = || {
            format!(
                "`{pair}`: known are baud=9600, parity=none|even|odd, stop_bits=1|2 (always 8 data bits)"
            )
        };
        match pair.split_once('=') {
            Some(("baud", baud)) => {
                settings.baud = baud
                    .parse()
                    .ok()
                    .filter(|baud| *baud > 0)
                    .ok_or_else(wrong)?;
            }
            Some(("parity", "none")) => settings.parity = Parity::None,
            Some(("parity", "even")) => settings.parity = Parity::Even,
            Some(("parity", "odd")) => settings.parity = Parity::Odd,
            Some(("stop_bits", "1")) => settings.two_stop_bits = false,
            Some(("stop_bits", "2")) => settings.two_stop_bits = true,
            _ => return Err(wrong()),
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::{Connect, Place};
    use crate::serial::{Parity, Settings};

    fn read(text: &str) -> Result<Place, String> {
        Connect::try_from(text.to_owned()).map(|connect| connect.0)
    }

    #[test]
    fn each_way_to_a_line_has_a_scheme() {
        assert_eq!(
            read("tcp://10.0.0.7:1502"),
            Ok(Place::Tcp("10.0.0.7:1502".into()))
        );
        assert_eq!(read("tcp://plc"), Ok(Place::Tcp("plc:502".into())));
        assert_eq!(read("tcp://[::1]"), Ok(Place::Tcp("[::1]:502".into())));
        assert_eq!(
            read("rtu+tcp://ser:4001"),
            Ok(Place::RtuTcp("ser:4001".into()))
        );
        assert_eq!(
            read("rtu+tcp-listen://127.0.0.1:9600"),
            Ok(Place::Listen(([127, 0, 0, 1], 9600).into()))
        );
    }

    #[test]
    fn a_serial_line_is_8n1_with_9600_baud_unless_said() {
        let plain = Settings {
            path: "/dev/ttyUSB0".into(),
            baud: 9600,
            parity: Parity::None,
            two_stop_bits: false,
        };
        assert_eq!(read("rtu:///dev/ttyUSB0"), Ok(Place::Serial(plain.clone())));
        assert_eq!(
            read("rtu:///dev/ttyUSB0?baud=19200&parity=even&stop_bits=2"),
            Ok(Place::Serial(Settings {
                baud: 19200,
                parity: Parity::Even,
                two_stop_bits: true,
                ..plain
            }))
        );
    }

    #[test]
    fn what_is_no_line_is_refused_with_the_reason() {
        for (text, word) in [
            ("127.0.0.1:502", "scheme"),
            ("udp://x", "udp"),
            ("tcp://", "host"),
            ("tcp://x:99999", "port"),
            ("tcp://x:0", "port"),
            ("tcp://x/y", "host"),
            ("rtu+tcp-listen://plc", "address"),
            ("rtu://ttyUSB0", "path"),
            ("rtu:///dev/x?baud=fast", "baud=fast"),
            ("rtu:///dev/x?parity=mark", "parity=mark"),
            ("rtu:///dev/x?flow=rts", "flow=rts"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
