//! Bodies of messages: registration, authentication, location, batch.

use encoding_rs::GBK;

/// Bytes of 位置基本信息, table 23.
const LOCATION_BYTES: usize = 28;

/// 状态位, table 25.
pub(crate) mod status {
    pub(crate) const IGNITION: u32 = 1;
    pub(crate) const FIX: u32 = 1 << 1;
    pub(crate) const SOUTH: u32 = 1 << 2;
    pub(crate) const WEST: u32 = 1 << 3;
    /// 经纬度经保密插件加密: such coordinates are of no use.
    pub(crate) const ENCRYPTED: u32 = 1 << 5;
    pub(crate) const LOAD_AT: u32 = 8;
    pub(crate) const LOAD: u32 = 0b11;
    pub(crate) const DOOR_LOCKED: u32 = 1 << 12;
}

/// 位置信息汇报, 8.12 (2019: 8.12).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Location<'a> {
    pub(crate) alarm: u32,
    pub(crate) status: u32,
    pub(crate) lat: f64,
    pub(crate) lon: f64,
    pub(crate) altitude_m: u16,
    pub(crate) speed_kmh: f64,
    pub(crate) direction: u16,
    /// YYMMDDhhmmss, GMT+8, BCD.
    pub(crate) time: [u8; 6],
    extras: &'a [u8],
}

impl<'a> Location<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Option<Self> {
        let long = |at: usize| {
            let four = body.get(at..at + 4)?;
            Some(u32::from_be_bytes(four.try_into().ok()?))
        };
        let word = |at: usize| {
            let two = body.get(at..at + 2)?;
            Some(u16::from_be_bytes(two.try_into().ok()?))
        };
        let status = long(4)?;
        let degrees = |at: usize, negative: u32| {
            let size = f64::from(long(at)?) / 1e6;
            Some(if status & negative == 0 { size } else { -size })
        };
        Some(Self {
            alarm: long(0)?,
            status,
            lat: degrees(8, status::SOUTH)?,
            lon: degrees(12, status::WEST)?,
            altitude_m: word(16)?,
            speed_kmh: f64::from(word(18)?) / 10.0,
            direction: word(20)?,
            time: body.get(22..LOCATION_BYTES)?.try_into().ok()?,
            extras: body.get(LOCATION_BYTES..)?,
        })
    }

    /// Gives 位置附加信息, table 26: id and value. A length beyond the end, as from padding, is cut.
    pub(crate) fn extras(&self) -> impl Iterator<Item = (u8, &'a [u8])> {
        let mut rest = self.extras;
        std::iter::from_fn(move || {
            let [id, len, values @ ..] = rest else {
                return None;
            };
            let (value, after) = values.split_at(usize::from(*len).min(values.len()));
            rest = after;
            Some((*id, value))
        })
    }

    /// Tells whether the coordinates are those of the truck: fixed, in the clear, and on the globe.
    pub(crate) fn has_place(&self) -> bool {
        let usable = self.status & (status::FIX | status::ENCRYPTED) == status::FIX;
        let on_globe = self.lat.abs() <= 90.0 && self.lon.abs() <= 180.0;
        // Receivers without a fix that claim one say 0, 0.
        usable && on_globe && (self.lat != 0.0 || self.lon != 0.0)
    }
}

/// 定位数据批量上传, 8.49: locations, and whether they make up for a time out of reach (盲区补报).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch<'a> {
    pub(crate) count: u16,
    pub(crate) kind: u8,
    items: &'a [u8],
}

impl<'a> Batch<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Option<Self> {
        let [high, low, kind, items @ ..] = body else {
            return None;
        };
        Some(Self {
            count: u16::from_be_bytes([*high, *low]),
            kind: *kind,
            items,
        })
    }

    pub(crate) fn is_backfill(&self) -> bool {
        self.kind == 1
    }

    /// Gives the bodies of its locations, as many as are whole.
    pub(crate) fn items(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.items;
        std::iter::from_fn(move || {
            let [high, low, values @ ..] = rest else {
                return None;
            };
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            let (item, after) = values.split_at_checked(len)?;
            rest = after;
            Some(item)
        })
    }
}

/// 终端注册, 8.5; its fields are wider in each edition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registration {
    pub(crate) province: u16,
    pub(crate) city: u16,
    pub(crate) maker: String,
    pub(crate) model: String,
    pub(crate) terminal: String,
    pub(crate) plate_color: u8,
    pub(crate) plate: String,
}

impl Registration {
    pub(crate) fn read(body: &[u8], is_2019: bool) -> Option<Self> {
        // Maker, model and terminal in 2019, 2013 and 2011.
        let widths = match (is_2019, body.len()) {
            (true, _) => [11, 30, 30],
            (false, 37..) => [5, 20, 7],
            (false, _) => [5, 8, 7],
        };
        let [a, b, c, d, rest @ ..] = body else {
            return None;
        };
        let (maker, rest) = rest.split_at_checked(widths[0])?;
        let (model, rest) = rest.split_at_checked(widths[1])?;
        let (terminal, rest) = rest.split_at_checked(widths[2])?;
        let (plate_color, plate) = rest.split_first()?;
        Some(Self {
            province: u16::from_be_bytes([*a, *b]),
            city: u16::from_be_bytes([*c, *d]),
            maker: text(maker),
            model: text(model),
            terminal: text(terminal),
            plate_color: *plate_color,
            plate: text(plate),
        })
    }
}

/// 终端鉴权, 8.8: the code; 2019 writes its length first, and more behind it.
pub(crate) fn code(body: &[u8], is_2019: bool) -> String {
    let long = body.split_first().filter(|_| is_2019);
    let long = long.and_then(|(len, rest)| rest.get(..usize::from(*len)));
    text(long.unwrap_or(body))
}

/// Reads GBK without its padding, which stands on either side.
fn text(bytes: &[u8]) -> String {
    let (text, _) = GBK.decode_without_bom_handling(bytes);
    text.trim_matches(['\0', ' ']).to_owned()
}
