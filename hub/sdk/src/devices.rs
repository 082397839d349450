//! The register of devices, as drivers and the console look things up in it.

use crate::Profiles;
use model::{Device, DeviceKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

/// The kind of the devices that write for others.
const GATEWAY: &str = "gateway";

/// The identity of a device whose certificate names it otherwise than by its id.
const CERTIFICATE: &str = "certificate";

/// Random bytes of this installation, mixed into every device secret's hash.
#[derive(Copy, Clone, PartialEq, Eq)]
pub struct SecretSalt(pub [u8; 16]);

impl fmt::Debug for SecretSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretSalt(***)")
    }
}

/// Salted SHA-256 of a device's secret. The salt is the installation's, not the device's, so that
/// a device can be found by its secret alone (the ThingsBoard access token).
#[derive(Copy, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SecretHash([u8; 32]);

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(***)")
    }
}

impl SecretHash {
    pub fn of(salt: SecretSalt, secret: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(salt.0);
        hash.update(secret.as_bytes());
        Self(hash.finalize().into())
    }

    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// A device in the register.
#[derive(Clone, Debug)]
pub struct DeviceEntry {
    pub key: DeviceKey,
    pub device: Device,
    pub secret: Option<SecretHash>,
    /// Unit grid code (单元网格) found from the location.
    pub grid: Option<String>,
}

#[derive(Debug, Default)]
struct Register {
    by_id: HashMap<Arc<str>, DeviceKey>,
    /// Those who have the secret; nearly always one, and more only by somebody's mistake.
    by_secret: HashMap<SecretHash, Vec<DeviceKey>>,
    by_identity: HashMap<(String, String), DeviceKey>,
    entries: HashMap<DeviceKey, Arc<DeviceEntry>>,
    /// How many of them are the hub's own.
    own: usize,
}

/// A shared view of the register. Only the hub's writer changes it, after the commit.
#[derive(Clone, Debug)]
pub struct Devices {
    register: Arc<RwLock<Register>>,
    version: Arc<AtomicU64>,
    salt: SecretSalt,
    profiles: Arc<OnceLock<Profiles>>,
}

impl Devices {
    pub fn new(salt: SecretSalt) -> Self {
        Self {
            register: Arc::default(),
            version: Arc::default(),
            salt,
            profiles: Arc::default(),
        }
    }

    /// Says once which profiles there are; until then there are none.
    pub fn know(&self, profiles: &Profiles) {
        self.profiles.get_or_init(|| profiles.clone());
    }

    /// The profiles that a device may name.
    pub fn profiles(&self) -> Profiles {
        self.profiles.get().cloned().unwrap_or_default()
    }

    pub fn salt(&self) -> SecretSalt {
        self.salt
    }

    /// Grows with every change; a session that remembers a device looks again when it moves.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub fn find(&self, id: &str) -> Option<Arc<DeviceEntry>> {
        let register = self.read();
        register
            .by_id
            .get(id)
            .and_then(|key| register.entries.get(key))
            .cloned()
    }

    pub fn get(&self, key: DeviceKey) -> Option<Arc<DeviceEntry>> {
        self.read().entries.get(&key).cloned()
    }

    /// Finds the device whose name in a field protocol (`hj212_mn`) this is.
    pub fn find_identity(&self, protocol: &str, name: &str) -> Option<Arc<DeviceEntry>> {
        let register = self.read();
        let key = register
            .by_identity
            .get(&(protocol.to_owned(), name.to_owned()))?;
        register.entries.get(key).cloned()
    }

    /// Finds the device that a verified certificate is of: the name in it is the device's id, or what the
    /// register has as its identity `certificate`, for those that came with one from the factory.
    pub fn find_certified(&self, name: &str) -> Option<Arc<DeviceEntry>> {
        self.find_identity(CERTIFICATE, name)
            .or_else(|| self.find(name))
    }

    /// Tells whether whoever showed a certificate of `name` may be `target`: the device itself, or a
    /// device behind the gateway that the certificate is of.
    pub fn vouches(&self, name: &str, target: &DeviceEntry) -> bool {
        let holder = self.find_certified(name);
        holder.is_some_and(|holder| holder.device.enabled && Self::may_write(&holder, target))
    }

    /// Lets an enabled device in by id and secret.
    pub fn authenticate(&self, id: &str, secret: &str) -> Option<Arc<DeviceEntry>> {
        let hash = SecretHash::of(self.salt, secret);
        self.find(id)
            .filter(|entry| entry.device.enabled && entry.secret == Some(hash))
    }

