//! Replays `testdata/vectors.jsonl`: every vector, every member of `expect`.

use crate::frame::{Block, Data, Reader, Reply, Request, Table, Trouble};
use crate::link::{Failure, Link, RtuLink, TcpLink};
use crate::map::{Library, Map, MapFile};
use crate::readings::{Sheet, decode};
use model::{Catalogue, Observation, Value as Number};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

const TIMEOUT: Duration = Duration::from_secs(1);

fn vectors() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/vectors.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn input(vector: &Value) -> Vec<u8> {
    let hex = vector["input_hex"].as_str().unwrap();
    crate::texts::bytes(&format!("hex:{hex}")).unwrap()
}

fn block(count: usize) -> Block {
    Block {
        table: Table::Holding,
        at: 0,
        count: u16::try_from(count).unwrap(),
    }
}

/// Reads a frame as the answer to the request that fits it.
fn rtu(bytes: &[u8], unit: u8, count: usize, known: &[&str]) -> Result<Data, Trouble> {
    let known: Arc<[Vec<u8>]> = known.iter().map(|text| text.as_bytes().to_vec()).collect();
    let mut reader = Reader::new(known);
    let request = Request::Read(block(count));
    // Byte by byte: that is the hardest.
    for byte in bytes {
        reader.feed(&[*byte]);
        match reader.find(unit, &request) {
            Some(found) => match found.reply {
                Reply::Data(data) => return Ok(data),
                other => panic!("{other:?}"),
            },
            None => continue,
        }
    }
    Err(reader.trouble(unit, &request))
}

/// Has the bytes answered over a connection, as the second request (transaction 1).
async fn tcp(bytes: &[u8], unit: u8, count: usize) -> Result<Reply, Failure> {
    let (ours, mut theirs) = duplex(1024);
    let mut link = Link::Tcp(TcpLink::attached(ours));
    let request = Request::Read(block(count));
    let answer = async {
        let mut asked = [0; 12];
        theirs.read_exact(&mut asked).await.unwrap();
        theirs
            .write_all(&[0, 0, 0, 0, 0, 3, unit, 0x83, 6])
            .await
            .unwrap();
        theirs.read_exact(&mut asked).await.unwrap();
        assert_eq!(asked[..2], [0, 1], "transaction 1");
        theirs.write_all(bytes).await.unwrap();
    };
    let ask = async {
        let first = link.ask(unit, &request, TIMEOUT).await;
        assert_eq!(first, Ok(Reply::Exception(6)));
        link.ask(unit, &request, TIMEOUT).await
    };
    tokio::join!(ask, answer).0
}

/// Makes a map of one reading of what a vector says about a value.
fn map_of(decode: &Value, at: u64) -> Map {
    let kind = decode["type"].as_str().unwrap_or("u16");
    let order = decode["order"].as_str().unwrap_or("ABCD");
    let scale = decode["scale"].as_f64().unwrap_or(1.0);
    let text = format!(
        "title = 't'\nsource = 's'\nmark = 'V'\n[readings.laeq_dba]\nat = {at}\ntype = '{kind}'\n\
         order = '{order}'\nscale = {scale}\nunit = 'dB(A)'\n"
    );
    let file: MapFile = toml::from_str(&text).unwrap();
    Map::new("vector", &file, &BTreeMap::new(), &Catalogue::built_in()).unwrap()
}

fn value(map: &Map, data: &Data, blocks: &[Block]) -> f64 {
    let data = [Some(data.clone())];
    let decoded = decode(
        map,
        &Sheet {
            blocks,
            data: &data,
        },
    );
    assert_eq!(decoded.rejected, []);
    number(&decoded.observations[0])
}

fn number(observation: &Observation) -> f64 {
    let Number::Number(number) = observation.value else {
        panic!("{observation:?}");
    };
    number
}

/// Floats are compared as the 32 bits that they are on the wire.
#[track_caller]
#[expect(
    clippy::cast_possible_truncation,
    reason = "a float of 32 bits was read"
)]
fn assert_value(expect: &Value, got: f64) {
    let expected = expect["value"].as_f64().unwrap();
    let tolerance = expect["tolerance"].as_f64().unwrap_or(0.0);
    let is_same = match expect["type"].as_str() {
        Some("f32") => (expected as f32).to_bits() == (got as f32).to_bits(),
        _ => expected.to_bits() == got.to_bits(),
    };
    assert!(
        is_same || (expected - got).abs() <= tolerance,
        "{expected} and not {got}"
    );
}

/// Compares what an `expect` says of the registers and their values.
fn compare(expect: &Value, data: &Data) {
    if let Some(expected) = expect["registers"].as_array() {
        let words: Vec<u64> = data.registers().map(u64::from).collect();
        let expected: Vec<u64> = expected.iter().map(|word| word.as_u64().unwrap()).collect();
        assert_eq!(words, expected);
    }
    if expect["decode"].is_object() {
        let map = map_of(&expect["decode"], 0);
        assert_value(&expect["decode"], value(&map, data, &map.blocks));
    }
    if expect["map"].is_string() {
        compare_map(expect, data);
        return;
    }
    for item in expect["decode_list"].as_array().into_iter().flatten() {
        let at = item["at"].as_u64().unwrap();
        let map = map_of(item, at);
        // The request was for the whole block; the reading stands somewhere in it.
        let words: Vec<u16> = data
            .registers()
            .skip(usize::try_from(at).unwrap())
            .collect();
        let part = Data::of_registers(&words[..2]).unwrap();
        assert_value(item, value(&map, &part, &map.blocks));
    }
}

