//! How the disk is, as health and metrics show it, and what is to be done about it.

use model::Timestamp;
use serde_json::{Value, json};
use store::Outlook;

/// Whether there is room.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum StorageState {
    Ample,
    /// People should see to it.
    Low,
    /// Nothing new is taken.
    Full,
}

impl StorageState {
    pub(crate) const ALL: [Self; 3] = [Self::Ample, Self::Low, Self::Full];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ample => "ample",
            Self::Low => "low",
            Self::Full => "full",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// What follows from the figures of a disk.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct DiskView {
    pub free_pct: Option<f64>,
    /// Nothing where there is no limit.
    pub free_inodes_pct: Option<f64>,
    /// Nothing while that is not known, or if it does not get less.
    pub days_left: Option<f64>,
}

impl DiskView {
    pub fn of(outlook: &Outlook) -> Self {
        let disk = &outlook.disk;
        let share = |part: u64, all: u64| (all > 0).then(|| 100.0 * part as f64 / all as f64);
        let growth = outlook.growth_bytes_per_day.filter(|bytes| *bytes > 0);
        Self {
            free_pct: share(disk.free_bytes, disk.total_bytes),
            free_inodes_pct: share(disk.free_inodes, disk.total_inodes),
            days_left: growth.map(|bytes| disk.free_bytes as f64 / bytes as f64),
        }
    }
}

/// The storage, as `GET /api/v1/health` shows it.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct StorageHealth {
    pub state: StorageState,
    /// Since when it has been in this state, if it ever was in another one.
    pub since: Timestamp,
    pub outlook: Outlook,
    /// Values that there was no room for since the start.
    pub turned_away: u64,
}

impl StorageHealth {
    pub fn to_json(&self) -> Value {
        let (outlook, disk) = (&self.outlook, &self.outlook.disk);
        let view = DiskView::of(outlook);
        let tenths = |figure: Option<f64>| figure.map(|figure| (figure * 10.0).round() / 10.0);
        json!({
            "state": self.state.name(),
            "since": (self.since > Timestamp::MIN).then_some(self.since),
            "takes_readings": self.state != StorageState::Full,
            "advice": self.advice(),
            "free_bytes": disk.free_bytes,
            "total_bytes": disk.total_bytes,
            "free_pct": tenths(view.free_pct),
            "free_inodes": disk.free_inodes,
            "total_inodes": disk.total_inodes,
            "growth_bytes_per_day": outlook.growth_bytes_per_day,
            "days_left": tenths(view.days_left),
            "reserve_bytes": outlook.reserve_bytes,
            "reserve_held_bytes": outlook.held_bytes,
            "turned_away_values": self.turned_away,
        })
    }

    /// Says what is to be done; nothing if nothing is.
    pub fn advice(&self) -> Option<String> {
        let outlook = &self.outlook;
        let view = DiskView::of(outlook);
        match self.state {
            StorageState::Ample => None,
            StorageState::Low => {
                let days = view.days_left.map_or_else(String::new, |days| {
                    format!(", which lasts about {days:.0} days as it goes now")
                });
                Some(format!(
                    "{} are free on the disk of the data directory ({:.0} %, {:.0} % of the \
                     inodes){days}: free some or enlarge it, or keep less (`[store.retention]`)",
                    size(outlook.disk.free_bytes),
                    view.free_pct.unwrap_or(100.0),
                    view.free_inodes_pct.unwrap_or(100.0),
                ))
            }
            StorageState::Full => {
                let wanted = outlook.reserve_bytes + outlook.reserve_bytes / 2;
                let missing = wanted.saturating_sub(outlook.disk.free_bytes + outlook.held_bytes);
                Some(format!(
                    "the disk is full and no reading is taken: free {} more on the disk of the data \
                     directory (and inodes, if it has none), and the hub goes on by itself; alarms \
                     and commands work meanwhile",
                    size(missing),
                ))
            }
        }
    }
}

fn size(bytes: u64) -> String {
    const MIB: f64 = 1_048_576.0;
    let mib = bytes as f64 / MIB;
    if mib < 1_024.0 {
        return format!("{mib:.0} MiB");
    }
    format!("{:.1} GiB", mib / 1_024.0)
}

#[cfg(test)]
mod tests {
    use super::{StorageHealth, StorageState, size};
    use model::Timestamp;
    use store::{Disk, Outlook};

    fn health(state: StorageState) -> StorageHealth {
        StorageHealth {
            state,
            since: Timestamp::MIN,
            outlook: Outlook {
                disk: Disk {
                    free_bytes: 50 << 30,
                    total_bytes: 1_000 << 30,
                    free_inodes: 600,
                    total_inodes: 1_000,
                },
                reserve_bytes: 128 << 20,
                held_bytes: 128 << 20,
                is_open: true,
                growth_bytes_per_day: Some(4 << 30),
            },
            turned_away: 0,
        }
    }

    #[test]
    fn it_says_how_long_it_lasts_and_what_to_do() {
        let json = health(StorageState::Low).to_json();
        assert_eq!(json["days_left"], 12.5);
        assert_eq!(json["free_pct"], 5.0);
        assert_eq!(json["since"], serde_json::Value::Null);
        let advice = json["advice"].as_str().unwrap();
        assert!(advice.starts_with("50.0 GiB are free"), "{advice}");
        assert!(
            advice.contains("(5 %, 60 % of the inodes), which lasts about 12 days"),
            "{advice}"
        );
    }

    #[test]
    fn a_full_disk_says_how_much_is_missing() {
        let mut full = health(StorageState::Full);
        full.outlook.disk.free_bytes = 92 << 20;
        full.outlook.held_bytes = 0;
        // It goes on at one and a half times the reserve: 192 MiB.
        assert!(full.advice().unwrap().contains("free 100 MiB more"));
        assert_eq!(full.to_json()["takes_readings"], false);
        assert_eq!(health(StorageState::Ample).advice(), None);
    }

    #[test]
    fn sizes_are_in_the_unit_that_people_use() {
        assert_eq!(size(1_023 << 20), "1023 MiB");
        assert_eq!(size(3 << 29), "1.5 GiB");
    }
}
