//! An Omni lock: its position, its being locked, and the acknowledgement that it waits for.

use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use tests::hub::{Place, plain_config};
use tests::time::PATIENCE;

const DRIVER: &str = r#"
[drivers.locks]
kind = "bikelock"
listen = "127.0.0.1:0"
"#;

#[test]
fn a_bike_is_locked_acknowledged_and_located() {
    let place = Place::with_config(&(plain_config() + DRIVER));
    let hub = place.start();
    hub.register(&json!([
        {"id": "bike-1", "kind": "bike", "identities": {"bikelock": "863725031194523"}},
    ]));
    let mut lock = TcpStream::connect(hub.addr("locks.listen")).unwrap();
    lock.set_read_timeout(Some(PATIENCE)).unwrap();
    let sent = b"*CMDR,OM,8637,000000000000,Q0,410#\n*CMDR,OM,863725031194523,000000000000,L1,1,1497689816,20#\n";
    for byte in sent {
        lock.write_all(&[*byte]).unwrap();
    }
    let expected = b"\xff\xff*CMDS,OM,863725031194523,000000000000,L1#\n";
    let mut answer = vec![0; expected.len()];
    lock.read_exact(&mut answer).unwrap();
    assert_eq!(answer, expected);
    assert_eq!(hub.points("bike-1", "locked")[0][1], json!(1.0));
    assert_eq!(hub.points("bike-1", "ride_min")[0][1], json!(20.0));
    // The place of a public sample; its time is of 2016, so it counts when it came. The next line is
    // acknowledged after it, and so it is stored by then.
    lock.write_all(
        b"*CMDR,OM,863725031194523,000000000000,D0,0,124458.00,A,2237.7514,N,11408.6214,E,6,0.21,151216,10,M,A#\n\
          *CMDR,OM,863725031194523,000000000000,W0,1#\n",
    )
    .unwrap();
    let expected = b"\xff\xff*CMDS,OM,863725031194523,000000000000,W0#\n";
    lock.read_exact(&mut answer).unwrap();
    assert_eq!(answer, expected);
    let points = hub.points("bike-1", "position");
    assert_eq!((points.len(), &points[0][1]["locked"]), (1, &json!(true)));
    assert_eq!(points[0][2], "uncertain:clock");
    drop(hub.stop());
    place.verify();
}
