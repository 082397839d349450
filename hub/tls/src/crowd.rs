//! The handshakes under way: there is room for so many, and one more ends the oldest, of those that have
//! said nothing yet if there are any.
//!
//! A peer that connects and stops there thus costs itself, and neither those who come later nor those
//! who are in the middle of it.

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
    /// Those of whom nothing was heard, the oldest first, each with what tells it to leave.
    silent: BTreeMap<u64, Arc<Notify>>,
    speaking: BTreeMap<u64, Arc<Notify>>,
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
        if inside.silent.len() + inside.speaking.len() >= self.max {
            let oldest = inside.silent.pop_first();
            let oldest = oldest.or_else(|| inside.speaking.pop_first());
            if let Some((_, oldest)) = oldest {
                oldest.notify_one();
            }
        }
        let number = inside.next;
        inside.next += 1;
        inside.silent.insert(number, Arc::clone(&leave));
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
    /// Says that something was heard of it.
    pub(crate) fn speaks(&self) {
        let mut inside = self.crowd.lock();
        if let Some(leave) = inside.silent.remove(&self.number) {
            inside.speaking.insert(self.number, leave);
        }
    }

    /// Waits until it must leave for another.
    pub(crate) async fn told_to_leave(&self) {
        self.leave.notified().await;
    }
}

impl Drop for One {
    fn drop(&mut self) {
        let mut inside = self.crowd.lock();
        inside.silent.remove(&self.number);
        inside.speaking.remove(&self.number);
    }
}
