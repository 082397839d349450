//! What the log and the history of changes keep of a command: all that the engine must be told
//! again, and nothing that depends on who asked.

use model::{Device, DeviceKey, Timestamp};
use rules::{DeviceView, Rule};
use serde::{Deserialize, Serialize};

/// A change of the register or the rules. Kept for ever: add variants, never change one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recorded {
    PutDevice {
        key: DeviceKey,
        device: Box<Device>,
        /// Unit grid code (单元网格) found from the location at the time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grid: Option<String>,
    },
    DeleteDevice {
        key: DeviceKey,
    },
    PutRule {
        id: String,
        revision: u64,
        spec: serde_json::Value,
    },
    DeleteRule {
        id: String,
    },
    /// The hub ran until `since` and runs again from this commit's stamp on.
    Resumed {
        since: Timestamp,
    },
}

impl Recorded {
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain data with text keys is JSON")
    }

    /// Tells the engine again, which goes on to `at` by itself where that is right: the caller must
    /// not have let it before. A rule that this version cannot read any more is an error.
    pub fn tell(
        self,
        engine: &mut rules::Engine,
        at: Timestamp,
        out: &mut Vec<rules::Change>,
    ) -> Result<(), rules::RuleError> {
        match self {
            Self::PutDevice { key, device, grid } => {
                let view = DeviceView::new(key, &device, grid.as_deref());
                engine.put_device(at, view, out);
            }
            Self::DeleteDevice { key } => engine.remove_device(at, key, out),
            Self::PutRule { id, revision, spec } => {
                let spec = rules::parse_json(&id, &spec)?;
                engine.put_rule(at, Rule { id, revision, spec }, out);
            }
            Self::DeleteRule { id } => engine.remove_rule(at, &id, out),
            Self::Resumed { since } => engine.resume(since, at, out),
        }
        Ok(())
    }
}
