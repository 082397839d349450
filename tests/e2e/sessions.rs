//! People at the console, with curl and its cookie jar: they sign in, are locked out, lock their
//! desk, and stay signed in over a restart.

use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tests::hub::{Hub, Place, plain_config, words};
use tests::time::until;

const PASSWORD: &str = "a long enough one";

/// A browser, as far as the hub can tell.
struct Browser {
    jar: PathBuf,
    base: String,
}

/// What it got.
struct Page {
    status: u16,
    head: String,
    body: String,
}

impl Page {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.head, self.body))
    }

    /// Names the problem by the end of its type.
    #[track_caller]
    fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        let kind = self.json()["type"].as_str().expect("a type").to_owned();
        kind.rsplit(':').next().expect("a name").to_owned()
    }
}

impl Browser {
    fn new(place: &Place, hub: &Hub, name: &str) -> Self {
        Self {
            jar: place.path().join(format!("{name}.jar")),
            base: format!("http://{}", hub.addr("http")),
        }
    }

    fn curl(&self, method: &str, path: &str, body: Option<&Value>) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["-s", "-i", "--max-time", "30", "-X", method, "-b"])
            .arg(&self.jar)
            .arg("-c")
            .arg(&self.jar);
        if let Some(body) = body {
            curl.args(["-H", "Content-Type: application/json", "-d"])
                .arg(body.to_string());
        }
        curl.arg(format!("{}{path}", self.base));
        curl
    }

    /// Asks as the console does.
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Page {
        self.ask_with(method, path, body, &["X-Requested-By: console"])
    }

    fn ask_with(&self, method: &str, path: &str, body: Option<&Value>, headers: &[&str]) -> Page {
        let mut curl = self.curl(method, path, body);
        for header in headers {
            curl.args(["-H", header]);
        }
        let output = curl.output().expect("curl is installed");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Page {
            status: status.expect("a status"),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    fn get(&self, path: &str) -> Page {
        self.ask("GET", path, None)
    }

    fn sign_in(&self, user: &str, password: &str) -> Page {
        let body = json!({"user": user, "password": password});
        self.ask_with("POST", "/api/v1/session", Some(&body), &[])
    }
}

/// Runs `cityhub admin user …` with a password on stdin.
fn admin(place: &Place, args: &[&str], password: &str) -> Output {
    let mut all = vec!["admin", "user"];
    all.extend(args);
    all.extend(["--config", "hub.toml"]);
    place.run_with(&all, &format!("{password}\n"))
}

#[track_caller]
fn add_user(place: &Place, name: &str, role: &str) {
    let output = admin(place, &["add", name, "--role", role], PASSWORD);
    assert!(output.status.success(), "{}", words(&output));
}

fn without_tokens() -> String {
    let text = plain_config();
    let open = text.split("[auth.").next().expect("a beginning");
    open.to_owned()
}

#[test]
fn a_new_hub_says_how_to_begin_and_the_first_user_signs_in_without_a_restart() {
    let place = Place::with_config(&without_tokens());
    let hub = place.start();
    assert!(
        hub.log()
            .contains("cityhub admin user add NAME --role admin"),
        "{}",
        hub.log()
    );
    let browser = Browser::new(&place, &hub, "first");
    assert_eq!(browser.get("/healthz").status, 200);
    assert_eq!(browser.get("/").status, 401);
    assert_eq!(
        browser.sign_in("chief", PASSWORD).problem(401),
        "unauthorized"
    );
    add_user(&place, "chief", "admin");
    assert_eq!(browser.get("/").status, 200);
    let signed_in = browser.sign_in("chief", PASSWORD);
    assert_eq!(signed_in.status, 200, "{}", signed_in.body);
    assert_eq!(signed_in.json()["role"], "admin");
    let cookie = signed_in
        .head
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: cityhub_session="))
        .expect("a cookie");
    let (value, rules) = cookie.split_once("; ").expect("rules");
    assert_eq!(
        (value.len(), rules),
        (64, "HttpOnly; SameSite=Strict; Path=/")
    );
    let secure = browser.ask_with(
        "POST",
        "/api/v1/session",
        Some(&json!({"user": "chief", "password": PASSWORD})),
        &["X-Forwarded-Proto: https"],
    );
    assert!(secure.head.contains("Path=/; Secure"), "{}", secure.head);
    // The trail tells first who was let in, and then that they came.
    let told = Browser::new(&place, &hub, "again");
    assert_eq!(told.sign_in("chief", PASSWORD).status, 200);
    let audit = told.get("/api/v1/audit").json();
    let items = audit["items"].as_array().expect("items");
    let actions: Vec<&Value> = items.iter().map(|row| &row["action"]).collect();
    assert_eq!(actions[..2], [&json!("add_user"), &json!("sign_in")]);
    let text = audit.to_string();
    assert!(!text.contains(PASSWORD) && !text.contains(value), "{text}");
    hub.stop();
    place.verify();
}

#[test]
fn who_guesses_is_locked_out_known_or_not_until_somebody_unlocks_them() {
    let place = Place::default();
    let hub = place.start();
    add_user(&place, "li", "officer");
    let browser = Browser::new(&place, &hub, "li");
    let answers = |name: &str| -> Vec<(u16, Value)> {
        let guess = |_| {
            let page = browser.sign_in(name, "not the right one");
            (page.status, page.json()["detail"].clone())
        };
        (0..6).map(guess).collect()
    };
    let known = answers("li");
    assert_eq!(known, answers("nobody"));
    let statuses: Vec<u16> = known.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429]);
    let locked = browser.sign_in("li", PASSWORD);
    assert_eq!(locked.problem(429), "locked_out");
    assert!(locked.head.contains("retry-after: "), "{}", locked.head);
    assert!(locked.json()["until"].is_string());
    let output = admin(&place, &["unlock", "li"], "");
    assert!(output.status.success(), "{}", words(&output));
    assert_eq!(browser.sign_in("li", PASSWORD).status, 200);
}

