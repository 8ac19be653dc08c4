//! Counting and scheduling of answers, under virtual time.

use std::time::Duration;

use proptest::prelude::*;
use service_orchestration::probe::{
    Answer, Health, ProbeEvent, ProbeSet, Role, Rule, Rules, Schedule, Tally, Verdict,
};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn rule() -> Rule {
    Rule {
        interval: ms(1000),
        timeout: ms(500),
        retries: 3,
        start_period: ms(0),
        start_interval: ms(250),
        success_threshold: 1,
        is_counted: false,
        pushed: false,
    }
}

/// `+` good, `-` bad, `?` unknown, each a second after the one before; what is written below each is its verdict:
/// `H`ealthy, `U`nhealthy, `?` unknown, `.` no change.
fn verdicts(rule: Rule, answers: &str) -> String {
    let mut tally = Tally::new(rule, ms(0), ms(0), 0);
    let mut now = ms(0);
    answers
        .chars()
        .map(|answer| {
            now += ms(1000);
            match tally.feed(&answer_of(answer), now) {
                Some(Verdict::Healthy) => 'H',
                Some(Verdict::Unhealthy) => 'U',
                Some(Verdict::Unknown) => '?',
                None => '.',
            }
        })
        .collect()
}

fn answer_of(letter: char) -> Answer {
    match letter {
        '+' => Answer::Good,
        '-' => Answer::Bad("no".into()),
        _ => Answer::Unknown("no idea".into()),
    }
}

#[test]
fn thresholds_hold_in_every_case_of_the_table() {
    let slow = Rule {
        start_period: ms(4000),
        ..rule()
    };
    let twice = Rule {
        success_threshold: 2,
        ..rule()
    };
    let once = Rule {
        retries: 1,
        ..rule()
    };
    let none = Rule {
        retries: 0,
        success_threshold: 0,
        ..rule()
    };
    for (what, rule, answers, expected) in [
        ("good at once", rule(), "+++", "H.."),
        ("bad three times", rule(), "---+", "..UH"),
        (
            "a good one between starts anew",
            rule(),
            "+--+---",
            "H.....U",
        ),
        ("start period spares", slow.clone(), "-------", "......U"),
        ("a good one ends the start period", slow, "+---", "H..U"),
        ("two good ones in a row", twice, "+-++---++", "...H..U.H"),
        ("one bad one is enough", once, "+-+-", "HUHU"),
        ("zero means one", none, "+-", "HU"),
        ("unknown shows at once while starting", rule(), "?+", "?H"),
        (
            "unknown in a row replaces a verdict",
            rule(),
            "+???+",
            "H..?H",
        ),
        (
            "unknown neither counts nor mends",
            rule(),
            "+-?-?-",
            "H....U",
        ),
    ] {
        assert_eq!(verdicts(rule, answers), expected, "{what}: {answers}");
    }
}

#[test]
fn quick_questions_of_the_start_are_extra_chances_not_extra_strikes() {
    let mut tally = Tally::new(rule(), ms(0), ms(0), 0);
    let mut asked = 0;
    let failed = loop {
        let now = tally.due().expect("it is asked");
        asked += 1;
        if tally.feed(&answer_of('-'), now).is_some() {
            break now;
        }
    };
    assert!(asked > 10, "asked {asked} times");
    assert!(
        (ms(3000)..ms(3300)).contains(&failed),
        "unhealthy after {failed:?}"
    );
}

#[test]
fn questions_slow_down_until_the_first_good_answer_and_then_keep_their_phase() {
    let mut schedule = Schedule::new(ms(10_000), ms(20), u32::MAX / 2, ms(5));
    let mut moments = vec![schedule.due()];
    for _ in 0..7 {
        schedule.answered(false, schedule.due());
        moments.push(schedule.due());
    }
    assert_eq!(moments, [5, 6, 8, 12, 20, 36, 56, 76].map(ms));
    schedule.answered(true, ms(80));
    assert_eq!(schedule.due(), ms(5080));
    schedule.answered(true, ms(5081));
    assert_eq!(schedule.due(), ms(15_080));
    // An answer that took three intervals: the missed ones are skipped, the phase stays.
    schedule.answered(false, ms(46_000));
    assert_eq!(schedule.due(), ms(55_080));
}

#[test]
fn an_answer_that_comes_by_itself_is_not_asked_for() {
    let mut tally = Tally::new(
        Rule {
            pushed: true,
            success_threshold: 5,
            ..rule()
        },
        ms(0),
        ms(0),
        0,
    );
    assert_eq!(tally.due(), None);
    assert_eq!(tally.feed(&Answer::Good, ms(1)), Some(Verdict::Healthy));
}

#[test]
fn startup_holds_the_others_back_until_it_has_succeeded() {
    let rules = Rules {
        startup: Some(rule()),
        readiness: Some(rule()),
        liveness: Some(rule()),
    };
    let mut set = ProbeSet::new(rules, ms(0), ms(0), 7);
    assert!(!set.takes(Role::Readiness) && !set.takes(Role::Liveness));
    assert_eq!(set.feed(Role::Readiness, &Answer::Good, ms(1)), []);
    assert_eq!(set.due().map(|(role, _)| role), Some(Role::Startup));
    assert_eq!(set.feed(Role::Startup, &Answer::Good, ms(2)), []);
    assert!(!set.takes(Role::Startup));
    assert_eq!(set.due(), Some((Role::Readiness, ms(2))));
    let healthy = [
        ProbeEvent::Healthy,
        ProbeEvent::HealthChanged(Health::Healthy),
    ];
    assert_eq!(set.feed(Role::Readiness, &Answer::Good, ms(3)), healthy);
    assert_eq!(set.due(), Some((Role::Liveness, ms(2))));
}

