//! The protobuf of Sparkplug B as far as it is read (Sparkplug 3.0, 6.4 and its `sparkplug_b.proto`).
//!
//! Texts are read as bytes: one that is no UTF-8 must not cost the values beside it. What is not named
//! here (data sets, templates, metadata) is passed over by the decoder.

/// `org.eclipse.tahu.protobuf.Payload`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Payload {
    #[prost(uint64, optional, tag = "1")]
    pub(super) timestamp: Option<u64>,
    #[prost(message, repeated, tag = "2")]
    pub(super) metrics: Vec<Metric>,
    #[prost(uint64, optional, tag = "3")]
    pub(super) seq: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Metric {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(super) name: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "2")]
    pub(super) alias: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    pub(super) timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "4")]
    pub(super) datatype: Option<u32>,
    #[prost(bool, optional, tag = "7")]
    pub(super) is_null: Option<bool>,
    #[prost(message, optional, tag = "9")]
    pub(super) properties: Option<Properties>,
    #[prost(oneof = "Scalar", tags = "10, 11, 12, 13, 14, 15")]
    pub(super) value: Option<Scalar>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Scalar {
    #[prost(uint32, tag = "10")]
    Int(u32),
    #[prost(uint64, tag = "11")]
    Long(u64),
    #[prost(float, tag = "12")]
    Float(f32),
    #[prost(double, tag = "13")]
    Double(f64),
    #[prost(bool, tag = "14")]
    Boolean(bool),
    #[prost(bytes, tag = "15")]
    Text(Vec<u8>),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Properties {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(super) keys: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "2")]
    pub(super) values: Vec<Property>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Property {
    #[prost(oneof = "Said", tags = "3, 4, 8")]
    pub(super) value: Option<Said>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Said {
    #[prost(uint32, tag = "3")]
    Int(u32),
    #[prost(uint64, tag = "4")]
    Long(u64),
    #[prost(bytes, tag = "8")]
    Text(Vec<u8>),
}

impl Metric {
    /// Its name; an empty one is none.
    pub(super) fn called(&self) -> Option<String> {
        let name = self.name.as_deref().filter(|name| !name.is_empty())?;
        Some(String::from_utf8_lossy(name).into_owned())
    }

    /// Its datatype; 0 stands for unknown.
    pub(super) fn kind(&self) -> Option<u32> {
        self.datatype.filter(|datatype| *datatype != 0)
    }

    /// The property `engUnit`, in whatever case.
    pub(super) fn unit(&self) -> Option<String> {
        match self.property(b"engUnit")? {
            Said::Text(unit) => Some(String::from_utf8_lossy(unit).into_owned()),
            Said::Int(_) | Said::Long(_) => None,
        }
    }

    /// The property `Quality`, in whatever case.
    pub(super) fn quality(&self) -> Option<u32> {
        match self.property(b"Quality")? {
            Said::Int(code) => Some(*code),
            Said::Long(code) => u32::try_from(*code).ok(),
            Said::Text(_) => None,
        }
    }

    fn property(&self, name: &[u8]) -> Option<&Said> {
        let properties = self.properties.as_ref()?;
        let mut named = properties.keys.iter().zip(&properties.values);
        let found = named.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        found.1.value.as_ref()
    }
}

/// The numbers of the datatypes.
pub(super) mod datatype {
    pub(in super::super) const INT8: u32 = 1;
    pub(in super::super) const INT16: u32 = 2;
    pub(in super::super) const INT32: u32 = 3;
    pub(in super::super) const INT64: u32 = 4;
    const UINT8: u32 = 5;
    const UINT64: u32 = 8;
    pub(in super::super) const BOOLEAN: u32 = 11;
    const STRING: u32 = 12;
    const DATE_TIME: u32 = 13;
    const UUID: u32 = 15;
    const DATA_SET: u32 = 16;
    const BYTES: u32 = 17;
    const FILE: u32 = 18;
    const TEMPLATE: u32 = 19;
    const LAST: u32 = 34;

    /// Tells whether it is counted from zero: the unsigned ones, and milliseconds of a time.
    pub(in super::super) fn is_whole(datatype: u32) -> bool {
        (UINT8..=UINT64).contains(&datatype) || datatype == DATE_TIME
    }

    pub(in super::super) fn is_text(datatype: u32) -> bool {
        (STRING..=UUID).contains(&datatype) && datatype != DATE_TIME
            || matches!(datatype, BYTES | FILE)
    }

    /// Tells whether it holds more than one value: data sets, templates, property sets, arrays.
    pub(in super::super) fn is_structure(datatype: u32) -> bool {
        datatype == DATA_SET || (TEMPLATE..=LAST).contains(&datatype)
    }
}
