//! The city of the tests, and what its configuration says of the console.

pub(super) fn city() -> crate::City {
    crate::City {
        name: "示范市".to_owned(),
        code: "350200".to_owned(),
        time_zone: "Asia/Shanghai".to_owned(),
    }
}

pub(super) fn desk() -> crate::DeskSetup {
    let layer = |style, name: &str| {
        let json = format!(r#"{{"type":"FeatureCollection","features":[],"name":"{name}"}}"#);
        (name.to_owned(), crate::Layer::new(style, json))
    };
    crate::DeskSetup {
        map: crate::MapSetup {
            zoom: 13,
            layers: [layer("road", "roads"), layer("grid", "grid")].into(),
            tiles: Some(crate::Tiles {
                url: "https://t{s}.example/{z}/{x}/{y}.png".to_owned(),
                crs: "EPSG3857",
                datum: "wgs84",
                attribution: "示范".to_owned(),
                approval_no: None,
                subdomains: "01".to_owned(),
                hosts: vec![
                    "https://t0.example".to_owned(),
                    "https://t1.example".to_owned(),
                ],
            }),
            ..crate::MapSetup::default()
        },
        quick_phrases: model::quick_phrases(),
        ..crate::DeskSetup::default()
    }
}
