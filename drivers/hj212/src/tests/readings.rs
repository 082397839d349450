//! What values become: metric, unit, quality, time.

use crate::{Command, Decoded, Dialect, Profile, Segment, codes};
use model::{Catalogue, Timestamp, Value};

fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::built_in();
    catalogue.extend(&codes::metrics()).unwrap();
    catalogue
}

fn decode(profile: &str, cn: &str, content: &str) -> Decoded {
    let profile: Profile = toml::from_str(&format!("codec = \"hj212\"\n{profile}")).unwrap();
    let catalogue = catalogue();
    let dialect = Dialect::new(profile, &catalogue).unwrap();
    let text = format!("QN=1;ST=39;CN={cn};MN=M1;Flag=5;CP=&&{content}&&");
    let segment = Segment::parse(&text).unwrap();
    let decoded = dialect.decode(&catalogue, &segment, Command::of(&segment).content);
    let counted = decoded.observations.len() + decoded.rejected.len();
    assert_eq!(decoded.received as usize, counted);
    decoded
}

/// Each observation as `metric=value quality`.
fn values(decoded: &Decoded) -> Vec<String> {
    let catalogue = catalogue();
    let text = |observation: &model::Observation| {
        let name = &catalogue.def(observation.metric).unwrap().name;
        let Value::Number(number) = observation.value else {
            panic!("a number");
        };
        format!("{name}={number} {}", observation.quality)
    };
    decoded.observations.iter().map(text).collect()
}

fn reasons(decoded: &Decoded) -> Vec<String> {
    let text = |rejected: &model::Rejected| {
        format!(
            "{} {}",
            rejected.metric.as_deref().unwrap_or("-"),
            rejected.reason
        )
    };
    decoded.rejected.iter().map(text).collect()
}

#[test]
fn the_unit_of_dust_is_the_profiles_and_else_the_standards() {
    let dust =
        |profile, value: &str| values(&decode(profile, "2011", &format!("a34001-Rtd={value}")));
    assert_eq!(dust("", "75600"), ["tsp_ugm3=75.6 good"]);
    assert_eq!(
        dust("units.a34001 = \"ug/m3\"", "75.6"),
        ["tsp_ugm3=75.6 good"]
    );
    assert_eq!(
        dust("units.a34001 = \"mg/m3\"", "0.0756"),
        ["tsp_ugm3=75.6 good"]
    );
}

#[test]
fn a_value_that_is_off_by_a_thousand_is_in_doubt_and_raises_nothing_by_itself() {
    let dust = |profile, value: &str| decode(profile, "2011", &format!("a34001-Rtd={value}"));
    let unset = dust("", "75.6");
    assert_eq!(values(&unset), ["tsp_ugm3=0.0756 uncertain:range"]);
    assert_eq!(unset.doubtful_code.as_deref(), Some("a34001"));
    let too_great = dust("units.a34001 = \"ug/m3\"", "178000");
    assert_eq!(values(&too_great), ["tsp_ugm3=178000 bad:range"]);
    // Clean air and an instrument that is off both say 0.
    assert_eq!(values(&dust("", "0.0")), ["tsp_ugm3=0 good"]);
}

#[test]
fn data_flags_say_what_a_value_is_worth() {
    for (flag, quality) in [
        ("N", "good"),
        ("T", "uncertain:flag"),
        ("F", "bad:flag"),
        ("M", "bad:flag"),
        ("S", "bad:flag"),
        ("D", "bad:flag"),
        ("C", "bad:flag"),
        ("B", "bad:flag"),
        ("?", "uncertain:flag"),
    ] {
        let decoded = decode("", "2011", &format!("LA-Rtd=63.2,LA-Flag={flag}"));
        assert_eq!(values(&decoded), [format!("laeq_dba=63.2 {quality}")]);
        assert_eq!(decoded.is_faulty, Some(matches!(flag, "D" | "B")), "{flag}");
    }
    let over = decode("over_range = \"bad\"", "2011", "LA-Flag=T,LA-Rtd=63.2");
    assert_eq!(values(&over), ["laeq_dba=63.2 bad:flag"]);
    let one_for_all = decode("", "2011", "LA-Rtd=63.2;a01001-Rtd=19.3;Flag=D");
    assert_eq!(
        values(&one_for_all),
        ["laeq_dba=63.2 bad:flag", "temperature_c=19.3 bad:flag"]
    );
    assert_eq!(decode("", "2011", "LA-Rtd=63.2").is_faulty, None);
}

#[test]
fn what_is_no_number_or_stands_for_none_is_counted_and_not_stored() {
    for value in [
        "",
        "-",
        "--",
        "null",
        "NaN",
        "inf",
        "-Infinity",
        "1,5",
        "0x10",
        "1e999",
    ] {
        let decoded = decode("", "2011", &format!("LA-Rtd={value}"));
        let expected = if value == "1,5" {
            vec![]
        } else {
            vec!["LA not_a_number"]
        };
        assert_eq!(reasons(&decoded), expected, "{value}");
    }
    let decoded = decode(
        "sentinels = [-9999, 9999]",
        "2011",
        "LA-Rtd=-9999.00;a01001-Rtd=9999",
    );
    assert_eq!(reasons(&decoded), ["LA sentinel", "a01001 sentinel"]);
}

