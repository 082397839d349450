//! What a frame says, as observations of the devices that it is of.

use crate::frame::{Address, Head};
use crate::panel::Panel;
use crate::profile::Profile;
use crate::register::PROTOCOL;
use crate::table::{Flag, Scope, Tables};
use crate::time::Window;
use crate::unit::{self, Object, Place, Unit};
use model::{
    Catalogue, Cause, DeviceKey, MetricKey, Observation, Quality, Rejected, Timestamp, Value,
};
use sdk::{DeviceEntry, Part, RawFrame, Submission, Tail};
use std::collections::HashMap;
use std::sync::Arc;

/// The kind of devices that others are behind.
const GATEWAY: &str = "gateway";

/// State bits after which somebody wants to know what the component is called: fire and fault.
const TELLING: u16 = 0b110;

/// Operations, 8.2.1.4 and 8.2.1.9: 复位, 手动报警, 警情消除, 确认 (of the transmission device: 查岗应答).
const RESET: u8 = 1;
const MANUAL_ALARM: u8 = 1 << 2;
const ALARM_OVER: u8 = 1 << 3;
const CONFIRMED: u8 = 1 << 5;

/// What is the same for all frames of a driver.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) tables: Tables,
    pub(crate) window: Window,
    pub(crate) profiles: HashMap<String, Arc<Profile>>,
    pub(crate) standard: Arc<Profile>,
    /// What was stored before this hub was started.
    pub(crate) tail: Tail,
}

impl Rules {
    /// Begins what is known of the places behind a device. Where it speaks for several, a fire that was
    /// stored last stands, since it is not known whose it was.
    fn panel(&self, device: &DeviceEntry, now: Timestamp) -> Panel {
        let identity = device.device.identities.get(PROTOCOL).map(String::as_str);
        let place = identity.and_then(|identity| identity.split_once('/'));
        let is_system = place.is_some_and(|(_, place)| place.split('.').count() == 2);
        if device.device.kind != GATEWAY && !is_system {
            return Panel::default();
        }
        let stored = self.tail.feed.latest(device.key).into_iter();
        let set = stored.filter(|reading| reading.value == Value::Number(1.0));
        let metrics = set.map(|reading| reading.series.metric);
        Panel::holding(metrics.filter(|metric| self.tables.is_fire(*metric)), now)
    }

    fn profile(&self, device: &DeviceEntry, gateway: &DeviceEntry) -> Arc<Profile> {
        let named = |entry: &DeviceEntry| self.profiles.get(entry.device.profile.as_ref()?);
        let own = named(device).or_else(|| named(gateway));
        Arc::clone(own.unwrap_or(&self.standard))
    }
}

/// Reads one frame.
pub(crate) struct Reading<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) panels: &'a mut HashMap<DeviceKey, Panel>,
    /// The transmission device.
    pub(crate) gateway: &'a DeviceEntry,
    /// Finds the device of a place, where it has one of its own.
    pub(crate) device_of: &'a mut dyn FnMut(Address, Place) -> Option<Arc<DeviceEntry>>,
    pub(crate) head: Head,
    pub(crate) now: Timestamp,
    /// When this very frame came first; it is the time of what has no time.
    pub(crate) first_seen: Timestamp,
    pub(crate) out: Submission,
}

