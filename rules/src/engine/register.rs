//! Which devices there are and which rules could mean them, so that an edit visits only those.

use crate::{DeviceView, Select, Targets};
use model::{DeviceId, DeviceKey};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// What a rule can select by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Trait {
    Kind(String),
    Site(String),
    Tag(String, String),
}

/// The devices by what rules select by, and as children of their parents.
#[derive(Debug, Default)]
pub(super) struct Register {
    named: FxHashMap<DeviceId, DeviceKey>,
    children: FxHashMap<DeviceId, BTreeSet<DeviceKey>>,
    bearers: FxHashMap<Trait, BTreeSet<DeviceKey>>,
}

/// The rules by the one trait that is theirs, from the rarest to the most common.
#[derive(Debug, Default)]
pub(super) struct Claims {
    everything: BTreeSet<u32>,
    by_device: FxHashMap<DeviceId, BTreeSet<u32>>,
    by_trait: FxHashMap<Trait, BTreeSet<u32>>,
}

fn traits_of(view: &DeviceView) -> impl Iterator<Item = Trait> {
    let tags = view.tags.iter();
    let tags = tags.map(|(name, value)| Trait::Tag(name.clone(), value.clone()));
    let site = view.site.iter().map(|site| Trait::Site(site.clone()));
    tags.chain(site)
        .chain(std::iter::once(Trait::Kind(view.kind.clone())))
}

fn traits_in(select: &Select) -> impl Iterator<Item = Trait> {
    let tags = select.tags.iter();
    let tags = tags.map(|(name, value)| Trait::Tag(name.clone(), value.clone()));
    let site = select.site.iter().map(|site| Trait::Site(site.clone()));
    let kind = select.kind.iter().map(|kind| Trait::Kind(kind.clone()));
    tags.chain(site).chain(kind)
}

impl Register {
    pub(super) fn add(&mut self, view: &DeviceView) {
        self.named.insert(view.id.clone(), view.key);
        if let Some(parent) = &view.parent {
            let children = self.children.entry(parent.clone()).or_default();
            children.insert(view.key);
        }
        for its in traits_of(view) {
            self.bearers.entry(its).or_default().insert(view.key);
        }
    }

    pub(super) fn remove(&mut self, view: &DeviceView) {
        self.named.remove(&view.id);
        if let Some(parent) = &view.parent
            && let Some(children) = self.children.get_mut(parent)
        {
            children.remove(&view.key);
            if children.is_empty() {
                self.children.remove(parent);
            }
        }
        for its in traits_of(view) {
            if let Some(bearers) = self.bearers.get_mut(&its) {
                bearers.remove(&view.key);
                if bearers.is_empty() {
                    self.bearers.remove(&its);
                }
            }
        }
    }

    pub(super) fn named(&self, id: &DeviceId) -> Option<DeviceKey> {
        self.named.get(id).copied()
    }

    pub(super) fn children(&self, parent: &DeviceId) -> Vec<DeviceKey> {
        let children = self.children.get(parent);
        children.map_or_else(Vec::new, |keys| keys.iter().copied().collect())
    }

    /// Adds every device that the targets could include.
    pub(super) fn add_candidates(&self, targets: &Targets, keys: &mut BTreeSet<DeviceKey>) {
        match targets {
            Targets::Devices(ids) => keys.extend(ids.iter().filter_map(|id| self.named(id))),
            Targets::Select(select) => {
                let bearers = traits_in(select).map(|its| self.bearers.get(&its));
                match bearers.min_by_key(|keys| keys.map_or(0, BTreeSet::len)) {
                    // A trait that no device has.
                    Some(None) => {}
                    Some(Some(rarest)) => keys.extend(rarest),
                    None => keys.extend(self.named.values()),
                }
            }
        }
    }
}

impl Claims {
    pub(super) fn add(&mut self, slot: u32, targets: &Targets) {
        self.visit(targets, |slots| {
            slots.insert(slot);
        });
    }

    pub(super) fn remove(&mut self, slot: u32, targets: &Targets) {
        self.visit(targets, |slots| {
            slots.remove(&slot);
        });
        self.by_device.retain(|_, slots| !slots.is_empty());
        self.by_trait.retain(|_, slots| !slots.is_empty());
    }

    fn visit(&mut self, targets: &Targets, mut edit: impl FnMut(&mut BTreeSet<u32>)) {
        match targets {
            Targets::Devices(ids) => {
                for id in ids {
                    edit(self.by_device.entry(id.clone()).or_default());
                }
            }
            // Tags come first: they are the rarest.
            Targets::Select(select) => match traits_in(select).next() {
                Some(its) => edit(self.by_trait.entry(its).or_default()),
                None => edit(&mut self.everything),
            },
        }
    }

    /// Adds every rule that could mean this device.
    pub(super) fn add_candidates(&self, view: &DeviceView, slots: &mut BTreeSet<u32>) {
        slots.extend(&self.everything);
        slots.extend(self.by_device.get(&view.id).into_iter().flatten());
        for its in traits_of(view) {
            slots.extend(self.by_trait.get(&its).into_iter().flatten());
        }
    }
}
