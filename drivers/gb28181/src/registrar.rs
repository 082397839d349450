//! Who is there: registrations and the last sign of each device, and when patience with it ends.

use crate::answered::Answered;
use crate::digest::Challenges;
use crate::profile::Profile;
use crate::roster::{Channel, Roster};
use model::{Catalogue, DeviceKey, MetricKey, Observation, Quality, Timestamp, Value};
use sdk::Secret;
use sdk::{DeviceEntry, Devices, Part, Submission};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What holds for all devices unless their profile says otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) realm: String,
    pub(crate) password: Option<Secret>,
    pub(crate) heartbeat_s: u32,
    pub(crate) heartbeats_missed_max: u32,
    pub(crate) expires_max_s: u32,
    pub(crate) utc_offset_s: i64,
}

/// The metrics that this driver writes.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) online: MetricKey,
    pub(crate) fault: MetricKey,
    pub(crate) alarm_priority: MetricKey,
    pub(crate) alarm_method: MetricKey,
}

impl Metrics {
    pub(crate) fn of(catalogue: &Catalogue) -> Result<Self, String> {
        let find = |name: &str| {
            let found = catalogue.find(name);
            found.ok_or_else(|| format!("the catalogue has no metric `{name}`"))
        };
        Ok(Self {
            online: find("online")?,
            fault: find("fault")?,
            alarm_priority: find("alarm_priority")?,
            alarm_method: find("alarm_method")?,
        })
    }
}

/// A device that is there.
#[derive(Debug)]
struct Binding {
    /// Where it registered from; what comes from elsewhere is not believed where a password protects it.
    address: IpAddr,
    /// When its registration ends; never, where it need not register.
    until: Timestamp,
    /// When patience with it ends if it says nothing more.
    silent_at: Timestamp,
    /// Its channels that were told to be down.
    down: HashSet<DeviceKey>,
    /// Its channels that its catalogue calls off.
    off: HashSet<DeviceKey>,
}

/// What all connections and datagrams of a driver share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
    pub(crate) challenges: Challenges,
    pub(crate) devices: Devices,
    profiles: HashMap<String, Arc<Profile>>,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) answered: Answered,
    pub(crate) roster: Roster,
    bindings: HashMap<DeviceKey, Binding>,
}

/// What is true of devices once it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Registered {
        expires_s: u32,
    },
    Unregistered,
    /// It said something; its channels that are down, and those that its catalogue switched.
    Heard {
        down: Vec<DeviceKey>,
        switched: Vec<(DeviceKey, bool)>,
    },
}

