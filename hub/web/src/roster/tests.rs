//! Tests of reading lists of devices.

use super::{ROSTER_ROWS_MAX, Roster};

#[test]
fn what_is_no_table_is_refused_as_a_whole() {
    let cases: [(&[u8], &str); 5] = [
        (b"kind\nsmoke\n", "line 1: column `id` is missing"),
        (b"id,kind,id\n", "line 1: column `id` is given twice"),
        (b"id,kind\na,smoke,extra\n", "found record with 3 fields"),
        (
            b"id,kind\na,smoke\n\xff,smoke\n",
            "line 3: the file is not UTF-8",
        ),
        (b"id,kind,tags.\n", "unknown column `tags.`"),
    ];
    for (text, word) in cases {
        let error = Roster::from_csv(text).unwrap_err();
        assert!(error.contains(word), "{error}");
    }
    assert!(Roster::from_json(b"{}").is_err());
    assert!(Roster::from_json(b"[{]").is_err());
}

#[test]
fn a_list_has_a_limit() {
    let row = "a,smoke\n";
    let csv = format!("id,kind\n{}", row.repeat(ROSTER_ROWS_MAX));
    assert_eq!(
        Roster::from_csv(csv.as_bytes()).unwrap().rows.len(),
        ROSTER_ROWS_MAX
    );
    let longer = format!("{csv}{row}");
    assert!(
        Roster::from_csv(longer.as_bytes())
            .unwrap_err()
            .contains("10000 rows")
    );
}

#[test]
fn a_long_wrong_value_is_cut_in_the_reason() {
    let json = format!(
        r#"[{{"id":"a","kind":"smoke","cadence_s":"{}"}}]"#,
        "9".repeat(5_000)
    );
    let roster = Roster::from_json(json.as_bytes()).unwrap();
    assert_eq!(roster.errors[0].field.as_deref(), Some("cadence_s"));
    assert!(roster.errors[0].reason.chars().count() <= 301);
}

#[test]
fn numbers_that_are_none_are_refused() {
    let csv = "id,kind,lon,lat\na,smoke,NaN,24\nb,smoke,inf,24\nc,smoke,118,91\n";
    let roster = Roster::from_csv(csv.as_bytes()).unwrap();
    assert!(roster.rows.is_empty());
    let lines: Vec<Option<u64>> = roster.errors.iter().map(|note| note.line).collect();
    assert_eq!(lines, [Some(2), Some(3), Some(4)]);
}

#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    let unix = "id,kind\n# note\n\na,x\n\"b\nb\",x\nc,x\n";
    let dos = unix.replace('\n', "\r\n");
    for text in [unix, &dos] {
        let roster = Roster::from_csv(text.as_bytes()).unwrap();
        let good: Vec<Option<u64>> = roster.rows.iter().map(|row| row.line).collect();
        assert_eq!(good, [Some(4), Some(7)], "{text:?}");
        // An id with a line feed in it is refused, at the line where it begins.
        assert_eq!(roster.errors[0].line, Some(5), "{text:?}");
    }
}

#[test]
fn a_wrong_secret_is_never_repeated() {
    for secret in [
        "48151623",
        "[\"48151623\"]",
        "{\"is\":\"48151623\"}",
        "\"48151623\\u0007\"",
    ] {
        let json = format!(r#"[{{"id":"a","kind":"smoke","secret":{secret}}}]"#);
        let roster = Roster::from_json(json.as_bytes()).unwrap();
        assert_eq!(roster.errors[0].field.as_deref(), Some("secret"));
        let said = format!("{:?}", roster.errors);
        assert!(!said.contains("48151623"), "{said}");
    }
}
