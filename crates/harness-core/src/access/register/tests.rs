//! Who is welcome, decided without a clock or a file.

use std::time::{Duration, SystemTime};

use super::*;

fn at(minutes: u64) -> DateTime<Utc> {
    (SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + 60 * minutes)).into()
}

fn certificate(name: &str, fingerprint: &str) -> PeerIdentity {
    PeerIdentity {
        fingerprint: fingerprint.to_owned(),
        serial: format!("serial of {fingerprint}"),
        // What the certificate says is not asked.
        role: Role::Admin,
        name: name.to_owned(),
        expires: at(1000).into(),
    }
}

fn invitation(name: &str) -> Invitation {
    Invitation::new(
        "hash".to_owned(),
        Role::Operator,
        name.to_owned(),
        at(10),
        "local".to_owned(),
    )
}

#[test]
fn a_certificate_is_welcome_only_while_it_is_listed() {
    let mut register = Register::new();
    let first = certificate("ci", "a");
    assert_eq!(register.role_of(&first), Err(Unwelcome::Unknown));
    register.enlist(Role::Observer, &first, at(0));
    assert_eq!(register.role_of(&first), Ok(Role::Observer));
    let stolen_name = certificate("ci", "b");
    assert_eq!(register.role_of(&stolen_name), Err(Unwelcome::Unknown));
    assert!(register.set_role("ci", Role::Deployer));
    assert_eq!(register.role_of(&first), Ok(Role::Deployer));
    assert!(register.revoke("ci", at(1)));
    assert_eq!(register.role_of(&first), Err(Unwelcome::Revoked));
    assert!(!register.revoke("ci", at(2)), "it is shut out already");
    assert!(!register.set_role("ci", Role::Admin));
    assert!(!register.is_taken("ci"));
    register.enlist(Role::Observer, &stolen_name, at(3));
    assert_eq!(
        register.role_of(&first),
        Err(Unwelcome::Unknown),
        "a new client of the name does not bring the old one back"
    );
}

#[test]
fn the_old_certificate_goes_when_the_new_one_is_seen() {
    let mut register = Register::new();
    let [first, second, third] = ["a", "b", "c"].map(|print| certificate("ci", print));
    register.enlist(Role::Observer, &first, at(0));
    register.renew(&second);
    assert!(register.role_of(&first).is_ok() && register.role_of(&second).is_ok());
    // The second never arrived: a third is asked for with the first.
    register.renew(&third);
    assert_eq!(register.role_of(&second), Err(Unwelcome::Unknown));
    assert!(!register.saw(&first));
    assert!(register.saw(&third));
    assert_eq!(register.role_of(&first), Err(Unwelcome::Unknown));
    assert!(register.role_of(&third).is_ok() && !register.saw(&third));
}

#[test]
fn an_invitation_is_taken_up_once_and_in_time() {
    let mut register = Register::new();
    register.invite("one".to_owned(), invitation("ci"));
    assert!(register.expects_somebody(at(9)) && !register.expects_somebody(at(10)));
    assert!(register.is_taken("ci"));
    assert_eq!(
        register.redeem("two", "hash", at(1)),
        Err(NotInvited::Unknown)
    );
    let taken = register.redeem("one", "hash", at(1)).expect("invited");
    assert_eq!((taken.name.as_str(), taken.role), ("ci", Role::Operator));
    assert_eq!(
        register.redeem("one", "hash", at(1)),
        Err(NotInvited::Unknown)
    );
    register.invite("late".to_owned(), invitation("ci"));
    assert_eq!(
        register.redeem("late", "hash", at(10)),
        Err(NotInvited::Expired)
    );
    register.invite("later".to_owned(), invitation("ci"));
    assert!(register.prune(at(10)) && !register.prune(at(10)));
}

#[test]
fn guessing_withdraws_the_invitation() {
    let mut register = Register::new();
    register.invite("one".to_owned(), invitation("ci"));
    for _ in 1..MAX_FAILURES {
        assert_eq!(
            register.redeem("one", "guess", at(1)),
            Err(NotInvited::WrongSecret)
        );
    }
    assert_eq!(
        register.redeem("one", "guess", at(1)),
        Err(NotInvited::Withdrawn)
    );
    assert_eq!(
        register.redeem("one", "hash", at(1)),
        Err(NotInvited::Unknown)
    );
    assert!(!register.expects_somebody(at(1)));
}

#[test]
fn shutting_out_withdraws_what_invites_under_the_name() {
    let mut register = Register::new();
    register.invite("one".to_owned(), invitation("ci"));
    assert!(register.revoke("ci", at(1)));
    assert!(!register.expects_somebody(at(1)));
}

#[test]
fn the_register_survives_its_file() {
    let mut register = Register::new();
    register.enlist(Role::Observer, &certificate("ci", "a"), at(0));
    register.invite("one".to_owned(), invitation("laptop"));
    register.add_host("10.0.0.7");
    let text = serde_json::to_string(&register).expect("JSON");
    let read: Register = serde_json::from_str(&text).expect("a register");
    assert_eq!(read, register);
}

#[test]
fn a_register_is_written_as_it_was_read() {
    for sample in testkit::samples_of("clients", VERSION.into()) {
        let text = std::fs::read_to_string(sample.path("home/config/pki/clients.json"));
        let text = text.expect("checked in");
        let register: Register = serde_json::from_str(&text).expect("loads");
        assert!(register.clients().count() > 0 && register.invitations().count() > 0);
        let written = serde_json::to_string_pretty(&register).expect("plain values");
        assert_eq!(written, text, "raise VERSION");
    }
}

#[test]
fn a_register_of_before_grants_nothing_and_one_that_grants_nothing_is_written_as_before() {
    let before = r#"{"schema_version":1,"clients":{"ci":{"role":"observer","since":"2025-01-01T00:00:00Z","certificates":[],"revoked":null}},"invitations":{"a1":{"secret_hash":"00","role":"observer","name":"pi","expires":"2025-01-01T00:00:00Z","by":"local","failures":0}},"hosts":[]}"#;
    let mut register: Register = serde_json::from_str(before).expect("it loads");
    assert!(register.may_register("ci").is_empty());
    assert_eq!(serde_json::to_string(&register).expect("JSON"), before);

    let shop = "shop:api".parse().expect("a pattern");
    assert!(register.set_register("ci", vec![shop]));
    let text = serde_json::to_string(&register).expect("JSON");
    assert!(
        text.contains(r#""revoked":null,"register":["shop:api"]}"#),
        "{text}"
    );
    let again: Register = serde_json::from_str(&text).expect("it loads");
    assert_eq!(again, register);
    assert_eq!(again.may_register("ci").len(), 1);
    // Whoever is shut out may do nothing, and comes back as somebody new.
    assert!(register.revoke("ci", chrono::Utc::now()));
    assert!(register.may_register("ci").is_empty());
    assert!(!register.set_register("ci", Vec::new()));
}
