//! Passwords are kept as hashes, and those that everybody guesses are refused.

use super::{PasswordHash, PasswordRules, check};
use crate::random::{from_hex, to_hex};
use argon2::{Algorithm, Argon2, AssociatedData, ParamsBuilder, Version};

fn of_length(length_min: usize) -> PasswordRules {
    PasswordRules {
        length_min,
        kinds_min: 0,
    }
}

#[test]
fn kinds_of_characters_are_demanded_where_a_city_wants_them() {
    let rules = PasswordRules {
        length_min: 8,
        kinds_min: 3,
    };
    assert!(check("rain over the bay", "li", rules).is_err());
    assert!(check("Rain over the bay", "li", rules).is_ok());
    assert!(check("海边的雨 bay 7 pm", "li", rules).is_ok());
}

#[test]
fn a_hash_is_of_its_password_alone_and_never_the_same_twice() {
    let first = PasswordHash::of("correct horse battery").unwrap();
    let second = PasswordHash::of("correct horse battery").unwrap();
    assert!(first.is_of("correct horse battery"));
    assert!(!first.is_of("correct horse batterz"));
    assert_ne!(first, second);
    let text = serde_json::to_string(&first).unwrap();
    assert!(!text.contains("horse"));
    let again: PasswordHash = serde_json::from_str(&text).unwrap();
    assert!(again.is_of("correct horse battery"));
    assert!(!PasswordHash::of_nobody().is_of(""));
}

/// RFC 9106, section 5.3: the test vector of argon2id.
#[test]
fn the_function_is_that_of_the_standard() {
    let mut params = ParamsBuilder::new();
    params.m_cost(32).t_cost(3).p_cost(4).output_len(32);
    params.data(AssociatedData::new(&[0x04; 12]).unwrap());
    let argon2 = Argon2::new_with_secret(
        &[0x03; 8],
        Algorithm::Argon2id,
        Version::V0x13,
        params.build().unwrap(),
    );
    let mut tag = [0; 32];
    argon2
        .unwrap()
        .hash_password_into(&[0x01; 32], &[0x02; 16], &mut tag)
        .unwrap();
    assert_eq!(
        to_hex(&tag),
        "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"
    );
}

#[test]
fn a_broken_hash_is_nobodys_and_takes_no_memory() {
    let mut hash = PasswordHash::of_nobody();
    hash.memory_kib = u32::MAX;
    assert!(!hash.is_of("anything"));
    hash = PasswordHash::of_nobody();
    hash.hash = "zz".to_owned();
    assert!(!hash.is_of("anything"));
    assert_eq!(from_hex("0g"), None);
    assert_eq!(from_hex("00ff"), Some(vec![0, 255]));
}

#[test]
fn short_guessed_and_named_passwords_are_refused_and_others_are_not() {
    let reason =
        |password: &str| check(password, "zhangsan", of_length(10)).map_err(|e| e.to_string());
    for (password, said) in [
        ("九个字也不算长呢啊", "10 characters"),
        ("1234567890", "everybody"),
        ("9876543210", "everybody"),
        ("aaaaaaaaaaaa", "everybody"),
        ("abcdefghijkl", "everybody"),
        ("Password123", "everybody"),
        ("zhangsan123!", "name"),
        ("ZhangSanZhangSan", "name"),
        ("tab\tin the middle", "control"),
    ] {
        let refused = reason(password).unwrap_err();
        assert!(refused.contains(said), "{password}: {refused}");
    }
    assert!(reason(&"长".repeat(90)).unwrap_err().contains("at most"));
    for password in [
        "夜班口令有十个字那么长",
        "mei you 1 ren cai dao",
        "zhangsan ai hua cha",
    ] {
        assert_eq!(reason(password), Ok(()));
    }
    // A shorter minimum shows the table at work.
    assert!(check("123456", "li", of_length(6)).is_err());
    assert!(check("woaini1314", "li", of_length(6)).is_err());
    assert!(check("li1li1", "li", of_length(6)).is_ok());
}
