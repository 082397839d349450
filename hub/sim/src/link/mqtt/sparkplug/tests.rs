//! A node is born before its devices, and devices before their data.

use super::*;
use crate::fleet::read;

const AT_MS: i64 = 1_772_323_200_000;

fn fleet() -> Fleet {
    let columns = "id,kind,name,site,lon,lat,parent,cadence_s,identities.sparkplug";
    let node = "plc-1,gateway,n,s,118.1,24.5,,60,City/plc-1";
    let dust = "dust-1,dust,n,s,118.1,24.5,plc-1,60,City/plc-1/d1";
    read(&format!("{columns}\n{node}\n{dust}\n")).unwrap()
}

fn measured(pm10: f64) -> [Observation; 1] {
    [Observation::number("pm10_ugm3", pm10, 0)]
}

#[test]
fn a_name_is_said_in_the_birth_alone_and_the_sequence_counts_on() {
    let fleet = fleet();
    let mut node = Node::new(&fleet.devices[0]);
    let will = node.will(AT_MS);
    assert_eq!(will.topic, "spBv1.0/City/NDEATH/plc-1");
    let birth = node.birth(AT_MS);
    assert_eq!(birth.topic, "spBv1.0/City/NBIRTH/plc-1");
    assert!(birth.payload.ends_with(&[0x18, 0]));
    let mut say = |pm10| node.say(&fleet, 1, (AT_MS, &measured(pm10))).unwrap();
    let (first, second) = (say(50.0), say(51.0));
    assert_eq!(first.topic, "spBv1.0/City/DBIRTH/plc-1/d1");
    assert_eq!(second.topic, "spBv1.0/City/DDATA/plc-1/d1");
    let named = |published: &Published| {
        let mut windows = published.payload.windows(9);
        windows.any(|bytes| bytes == b"pm10_ugm3")
    };
    assert!(named(&first) && !named(&second));
    assert!(first.payload.ends_with(&[0x18, 1]) && second.payload.ends_with(&[0x18, 2]));
    // Asked for a rebirth, it begins anew.
    node.birth(AT_MS);
    let again = node.say(&fleet, 1, (AT_MS, &measured(52.0))).unwrap();
    assert_eq!(again.topic, "spBv1.0/City/DBIRTH/plc-1/d1");
}

#[test]
fn each_connection_has_a_death_of_its_own() {
    let fleet = fleet();
    let mut node = Node::new(&fleet.devices[0]);
    let (first, second) = (node.will(AT_MS), node.will(AT_MS));
    assert!(first.payload.ends_with(&[0x58, 0]) && second.payload.ends_with(&[0x58, 1]));
}