#[test]
fn codes_and_fields_that_nobody_knows_are_counted_beside_the_good_ones() {
    let decoded = decode(
        "",
        "2011",
        "a2106-Rtd=0.036,a2106-Flag=N;LA-Rtd=63.2;LA-ZsRtd=1;LA-Max=70",
    );
    assert_eq!(values(&decoded), ["laeq_dba=63.2 good"]);
    assert_eq!(
        reasons(&decoded),
        ["a2106 unknown_code", "LA unknown_field", "LA unknown_field"]
    );
    let profile = "codes = { a2106 = \"so2_ugm3\" }\nunits = { a2106 = \"mg/m3\" }";
    assert_eq!(
        values(&decode(profile, "2011", "a2106-Rtd=0.036")),
        ["so2_ugm3=36 good"]
    );
}

#[test]
fn the_second_value_of_a_metric_in_one_frame_is_refused_and_not_lost_silently() {
    let decoded = decode("", "2011", "LA-Rtd=63.2;Leq-Rtd=60.1");
    assert_eq!(values(&decoded), ["laeq_dba=63.2 good"]);
    assert_eq!(reasons(&decoded), ["Leq duplicate_key"]);
}

#[test]
fn statistics_go_to_metrics_of_their_own() {
    let minute = decode(
        "",
        "2051",
        "w01018-Cou=10.5,w01018-Min=40.1,w01018-Avg=40.2,w01018-Max=40.3,w01018-Flag=N;",
    );
    assert_eq!(
        values(&minute),
        [
            "minute_sum_cod_kg=10.5 good",
            "minute_min_cod_mgl=40.1 good",
            "minute_avg_cod_mgl=40.2 good",
            "minute_max_cod_mgl=40.3 good"
        ]
    );
    let hour = decode("", "2061", "L10-Data=53.0;Leq-Data=50.0;LMx-Data=54.0");
    assert_eq!(
        values(&hour),
        [
            "hour_l10_dba=53 good",
            "hour_laeq_dba=50 good",
            "hour_lamax_dba=54 good"
        ]
    );
    let day = decode(
        "",
        "2031",
        "Leq-DayData=55.0;Leq-NightData=45.0;a34004-Avg=75600",
    );
    assert_eq!(
        values(&day),
        [
            "daytime_laeq_dba=55 good",
            "night_laeq_dba=45 good",
            "day_avg_pm25_ugm3=75.6 good"
        ]
    );
    // ValidNum and TotalNum say something of a value and are none.
    let counted = decode(
        "",
        "2051",
        "a01006-Avg=101.85,a01006-ValidNum=10,a01006-TotalNum=10",
    );
    assert_eq!(
        values(&counted),
        ["minute_avg_air_pressure_kpa=101.85 good"]
    );
}

#[test]
fn times_are_of_the_sample_or_of_the_start_of_the_period() {
    let at = |profile, cn, content: &str| {
        let decoded = decode(profile, cn, &format!("DataTime=20260301080000;{content}"));
        decoded.observations[0].observed_at.unwrap().to_string()
    };
    assert_eq!(at("", "2011", "LA-Rtd=60"), "2026-03-01T00:00:00.000Z");
    assert_eq!(at("", "2061", "Leq-Data=60"), "2026-03-01T00:00:00.000Z");
    let end = "period_label = \"end\"";
    assert_eq!(at(end, "2061", "Leq-Data=60"), "2026-02-28T23:00:00.000Z");
    assert_eq!(at(end, "2051", "Leq-Data=60"), "2026-02-28T23:50:00.000Z");
    assert_eq!(at(end, "2011", "LA-Rtd=60"), "2026-03-01T00:00:00.000Z");
}

#[test]
fn minute_averages_are_readings_only_of_devices_that_have_no_others() {
    let profile = "averages_as_readings = true\nminute_interval_min = 5\nunits.a34004 = \"ug/m3\"";
    let decoded = decode(
        profile,
        "2051",
        "DataTime=20260301080000;a34004-Avg=14,a34004-Max=15",
    );
    assert_eq!(
        values(&decoded),
        ["pm25_ugm3=14 good", "minute_max_pm25_ugm3=15 good"]
    );
    let times = decoded
        .observations
        .iter()
        .map(|o| o.observed_at.unwrap().to_string());
    assert_eq!(
        times.collect::<Vec<_>>(),
        ["2026-03-01T00:05:00.000Z", "2026-03-01T00:00:00.000Z"]
    );
}

#[test]
fn a_time_that_cannot_be_read_costs_the_time_and_not_the_value() {
    let decoded = decode("", "2011", "DataTime=2024112320423050;LA-Rtd=60");
    assert_eq!(values(&decoded), ["laeq_dba=60 uncertain:clock"]);
    assert_eq!(decoded.observations[0].observed_at, None::<Timestamp>);
    let decoded = decode("", "2011", "LA-Rtd=60");
    assert_eq!(values(&decoded), ["laeq_dba=60 good"]);
}
