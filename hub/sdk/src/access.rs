//! Who may do what: roles, and the tokens of automation.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// The roles of the public contract, section 10.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Viewer,
    Officer,
    Supervisor,
    Engineer,
    Admin,
    Auditor,
    Platform,
}

impl Role {
    pub const ALL: [Self; 7] = [
        Self::Viewer,
        Self::Officer,
        Self::Supervisor,
        Self::Engineer,
        Self::Admin,
        Self::Auditor,
        Self::Platform,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Officer => "officer",
            Self::Supervisor => "supervisor",
            Self::Engineer => "engineer",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
            Self::Platform => "platform",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Devices, readings, alarms, rules, health.
    pub fn reads(self) -> bool {
        !matches!(self, Self::Platform)
    }

    /// Events and, with them, alarms and cases.
    pub fn reads_events(self) -> bool {
        true
    }

    /// Every event as it happens, over MQTT: a stream for other systems, not for people.
    pub fn subscribes_events(self) -> bool {
        matches!(self, Self::Platform | Self::Admin)
    }

    pub fn acts_on_alarms(self) -> bool {
        matches!(self, Self::Officer | Self::Supervisor | Self::Admin)
    }

    /// Steps of the disposal of cases: the city's platform, and those who stand in for it.
    pub fn reports_steps(self) -> bool {
        matches!(self, Self::Platform | Self::Supervisor | Self::Admin)
    }

    pub fn shelves_critical_alarms(self) -> bool {
        matches!(self, Self::Supervisor | Self::Admin)
    }

    pub fn signs_handover(self) -> bool {
        matches!(self, Self::Supervisor | Self::Admin)
    }

    pub fn approves_rules(self) -> bool {
        matches!(self, Self::Supervisor | Self::Admin)
    }

    /// Users and tokens.
    pub fn manages_users(self) -> bool {
        matches!(self, Self::Admin)
    }

    pub fn edits_devices_and_rules(self) -> bool {
        matches!(self, Self::Engineer | Self::Admin)
    }

    pub fn sends_commands(self) -> bool {
        matches!(self, Self::Engineer | Self::Admin | Self::Platform)
    }

    pub fn reads_audit(self) -> bool {
        matches!(self, Self::Auditor | Self::Admin)
    }
}

/// A person or program that was let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    pub name: String,
    pub role: Role,
}

/// SHA-256 of a token; tokens are long and random, so no salt is needed.
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(***)")
    }
}

impl TokenHash {
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn from_hex(hex: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if hex.len() != 64 || !hex.is_ascii() {
            return None;
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hex.get(index * 2..index * 2 + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

/// Every token that is valid now.
pub type TokenTable = HashMap<TokenHash, Actor>;

type Reload = dyn Fn() -> Option<TokenTable> + Send + Sync;

/// Checks tokens, and asks `reload` each time whether they changed on disk.
#[derive(Clone)]
pub struct Access {
    table: Arc<RwLock<TokenTable>>,
    reload: Arc<Reload>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Access {
    /// `reload` gives a new table if the tokens on disk changed, and `None` if not.
    pub fn new(
        table: TokenTable,
        reload: impl Fn() -> Option<TokenTable> + Send + Sync + 'static,
    ) -> Self {
        Self {
            table: Arc::new(RwLock::new(table)),
            reload: Arc::new(reload),
        }
    }

    /// Tells who holds this token.
    pub fn check(&self, token: &str) -> Option<Actor> {
        self.refresh();
        self.find(TokenHash::of(token))
    }

    /// Tells whether nobody at all can sign in.
    pub fn is_empty(&self) -> bool {
        self.refresh();
        self.table
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    /// A token that was added or taken away counts at once, without a restart.
    fn refresh(&self) {
        if let Some(table) = (self.reload)() {
            *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
        }
    }

    fn find(&self, hash: TokenHash) -> Option<Actor> {
        self.table
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&hash)
            .cloned()
    }
}
