//! How much one address may ask of the hub: connections, new connections and requests, in one place
//! for all listeners.

use crate::Network;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a new connection waits to be served at most: devices that all come back at once after an
/// outage are let in one after another, and those that would wait longer try again.
const ARRIVAL_WAIT_MAX: Duration = Duration::from_secs(10);

/// Callers that are remembered; one that has not come for long is as good as new.
const CALLERS_MAX: usize = 65_536;

/// How often something may happen.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    pub per_s: u32,
    /// How often at once after a silence.
    pub burst: u32,
}

impl Pace {
    /// Gives the pace, or nothing where the rate is 0: no limit.
    pub fn new(per_s: u32, burst: u32) -> Option<Self> {
        (per_s > 0).then_some(Self { per_s, burst })
    }
}

/// What one address may do.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressLimits {
    /// Connections to one listener at once, instead of the listener's own number.
    pub connections: Option<usize>,
    pub arrivals: Option<Pace>,
    pub requests: Option<Pace>,
}

/// The limits of all addresses, and how far each has come. Clones share it; the default sets none.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    desk: Option<Arc<Desk>>,
}

#[derive(Debug)]
struct Desk {
    general: AddressLimits,
    /// The narrowest first.
    own: Vec<(Network, AddressLimits)>,
    arrivals: Pacer<IpAddr>,
    requests: Pacer<IpAddr>,
}

impl Addresses {
    /// Makes the limits; of several networks that hold an address the narrowest counts.
    pub fn new(general: AddressLimits, mut own: Vec<(Network, AddressLimits)>) -> Self {
        own.sort_by_key(|(network, _)| std::cmp::Reverse(network.bits()));
        Self {
            desk: Some(Arc::new(Desk {
                general,
                own,
                arrivals: Pacer::default(),
                requests: Pacer::default(),
            })),
        }
    }

    fn of(&self, address: IpAddr) -> Option<(&Desk, AddressLimits)> {
        let desk = self.desk.as_deref()?;
        let own = desk.own.iter().find(|(network, _)| network.holds(address));
        Some((desk, own.map_or(desk.general, |(_, limits)| *limits)))
    }

    /// Gives how many connections an address may have to a listener whose own number is this.
    pub fn connections_max(&self, address: IpAddr, listener: usize) -> usize {
        let limits = self.of(address);
        limits
            .and_then(|(_, limits)| limits.connections)
            .unwrap_or(listener)
    }

    /// Takes note of a new connection; gives how long it has to wait before it is served. An error is
    /// the word of the limit that it met.
    pub fn arrive(&self, address: IpAddr) -> Result<Duration, &'static str> {
        let Some((desk, Some(pace))) = self.of(address).map(|(desk, of)| (desk, of.arrivals))
        else {
            return Ok(Duration::ZERO);
        };
        let wait = desk.arrivals.step(whose(address), pace, ARRIVAL_WAIT_MAX);
        wait.map_err(|_| "new_connections_per_s")
    }

    /// Takes note of a request; an error says after how many seconds the next one is let in.
    pub fn ask(&self, address: IpAddr) -> Result<(), u32> {
        let Some((desk, Some(pace))) = self.of(address).map(|(desk, of)| (desk, of.requests))
        else {
            return Ok(());
        };
        desk.requests.ask(whose(address), pace)
    }

    /// Gives how often somebody may ask who comes from this address.
    pub fn requests(&self, address: IpAddr) -> Option<Pace> {
        self.of(address).and_then(|(_, limits)| limits.requests)
    }
}

/// Whoever has an address of version 6 has all of its network, which is 64 bits (RFC 4291 section
/// 2.5.1).
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

/// Holds each of many callers to a pace (the generic cell rate algorithm).
#[derive(Debug)]
pub struct Pacer<K> {
    /// When the burst of each is whole again.
    whole_at: Mutex<HashMap<K, Instant>>,
}

impl<K> Default for Pacer<K> {
    fn default() -> Self {
        Self {
            whole_at: Mutex::default(),
        }
    }
}

impl<K: Eq + Hash> Pacer<K> {
    /// Takes a step; gives how long it must wait, which is an error, and no step, if it is more than
    /// `patience`.
    fn step(&self, who: K, pace: Pace, patience: Duration) -> Result<Duration, Duration> {
        let now = Instant::now();
        let step = Duration::from_secs(1) / pace.per_s.max(1);
        let mut callers = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= CALLERS_MAX && !callers.contains_key(&who) {
            callers.retain(|_, whole_at| *whole_at > now);
            if callers.len() >= CALLERS_MAX {
                callers.clear();
            }
        }
        let whole_at = callers.get(&who).copied().unwrap_or(now).max(now) + step;
        let ahead = whole_at.saturating_duration_since(now);
        let wait = ahead.saturating_sub(step * pace.burst.max(1));
        if wait > patience {
            return Err(wait);
        }
        callers.insert(who, whole_at);
        Ok(wait)
    }

    /// Takes a step that does not wait; an error says after how many seconds it may be tried again.
    pub fn ask(&self, who: K, pace: Pace) -> Result<(), u32> {
        let step = self.step(who, pace, Duration::ZERO);
        step.map(drop)
            .map_err(|wait| u32::try_from(wait.as_secs().saturating_add(1)).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests;
