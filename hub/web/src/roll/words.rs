//! The texts that rows share, each kept once with its lower case, so that a filter looks at a text
//! once and not at every row that has it.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

/// Stands for a text that is in use.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Word(NonZeroU32);

impl Word {
    fn slot(self) -> usize {
        self.0.get() as usize
    }
}

#[derive(Clone, Debug)]
struct Text {
    text: Arc<str>,
    /// Only where it differs.
    lower: Option<Box<str>>,
    uses: u32,
}

/// The texts in use.
#[derive(Clone, Debug)]
pub(super) struct Words {
    known: HashMap<Arc<str>, Word>,
    /// By the number of the word; no word is 0.
    texts: Vec<Option<Text>>,
    free: Vec<Word>,
}

/// Which words something is true of.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks(Vec<bool>);

impl Marks {
    pub(super) fn has(&self, word: Word) -> bool {
        self.0.get(word.slot()).copied().unwrap_or(false)
    }

    pub(super) fn set(&mut self, word: Word) {
        if self.0.len() <= word.slot() {
            self.0.resize(word.slot() + 1, false);
        }
        if let Some(mark) = self.0.get_mut(word.slot()) {
            *mark = true;
        }
    }
}

impl Default for Words {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            texts: vec![None],
            free: Vec::new(),
        }
    }
}

impl Words {
    pub(super) fn find(&self, text: &str) -> Option<Word> {
        self.known.get(text).copied()
    }

    /// Gives the word for a text, to be given back by [`Words::give_back`].
    pub(super) fn take(&mut self, text: &str) -> Word {
        if let Some(word) = self.find(text) {
            if let Some(Some(text)) = self.texts.get_mut(word.slot()) {
                text.uses += 1;
            }
            return word;
        }
        let lower = text.to_lowercase();
        let entry = Text {
            text: text.into(),
            lower: (lower != text).then(|| lower.into()),
            uses: 1,
        };
        let word = self.free.pop().unwrap_or_else(|| {
            let slot = u32::try_from(self.texts.len()).ok();
            let number = slot.and_then(NonZeroU32::new);
            self.texts.push(None);
            Word(number.expect("memory ends before the numbers do"))
        });
        self.known.insert(Arc::clone(&entry.text), word);
        if let Some(slot) = self.texts.get_mut(word.slot()) {
            *slot = Some(entry);
        }
        word
    }

    pub(super) fn give_back(&mut self, word: Word) {
        let Some(slot) = self.texts.get_mut(word.slot()) else {
            return;
        };
        let Some(text) = slot else { return };
        text.uses = text.uses.saturating_sub(1);
        if text.uses == 0 {
            self.known.remove(&text.text);
            *slot = None;
            self.free.push(word);
        }
    }

    /// Marks the words whose text passes a test.
    pub(super) fn mark(&self, is_meant: impl Fn(&str) -> bool) -> Marks {
        let texts = self.texts.iter();
        Marks(
            texts
                .map(|text| text.as_ref().is_some_and(|text| is_meant(&text.text)))
                .collect(),
        )
    }

    /// Marks the words whose text has another one, which is lower case, in either case.
    pub(super) fn mark_with(&self, q: &str) -> Marks {
        let has = |text: &Text| text.lower.as_deref().unwrap_or(&text.text).contains(q);
        let texts = self.texts.iter();
        Marks(texts.map(|text| text.as_ref().is_some_and(has)).collect())
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}
