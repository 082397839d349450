//! A serial line of which the test holds the other end.

use super::{Parity, Settings, open};
use crate::frame::{Block, Reply, Request, Table, crc};
use crate::link::{Link, RtuLink};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{ControlModes, tcgetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

fn line(name: PathBuf) -> Settings {
    Settings {
        path: name,
        baud: 19_200,
        parity: Parity::Even,
        two_stop_bits: true,
    }
}

fn pair() -> (File, PathBuf) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    (File::from(ours), PathBuf::from(name.to_str().unwrap()))
}

#[tokio::test]
async fn a_unit_on_a_serial_line_is_asked_and_answers() {
    let (mut far, name) = pair();
    let near = open(&line(name)).unwrap();
    // The far end of a pseudo-terminal shows the settings of the near one.
    let settings = tcgetattr(&far).unwrap();
    assert_eq!(settings.output_speed(), 19_200);
    assert!(settings.control_modes.contains(ControlModes::CSTOPB));
    let unit = std::thread::spawn(move || {
        let mut asked = [0; 8];
        far.read_exact(&mut asked).unwrap();
        // 0A and 0D would be touched by a line that is not raw.
        let answer = [1, 3, 4, 0x0a, 0x0d, 0x11, 0x13];
        let answer = [&answer[..], &crc(&answer).to_le_bytes()].concat();
        for byte in answer {
            far.write_all(&[byte]).unwrap();
        }
        (asked, far)
    });
    let mut link = Link::Rtu(RtuLink::new(Box::new(near), Arc::new([])));
    let request = Request::Read(Block {
        table: Table::Holding,
        at: 0,
        count: 2,
    });
    let answer = link.ask(1, &request, Duration::from_secs(10)).await;
    let Ok(Reply::Data(data)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(data.registers().collect::<Vec<_>>(), [0x0a0d, 0x1113]);
    let (asked, _far) = unit.join().unwrap();
    assert_eq!(asked, request.rtu(1));
}

#[tokio::test]
async fn a_line_that_is_not_there_is_an_error_and_no_panic() {
    let missing = PathBuf::from("/dev/there-is-no-such-line");
    assert!(open(&line(missing)).is_err());
}
