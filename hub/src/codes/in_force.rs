//! The tables in force, which a reload replaces while the hub runs.

use super::Codes;
use std::sync::{Arc, PoisonError, RwLock};

/// The shared handle: the writer looks here before each group, the reload puts new tables here.
#[derive(Clone, Debug)]
pub struct CodesInForce(Arc<RwLock<Arc<Codes>>>);

impl CodesInForce {
    pub fn new(codes: Codes) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(codes))))
    }

    pub fn get(&self) -> Arc<Codes> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Brings tables into force, and gives those that were.
    pub fn put(&self, codes: Arc<Codes>) -> Arc<Codes> {
        let mut in_force = self.0.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut in_force, codes)
    }
}
