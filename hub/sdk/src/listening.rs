//! The limits of drivers whose devices dial in, in the same words for all of them, and how such a
//! driver is served.

use crate::{Context, Conversation, Limits, Line, Talk, accept, converse};
use config::{Value, ValueKind};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::HashMap;
use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;
use tokio::net::TcpListener;

/// Connections at once: a city's devices of one protocol, with room.
const CONNECTIONS_MAX: usize = 4_096;

/// Half of all: a carrier's network hides many devices behind one address, and yet no address takes
/// every place.
const CONNECTIONS_PER_ADDRESS_MAX: usize = 2_048;

/// The longest of frames, over the slowest of modems.
const FRAME_TIMEOUT_S: u64 = 30;

const NOISE_BYTES_MAX: usize = 64 * 1024;

/// What connections may do; keys of `[drivers.NAME]` beside the driver's own.
#[derive(Copy, Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionLimits {
    /// TCP connections that are served at once.
    pub connections_max: NonZeroUsize,
    /// TCP connections from one address that are served at once.
    pub connections_per_address_max: NonZeroUsize,
    /// Seconds without a byte after which a connection is closed; what fits the protocol unless set.
    pub idle_timeout_s: Option<NonZeroU64>,
    /// Seconds after which a frame that was begun is given up. Who goes on sending without any frame
    /// becoming whole in that time is hung up.
    pub frame_timeout_s: NonZeroU64,
    /// Bytes without a good frame between them after which a connection is closed.
    pub noise_bytes_max: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        let frame_timeout_s = NonZeroU64::new(FRAME_TIMEOUT_S).unwrap_or(NonZeroU64::MIN);
        Self {
            connections_max: count(CONNECTIONS_MAX),
            connections_per_address_max: count(CONNECTIONS_PER_ADDRESS_MAX),
            idle_timeout_s: None,
            frame_timeout_s,
            noise_bytes_max: NOISE_BYTES_MAX,
        }
    }
}

fn count(of: usize) -> NonZeroUsize {
    NonZeroUsize::new(of).unwrap_or(NonZeroUsize::MIN)
}

impl ConnectionLimits {
    /// Gives how many connections are let in.
    pub fn places(&self) -> Limits {
        Limits {
            connections_max: self.connections_max.get(),
            connections_per_address_max: self.connections_per_address_max.get(),
        }
    }

    /// Gives what one connection may do. `idle_timeout` is the protocol's own, where none was set;
    /// more than `received_bytes_max` cannot wait for the rest of its frame.
    pub fn conversation(&self, idle_timeout: Duration, received_bytes_max: usize) -> Conversation {
        let idle = self.idle_timeout_s.map(|s| Duration::from_secs(s.get()));
        Conversation {
            idle_timeout: idle.unwrap_or(idle_timeout),
            frame_timeout: Duration::from_secs(self.frame_timeout_s.get()),
            received_bytes_max,
            noise_bytes_max: self.noise_bytes_max,
        }
    }
}

/// The configuration of a driver with the limits of its connections beside its own keys.
///
/// `#[serde(flatten)]` would do the same, but then the names of wrong keys get lost, and numbers that
/// come from the environment are texts that are not read.
#[derive(Clone, Debug)]
pub struct Listening<C> {
    pub own: C,
    pub limits: ConnectionLimits,
}

impl<'de, C: DeserializeOwned> Deserialize<'de> for Listening<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = HashMap::<String, Value>::deserialize(deserializer)?;
        let known = schemars::schema_for!(ConnectionLimits);
        let (limits, own) = table
            .into_iter()
            .partition(|(key, _)| properties(&known).is_some_and(|known| known.contains_key(key)));
        let own = read(own).map_err(|error| {
            let known = properties(&known).into_iter().flatten();
            let names: Vec<&str> = known.map(|(name, _)| name.as_str()).collect();
            match error.starts_with("unknown field") {
                true => format!("{error}, `{}`", names.join("`, `")),
                false => error,
            }
        });
        Ok(Self {
            own: own.map_err(D::Error::custom)?,
            limits: read(limits).map_err(D::Error::custom)?,
        })
    }
}

