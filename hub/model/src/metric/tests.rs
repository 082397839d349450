//! The table of metrics: what is built in, and what a city makes of it.

use super::{Catalogue, MetricKey, Pace};
use crate::{Quality, Value, reading::Cause};

#[test]
fn the_built_in_table_has_every_metric_and_kind_of_the_contract() {
    let catalogue = Catalogue::built_in();
    for name in [
        "pressure_kpa",
        "temperature_c",
        "humidity_pct",
        "battery_pct",
        "smoke_obscuration_dbm",
        "smoke_alarm",
        "fault",
        "laeq_dba",
        "lamax_dba",
        "pm10_ugm3",
        "pm25_ugm3",
        "tsp_ugm3",
        "wind_speed_ms",
        "wind_direction_deg",
        "air_pressure_kpa",
        "parked_count",
        "position",
    ] {
        assert!(catalogue.find(name).is_some(), "{name}");
    }
    for kind in [
        "gas_pressure",
        "smoke",
        "noise",
        "dust",
        "bike_fence",
        "bike",
        "gateway",
    ] {
        assert!(catalogue.has_kind(kind), "{kind}");
    }
}

#[test]
fn a_value_outside_the_plausible_range_is_bad() {
    let catalogue = Catalogue::built_in();
    let humidity = catalogue.find("humidity_pct").unwrap();
    assert_eq!(
        catalogue.judge(humidity, &Value::Number(55.0)),
        Quality::GOOD
    );
    assert_eq!(
        catalogue.judge(humidity, &Value::Number(155.0)),
        Quality::bad(Cause::Range)
    );
}

#[test]
fn numbers_given_by_the_store_are_kept() {
    let known = ["battery_pct".to_owned(), "gone_metric".to_owned()];
    let catalogue = Catalogue::built_in().numbered_like(&known);
    assert_eq!(catalogue.find("battery_pct"), Some(MetricKey(0)));
    assert_eq!(catalogue.find("gone_metric"), Some(MetricKey(1)));
    assert_eq!(catalogue.find("pressure_kpa"), Some(MetricKey(2)));
}

#[test]
fn a_bad_row_is_named_with_its_line() {
    let error = Catalogue::built_in().extend("name,unit,shape,min,max\nco_ppm,ppm,number,x,\n");
    let error = error.unwrap_err();
    assert_eq!((error.line, error.reason.as_str()), (2, "`x` is no number"));
}

#[test]
fn a_city_sets_limits_of_its_own_for_all_devices_or_those_of_a_kind() {
    let mut catalogue = Catalogue::built_in();
    catalogue
        .extend(
            "name,kind,max,rate_max_per_s,stuck_after_s,source\n\
             temperature_c,,90,2.5,600,local\n\
             temperature_c,smoke,,,none,\"a, b\"\n",
        )
        .unwrap();
    let key = catalogue.find("temperature_c").unwrap();
    let def = catalogue.def(key).unwrap();
    assert_eq!((def.min, def.max), (Some(-60.0), Some(90.0)));
    let pace = |rate_max_per_s, stuck_after_s| Pace {
        rate_max_per_s,
        stuck_after_s,
    };
    assert_eq!(catalogue.pace("dust", key), pace(Some(2.5), Some(600)));
    assert_eq!(catalogue.pace("smoke", key), pace(Some(2.5), None));
    let again = catalogue.numbered_like(&[]);
    assert_eq!(again.pace("smoke", key), pace(Some(2.5), None));
}

#[test]
fn a_row_that_contradicts_the_table_or_makes_no_sense_is_refused() {
    let refused = |table: &str| {
        let error = Catalogue::built_in().extend(table).unwrap_err();
        (error.line, error.reason)
    };
    for (table, line, reason) in [
        (
            "name,unit\ntemperature_c,K\n",
            2,
            "metric `temperature_c` is in `°C`, not in `K`",
        ),
        ("name,colour\n", 1, "unknown column `colour`"),
        (
            "name,derived\ntemperature_c,maybe\n",
            2,
            "`maybe` is not `yes`",
        ),
        ("unit\n", 1, "there is no column `name`"),
        (
            "name,rate_max_per_s\ntemperature_c,0\n",
            2,
            "`rate_max_per_s` must be above 0",
        ),
        (
            "name,kind,max\ntemperature_c,smoke,9\n",
            2,
            "`min` and `max` hold for every kind",
        ),
        (
            "name,kind,stuck_after_s\ntemperature_c,ufo,9\n",
            2,
            "unknown kind `ufo`",
        ),
    ] {
        assert_eq!(refused(table), (line, reason.to_owned()), "{table}");
    }
}
