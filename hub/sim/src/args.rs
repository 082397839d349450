//! What `cityhub simulate` is told on the command line.

use crate::fault::FaultShare;
use crate::mqtt::Version;

/// Act as a fleet of sensors against a running hub.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// MQTT listener of the hub, as host:port.
    #[arg(long, value_name = "ADDR")]
    pub mqtt: Option<String>,

    /// HTTP ingest listener of the hub, as host:port; with --mqtt too, devices use both.
    #[arg(long, value_name = "ADDR")]
    pub http: Option<String>,

    /// Address of another protocol, such as `hj212=127.0.0.1:9212`: where the hub listens, or where the
    /// simulator shall, for `modbus`, `rtsp` and `gbfs`, which the hub dials. With the token or password of a
    /// platform before it and the path of a push behind it: `onenet=TOKEN@127.0.0.1:8081/push/onenet`.
    /// May be given several times.
    #[arg(long, value_name = "NAME=ADDR")]
    pub address: Vec<String>,

    /// Devices of this file instead of invented ones: the hub's own CSV, in which the tag `protocol`
    /// says how each one speaks.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["demo", "devices", "scenario"])]
    pub fleet: Option<std::path::PathBuf>,

    /// Base address of the hub's API, such as http://127.0.0.1:8080; registers the fleet first.
    #[arg(long, value_name = "URL", requires = "token")]
    pub api: Option<String>,

    /// Token of a role that may edit devices.
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,

    /// Act as the city's platform, too, which takes the steps of cases; base address of the hub's
    /// API.
    #[arg(long, value_name = "URL", requires = "platform_token")]
    pub platform: Option<String>,

    /// Token of the role platform.
    #[arg(long, value_name = "TOKEN", requires = "platform")]
    pub platform_token: Option<String>,

    /// Token of the role officer: acknowledge what nobody did for some minutes; needs --platform.
    #[arg(long, value_name = "TOKEN", requires = "platform")]
    pub officer_token: Option<String>,

    /// Number of devices, gateways included.
    #[arg(long, default_value_t = 55, value_name = "N")]
    pub devices: usize,

    /// Messages a second in all; without it every device keeps the cadence of its kind.
    #[arg(long, value_name = "PER_SECOND")]
    pub rate: Option<f64>,

    /// Seconds between two messages of a device, instead of the cadence of its kind.
    #[arg(long, value_name = "SECONDS")]
    pub cadence_s: Option<u32>,

    /// The same seed gives the same values and the same faults.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Seconds to run; 0 runs until Ctrl-C.
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    pub duration_s: u64,

    /// A fault to inject, with the share of messages (or devices) it strikes: duplicate, late,
    /// burst, clock-skew, silence or garbage, such as `late=0.1`. May be given several times.
    #[arg(long, value_name = "FAULT[=SHARE]")]
    pub fault: Vec<FaultShare>,

    /// First part of every device id.
    #[arg(long, default_value = "sim")]
    pub prefix: String,

    /// Text from which the secrets of the devices are derived.
    #[arg(long, default_value = "demo", value_name = "TEXT")]
    pub secret_seed: String,

    /// Print the fleet with its secrets, as the device file of the hub reads it, and exit.
    #[arg(long, value_name = "FORMAT")]
    pub print_devices: Option<PrintFormat>,

    /// Play the demo city of `make run`: its 500 devices, an alarm within a minute, every severity
    /// within five.
    #[arg(long, conflicts_with_all = ["devices", "rate", "cadence_s", "prefix", "secret_seed"])]
    pub demo: bool,

    /// Every device has its own connection; no gateway speaks for its children.
    #[arg(long)]
    pub direct: bool,

    /// Unacknowledged messages that an MQTT connection may have, at most 1000.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub window: u16,

    /// MQTT edition: 3.1.1 or 5.
    #[arg(long, default_value = "3.1.1", value_parser = parse_version)]
    pub mqtt_version: Version,

    /// Append a line per acknowledged message to this file: device,ts_ms,metric=value;…
    #[arg(long, value_name = "FILE")]
    pub ack_log: Option<std::path::PathBuf>,

    /// Play a scenario instead of an ordinary city; `list` lists them.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["demo", "rate", "fault", "devices"])]
    pub scenario: Option<String>,

    /// Write what would be sent as JSON lines in the order of receipt, as `cityhub backtest --input`
    /// reads them, and exit.
    #[arg(long, conflicts_with = "print_devices")]
    pub print: bool,

    /// Device time of the start in milliseconds since the epoch; now without it.
    #[arg(long, value_name = "MS")]
    pub start_ms: Option<i64>,
}

/// How the fleet is printed.
#[derive(Copy, Clone, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PrintFormat {
    Csv,
    Json,
}

fn parse_version(text: &str) -> Result<Version, String> {
    match text {
        "3" | "3.1.1" => Ok(Version::V311),
        "5" | "5.0" => Ok(Version::V5),
        _ => Err("known editions are 3.1.1 and 5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        args: Args,
    }

    fn parse(words: &[&str]) -> Result<Args, clap::Error> {
        let words = std::iter::once("simulate").chain(words.iter().copied());
        Program::try_parse_from(words).map(|program| program.args)
    }

    #[test]
    fn faults_repeat_and_carry_a_share() {
        let args = parse(&["--fault", "late=0.25", "--fault", "garbage"]).unwrap();
        assert_eq!(
            args.fault,
            [
                FaultShare {
                    fault: Fault::Late,
                    share: 0.25
                },
                FaultShare {
                    fault: Fault::Garbage,
                    share: 0.01
                },
            ]
        );
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for words in [
            &["--fault", "earthquake"][..],
            &["--fault", "late=1.5"],
            &["--fault", "late=x"],
            &["--mqtt-version", "4"],
            &["--window", "0"],
            &["--print-devices", "xml"],
            &["--api", "http://127.0.0.1:1"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
        assert_eq!(
            parse(&["--mqtt-version", "5"]).unwrap().mqtt_version,
            Version::V5
        );
    }
}