#[test]
fn a_startup_probe_alone_makes_ready_and_one_that_gives_up_makes_dead() {
    let rules = |rule| Rules {
        startup: Some(rule),
        ..Rules::default()
    };
    let mut set = ProbeSet::new(rules(rule()), ms(0), ms(0), 0);
    let healthy = [
        ProbeEvent::Healthy,
        ProbeEvent::HealthChanged(Health::Healthy),
    ];
    assert_eq!(set.feed(Role::Startup, &Answer::Good, ms(1)), healthy);
    assert_eq!(set.due(), None);
    let mut set = ProbeSet::new(
        rules(Rule {
            retries: 1,
            ..rule()
        }),
        ms(0),
        ms(0),
        0,
    );
    let dead = [
        ProbeEvent::Dead,
        ProbeEvent::HealthChanged(Health::Unhealthy),
    ];
    assert_eq!(set.feed(Role::Startup, &answer_of('-'), ms(1000)), dead);
}

#[test]
fn a_failing_liveness_probe_outweighs_a_good_readiness() {
    let rules = Rules {
        readiness: Some(rule()),
        liveness: Some(Rule {
            retries: 1,
            ..rule()
        }),
        ..Rules::default()
    };
    let mut set = ProbeSet::new(rules, ms(0), ms(0), 0);
    set.feed(Role::Readiness, &Answer::Good, ms(1));
    assert_eq!(set.feed(Role::Liveness, &Answer::Good, ms(2)), []);
    let dead = [
        ProbeEvent::Dead,
        ProbeEvent::HealthChanged(Health::Unhealthy),
    ];
    assert_eq!(set.feed(Role::Liveness, &answer_of('-'), ms(3)), dead);
}

#[test]
fn readiness_that_becomes_unknown_is_not_lost() {
    let rules = Rules {
        readiness: Some(Rule {
            retries: 1,
            ..rule()
        }),
        ..Rules::default()
    };
    let mut set = ProbeSet::new(rules, ms(0), ms(0), 0);
    set.feed(Role::Readiness, &Answer::Good, ms(1));
    let unknown = [ProbeEvent::HealthChanged(Health::Unknown)];
    assert_eq!(set.feed(Role::Readiness, &answer_of('?'), ms(2)), unknown);
    let back = [ProbeEvent::HealthChanged(Health::Healthy)];
    assert_eq!(set.feed(Role::Readiness, &Answer::Good, ms(3)), back);
}

proptest! {
    #[test]
    fn the_next_question_is_never_in_the_past_and_never_too_far(
        answers in proptest::collection::vec((any::<bool>(), 0u64..5000), 1..60),
        interval in 0u64..3000, start_interval in 0u64..500, phase in any::<u32>(),
    ) {
        let mut schedule = Schedule::new(ms(interval), ms(start_interval), phase, ms(0));
        let mut was_good = false;
        for (good, took) in answers {
            let now = schedule.due() + ms(took);
            schedule.answered(good, now);
            was_good |= good;
            let longest = ms(if was_good { interval } else { start_interval }).max(ms(1));
            prop_assert!(schedule.due() > now);
            prop_assert!(schedule.due() - now <= longest);
        }
    }

    #[test]
    fn healthy_and_unhealthy_alternate_and_health_follows(
        answers in proptest::collection::vec((0usize..3, 0usize..3, 0u64..2000), 0..100),
        has in proptest::collection::vec(any::<bool>(), 3), retries in 0u32..4, threshold in 0u32..3,
    ) {
        let rule = |present: bool| present.then(|| Rule { retries, success_threshold: threshold, ..rule() });
        let rules = Rules { startup: rule(has[0]), readiness: rule(has[1]), liveness: rule(has[2]) };
        let mut set = ProbeSet::new(rules, ms(0), ms(0), 1);
        let (mut now, mut ready, mut health) = (ms(0), None, Health::Starting);
        for (role, answer, later) in answers {
            now += ms(later);
            let role = Role::ALL[role];
            let taken = set.takes(role);
            let events = set.feed(role, &answer_of(['+', '-', '?'][answer]), now);
            prop_assert!(taken || events.is_empty());
            for event in events {
                match event {
                    ProbeEvent::Healthy => prop_assert_ne!(ready.replace(true), Some(true)),
                    ProbeEvent::Unhealthy => prop_assert_ne!(ready.replace(false), Some(false)),
                    ProbeEvent::Dead => prop_assert_ne!(role, Role::Readiness),
                    ProbeEvent::HealthChanged(to) => prop_assert_ne!(std::mem::replace(&mut health, to), to),
                }
            }
            prop_assert_eq!(health, set.health());
        }
    }
}

#[test]
fn an_answer_that_was_counted_already_is_a_verdict_at_once() {
    let counted = Rule {
        is_counted: true,
        retries: 5,
        success_threshold: 5,
        start_period: Duration::from_secs(60),
        ..rule()
    };
    let mut tally = Tally::new(counted, Duration::ZERO, Duration::ZERO, 0);
    assert_eq!(
        tally.feed(&Answer::not_yet("it starts"), Duration::ZERO),
        None
    );
    assert_eq!(tally.verdict(), None, "too early is no verdict");
    for (answer, verdict) in [
        (Answer::bad("no"), Verdict::Unhealthy),
        (Answer::Good, Verdict::Healthy),
        (Answer::bad("no"), Verdict::Unhealthy),
    ] {
        assert_eq!(tally.feed(&answer, Duration::ZERO), Some(verdict));
    }
}
