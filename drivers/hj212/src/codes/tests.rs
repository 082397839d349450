//! The tables, and the metrics that come of them.

use super::{Scale, metrics, resolve, table_rows};
use crate::command::Period;
use crate::profile::Profile;
use model::Catalogue;

fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::built_in();
    catalogue.extend(&metrics()).unwrap();
    catalogue
}

#[test]
fn units_of_one_quantity_become_one_another() {
    let scaled = |from, to, value| Scale::between(from, to).map(|scale| scale.apply(value));
    assert_eq!(scaled("ng/m3", "µg/m3", 75_600.0), Ok(75.6));
    assert_eq!(scaled("mg/m³", "ug/m3", 0.0756), Ok(75.6));
    assert_eq!(scaled("hPa", "kPa", 1013.0), Ok(101.3));
    assert_eq!(scaled("m3/h", "L/s", 36.0), Ok(10.0));
    assert_eq!(scaled("mS/cm", "uS/cm", 1.425), Ok(1425.0));
    assert!(scaled("kPa", "ug/m3", 1.0).is_err());
    assert!(scaled("furlong", "m/s", 1.0).is_err());
}

#[test]
fn every_code_of_the_table_has_its_metrics() {
    let catalogue = catalogue();
    let codes = resolve(&Profile::default(), &catalogue).unwrap();
    for row in table_rows() {
        let code = &codes[row.code];
        assert_eq!(code.reading.is_some(), row.like.is_empty(), "{}", row.code);
        let sub = if row.unit == super::SOUND {
            "Data"
        } else {
            "Avg"
        };
        for period in Period::ALL {
            assert!(
                code.statistic(period, sub).is_some(),
                "{} {period:?}",
                row.code
            );
        }
        let total = code.statistic(Period::Hour, "Cou");
        assert_eq!(
            total.is_some(),
            !row.total_metric.is_empty(),
            "{}",
            row.code
        );
    }
}

#[test]
fn statistics_have_metrics_of_their_own_in_the_unit_of_the_reading() {
    let catalogue = catalogue();
    for (name, unit, zh) in [
        ("hour_avg_tsp_ugm3", "µg/m3", "总悬浮颗粒物小时平均"),
        ("minute_max_cod_mgl", "mg/L", "化学需氧量分钟最大"),
        ("day_sum_flow_m3", "m3", "流量日累计"),
        ("hour_laeq_dba", "dB(A)", "小时等效声级"),
        ("night_ln_dba", "dB(A)", "夜间夜间等效声级"),
        ("hour_l10_dba", "dB(A)", "小时累积百分声级L10"),
    ] {
        let def = catalogue.def(catalogue.find(name).unwrap()).unwrap();
        assert_eq!(
            (def.unit.as_str(), def.name_zh.as_deref()),
            (unit, Some(zh))
        );
    }
    assert_eq!(catalogue.find("hour_sum_tsp_ugm3"), None);
}

#[test]
fn a_profile_that_cannot_be_resolved_says_why() {
    let profile = |text: &str| toml::from_str::<Profile>(&format!("codec = \"hj212\"\n{text}"));
    let refused = |text| resolve(&profile(text).unwrap(), &catalogue()).unwrap_err();
    assert_eq!(
        refused("units.a34001 = \"kPa\""),
        "code `a34001`: `kPa` is no unit of mass concentration"
    );
    assert_eq!(
        refused("codes.x1 = \"nothing\""),
        "code `x1`: there is no metric `nothing`"
    );
    assert!(refused("units.x1 = \"mg/m3\"").starts_with("units: no code `x1`"));
    assert!(profile("sm4_key = \"12\"").is_err());
    assert!(profile("checksum = []").is_err());
}
