//! Every listener of the configuration: free, held by the hub, or in somebody's way.

use crate::doctor::finding::Findings;
use crate::doctor::listeners::{self, Held, Wanted};
use crate::doctor::scene::Scene;
use std::net::{SocketAddr, UdpSocket};

pub(super) fn ports(scene: &Scene<'_>, findings: &mut Findings) {
    let Some(loaded) = scene.loaded else { return };
    let held = listeners::held(scene.machine);
    let wanted = listeners::wanted(loaded);
    let mut count = 0;
    for wanted in wanted.iter().filter(|wanted| wanted.address.port() != 0) {
        count += 1;
        look(scene, wanted, &held, findings);
    }
    if findings.is_silent() {
        findings.say("ok", None, &[("count", &count)]);
    }
}

fn look(scene: &Scene<'_>, wanted: &Wanted, held: &[Held], findings: &mut Findings) {
    let place = || scene.place_of(&wanted.key);
    let address = wanted.address;
    if !is_on_this_machine(address) {
        findings.say("elsewhere", place(), &[("address", &address.ip())]);
        return;
    }
    let in_the_way: Vec<&Held> = held
        .iter()
        .filter(|held| held.stands_in_the_way_of(wanted))
        .collect();
    let owners: Vec<Option<(u32, String)>> = in_the_way
        .iter()
        .map(|held| held.owner(scene.machine))
        .collect();
    let hub = scene.holder.as_ref().map(|holder| holder.pid);
    let is_own = |owner: &Option<(u32, String)>| match owner {
        Some((pid, _)) => Some(*pid) == hub,
        // Who may not see whose it is believes that it is the hub's, where one runs.
        None => scene.is_running(),
    };
    let protocol = if wanted.is_udp { "UDP" } else { "TCP" };
    let stranger = owners.iter().find(|owner| !is_own(owner));
    match (stranger, scene.is_running()) {
        (Some(owner), _) => {
            let (pid, name) = owner.clone().map_or_else(
                || ("?".to_owned(), "?".to_owned()),
                |(pid, name)| (pid.to_string(), name),
            );
            let port = address.port();
            let words: [(&str, &dyn std::fmt::Display); 5] = [
                ("address", &address),
                ("protocol", &protocol),
                ("name", &name),
                ("pid", &pid),
                ("port", &port),
            ];
            findings.say("taken", place(), &words);
        }
        (None, true) if in_the_way.is_empty() => {
            findings.say(
                "silent",
                place(),
                &[("address", &address), ("protocol", &protocol)],
            );
        }
        (None, true) => {}
        (None, false) => look_at_privilege(scene, wanted, findings),
    }
}

/// An address of another machine can be bound by nobody. A free port is taken for an instant.
fn is_on_this_machine(address: SocketAddr) -> bool {
    match UdpSocket::bind(SocketAddr::new(address.ip(), 0)) {
        Ok(_) => true,
        Err(error) => error.kind() != std::io::ErrorKind::AddrNotAvailable,
    }
}

fn look_at_privilege(scene: &Scene<'_>, wanted: &Wanted, findings: &mut Findings) {
    let from = scene
        .machine
        .number("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .unwrap_or(1024);
    let port = wanted.address.port();
    let Some(service) = scene.service.as_ref() else {
        return;
    };
    let user = service.get("User");
    let may = user.is_empty()
        || user == "root"
        || service
            .get("AmbientCapabilities")
            .contains("cap_net_bind_service");
    if u64::from(port) < from && !may {
        let words: [(&str, &dyn std::fmt::Display); 3] = [
            ("address", &wanted.address),
            ("from", &from),
            ("user", &user),
        ];
        findings.say("privileged", scene.place_of(&wanted.key), &words);
    }
}

pub(super) fn firewall(scene: &Scene<'_>, findings: &mut Findings) {
    let Some(loaded) = scene.loaded else { return };
    let open: Vec<String> = listeners::wanted(loaded)
        .iter()
        .filter(|wanted| !wanted.address.ip().is_loopback())
        .map(|wanted| {
            let protocol = if wanted.is_udp { "udp" } else { "tcp" };
            format!("{}/{protocol}", wanted.address.port())
        })
        .collect();
    match open.first() {
        None => findings.say("ok", None, &[]),
        Some(first) => {
            let port = first.split('/').next().unwrap_or_default();
            let all = open.join(", ");
            findings.say("untold", None, &[("ports", &all), ("port", &port)]);
        }
    }
}