fn read<T: DeserializeOwned>(table: HashMap<String, Value>) -> Result<T, String> {
    let table = Value::new(None, ValueKind::Table(table));
    table.try_deserialize().map_err(|error| error.to_string())
}

fn properties(schema: &Schema) -> Option<&serde_json::Map<String, serde_json::Value>> {
    schema.get("properties")?.as_object()
}

impl<C: JsonSchema> JsonSchema for Listening<C> {
    fn schema_name() -> Cow<'static, str> {
        C::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = C::json_schema(generator);
        let limits = ConnectionLimits::json_schema(generator);
        let own = schema.get_mut("properties");
        if let (Some(own), Some(limits)) = (
            own.and_then(serde_json::Value::as_object_mut),
            properties(&limits),
        ) {
            own.extend(limits.clone());
        }
        schema
    }
}

/// Speaks with every peer that dials in, each by a talk of its own, until the stop.
pub async fn serve<T: Talk + 'static>(
    listener: TcpListener,
    (places, conversation): (Limits, Conversation),
    cx: &Context,
    make: impl Fn(Line) -> T,
) {
    accept(listener, places, cx, |stream, peer| {
        let (line, orders) = cx.downlink.line();
        let talk = (make(line), orders);
        converse(stream, peer.to_string(), talk, conversation, cx.clone())
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::Listening;
    use config::{Config, File, FileFormat, Value};
    use schemars::JsonSchema;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Own {
        kind: String,
        #[serde(default)]
        depth_max: u8,
    }

    fn read(toml: &str) -> Result<Listening<Own>, String> {
        let file = File::from_str(toml, FileFormat::Toml);
        let read = Config::builder().add_source(file).build().unwrap();
        let value: Value = read.try_deserialize().unwrap();
        value.try_deserialize().map_err(|error| error.to_string())
    }

    #[test]
    fn own_keys_and_limits_stand_in_one_table() {
        let read =
            read("kind = \"x\"\ndepth_max = 3\nidle_timeout_s = 7\nconnections_max = 9").unwrap();
        assert_eq!((read.own.kind.as_str(), read.own.depth_max), ("x", 3));
        let conversation = read.limits.conversation(super::Duration::from_secs(1), 10);
        assert_eq!(conversation.idle_timeout.as_secs(), 7);
        assert_eq!(conversation.frame_timeout.as_secs(), 30);
        assert_eq!(read.limits.places().connections_max, 9);
    }

    #[test]
    fn what_is_not_set_is_as_the_protocol_wants_it() {
        let read = read("kind = \"x\"").unwrap();
        let conversation = read.limits.conversation(super::Duration::from_secs(5), 10);
        assert_eq!(conversation.idle_timeout.as_secs(), 5);
        assert_eq!(conversation.received_bytes_max, 10);
    }

    #[test]
    fn numbers_from_the_environment_are_read() {
        let read = read("kind = \"x\"\nframe_timeout_s = \"4\"\ndepth_max = \"2\"").unwrap();
        assert_eq!(read.limits.frame_timeout_s.get(), 4);
        assert_eq!(read.own.depth_max, 2);
    }

    #[test]
    fn a_wrong_key_is_named() {
        for (toml, named) in [
            ("kind = \"x\"\nconections_max = 1", "`conections_max`"),
            ("kind = \"x\"\nconections_max = 1", "`connections_max`"),
            ("kind = \"x\"\nconnections_max = 0", "connections_max"),
            (
                "kind = \"x\"\nframe_timeout_s = \"soon\"",
                "frame_timeout_s",
            ),
            ("kind = \"x\"\ndepth_max = 300", "depth_max"),
            ("depth_max = 3", "kind"),
        ] {
            let error = read(toml).unwrap_err();
            assert!(error.contains(named), "{toml}: {error}");
        }
    }

    #[test]
    fn the_schema_has_the_keys_of_both() {
        let schema = schemars::schema_for!(Listening<Own>);
        for key in ["kind", "depth_max", "noise_bytes_max", "idle_timeout_s"] {
            let described = schema.pointer(&format!("/properties/{key}"));
            assert!(described.is_some(), "{key}");
        }
        assert_eq!(
            schema.get("additionalProperties"),
            Some(&serde_json::Value::Bool(false))
        );
    }
}
