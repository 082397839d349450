//! The handover that is being prepared: what people said of it, and who signed.

use model::Timestamp;
use sdk::HandoverPart;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The draft, as the writer keeps it. What it is about is read from the hub when it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandoverDraft {
    pub id: u64,
    /// Grows with each change; 0 while nobody has touched it.
    pub version: u64,
    pub shift: String,
    pub began_at: Timestamp,
    pub ends_at: Timestamp,
    /// From when on the incoming person may sign.
    pub opens_at: Timestamp,
    pub overdue_at: Timestamp,
    pub is_overdue: bool,
    /// Who answers for the shift: the incoming person of the last handover.
    pub responsible: Option<String>,
    /// Sections that were gone through.
    pub explained: BTreeMap<String, bool>,
    pub checklist: BTreeMap<String, bool>,
    pub opinions: Opinions,
    pub signatures: Vec<Signature>,
}

/// What either side has to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opinions {
    pub outgoing: String,
    pub incoming: String,
}

/// Who signed, by password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    pub part: HandoverPart,
    pub name: String,
    pub role: String,
    pub at: Timestamp,
}

/// What somebody wants other in a draft; what is not said stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HandoverChange {
    pub explained: BTreeMap<String, bool>,
    pub checklist: BTreeMap<String, bool>,
    pub outgoing: Option<String>,
    pub incoming: Option<String>,
}

impl HandoverDraft {
    /// Takes a change. What was signed holds for what it was: only the incoming person's word comes
    /// after the outgoing signature.
    pub fn apply(&mut self, change: &HandoverChange) {
        let before = (self.explained.clone(), self.checklist.clone());
        self.explained.extend(change.explained.clone());
        self.checklist.extend(change.checklist.clone());
        let mut is_other = before != (self.explained.clone(), self.checklist.clone());
        if let Some(text) = &change.outgoing {
            is_other |= *text != self.opinions.outgoing;
            self.opinions.outgoing.clone_from(text);
        }
        if let Some(text) = &change.incoming {
            self.opinions.incoming.clone_from(text);
        }
        if is_other {
            self.signatures.clear();
        } else {
            self.signatures
                .retain(|signature| signature.part == HandoverPart::Outgoing);
        }
        self.version += 1;
    }
}

/// The draft as of the last commit.
#[derive(Clone, Debug, Default)]
pub struct Handovers {
    draft: Arc<RwLock<HandoverDraft>>,
}

impl Handovers {
    pub fn put(&self, draft: HandoverDraft) {
        *self.draft.write().unwrap_or_else(PoisonError::into_inner) = draft;
    }

    pub fn draft(&self) -> HandoverDraft {
        let draft = self.draft.read().unwrap_or_else(PoisonError::into_inner);
        draft.clone()
    }
}
