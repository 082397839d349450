//! Sparkplug B: what its topics say, and the nodes behind one connection with their births.
//!
//! Births are kept with the connection that they came by, and nowhere else. A node must be born anew
//! on every connection (Sparkplug 3.0, 5.4), so nothing is lost by forgetting them with it; what a file kept over a
//! restart could only name values by aliases that meanwhile mean something else. Data that needs a birth
//! which is not there has the node asked for it.

use codecs::sparkplug::Birth;
use model::{DeviceKey, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The first level of every topic.
const NAMESPACE: &str = "spBv1.0";

/// Metrics that the births behind one connection may announce: a large plant has some thousands.
pub(crate) const METRICS_MAX: usize = 50_000;

/// Nodes behind one connection, which is a bridge if they are more than one.
const NODES_MAX: usize = 1_000;

/// What a message is about.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Birth,
    Data,
    Death,
}

/// `spBv1.0/{group}/{N|D}{BIRTH|DATA|DEATH}/{node}[/{device}]`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said<'a> {
    pub(crate) word: Word,
    pub(crate) group: &'a str,
    pub(crate) node: &'a str,
    pub(crate) device: Option<&'a str>,
}

impl<'a> Said<'a> {
    pub(crate) fn read(topic: &'a str) -> Option<Self> {
        let mut levels = topic.split('/');
        let mut next = || levels.next().filter(|level| !level.is_empty());
        let (namespace, group, kind, node) = (next()?, next()?, next()?, next()?);
        let (device, end) = (levels.next(), levels.next());
        if namespace != NAMESPACE || end.is_some() || device == Some("") {
            return None;
        }
        let (word, is_device) = match kind {
            "NBIRTH" => (Word::Birth, false),
            "NDATA" => (Word::Data, false),
            "NDEATH" => (Word::Death, false),
            "DBIRTH" => (Word::Birth, true),
            "DDATA" => (Word::Data, true),
            "DDEATH" => (Word::Death, true),
            _ => return None,
        };
        (device.is_some() == is_device).then_some(Self {
            word,
            group,
            node,
            device,
        })
    }

    /// The node, as `identities.sparkplug` names it.
    pub(crate) fn node_path(&self) -> String {
        format!("{}/{}", self.group, self.node)
    }

    /// The node or device, as `identities.sparkplug` names it.
    pub(crate) fn path(&self) -> String {
        match self.device {
            Some(device) => format!("{}/{}/{device}", self.group, self.node),
            None => self.node_path(),
        }
    }
}

/// Tells whether a filter asks for commands to nodes and devices, or for the state of a host.
pub(crate) fn is_filter(filter: &str) -> bool {
    let mut levels = filter.split('/');
    matches!(
        (levels.next(), levels.next(), levels.next()),
        (Some("STATE"), Some(_), None)
            | (Some(NAMESPACE), Some("STATE"), Some(_))
            | (Some(NAMESPACE), Some(_), Some("NCMD" | "DCMD"))
    )
}

/// Where the host says whether it is there: as version 3.0 has it, and as 2.2.
pub(crate) fn state_topics(host: &str) -> [String; 2] {
    [format!("{NAMESPACE}/STATE/{host}"), format!("STATE/{host}")]
}

/// A node that was born on this connection.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) key: DeviceKey,
    pub(crate) birth: Birth,
    pub(crate) life: Life,
    next_seq: Option<u64>,
    pub(crate) devices: HashMap<String, Born>,
}

/// A device of a node.
#[derive(Debug)]
pub(crate) struct Born {
    pub(crate) key: DeviceKey,
    pub(crate) birth: Birth,
}

/// One life of a node: from a birth to the next birth, or to its death.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    /// The hub's own number.
    number: u64,
    /// What the node calls it (`bdSeq`).
    pub(crate) bd_seq: Option<u64>,
}

impl Node {
    pub(crate) fn new(key: DeviceKey, birth: Birth, life: Life, seq: Option<u64>) -> Self {
        let mut node = Self {
            key,
            birth,
            life,
            next_seq: None,
            devices: HashMap::new(),
        };
        node.follows(seq);
        node
    }

    /// Tells whether this is the message that comes next (Sparkplug 3.0, 6.4.1): 0 to 255, round and round.
    pub(crate) fn follows(&mut self, seq: Option<u64>) -> bool {
        let Some(seq) = seq else {
            return true;
        };
        let is_next = self.next_seq.is_none_or(|next| next == seq);
        self.next_seq = Some(seq.wrapping_add(1) % 256);
        is_next
    }

