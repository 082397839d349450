//! Cases written by hand: rules, devices, a stream of readings, and what must come of it.
//!
//! A case is a folder `golden/<kind>/<case>` with `rules.toml`, `devices.json`, `readings.jsonl`
//! and `events.jsonl`. A line of the readings is a reading, `{"advance": TIME}`,
//! `{"put_rules": FILE, "at": TIME}`, `{"remove_rule": ID, "at": TIME}`, `{"put_device": DEVICE,
//! "at": TIME}` or `{"remove_device": ID, "at": TIME}`. Events are all changes but `updated`.

use crate::support::{catalogue, quality, settings};
use model::{Device, DeviceId, DeviceKey, Reading, Series, Timestamp, Value};
use rules::{Change, DeviceView, Engine, Figures, Outcome, Rule, What, parse_toml};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

struct Case {
    dir: PathBuf,
    engine: Engine,
    devices: BTreeMap<DeviceId, DeviceKey>,
    revision: u64,
    changes: Vec<Change>,
}

fn instant(json: &Json) -> Timestamp {
    Timestamp::parse(json.as_str().expect("a time as text")).expect("an RFC 3339 time")
}

impl Case {
    fn open(dir: &Path) -> Self {
        let mut case = Self {
            dir: dir.to_owned(),
            engine: Engine::new(settings(), catalogue()),
            devices: BTreeMap::new(),
            revision: 0,
            changes: Vec::new(),
        };
        let devices: Vec<Device> =
            serde_json::from_str(&case.read("devices.json")).expect("a list of devices");
        for device in devices {
            case.put_device(start(), &device);
        }
        case.put_rules(start(), "rules.toml");
        case
    }

