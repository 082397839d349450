//! Bodies: the vectors, what the field does otherwise, and what must not be taken.

use super::{NoticeError, read};

/// The open vectors of one kind of probe, by name.
pub(crate) fn vectors(probe: &str) -> Vec<serde_json::Value> {
    let all = include_str!("../../testdata/vectors.jsonl").lines();
    let read = all.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    read.filter(|vector| vector["probe"] == probe).collect()
}

#[test]
fn every_vector_decodes_as_it_says() {
    let vectors = vectors("gb28181-xml");
    assert_eq!(vectors.len(), 2);
    for vector in vectors {
        let notice = read(vector["input_text"].as_str().unwrap().as_bytes()).unwrap();
        let expect = &vector["expect"];
        assert_eq!(notice.command, expect["cmd"].as_str().unwrap());
        assert_eq!(notice.serial, expect["sn"].as_u64());
        assert_eq!(notice.device, expect["device_id"].as_str().unwrap());
        assert_eq!(notice.status.as_deref(), expect["status"].as_str());
        let faulty: Vec<&str> = match expect["faulty_channels"].as_array() {
            Some(ids) => ids.iter().map(|id| id.as_str().unwrap()).collect(),
            None => Vec::new(),
        };
        assert_eq!(notice.faulty, faulty);
    }
}

#[test]
fn the_root_the_namespace_and_the_encoding_do_not_matter() {
    let text = "<q:Query xmlns:q='urn:x'><q:CmdType>Keepalive</q:CmdType><q:DeviceID> 3402 </q:DeviceID>\
                <q:Status>ON</q:Status></q:Query>\0\0";
    let notice = read(text.as_bytes()).unwrap();
    assert_eq!(
        (notice.command.as_str(), notice.device.as_str()),
        ("Keepalive", "3402")
    );
    // 前门 in GB 2312, declared as UTF-8.
    let mut bytes =
        b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><CmdType>Catalog</CmdType>\
        <DeviceID>1</DeviceID><DeviceList Num=\"1\"><Item><DeviceID>2</DeviceID><Name>"
            .to_vec();
    bytes.extend([0xc7, 0xb0, 0xc3, 0xc5]);
    bytes.extend(
        b"</Name><Status>OFF</Status></Item><Item><Name>x</Name></Item></DeviceList></Response>",
    );
    let notice = read(&bytes).unwrap();
    assert_eq!(notice.channels, [("2".to_owned(), "OFF".to_owned())]);
}

#[test]
fn an_alarm_tells_its_level_its_way_and_its_time() {
    let text = "<Notify><CmdType>Alarm</CmdType><SN>1</SN><DeviceID>34020000001340000001</DeviceID>\
        <AlarmPriority>4</AlarmPriority><AlarmMethod>2</AlarmMethod>\
        <AlarmTime>2009-12-04T16:23:32</AlarmTime></Notify>";
    let notice = read(text.as_bytes()).unwrap();
    assert_eq!(
        (notice.alarm_priority, notice.alarm_method),
        (Some(4), Some(2))
    );
    assert_eq!(notice.alarm_time.as_deref(), Some("2009-12-04T16:23:32"));
}

#[test]
fn document_types_endless_documents_and_other_texts_are_refused() {
    let bomb = "<!DOCTYPE l [<!ENTITY a \"aaaa\">]><Notify><CmdType>&a;</CmdType></Notify>";
    assert_eq!(read(bomb.as_bytes()), Err(NoticeError::Dtd));
    let wide = format!("<a>{}</a>", "<b/>".repeat(30_000));
    assert_eq!(read(wide.as_bytes()), Err(NoticeError::TooLarge));
    let deep = format!("{}{}", "<a>".repeat(9_000), "</a>".repeat(9_000));
    assert_eq!(read(deep.as_bytes()), Err(NoticeError::Missing("CmdType")));
    for text in [
        "",
        "\0",
        "hello",
        "<Notify>",
        "<a></b>",
        "<Notify><CmdType>&x;</CmdType></Notify>",
    ] {
        let error = read(text.as_bytes()).unwrap_err();
        assert_eq!(error.reason(), "bad_xml", "{text}");
    }
    let nameless = "<Notify><CmdType>Keepalive</CmdType></Notify>";
    assert_eq!(
        read(nameless.as_bytes()),
        Err(NoticeError::Missing("DeviceID"))
    );
}

proptest::proptest! {
    #[test]
    fn nothing_that_comes_makes_it_panic(text in "[<>/a-c &;!\\[\\]?\"'=]{0,80}") {
        drop(read(text.as_bytes()));
    }
}
