//! Where parts of the hub say what they want shown: a part adds a source, and it is asked at each look.

use super::own;
use super::page::Page;
use crate::state::Inner;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};
use store::StoreError;

type Source = Box<dyn Fn(&mut Page) + Send + Sync>;

/// The figures of all parts.
#[derive(Clone, Default)]
pub struct Figures {
    sources: Arc<RwLock<Vec<Source>>>,
    /// The web's own, once it serves.
    web: Arc<OnceLock<Weak<Inner>>>,
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Figures").finish_non_exhaustive()
    }
}

impl Figures {
    /// Adds what puts its samples on the page at each look. It must neither wait nor add sources.
    pub fn add(&self, source: impl Fn(&mut Page) + Send + Sync + 'static) {
        let mut sources = self.sources.write().unwrap_or_else(PoisonError::into_inner);
        sources.push(Box::new(source));
    }

    pub(crate) fn serve(&self, web: Weak<Inner>) {
        drop(self.web.set(web));
    }

    /// Collects everything; nothing before the web serves, or after. It may touch the disk.
    pub fn collect(&self) -> Result<Option<Page>, StoreError> {
        let web = self.web.get().and_then(Weak::upgrade);
        web.map(|web| own::collect(&web)).transpose()
    }

    pub(super) fn put(&self, page: &mut Page) {
        let sources = self.sources.read().unwrap_or_else(PoisonError::into_inner);
        sources.iter().for_each(|source| source(page));
    }
}
