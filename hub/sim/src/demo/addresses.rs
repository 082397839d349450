//! Where the demo's protocols are spoken besides the listeners of its hub: what the hub dials, and the
//! paths and passwords that its configuration gives out.

use crate::fleet::Fleet;
use crate::way::{Addresses, Way};
use toml::{Table, Value};

const CONFIG: &str = include_str!("../../../../deploy/demo/hub.toml");

/// Adds what the demo's configuration says and nobody has given.
pub(crate) fn complete(addresses: &mut Addresses, fleet: &Fleet) -> Result<(), String> {
    let config: Table = toml::from_str(CONFIG).map_err(|error| error.to_string())?;
    let drivers = config.get("drivers").and_then(Value::as_table);
    for (name, driver) in drivers.into_iter().flatten() {
        let text = |key: &str| driver.get(key).and_then(Value::as_str);
        let dialled = match (text("connect"), text("url")) {
            (Some(to), _) => to.strip_prefix("tcp://"),
            (None, Some(url)) => url
                .strip_prefix("http://")
                .and_then(|u| u.split('/').next()),
            (None, None) => None,
        };
        if let Some(addr) = dialled.filter(|_| addresses.named(name).is_none()) {
            addresses.put(name, addr)?;
        }
        if let (Some(password), Some(addr)) = (text("password"), addresses.named(name))
            && !addr.contains('@')
        {
            let addr = format!("{password}@{addr}");
            addresses.put(name, &addr)?;
        }
        let pushes = driver.get("push").and_then(Value::as_table);
        for (platform, push) in pushes.into_iter().flatten() {
            let text = |key: &str| push.get(key).and_then(Value::as_str);
            let Some(ingest) = addresses.of(Way::Http) else {
                continue;
            };
            let token = text("token").map_or(String::new(), |token| format!("{token}@"));
            let addr = format!("{token}{ingest}{}", text("path").unwrap_or_default());
            if addresses.named(platform).is_none() {
                addresses.put(platform, &addr)?;
            }
        }
    }
    // All cameras that are asked stand on one port.
    let asked = fleet.devices.iter().find_map(|d| d.identities.get("rtsp"));
    let camera = asked.and_then(|url| url.strip_prefix("rtsp://")?.split('/').next());
    if let Some(addr) = camera.filter(|_| addresses.of(Way::Rtsp).is_none()) {
        addresses.put("rtsp", addr)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listeners_of_the_hub_are_enough_for_every_protocol() {
        let listeners = [
            "mqtt=127.0.0.1:1",
            "ingest=127.0.0.1:2",
            "hj212=127.0.0.1:3",
            "gb26875=127.0.0.1:4",
            "pressure=127.0.0.1:5",
            "jt808=127.0.0.1:6",
            "bikelock=127.0.0.1:7",
            "dtu=127.0.0.1:8",
            "coap=127.0.0.1:9",
            "gb28181=127.0.0.1:10",
        ];
        let mut addresses = Addresses::read(listeners).unwrap();
        complete(&mut addresses, &super::super::fleet().unwrap()).unwrap();
        for way in Way::all() {
            assert!(addresses.of(way).is_some(), "{way:?}");
        }
        for (way, addr) in [
            ("modbus-tcp", "127.0.0.1:1502"),
            ("gbfs", "127.0.0.1:8089"),
            ("rtsp", "127.0.0.1:8554"),
            ("gb28181", "demo-camera-password@127.0.0.1:10"),
            ("onenet", "demo-onenet-token@127.0.0.1:2/push/onenet"),
            ("ctwing", "127.0.0.1:2/push/ctwing-demo-0123456789abcdef"),
        ] {
            let way = Way::named(way).unwrap();
            assert_eq!(addresses.of(way), Some(addr));
        }
    }
}
