//! The handshakes under way: there is room for so many, and one more ends the oldest.
//!
//! A peer that begins a handshake and stops there thus costs itself, and nobody who comes later.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

#[derive(Debug)]
pub(crate) struct Crowd {
    max: usize,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    next: u64,
    /// The oldest first, each with what tells it to leave.
    all: BTreeMap<u64, Arc<Notify>>,
}

/// One of the crowd, until dropped.
#[derive(Debug)]
pub(crate) struct One {
    crowd: Arc<Crowd>,
    number: u64,
    leave: Arc<Notify>,
}

impl Crowd {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            inside: Mutex::default(),
        })
    }

    pub(crate) fn enter(self: &Arc<Self>) -> One {
        let leave = Arc::new(Notify::new());
        let mut inside = self.lock();
        if inside.all.len() >= self.max
            && let Some((_, oldest)) = inside.all.pop_first()
        {
            oldest.notify_one();
        }
        let number = inside.next;
        inside.next += 1;
        inside.all.insert(number, Arc::clone(&leave));
        drop(inside);
        One {
            crowd: Arc::clone(self),
            number,
            leave,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl One {
    /// Waits until it must leave for another.
    pub(crate) async fn told_to_leave(&self) {
        self.leave.notified().await;
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.crowd.lock().all.remove(&self.number);
    }
}