    /// Lets an enabled device in by its secret alone, as an access token. A secret that two
    /// devices share names neither.
    pub fn authenticate_token(&self, secret: &str) -> Option<Arc<DeviceEntry>> {
        let hash = SecretHash::of(self.salt, secret);
        let register = self.read();
        let [key] = register.by_secret.get(&hash)?.as_slice() else {
            return None;
        };
        register
            .entries
            .get(key)
            .filter(|entry| entry.device.enabled)
            .cloned()
    }

    /// Tells whether `writer` may write for `target`: itself, or a gateway for its children. A
    /// parent of another kind is only where the child belongs.
    pub fn may_write(writer: &DeviceEntry, target: &DeviceEntry) -> bool {
        let is_gateway_of = || {
            writer.device.kind == GATEWAY
                && target.device.parent.as_ref() == Some(&writer.device.id)
        };
        target.device.enabled && (writer.key == target.key || is_gateway_of())
    }

    /// Counts the devices; the hub's own is none of them.
    pub fn len(&self) -> usize {
        let register = self.read();
        register.entries.len().saturating_sub(register.own)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names the devices that pass a test, in no order, but the hub's own.
    pub fn ids_where(&self, is_meant: impl Fn(&Device) -> bool) -> Vec<String> {
        let register = self.read();
        let devices = register.entries.values().map(|entry| &entry.device);
        devices
            .filter(|device| !device.id.is_own() && is_meant(device))
            .map(|device| device.id.as_str().to_owned())
            .collect()
    }

    /// Lists every device in the order of its id, but for the hub's own.
    pub fn all(&self) -> Vec<Arc<DeviceEntry>> {
        let listed = |entry: &&Arc<DeviceEntry>| !entry.device.id.is_own();
        let mut all: Vec<_> = self
            .read()
            .entries
            .values()
            .filter(listed)
            .cloned()
            .collect();
        all.sort_unstable_by(|a, b| a.device.id.cmp(&b.device.id));
        all
    }

    /// Puts entries in, replacing those with the same key. For the writer and for tests.
    pub fn put(&self, entries: impl IntoIterator<Item = DeviceEntry>) {
        let mut register = self
            .register
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            register.remove(entry.key);
            register.insert(entry);
        }
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Takes a device out. For the writer and for tests.
    pub fn remove(&self, key: DeviceKey) {
        self.register
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
        self.version.fetch_add(1, Ordering::Release);
    }

    fn read(&self) -> RwLockReadGuard<'_, Register> {
        self.register.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Register {
    fn insert(&mut self, entry: DeviceEntry) {
        let key = entry.key;
        self.by_id.insert(entry.device.id.as_str().into(), key);
        if let Some(hash) = entry.secret {
            self.by_secret.entry(hash).or_default().push(key);
        }
        for (protocol, name) in &entry.device.identities {
            self.by_identity
                .insert((protocol.clone(), name.clone()), key);
        }
        self.own += usize::from(entry.device.id.is_own());
        self.entries.insert(key, Arc::new(entry));
    }

    fn remove(&mut self, key: DeviceKey) {
        let Some(entry) = self.entries.remove(&key) else {
            return;
        };
        self.own -= usize::from(entry.device.id.is_own());
        self.by_id.remove(entry.device.id.as_str());
        if let Some(hash) = entry.secret
            && let Some(holders) = self.by_secret.get_mut(&hash)
        {
            holders.retain(|holder| *holder != key);
            if holders.is_empty() {
                self.by_secret.remove(&hash);
            }
        }
        for (protocol, name) in &entry.device.identities {
            self.by_identity.remove(&(protocol.clone(), name.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DeviceEntry, Devices, SecretHash, SecretSalt};
    use model::{Device, DeviceKey};

    const SALT: SecretSalt = SecretSalt([7; 16]);

    fn entry(key: u32, json: &str, secret: &str) -> DeviceEntry {
        let device: Device = serde_json::from_str(json).unwrap();
        DeviceEntry {
            key: DeviceKey(key),
            device,
            secret: Some(SecretHash::of(SALT, secret)),
            grid: None,
        }
    }

    #[test]
    fn a_device_is_let_in_only_with_its_own_secret_and_while_enabled() {
        let devices = Devices::new(SALT);
        devices.put([
            entry(1, r#"{"id":"a","kind":"smoke"}"#, "sa"),
            entry(2, r#"{"id":"b","kind":"smoke","enabled":false}"#, "sb"),
        ]);
        assert!(devices.authenticate("a", "sa").is_some());
        assert!(devices.authenticate("a", "sb").is_none());
        assert!(devices.authenticate("b", "sb").is_none());
        assert!(devices.authenticate_token("sb").is_none());
        assert_eq!(
            devices.authenticate_token("sa").map(|e| e.key),
            Some(DeviceKey(1))
        );
    }

    #[test]
    fn a_gateway_writes_for_its_children_only() {
        let gateway = entry(1, r#"{"id":"gw","kind":"gateway"}"#, "s");
        let child = entry(2, r#"{"id":"c","kind":"smoke","parent":"gw"}"#, "s2");
        let other = entry(3, r#"{"id":"o","kind":"smoke","parent":"gw2"}"#, "s3");
        assert!(Devices::may_write(&gateway, &child));
        assert!(!Devices::may_write(&gateway, &other));
        assert!(!Devices::may_write(&child, &gateway));
    }

    #[test]
    fn a_parent_that_is_no_gateway_writes_for_itself_only() {
        let meter = entry(1, r#"{"id":"m","kind":"gas_pressure"}"#, "s");
        let child = entry(2, r#"{"id":"c","kind":"smoke","parent":"m"}"#, "s2");
        assert!(Devices::may_write(&meter, &meter));
        assert!(!Devices::may_write(&meter, &child));
    }

    #[test]
    fn a_changed_secret_forgets_the_old_one() {
        let devices = Devices::new(SALT);
        devices.put([entry(1, r#"{"id":"a","kind":"smoke"}"#, "old")]);
        devices.put([entry(1, r#"{"id":"a","kind":"smoke"}"#, "new")]);
        assert!(devices.authenticate_token("old").is_none());
        assert!(devices.authenticate_token("new").is_some());
    }

    /// Every order of three keys.
    const ORDERS: [[u32; 3]; 6] = [
        [1, 2, 3],
        [1, 3, 2],
        [2, 1, 3],
        [2, 3, 1],
        [3, 1, 2],
        [3, 2, 1],
    ];

    fn sharer(key: u32, secret: &str) -> DeviceEntry {
        entry(key, &format!(r#"{{"id":"d{key}","kind":"smoke"}}"#), secret)
    }

    fn named(devices: &Devices, secret: &str) -> Option<u32> {
        devices.authenticate_token(secret).map(|entry| entry.key.0)
    }

    #[test]
    fn a_shared_secret_names_a_device_only_while_it_is_the_last_that_has_it() {
        for put in ORDERS {
            for removed in ORDERS {
                let devices = Devices::new(SALT);
                devices.put([sharer(put[0], "s")]);
                assert_eq!(named(&devices, "s"), Some(put[0]));
                devices.put([sharer(put[1], "s")]);
                assert_eq!(named(&devices, "s"), None, "{put:?}");
                devices.put([sharer(put[2], "s")]);
                assert_eq!(named(&devices, "s"), None, "{put:?}");
                // The id still tells them apart.
                assert!(devices.authenticate("d2", "s").is_some());
                devices.remove(DeviceKey(removed[0]));
                assert_eq!(named(&devices, "s"), None, "{put:?} {removed:?}");
                devices.remove(DeviceKey(removed[1]));
                assert_eq!(named(&devices, "s"), Some(removed[2]), "{put:?}");
                devices.remove(DeviceKey(removed[2]));
                assert_eq!(named(&devices, "s"), None);
            }
        }
    }

    #[test]
    fn a_shared_secret_names_the_other_again_once_one_of_them_has_a_new_one() {
        for (changed, other) in [(1, 2), (2, 1)] {
            let devices = Devices::new(SALT);
            devices.put([sharer(1, "s"), sharer(2, "s")]);
            // The same again must not count twice.
            devices.put([sharer(other, "s")]);
            devices.put([sharer(changed, "new")]);
            assert_eq!(named(&devices, "s"), Some(other));
            assert_eq!(named(&devices, "new"), Some(changed));
            devices.put([sharer(changed, "s")]);
            assert_eq!(named(&devices, "s"), None);
            assert_eq!(named(&devices, "new"), None);
        }
    }
}
