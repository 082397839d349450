//! Frames as HJ 212-2017 prints them.

use super::super::frame::tests::{START_MS, device};
use super::*;

#[test]
fn the_frame_of_annex_a_has_the_checksum_that_is_printed_there() {
    let segment = "QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;\
                   Flag=5;CP=&&RtdInterval=30&&";
    let expected = format!("##0101{segment}1C80\r\n");
    assert_eq!(String::from_utf8(frame(segment)).unwrap(), expected);
}

#[test]
fn a_noise_meter_sends_what_table_c25_shows() {
    let device = device("noise", "hj212_mn", "010000A8900016F000169DC0");
    let mut wire = Hj212::new(&device);
    let observations = [
        Observation::number("laeq_dba", 50.1, 1),
        Observation::number("lamax_dba", 54.0, 1),
    ];
    // 2016-08-01T08:58:56+08:00.
    let parcel = wire.encode(&device, 1_470_013_137_222, &observations);
    let text = String::from_utf8(parcel.bytes).unwrap();
    assert_eq!(text.get(..9).unwrap(), "##0132QN=");
    assert_eq!(
        text.get(26..text.len() - 6).unwrap(),
        ";ST=23;CN=2011;PW=123456;MN=010000A8900016F000169DC0;Flag=5;CP=&&\
         DataTime=20160801085856;LA-Rtd=50.1,LA-Flag=N&&"
    );
    assert_eq!(parcel.expects, text.get(9..26).unwrap().parse().ok());
    assert_eq!(parcel.ts_ms, 1_470_013_136_000);
    assert_eq!(parcel.said, [Observation::number("laeq_dba", 50.1, 1)]);
}

#[test]
fn exchanges_have_numbers_of_their_own() {
    let device = device("dust", "hj212_mn", "A");
    let mut wire = Hj212::new(&device);
    let first = wire.qn(START_MS);
    assert_eq!(
        (first.as_str(), wire.qn(START_MS).as_str()),
        ("20260301000000000", "20260301000000001")
    );
}

#[test]
fn the_answer_that_annex_c_shows_is_taken_at_whatever_place_it_is_cut() {
    let answer = "##0087QN=20160801085857223;ST=91;CN=9014;PW=123456;\
                  MN=010000A8900016F000169DC0;Flag=4;CP=&&&&3240\r\n";
    let mut wire = Hj212::new(&device("noise", "hj212_mn", "A"));
    let mut received = b"#noise##9".to_vec();
    for (index, byte) in answer.bytes().enumerate() {
        received.push(byte);
        let taken = wire.take(&mut received, START_MS);
        let whole = index == answer.len() - 1;
        let expected = Answer::Acked(Some(20_160_801_085_857_223));
        assert_eq!(taken, whole.then_some(expected), "{index}");
    }
    assert_eq!(received, b"");
}

#[test]
fn a_request_for_the_time_is_taken_answered_and_done() {
    let segment = "QN=20160801085857223;ST=39;CN=1011;PW=123456;MN=A;Flag=5;CP=&&&&";
    let mut wire = Hj212::new(&device("dust", "hj212_mn", "A"));
    let taken = wire.take(&mut frame(segment), START_MS);
    let Some(Answer::Say(bytes)) = taken else {
        panic!("{taken:?}");
    };
    let text = String::from_utf8(bytes).unwrap();
    let commands: Vec<&str> = text
        .split("CN=")
        .skip(1)
        .map(|rest| rest.get(..4).unwrap())
        .collect();
    assert_eq!(commands, ["9011", "1011", "9012"]);
    assert!(text.contains("CP=&&SystemTime=20260301000000&&"), "{text}");
}