    fn metrics(&self) -> usize {
        let devices = self.devices.values().map(|born| born.birth.len());
        self.birth.len() + devices.sum::<usize>()
    }
}

/// Which life each node is in, over all connections: the will of an older connection may come late.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    state: Mutex<(u64, HashMap<DeviceKey, Life>)>,
}

impl Lives {
    pub(crate) fn begin(&self, node: DeviceKey, bd_seq: Option<u64>) -> Life {
        let mut state = self.lock();
        state.0 += 1;
        let life = Life {
            number: state.0,
            bd_seq,
        };
        state.1.insert(node, life);
        life
    }

    pub(crate) fn of(&self, node: DeviceKey) -> Option<Life> {
        self.lock().1.get(&node).copied()
    }

    pub(crate) fn end(&self, node: DeviceKey) {
        self.lock().1.remove(&node);
    }

    fn lock(&self) -> MutexGuard<'_, (u64, HashMap<DeviceKey, Life>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The nodes behind one connection.
#[derive(Debug)]
pub(crate) struct Nodes {
    pub(crate) lives: Arc<Lives>,
    /// By `{group}/{node}`.
    pub(crate) born: HashMap<String, Node>,
    /// When a node was last asked for its births.
    asked: HashMap<String, Timestamp>,
    pause_ms: i64,
    /// Topics of commands that ask for births, still to be sent.
    pub(crate) asks: Vec<String>,
}

impl Nodes {
    pub(crate) fn new(lives: Arc<Lives>, rebirth_pause_s: u32) -> Self {
        Self {
            lives,
            born: HashMap::new(),
            asked: HashMap::new(),
            pause_ms: i64::from(rebirth_pause_s) * 1000,
            asks: Vec::new(),
        }
    }

    /// Has a node asked for its births, unless it was just now.
    pub(crate) fn ask(&mut self, said: Said<'_>, now: Timestamp) {
        let path = said.node_path();
        let asked = self.asked.get(&path);
        if asked.is_some_and(|at| now.since_ms(*at) < self.pause_ms) {
            return;
        }
        if self.asked.len() >= NODES_MAX {
            self.asked.clear();
        }
        self.asked.insert(path, now);
        let topic = format!("{NAMESPACE}/{}/NCMD/{}", said.group, said.node);
        self.asks.push(topic);
    }

    /// Tells whether this connection may announce so many metrics more.
    pub(crate) fn has_room(&self, metrics: usize) -> bool {
        let known: usize = self.born.values().map(Node::metrics).sum();
        self.born.len() < NODES_MAX && known.saturating_add(metrics) <= METRICS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::{Said, Word, is_filter};

    #[test]
    fn a_topic_names_node_and_device() {
        let said = Said::read("spBv1.0/CityA/DDATA/edge1/dust-01").unwrap();
        assert_eq!((said.word, said.device), (Word::Data, Some("dust-01")));
        assert_eq!(said.path(), "CityA/edge1/dust-01");
        let said = Said::read("spBv1.0/CityA/NDEATH/edge1").unwrap();
        assert_eq!(
            (said.word, said.path().as_str()),
            (Word::Death, "CityA/edge1")
        );
        for topic in [
            "spBv1.0/CityA/NCMD/edge1",
            "spBv1.0/CityA/NDATA/edge1/dust-01",
            "spBv1.0/CityA/DDATA/edge1",
            "spBv1.0/CityA/DDATA/edge1/",
            "spBv1.0/CityA/DDATA/edge1/a/b",
            "spBv1.0//NDATA/edge1",
            "spAv1.0/CityA/NDATA/edge1",
            "spBv1.0/STATE/cityhub",
        ] {
            assert_eq!(Said::read(topic), None, "{topic}");
        }
    }

    #[test]
    fn a_node_may_ask_for_commands_and_states_only() {
        for filter in [
            "spBv1.0/CityA/NCMD/edge1",
            "spBv1.0/CityA/NCMD/edge1/#",
            "spBv1.0/+/DCMD/#",
            "spBv1.0/STATE/cityhub",
            "STATE/+",
        ] {
            assert!(is_filter(filter), "{filter}");
        }
        for filter in [
            "spBv1.0/#",
            "spBv1.0/CityA/NDATA/#",
            "STATE",
            "#",
            "STATE/a/b",
        ] {
            assert!(!is_filter(filter), "{filter}");
        }
    }
}