/// Reads the block of the weather station by the built-in map of it.
fn compare_map(expect: &Value, data: &Data) {
    assert_eq!(expect["map"], "fsxcs");
    let catalogue = Catalogue::built_in();
    let map = Library::read(None, &HashMap::new(), &catalogue)
        .unwrap()
        .map("rs-fsxcs")
        .unwrap();
    assert_eq!(map.blocks.len(), 1, "one request for the whole station");
    assert_eq!(map.blocks[0].at, 500);
    let words: Vec<u16> = data
        .registers()
        .take(usize::from(map.blocks[0].count))
        .collect();
    let data = [Data::of_registers(&words)];
    let sheet = Sheet {
        blocks: &map.blocks,
        data: &data,
    };
    let decoded = decode(&map, &sheet);
    let metric = |name: &str| match name {
        "wind_speed" => "wind_speed_ms",
        "wind_direction" => "wind_direction_deg",
        "humidity" => "humidity_pct",
        "temperature" => "temperature_c",
        "noise" => "laeq_dba",
        "pm25" => "pm25_ugm3",
        "pm10" => "pm10_ugm3",
        "pressure" => "air_pressure_kpa",
        other => panic!("{other}"),
    };
    let items = expect["decode_list"].as_array().unwrap();
    assert_eq!(decoded.observations.len(), items.len());
    for item in items {
        let key = catalogue
            .find(metric(item["name"].as_str().unwrap()))
            .unwrap();
        let seen = decoded.observations.iter().find(|seen| seen.metric == key);
        assert_value(item, number(seen.unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn every_vector_decodes_as_it_expects() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 17);
    for vector in &vectors {
        let name = vector["name"].as_str().unwrap();
        let bytes = input(vector);
        let expect = &vector["expect"];
        if let Some(class) = vector["expect_error"].as_str() {
            let trouble = match name {
                "err_tcp_unit_mismatch" => {
                    // The vector is of transaction 1, which is asked of unit 1.
                    let refused = tcp(&bytes, 1, 2).await;
                    refused.unwrap_err().trouble
                }
                _ => rtu(&bytes, 1, 2, &[]).unwrap_err(),
            };
            assert_eq!(trouble.reason(), class, "{name}");
            continue;
        }
        if expect["must_not_accept"] == true {
            late_answer(&bytes).await;
            continue;
        }
        let data = match expect["framing"].as_str().unwrap() {
            "rtu" => {
                let unit = u8::try_from(expect["unit"].as_u64().unwrap()).unwrap();
                assert_eq!(expect["fc"], 3, "{name}");
                rtu(&bytes, unit, usize::from(bytes[2]) / 2, &[])
            }
            "rtu_over_tcp" => {
                let known = expect["ignored_text"].as_str();
                rtu(&bytes, 1, 1, known.as_slice())
            }
            "tcp" => {
                assert_eq!(
                    (&expect["transaction"], &expect["fc"]),
                    (&1.into(), &3.into())
                );
                let unit = u8::try_from(expect["unit"].as_u64().unwrap()).unwrap();
                match tcp(&bytes, unit, usize::from(bytes[8]) / 2).await {
                    Ok(Reply::Data(data)) => Ok(data),
                    other => panic!("{name}: {other:?}"),
                }
            }
            "pdu" => {
                // The same in a frame: unit before, CRC behind.
                let mut frame = [&[1], &bytes[..]].concat();
                frame.extend(crate::frame::crc(&frame).to_le_bytes());
                rtu(&frame, 1, 1, &[])
            }
            other => panic!("{name}: {other}"),
        };
        compare(
            expect,
            &data.unwrap_or_else(|trouble| panic!("{name}: {trouble}")),
        );
    }
}

/// A request times out, its answer comes late, and the next register has the same shape.
async fn late_answer(bytes: &[u8]) {
    let (ours, mut theirs) = duplex(1024);
    let mut link = Link::Rtu(RtuLink::new(Box::new(ours), Arc::new([])));
    let (first, second) = (block(1), Block { at: 1, ..block(1) });
    let device = async {
        let mut asked = [0; 8];
        theirs.read_exact(&mut asked).await.unwrap();
        assert_eq!(asked, Request::Read(first).rtu(1));
        // Nothing until the hub gave up and asks for the other register; then the late answer.
        theirs.read_exact(&mut asked).await.unwrap();
        theirs.write_all(bytes).await.unwrap();
        // And the answer to what was asked: 7.
        let right = [1, 3, 2, 0, 7];
        let right = [&right[..], &crate::frame::crc(&right).to_le_bytes()].concat();
        theirs.write_all(&right).await.unwrap();
        theirs.read_exact(&mut asked).await.unwrap();
        theirs.write_all(&right).await.unwrap();
    };
    let hub = async {
        let gone = link.ask(1, &Request::Read(first), TIMEOUT).await;
        assert_eq!(gone.unwrap_err().trouble, Trouble::Timeout);
        let Ok(Reply::Data(data)) = link.ask(1, &Request::Read(second), TIMEOUT).await else {
            panic!("no answer");
        };
        assert_eq!(data.registers().collect::<Vec<_>>(), [7]);
    };
    tokio::join!(hub, device);
}