impl Reading<'_> {
    pub(crate) fn take(mut self, unit: Unit<'_>) -> Submission {
        for object in unit.objects() {
            match object {
                Object::State { place, .. } | Object::Analog { place, .. } => {
                    self.measured(place, object);
                }
                Object::Operation { place, .. } => self.measured(place, object),
                Object::Config { place, text } => {
                    let device = self
                        .device(place)
                        .map_or(self.gateway.key, |entry| entry.key);
                    self.keep_text(device, place, text);
                }
            }
        }
        self.out
    }

    /// Finds the device of a place; the transmission device speaks for what is none.
    fn device(&mut self, place: Place) -> Option<Arc<DeviceEntry>> {
        (self.device_of)(self.head.source, place)
    }

    fn measured(&mut self, place: Place, object: Object<'_>) {
        let own = self.device(place);
        let device = own.as_deref().unwrap_or(self.gateway);
        if !device.device.enabled {
            let detail = format!("{} at {place}", device.device.id);
            return self.reject(device.key, None, ("device_disabled", detail));
        }
        if !self.panels.contains_key(&device.key) {
            let panel = self.rules.panel(device, self.now);
            self.panels.insert(device.key, panel);
        }
        let (key, profile) = (device.key, self.rules.profile(device, self.gateway));
        match object {
            Object::State { bits, text, at, .. } => {
                let (at, clock) = self.rules.window.choose(Some(at), self.head.time, self.now);
                let when = (at.unwrap_or(self.first_seen), clock);
                self.state(key, (place, bits), when, &profile);
                if bits & TELLING != 0 {
                    self.keep_text(key, place, text);
                }
            }
            Object::Analog { kind, raw, at, .. } => {
                let (at, clock) = self.rules.window.choose(Some(at), self.head.time, self.now);
                let when = (at.unwrap_or(self.first_seen), clock);
                self.analog(key, (kind, raw), when, &profile);
            }
            Object::Operation {
                bits, operator, at, ..
            } => {
                let (at, clock) = self.rules.window.choose(Some(at), self.head.time, self.now);
                let when = (at.unwrap_or(self.first_seen), clock);
                self.operation(key, place, (bits, operator), when);
            }
            Object::Config { .. } => {}
        }
    }

    fn state(
        &mut self,
        device: DeviceKey,
        (place, bits): (Place, u16),
        (at, clock): (Timestamp, Quality),
        profile: &Profile,
    ) {
        let scope = match place {
            Place::Device => Scope::Device,
            Place::System(_) => Scope::System,
            Place::Component(..) => Scope::Component,
        };
        // By the letter a test (figures 6 and 7); in the field often a real fire. So it is told, and it
        // rings, unless somebody said of this model that it is a test.
        let test = |flag: &Flag| match (flag.is_fire && bits & 1 == 0, profile) {
            (false, _) => Quality::GOOD,
            (true, profile) if profile.test_state_suppresses_fire => Quality::bad(Cause::Flag),
            (true, _) => Quality::uncertain(Cause::Flag),
        };
        let panel = self.panels.entry(device).or_default();
        let mut told = Vec::new();
        for flag in self.rules.tables.flags(scope) {
            let here = flag.of(bits);
            let set = panel.tell(flag.metric, (place, here), self.now);
            let quality = if here { clock.worst(test(flag)) } else { clock };
            told.push((flag.metric, set, panel.at(flag.metric, set, at), quality));
        }
        for (metric, set, at, quality) in told {
            self.put(device, metric, f64::from(u8::from(set)), (at, quality));
        }
    }

    fn analog(
        &mut self,
        device: DeviceKey,
        (kind, raw): (u8, i16),
        when: (Timestamp, Quality),
        profile: &Profile,
    ) {
        let Some(scale) = self.rules.tables.scale(kind, profile) else {
            let detail = format!("kind {kind} has no unit; value {raw}");
            return self.reject(device, None, ("unknown_analog", detail));
        };
        let Some(metric) = self.rules.catalogue.find(&scale.metric) else {
            let detail = "the metric catalogue has no such metric".to_owned();
            return self.reject(device, Some(&scale.metric), ("unknown_metric", detail));
        };
        let value = f64::from(raw) * scale.times / scale.over;
        self.put(device, metric, value, when);
    }

    fn operation(
        &mut self,
        device: DeviceKey,
        place: Place,
        (bits, operator): (u8, u8),
        (at, clock): (Timestamp, Quality),
    ) {
        let metrics = self.rules.tables.operations.clone();
        let mut put = |metric: Option<MetricKey>, value: f64| {
            if let Some(metric) = metric {
                self.put(device, metric, value, (at, clock));
            }
        };
        put(metrics.bits, f64::from(bits));
        put(metrics.operator, f64::from(operator));
        if bits & MANUAL_ALARM != 0 {
            put(metrics.manual_alarm, 1.0);
        } else if bits & (RESET | ALARM_OVER) != 0 {
            put(metrics.manual_alarm, 0.0);
        }
        if place == Place::Device && bits & CONFIRMED != 0 {
            put(metrics.guard_reply, 1.0);
        }
        if bits & RESET != 0 {
            let panel = self.panels.entry(device).or_default();
            for metric in panel.reset(place) {
                let at = self.panels.entry(device).or_default().at(metric, false, at);
                self.put(device, metric, 0.0, (at, clock));
            }
        }
    }

    fn put(
        &mut self,
        device: DeviceKey,
        metric: MetricKey,
        number: f64,
        (at, quality): (Timestamp, Quality),
    ) {
        let Some(value) = Value::number(number) else {
            return self.reject(device, None, ("not_a_number", number.to_string()));
        };
        let quality = self.rules.catalogue.judge(metric, &value).worst(quality);
        let part = self.part(device);
        part.received = part.received.saturating_add(1);
        part.observations.push(Observation {
            metric,
            value,
            quality,
            observed_at: Some(at),
        });
    }

    fn reject(
        &mut self,
        device: DeviceKey,
        metric: Option<&str>,
        (reason, detail): (&'static str, String),
    ) {
        let part = self.part(device);
        part.received = part.received.saturating_add(1);
        part.rejected.push(Rejected {
            metric: metric.map(str::to_owned),
            reason: reason.into(),
            detail: Some(detail),
        });
    }

    /// Keeps what a component is called where engineers look.
    fn keep_text(&mut self, device: DeviceKey, place: Place, bytes: &[u8]) {
        let text = unit::text(bytes);
        if !text.is_empty() {
            self.out.quarantined.push(RawFrame {
                device: Some(device),
                reason: "component_text".into(),
                detail: format!("{}/{place} {text}", self.head.source),
                bytes: bytes.to_vec(),
            });
        }
    }

    fn part(&mut self, device: DeviceKey) -> &mut Part {
        let parts = &mut self.out.parts;
        let known = parts.iter().position(|part| part.device == device);
        let index = known.unwrap_or_else(|| {
            parts.push(Part {
                device,
                received: 0,
                observations: Vec::new(),
                rejected: Vec::new(),
            });
            parts.len() - 1
        });
        parts.get_mut(index).expect("it was found or pushed")
    }
}
