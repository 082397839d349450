//! The kinds of devices that the simulator can be, as the hub's catalogue names them.

/// A kind of device.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    GasPressure,
    Smoke,
    Noise,
    Dust,
    BikeFence,
    Bike,
    Gateway,
    Camera,
    Sewage,
    Truck,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::GasPressure,
        Self::Smoke,
        Self::Noise,
        Self::Dust,
        Self::BikeFence,
        Self::Bike,
        Self::Gateway,
        Self::Camera,
        Self::Sewage,
        Self::Truck,
    ];

    /// Finds a kind by its name in the hub's catalogue.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name in the hub's catalogue.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::GasPressure => "gas_pressure",
            Self::Smoke => "smoke",
            Self::Noise => "noise",
            Self::Dust => "dust",
            Self::BikeFence => "bike_fence",
            Self::Bike => "bike",
            Self::Gateway => "gateway",
            Self::Camera => "camera",
            Self::Sewage => "sewage",
            Self::Truck => "truck",
        }
    }

    /// The part of a device id that tells the kind.
    pub(crate) fn short_name(self) -> &'static str {
        match self {
            Self::GasPressure => "gas",
            Self::Smoke => "smoke",
            Self::Noise => "noise",
            Self::Dust => "dust",
            Self::BikeFence => "fence",
            Self::Bike => "bike",
            Self::Gateway => "gw",
            Self::Camera => "cam",
            Self::Sewage => "sewage",
            Self::Truck => "truck",
        }
    }

    /// What people on site call such a device.
    pub(crate) fn chinese_name(self) -> &'static str {
        match self {
            Self::GasPressure => "调压箱",
            Self::Smoke => "烟感",
            Self::Noise => "噪声仪",
            Self::Dust => "扬尘仪",
            Self::BikeFence => "电子围栏",
            Self::Bike => "单车",
            Self::Gateway => "网关",
            Self::Camera => "视频探头",
            Self::Sewage => "污水监测仪",
            Self::Truck => "渣土车",
        }
    }

    /// Seconds between two messages.
    pub(crate) fn cadence_s(self) -> u32 {
        match self {
            Self::GasPressure
            | Self::Noise
            | Self::Dust
            | Self::Gateway
            | Self::Camera
            | Self::Sewage
            | Self::Truck => 60,
            Self::Smoke | Self::BikeFence | Self::Bike => 300,
        }
    }

    /// Major and minor class of the municipal component (部件) that the device watches, where the
    /// table of CJ/T 214 has one: 0135 燃气调压站(箱), 0113 消防设施, 0602 工地, 0212 存车支架,
    /// 0136 监控电子眼.
    pub(crate) fn component_class(self) -> Option<&'static str> {
        match self {
            Self::GasPressure => Some("0135"),
            Self::Smoke => Some("0113"),
            Self::Noise | Self::Dust => Some("0602"),
            Self::BikeFence => Some("0212"),
            Self::Camera => Some("0136"),
            Self::Bike | Self::Gateway | Self::Sewage | Self::Truck => None,
        }
    }
}