#[test]
fn a_desk_acts_locks_and_goes_on_after_a_restart() {
    let place = Place::default();
    let hub = place.start();
    add_user(&place, "wang", "engineer");
    let browser = Browser::new(&place, &hub, "wang");
    assert_eq!(browser.sign_in("wang", PASSWORD).status, 200);
    let devices = json!([{"id": "gas-1", "kind": "gas_pressure"}]);
    let put = |browser: &Browser, headers: &[&str]| {
        browser.ask_with("PUT", "/api/v1/devices", Some(&devices), headers)
    };
    let console = "X-Requested-By: console";
    assert_eq!(put(&browser, &[]).problem(403), "cross_site");
    let foreign = put(&browser, &[console, "Origin: http://evil.example"]);
    assert_eq!(foreign.problem(403), "cross_site");
    let own = format!("Origin: {}", browser.base);
    assert_eq!(put(&browser, &[console, &own]).status, 200);
    // What this role may not do is named, and who may.
    let refused = browser.get("/api/v1/users");
    assert_eq!(refused.problem(403), "forbidden");
    assert_eq!(refused.json()["right"], "admin");
    assert_eq!(refused.json()["roles"], json!(["admin"]));

    let locked = browser.ask("POST", "/api/v1/session/lock", None);
    assert_eq!(locked.json()["locked"], true);
    hub.stop();
    let hub = place.start();
    let browser = Browser {
        base: format!("http://{}", hub.addr("http")),
        ..browser
    };
    let session = browser.get("/api/v1/session").json();
    assert_eq!(
        (&session["name"], &session["locked"]),
        (&json!("wang"), &json!(true))
    );
    assert_eq!(browser.get("/api/v1/devices").status, 200);
    assert_eq!(put(&browser, &[console]).problem(423), "locked");
    let wrong = json!({"password": "not the right one"});
    let unlock = |body: &Value| browser.ask("POST", "/api/v1/session/unlock", Some(body));
    assert_eq!(unlock(&wrong).problem(403), "wrong_password");
    let right = json!({ "password": PASSWORD });
    assert_eq!(unlock(&right).json()["locked"], false);
    assert_eq!(put(&browser, &[console]).status, 200);
    let audit = hub.api_as("auditor").get("/api/v1/audit?limit=1000");
    let by_wang = |row: &&Value| row["actor"] == "wang";
    let items = audit["items"].as_array().expect("items").iter();
    let actions: Vec<&str> = items
        .filter(by_wang)
        .map(|row| row["action"].as_str().expect("an action"))
        .collect();
    assert_eq!(
        actions,
        ["sign_in", "put_device", "lock_session", "unlock_session"]
    );
}

