//! Which addresses the configuration wants, and who listens on which.

use super::machine::Machine;
use crate::config::Loaded;
use config::{Value, ValueKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An address of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// `http.listen`, `drivers.mqtt.tls_listen`.
    pub(crate) key: String,
    pub(crate) address: SocketAddr,
    pub(crate) is_udp: bool,
}

/// Lists every address on which the hub shall listen.
pub(crate) fn wanted(loaded: &Loaded) -> Vec<Wanted> {
    let mut found = vec![Wanted {
        key: "http.listen".to_owned(),
        address: loaded.config.http.listen,
        is_udp: false,
    }];
    for (name, driver) in &loaded.config.drivers {
        let is_coap = driver
            .clone()
            .into_table()
            .ok()
            .and_then(|mut table| table.remove("kind"))
            .is_some_and(|kind| kind.into_string().is_ok_and(|kind| kind == "coap"));
        collect(&format!("drivers.{name}"), driver, is_coap, &mut found);
    }
    found
}

fn collect(path: &str, value: &Value, is_coap: bool, found: &mut Vec<Wanted>) {
    let ValueKind::Table(table) = &value.kind else {
        return;
    };
    let is_on = |key: &str| {
        matches!(
            table.get(key).map(|v| &v.kind),
            Some(ValueKind::Boolean(true))
        )
    };
    let mut keys: Vec<&String> = table.keys().collect();
    keys.sort();
    for key in keys {
        let Some(value) = table.get(key) else {
            continue;
        };
        let full = format!("{path}.{key}");
        let ValueKind::String(text) = &value.kind else {
            collect(&full, value, is_coap, found);
            continue;
        };
        let text = text
            .split_once("-listen://")
            .map_or(text.as_str(), |(_, address)| address);
        let names_a_listener = key.ends_with("listen") || key.starts_with("listen_");
        let is_dialled = key == "connect" && text.len() < value.to_string().len();
        let Ok(address) = text.parse() else { continue };
        if !names_a_listener && !is_dialled {
            continue;
        }
        let is_udp = is_coap || key.contains("udp") || key.starts_with("discovery");
        found.push(Wanted {
            key: full.clone(),
            address,
            is_udp,
        });
        if key == "listen" && !is_udp && is_on("udp") {
            found.push(Wanted {
                key: full,
                address,
                is_udp: true,
            });
        }
    }
}

/// A socket that somebody has open for whoever comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) address: SocketAddr,
    pub(crate) is_udp: bool,
    pub(crate) inode: u64,
}

/// Lists the sockets that listen, from `/proc/net` (proc_net(5)).
pub(crate) fn held(machine: &Machine) -> Vec<Held> {
    let mut found = Vec::new();
    for (file, is_udp) in [
        ("tcp", false),
        ("tcp6", false),
        ("udp", true),
        ("udp6", true),
    ] {
        let text = machine
            .text(&format!("/proc/net/{file}"))
            .unwrap_or_default();
        found.extend(text.lines().skip(1).filter_map(|line| read(line, is_udp)));
    }
    found
}

fn read(line: &str, is_udp: bool) -> Option<Held> {
    const TCP_LISTEN: &str = "0A";
    const UDP_BOUND: &str = "07";
    let words: Vec<&str> = line.split_whitespace().collect();
    let state = if is_udp { UDP_BOUND } else { TCP_LISTEN };
    if *words.get(3)? != state {
        return None;
    }
    let (ip, port) = words.get(1)?.split_once(':')?;
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(
            u32::from_str_radix(ip, 16).ok()?.swap_bytes(),
        )),
        _ => IpAddr::V6(v6(ip)?),
    };
    Some(Held {
        address: SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?),
        is_udp,
        inode: words.get(9)?.parse().ok()?,
    })
}

/// Four words of 32 bits, each in the order of the machine.
fn v6(text: &str) -> Option<Ipv6Addr> {
    let mut bytes = Vec::with_capacity(16);
    for start in [0, 8, 16, 24] {
        let word = u32::from_str_radix(text.get(start..start + 8)?, 16).ok()?;
        bytes.extend(word.swap_bytes().to_be_bytes());
    }
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?))
}

impl Held {
    /// Tells whether nobody else can listen there as well.
    pub(crate) fn stands_in_the_way_of(&self, wanted: &Wanted) -> bool {
        let (own, other) = (wanted.address.ip(), self.address.ip());
        let overlaps = own == other
            || own.is_unspecified() && (own.is_ipv6() || other.is_ipv4())
            || other.is_unspecified() && (other.is_ipv6() || own.is_ipv4());
        self.is_udp == wanted.is_udp && self.address.port() == wanted.address.port() && overlaps
    }

    /// Finds the process, where this user may see it: its number and name.
    pub(crate) fn owner(&self, machine: &Machine) -> Option<(u32, String)> {
        let pid = machine.who_has_open(&format!("socket:[{}]", self.inode))?;
        let name = machine.text(&format!("/proc/{pid}/comm"));
        Some((pid, name.unwrap_or_default().trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Held, Wanted, read};

    #[test]
    fn a_line_of_the_kernel_is_an_address_that_stands_in_the_way_or_not() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 4711 1 0 100";
        let held = read(line, false).unwrap();
        assert_eq!(
            (held.address.to_string().as_str(), held.inode),
            ("127.0.0.1:8080", 4711)
        );
        // An established connection is nobody's listener.
        assert_eq!(read(&line.replace(" 0A ", " 01 "), false), None);
        let any6 = line.replace("0100007F", "00000000000000000000000000000000");
        let any6 = read(&any6, false).unwrap();
        assert_eq!(any6.address.to_string(), "[::]:8080");
        let loop6 = line.replace("0100007F", "00000000000000000000000001000000");
        assert_eq!(
            read(&loop6, false).unwrap().address.to_string(),
            "[::1]:8080"
        );
        let wanted = |address: &str, is_udp| Wanted {
            key: String::new(),
            address: address.parse().unwrap(),
            is_udp,
        };
        for (address, is_udp, in_the_way) in [
            ("127.0.0.1:8080", false, true),
            ("0.0.0.0:8080", false, true),
            ("127.0.0.2:8080", false, false),
            ("127.0.0.1:8081", false, false),
            ("127.0.0.1:8080", true, false),
        ] {
            let found = held.stands_in_the_way_of(&wanted(address, is_udp));
            assert_eq!(found, in_the_way, "{address} {is_udp}");
        }
        assert!(any6.stands_in_the_way_of(&wanted("10.0.0.1:8080", false)));
        let other = Held {
            address: "[::1]:8080".parse().unwrap(),
            ..held
        };
        assert!(!other.stands_in_the_way_of(&wanted("0.0.0.0:8080", false)));
    }
}