impl Shared {
    pub(crate) fn new(
        (settings, metrics): (Settings, Metrics),
        challenges: Challenges,
        devices: Devices,
        profiles: HashMap<String, Arc<Profile>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            settings,
            metrics,
            challenges,
            profiles,
            state: Mutex::new(State {
                answered: Answered::default(),
                roster: Roster::new(devices.clone()),
                bindings: HashMap::new(),
            }),
            devices,
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn profile(&self, entry: &DeviceEntry) -> Option<&Arc<Profile>> {
        self.profiles.get(entry.device.profile.as_deref()?)
    }

    /// Gives the password that a device must show; none where nobody must.
    pub(crate) fn password(&self, entry: &DeviceEntry) -> Option<&Secret> {
        let own = self
            .profile(entry)
            .and_then(|profile| profile.password.as_ref());
        own.or(self.settings.password.as_ref())
    }

    /// Tells how long a device may say nothing.
    fn patience_s(&self, entry: &DeviceEntry) -> i64 {
        let profile = self.profile(entry);
        let heartbeat_s = profile
            .and_then(|profile| profile.heartbeat_s)
            .or(entry.device.cadence_s.filter(|cadence_s| *cadence_s > 0))
            .unwrap_or(self.settings.heartbeat_s);
        let missed_max = profile
            .and_then(|profile| profile.heartbeats_missed_max)
            .unwrap_or(self.settings.heartbeats_missed_max);
        i64::from(heartbeat_s) * i64::from(missed_max)
    }

    /// Tells whether a device registered from this address and still counts as registered.
    pub(crate) fn is_registered(&self, key: DeviceKey, address: IpAddr, now: Timestamp) -> bool {
        let state = self.state();
        let binding = state.bindings.get(&key);
        binding.is_some_and(|binding| binding.address == address && now <= binding.until)
    }

    /// Makes true what is on disk.
    pub(crate) fn conclude(
        &self,
        entry: &DeviceEntry,
        effect: Effect,
        (address, now): (IpAddr, Timestamp),
    ) {
        let silent_at = now.plus_s(self.patience_s(entry));
        let mut state = self.state();
        if effect == Effect::Unregistered {
            state.bindings.remove(&entry.key);
            return;
        }
        let binding = state.bindings.entry(entry.key).or_insert_with(|| Binding {
            address,
            until: Timestamp::MAX,
            silent_at,
            down: HashSet::new(),
            off: HashSet::new(),
        });
        binding.silent_at = silent_at;
        match effect {
            Effect::Registered { expires_s } => {
                binding.address = address;
                binding.until = now.plus_s(i64::from(expires_s));
            }
            Effect::Heard { down, switched } => {
                binding.down = down.into_iter().collect();
                for (key, is_on) in switched {
                    match is_on {
                        true => binding.off.remove(&key),
                        false => binding.off.insert(key),
                    };
                }
            }
            Effect::Unregistered => {}
        }
    }

    /// Sorts the channels of a device into those that are up, those newly down, and all that are down.
    /// A channel is told to be down once; then it is silent, as it is.
    pub(crate) fn channels(
        &self,
        key: DeviceKey,
        faulty: &[String],
        switched: &[(DeviceKey, bool)],
    ) -> Channels {
        let mut state = self.state();
        let channels = state.roster.channels(key);
        let binding = state.bindings.get(&key);
        let was_down = |key| binding.is_some_and(|binding| binding.down.contains(&key));
        let is_off = |key| {
            let said = switched.iter().rev().find(|(switched, _)| *switched == key);
            said.map_or_else(
                || binding.is_some_and(|binding| binding.off.contains(&key)),
                |(_, is_on)| !is_on,
            )
        };
        let mut sorted = Channels::default();
        for Channel { id, key } in channels.iter() {
            if !faulty.contains(id) && !is_off(*key) {
                sorted.up.push(*key);
                continue;
            }
            if !was_down(*key) {
                sorted.newly_down.push(*key);
            }
            sorted.down.push(*key);
        }
        sorted
    }

    /// Gives the devices with which patience has ended, and what is to be told of them and of their
    /// channels.
    pub(crate) fn overdue(&self, now: Timestamp, max: usize) -> (Vec<DeviceKey>, Submission) {
        let state = self.state();
        let ended = state
            .bindings
            .iter()
            .filter(|(_, binding)| now > binding.silent_at.min(binding.until));
        let overdue: Vec<DeviceKey> = ended.map(|(key, _)| *key).take(max).collect();
        drop(state);
        let mut telling = Telling::default();
        for key in &overdue {
            self.tell_down(*key, &mut telling);
        }
        (overdue, telling.submission())
    }

    /// Tells of a device and its channels that they are down.
    pub(crate) fn tell_down(&self, key: DeviceKey, telling: &mut Telling) {
        let is_known = |key| {
            self.devices
                .get(key)
                .is_some_and(|entry| entry.device.enabled)
        };
        let channels = self.channels(key, &[], &[]);
        let up = channels.up.into_iter().chain(channels.newly_down);
        for key in std::iter::once(key).chain(up).filter(|key| is_known(*key)) {
            telling.number(key, (self.metrics.online, 0.0), None);
        }
    }

    /// Forgets devices that were told to be down, unless they have spoken meanwhile.
    pub(crate) fn forget(&self, overdue: &[DeviceKey], now: Timestamp) {
        let mut state = self.state();
        for key in overdue {
            let ended = |binding: &Binding| now > binding.silent_at.min(binding.until);
            if state.bindings.get(key).is_some_and(ended) {
                state.bindings.remove(key);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn bound(&self) -> usize {
        self.state().bindings.len()
    }
}

/// The channels of one device.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Channels {
    pub(crate) up: Vec<DeviceKey>,
    pub(crate) newly_down: Vec<DeviceKey>,
    pub(crate) down: Vec<DeviceKey>,
}

/// Values for several devices, on their way to one commit.
#[derive(Debug, Default)]
pub(crate) struct Telling {
    parts: BTreeMap<DeviceKey, Vec<Observation>>,
}

impl Telling {
    pub(crate) fn number(
        &mut self,
        device: DeviceKey,
        (metric, number): (MetricKey, f64),
        observed_at: Option<Timestamp>,
    ) {
        let Some(value) = Value::number(number) else {
            return;
        };
        self.parts.entry(device).or_default().push(Observation {
            metric,
            value,
            quality: Quality::GOOD,
            observed_at,
        });
    }

    pub(crate) fn submission(self) -> Submission {
        let part = |(device, observations): (DeviceKey, Vec<Observation>)| Part {
            device,
            received: u32::try_from(observations.len()).unwrap_or(u32::MAX),
            observations,
            rejected: Vec::new(),
        };
        Submission {
            parts: self.parts.into_iter().map(part).collect(),
            quarantined: Vec::new(),
        }
    }
}