    fn read(&self, file: &str) -> String {
        let path = self.dir.join(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn put_device(&mut self, at: Timestamp, device: &Device) {
        let next = u32::try_from(self.devices.len()).expect("few devices") + 1;
        let key = *self
            .devices
            .entry(device.id.clone())
            .or_insert(DeviceKey(next));
        let view = DeviceView::new(key, device, None);
        self.engine.put_device(at, view, &mut self.changes);
    }

    fn put_rules(&mut self, at: Timestamp, file: &str) {
        self.revision += 1;
        let specs = parse_toml(file, &self.read(file)).unwrap_or_else(|error| panic!("{error}"));
        for (id, spec) in specs {
            spec.validate(&catalogue())
                .unwrap_or_else(|error| panic!("{error}"));
            let revision = self.revision;
            let rule = Rule { id, revision, spec };
            self.engine.put_rule(at, rule, &mut self.changes);
        }
    }

    fn play(&mut self, line: &Json) {
        if let Some(to) = line.get("advance") {
            self.engine.advance(instant(to), &mut self.changes);
        } else if let Some(file) = line.get("put_rules") {
            self.put_rules(instant(&line["at"]), file.as_str().expect("a file"));
        } else if let Some(id) = line.get("remove_rule") {
            let id = id.as_str().expect("a rule's id");
            self.engine
                .remove_rule(instant(&line["at"]), id, &mut self.changes);
        } else if let Some(device) = line.get("put_device") {
            let device = serde_json::from_value(device.clone()).expect("a device");
            self.put_device(instant(&line["at"]), &device);
        } else if let Some(id) = line.get("remove_device") {
            let key = self.devices[id.as_str().expect("a device's id")];
            self.engine
                .remove_device(instant(&line["at"]), key, &mut self.changes);
        } else {
            self.play_reading(line);
        }
    }

    fn play_reading(&mut self, line: &Json) {
        let text = |key: &str| {
            line[key]
                .as_str()
                .unwrap_or_else(|| panic!("{key} in {line}"))
        };
        let metric = catalogue().find(text("metric")).expect("a built-in metric");
        let observed_at = instant(&line["observed_at"]);
        // On time unless the line says otherwise.
        let received_at = line.get("received_at").map_or(observed_at, instant);
        let quality = match line.get("quality").and_then(Json::as_str) {
            None => quality(u8::MAX),
            Some("bad") => quality(0),
            Some("uncertain") => quality(1),
            Some(other) => panic!("quality {other}"),
        };
        let reading = Reading {
            series: Series {
                device: self.devices[text("device")],
                metric,
            },
            value: match &line["value"] {
                Json::Object(_) => {
                    Value::Position(serde_json::from_value(line["value"].clone()).expect("a place"))
                }
                value => Value::number(value.as_f64().expect("a value")).expect("finite"),
            },
            quality,
            observed_at,
            received_at,
        };
        self.engine.apply(received_at, &reading, &mut self.changes);
    }

    fn event(&self, change: &Change) -> Option<Json> {
        let device = self.devices.iter().find(|(_, key)| **key == change.device);
        let (id, _) = device.expect("a known device");
        let mut event = Map::new();
        let mut put = |key: &str, value: Json| event.insert(key.to_owned(), value);
        put("alarm", json!(change.alarm));
        put("at", json!(brief(change.at)));
        put("rule", json!(change.rule));
        put("device", json!(id));
        if change.rule_revision != 1 {
            put("revision", json!(change.rule_revision));
        }
        if change.shadow {
            put("shadow", json!(true));
        }
        if let Some(scope) = &change.scope {
            put("scope", json!(scope));
        }
        let (what, figures, outcome) = match &change.what {
            What::Updated(_) => return None,
            What::Raised(figures) => ("raised", Some(figures), None),
            What::Escalated(figures) => ("escalated", Some(figures), None),
            What::Deescalated(figures) => ("deescalated", Some(figures), None),
            What::Cleared { reason, figures } => {
                if let Some(note) = reason.note() {
                    put("reason", json!(note));
                }
                ("cleared", Some(figures), None)
            }
            What::Amended(outcome) => ("amended", Some(&outcome.figures), Some(outcome)),
            What::Withdrawn => ("withdrawn", None, None),
            What::Recorded(outcome) => ("recorded", Some(&outcome.figures), Some(outcome)),
        };
        put("what", json!(what));
        put_figures(&mut event, figures, outcome);
        Some(Json::Object(event))
    }
}

fn put_figures(event: &mut Map<String, Json>, figures: Option<&Figures>, whole: Option<&Outcome>) {
    let mut put = |key: &str, value: Json| event.insert(key.to_owned(), value);
    if let Some(figures) = figures {
        put("severity", json!(figures.severity));
        put("value", json!(figures.value));
        put("limit", json!(figures.limit));
        put("peak", json!(figures.peak));
        put("count", json!(figures.count));
    }
    if let Some(whole) = whole {
        put("raised_at", json!(brief(whole.raised_at)));
        put("cleared_at", json!(whole.cleared_at.map(brief)));
    }
}

/// Every case plays on one morning, so that its times can be written briefly.
fn start() -> Timestamp {
    Timestamp::parse("2026-03-01T08:00:00Z").expect("an RFC 3339 time")
}

/// Leaves out what all times have in common: `08:00:10` and, if there are any, milliseconds.
fn brief(time: Timestamp) -> String {
    let text = time.to_string();
    let text = text.strip_prefix("2026-03-01T").unwrap_or(&text);
    let text = text.strip_suffix('Z').unwrap_or(text);
    text.strip_suffix(".000").unwrap_or(text).to_owned()
}

/// Fills in what [`brief`] left out, in every field that is a time.
fn whole_times(line: &mut Json) {
    let Some(fields) = line.as_object_mut() else {
        return;
    };
    for key in ["advance", "at", "observed_at", "received_at"] {
        if let Some(Json::String(time)) = fields.get_mut(key) {
            *time = format!("2026-03-01T{time}Z");
        }
    }
}

fn lines(text: &str) -> Vec<Json> {
    text.lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with("//"))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

fn check(case: &str) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(case);
    let mut case = Case::open(&dir);
    for mut line in lines(&case.read("readings.jsonl")) {
        whole_times(&mut line);
        case.play(&line);
    }
    let events: Vec<Json> = case.changes.iter().filter_map(|c| case.event(c)).collect();
    let expected = lines(&case.read("events.jsonl"));
    let show = |events: &[Json]| {
        let lines: Vec<String> = events.iter().map(Json::to_string).collect();
        lines.join("\n")
    };
    assert_eq!(
        show(&events),
        show(&expected),
        "\nin {}\ncame out:\n{}\nexpected:\n{}",
        dir.display(),
        show(&events),
        show(&expected)
    );
    let mut restarted = Case::open(&dir);
    for mut line in lines(&restarted.read("readings.jsonl")) {
        whole_times(&mut line);
        restarted.play(&line);
        let checkpoint = restarted.engine.checkpoint();
        restarted.engine =
            Engine::restore(settings(), catalogue(), &checkpoint).expect("a good checkpoint");
    }
    assert_eq!(
        restarted.changes, case.changes,
        "with a restart after every line"
    );
}

macro_rules! golden {
    ($($name:ident: $dir:literal,)*) => {
        $(#[test] fn $name() { check($dir); })*

        #[test]
        fn every_golden_folder_is_checked() {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
            let mut found = Vec::new();
            for kind in fs::read_dir(&root).expect("the golden folder") {
                let kind = kind.expect("a folder").path();
                for case in fs::read_dir(kind).expect("a kind's folder") {
                    let case = case.expect("a folder").path();
                    let case = case.strip_prefix(&root).expect("inside").to_owned();
                    found.push(case.to_str().expect("a plain name").to_owned());
                }
            }
            found.sort();
            let mut listed = vec![$($dir),*];
            listed.sort_unstable();
            assert_eq!(found, listed);
        }
    };
}

golden! {
    a_value_in_the_deadband_keeps_the_alarm: "threshold/deadband",
    the_alarm_is_raised_when_the_on_delay_ends: "threshold/on_delay",
    the_alarm_is_cleared_when_the_off_delay_ends: "threshold/off_delay",
    severity_steps_up_and_down_with_the_levels: "threshold/levels",
    a_value_below_the_limit_raises: "threshold/below",
    bad_values_do_not_raise_and_uncertain_ones_do: "threshold/quality",
    readings_out_of_order_withdraw_amend_and_raise: "threshold/out_of_order",
    late_readings_are_recorded_and_never_sound: "threshold/late",
    two_alarms_may_begin_at_one_instant: "threshold/same_instant",
    a_clock_far_ahead_counts_on_arrival: "threshold/clock_ahead",
    a_new_rule_takes_what_comes_after_it: "threshold/fresh",
    editing_a_rule_keeps_or_clears: "threshold/edit",
    a_rule_on_trial_is_marked: "threshold/shadow",
    silence_is_raised_when_patience_ends: "silence/after",
    the_cadence_times_the_factor_is_the_patience: "silence/factor",
    any_reading_is_a_sign_of_life: "silence/signs_of_life",
    a_reading_from_before_the_deadline_moves_the_silence: "silence/out_of_order",
    editing_a_device_keeps_or_clears: "silence/device_edit",
    the_mean_of_a_window_steps_through_the_levels: "window/mean",
    an_energy_mean_is_judged_when_its_hour_ends: "window/leq_blocks",
    too_little_of_a_window_neither_raises_nor_clears: "window/coverage",
    readings_above_a_value_are_counted: "window/count_above",
    readings_out_of_order_find_their_place_in_the_window: "window/out_of_order",
    what_came_before_the_schedule_is_in_no_window: "window/schedule",
    a_fall_is_measured_from_the_highest_of_the_window: "rate/fall",
    a_rise_may_be_given_in_percent: "rate/rise_pct",
    a_late_peak_makes_a_fall: "rate/out_of_order",
    a_value_that_does_not_move_is_frozen: "frozen/stuck",
    a_fence_is_full_by_its_own_capacity: "occupancy/full",
    a_rule_may_bring_the_capacity: "occupancy/own_capacity",
    a_clock_that_is_ahead_is_found_by_its_messages: "clock/ahead",
    a_clock_that_is_behind_differs_from_a_backlog: "clock/behind",
    two_detectors_of_one_site_within_a_minute: "composite/site",
    two_rules_on_one_device_at_once: "composite/at_once",
    a_device_takes_its_alarms_to_another_site: "composite/moved",
    a_rule_counts_in_its_hours: "schedule/hours",
    a_locked_bike_that_stays_outside_is_raised: "geofence/outside",
    riding_away_ends_the_alarm: "geofence/riding_clears",
    drift_beside_a_fence_is_no_alarm_and_a_slow_move_is: "geofence/drift",
    a_place_out_of_order_moves_the_dwell_time: "geofence/out_of_order",
    entering_a_forbidden_fence_raises: "geofence/inside",
    an_impossible_move_is_not_believed_until_it_stays: "geofence/speed",
    fences_that_are_devices_may_move: "geofence/fence_devices",
}