#[test]
fn a_desk_that_nobody_touches_is_locked_and_a_session_has_an_end() {
    let text = format!(
        "{}[session]\nlock_after_s = 1\nmax_age_s = 4\n",
        plain_config()
    );
    let place = Place::with_config(&text);
    let hub = place.start();
    add_user(&place, "li", "officer");
    let browser = Browser::new(&place, &hub, "li");
    assert_eq!(browser.sign_in("li", PASSWORD).status, 200);
    until("the lock", || {
        browser.get("/api/v1/session").json()["locked"] == true
    });
    until("the end", || browser.get("/api/v1/session").status == 401);
    until("both in the trail", || {
        let audit = hub.api_as("auditor").get("/api/v1/audit?limit=1000");
        let told = |action: &str, why: &str| {
            let items = audit["items"].as_array().expect("items");
            items.iter().any(|row| {
                row["action"] == action && row["subject"] == "li" && row["detail"]["why"] == why
            })
        };
        told("lock_session", "idle") && told("end_session", "age")
    });
}

#[test]
fn a_stream_ends_when_its_user_signs_out_or_is_removed_by_the_command_line() {
    let place = Place::default();
    let hub = place.start();
    add_user(&place, "chief", "admin");
    add_user(&place, "li", "officer");
    for way in ["sign out", "remove"] {
        let browser = Browser::new(&place, &hub, "li");
        assert_eq!(browser.sign_in("li", PASSWORD).status, 200);
        let stream = browser
            .curl("GET", "/api/v1/stream", None)
            .arg("-N")
            .stdout(Stdio::piped())
            .spawn()
            .expect("curl starts");
        until("the stream", || {
            let metrics = hub.api().send("GET", "/metrics", None).text();
            metrics.contains("cityhub_stream_clients 1\n")
        });
        if way == "sign out" {
            assert_eq!(browser.ask("DELETE", "/api/v1/session", None).status, 204);
        } else {
            let output = admin(&place, &["remove", "li"], "");
            assert!(output.status.success(), "{}", words(&output));
        }
        // curl ends by itself, not by its own limit of time.
        let output = stream.wait_with_output().expect("curl ends");
        assert!(output.status.success(), "{way}: {}", words(&output));
        assert_eq!(browser.get("/api/v1/session").status, 401);
    }
}

#[test]
fn the_command_line_lists_changes_and_refuses() {
    let place = Place::default();
    add_user(&place, "chief", "admin");
    let said = |output: &Output| words(output);
    let short = admin(&place, &["add", "li", "--role", "officer"], "short");
    assert_eq!(short.status.code(), Some(2), "{}", said(&short));
    assert!(said(&short).contains("10 characters"), "{}", said(&short));
    let role = admin(&place, &["add", "li", "--role", "king"], PASSWORD);
    assert_eq!(role.status.code(), Some(2), "{}", said(&role));
    let none = admin(&place, &["add", "li", "--role", "officer"], "");
    assert!(said(&none).contains("no password"), "{}", said(&none));
    let last = admin(&place, &["remove", "chief"], "");
    assert_eq!(last.status.code(), Some(1), "{}", said(&last));
    assert!(
        said(&last).contains("last administrator"),
        "{}",
        said(&last)
    );
    let more = [
        "add",
        "li",
        "--role",
        "officer",
        "--display-name",
        "李四",
        "--temporary",
    ];
    assert!(admin(&place, &more, PASSWORD).status.success());
    let list = said(&admin(&place, &["list"], ""));
    assert!(list.contains("li\tofficer\t李四"), "{list}");
    let file = std::fs::read_to_string(place.data().join("access.json")).expect("a file");
    assert!(!file.contains(PASSWORD));

    let hub = place.start();
    let browser = Browser::new(&place, &hub, "li");
    let session = browser.sign_in("li", PASSWORD);
    assert_eq!(session.json()["must_change_password"], true);
    let alarms = browser.get("/api/v1/alarms");
    assert_eq!(alarms.problem(403), "must_change_password");
    let body = json!({"old": PASSWORD, "new": "another long one"});
    let changed = browser.ask("POST", "/api/v1/session/password", Some(&body));
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(browser.get("/api/v1/alarms").status, 200);
    // Another password by the command line ends the session.
    let output = admin(&place, &["password", "li"], PASSWORD);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(browser.get("/api/v1/alarms").status, 401);
}
