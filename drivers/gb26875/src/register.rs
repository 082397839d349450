//! Who a frame is of: source addresses and places to registered devices, remembered until the
//! register changes.

use crate::frame::Address;
use crate::unit::Place;
use sdk::{DeviceEntry, Devices};
use std::collections::HashMap;
use std::sync::Arc;

/// The name of the protocol in a device's identities.
pub(crate) const PROTOCOL: &str = "gb26875";

/// Answers that are remembered; all are forgotten beyond.
const REMEMBERED_MAX: usize = 65_536;

/// Looks identities up.
#[derive(Debug)]
pub(crate) struct Register {
    devices: Devices,
    version: u64,
    sources: HashMap<Address, Option<Arc<DeviceEntry>>>,
    places: HashMap<(Address, Place), Option<Arc<DeviceEntry>>>,
}

impl Register {
    pub(crate) fn new(devices: Devices) -> Self {
        Self {
            version: devices.version(),
            devices,
            sources: HashMap::new(),
            places: HashMap::new(),
        }
    }

    fn refresh(&mut self) {
        let version = self.devices.version();
        let full = self.sources.len() + self.places.len() >= REMEMBERED_MAX;
        if version != self.version || full {
            self.version = version;
            self.sources.clear();
            self.places.clear();
        }
    }

    /// Finds the transmission device of a source address.
    pub(crate) fn source(&mut self, source: Address) -> Option<Arc<DeviceEntry>> {
        self.refresh();
        let devices = &self.devices;
        let known = self.sources.entry(source);
        known
            .or_insert_with(|| spelled(devices, source, ""))
            .clone()
    }

    /// Finds the device of a place behind a source address: a component's own, else its system's; none
    /// where the transmission device speaks for it.
    pub(crate) fn place(&mut self, source: Address, place: Place) -> Option<Arc<DeviceEntry>> {
        self.refresh();
        let devices = &self.devices;
        let known = self.places.entry((source, place));
        let find = || match place {
            Place::Device => None,
            Place::System(_) => spelled(devices, source, &format!("/{place}")),
            Place::Component([kind, address, _], _) => {
                let own = spelled(devices, source, &format!("/{place}"));
                let system = || format!("/{}", Place::System([kind, address]));
                own.or_else(|| spelled(devices, source, &system()))
            }
        };
        known.or_insert_with(find).clone()
    }
}

/// Looks an address up as twelve hexadecimal digits of either case, or as a decimal number, which is
/// taken where it cannot be mistaken for those.
fn spelled(devices: &Devices, source: Address, rest: &str) -> Option<Arc<DeviceEntry>> {
    let find = |address: &str| devices.find_identity(PROTOCOL, &format!("{address}{rest}"));
    let hex = source.to_string();
    let found = find(&hex).or_else(|| find(&hex.to_ascii_uppercase()));
    let decimal = source.number().to_string();
    let unmistakable = decimal.len() != hex.len();
    found.or_else(|| unmistakable.then(|| find(&decimal)).flatten())
}

#[cfg(test)]
mod tests {
    use super::Register;
    use crate::frame::Address;
    use crate::unit::Place;
    use sdk::testkit::Kit;

    fn found(register: &mut Register, source: &str, place: Option<Place>) -> Option<String> {
        let source = Address::parse(source).unwrap();
        let entry = match place {
            None => register.source(source),
            Some(place) => register.place(source, place),
        };
        entry.map(|entry| entry.device.id.as_str().to_owned())
    }

    #[test]
    fn an_address_is_found_in_either_case_and_in_decimal_where_that_is_unmistakable() {
        let kit = Kit::new(&[
            r#"{"id":"low","kind":"gateway","identities":{"gb26875":"0000000c38f6"}}"#,
            r#"{"id":"up","kind":"gateway","identities":{"gb26875":"00000000ABCD"}}"#,
            r#"{"id":"ten","kind":"gateway","identities":{"gb26875":"100"}}"#,
            r#"{"id":"twelve","kind":"gateway","identities":{"gb26875":"123456789012"}}"#,
        ]);
        let mut register = Register::new(kit.cx.devices.clone());
        let mut source = |text| found(&mut register, text, None);
        assert_eq!(source("0000000c38f6").as_deref(), Some("low"));
        assert_eq!(source("00000000abcd").as_deref(), Some("up"));
        assert_eq!(source("000000000064").as_deref(), Some("ten"));
        // 123456789012 is 0x1cbe991a14; its twelve digits are read as hexadecimal.
        assert_eq!(source("001cbe991a14"), None);
        assert_eq!(source("123456789012").as_deref(), Some("twelve"));
    }

    #[test]
    fn a_component_is_its_own_device_else_its_systems_and_a_change_is_seen() {
        let kit = Kit::new(&[
            r#"{"id":"room","kind":"smoke","identities":{"gb26875":"010203040506/1.3.40.d9000600"}}"#,
            r#"{"id":"pump","kind":"smoke","identities":{"gb26875":"010203040506/11.1"}}"#,
        ]);
        let mut register = Register::new(kit.cx.devices.clone());
        let address = [0xd9, 0, 6, 0];
        let mut place = |place| found(&mut register, "010203040506", Some(place));
        let room = Place::Component([1, 3, 40], address);
        assert_eq!(place(room).as_deref(), Some("room"));
        assert_eq!(
            place(Place::Component([11, 1, 0], address)).as_deref(),
            Some("pump")
        );
        assert_eq!(place(Place::System([11, 1])).as_deref(), Some("pump"));
        assert_eq!(place(Place::Component([1, 4, 40], address)), None);
        assert_eq!(place(Place::Device), None);
        kit.cx.devices.remove(model::DeviceKey(1));
        assert_eq!(found(&mut register, "010203040506", Some(room)), None);
    }
}
