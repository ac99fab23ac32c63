//! Plans: what one says, and what is wrong with one.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use proptest::prelude::*;
use strongroom_core::rotation::Strategy as Way;
use strongroom_core::rotation::plan::{ExecPlan, Plan, TargetKind, duration};

const WHOLE: &str = r#"
strategy = "alternate"
generator = "password:length=40"
accounts = ["web_a", "web_b"]
every = "30d"
jitter = "12h"
settle = "5s"
deadline = "10m"

[target]
exec = ["/usr/local/libexec/rotate-web", "db1"]
env = ["PGHOST"]
limit = "20s"
retry = "1m"
"#;

fn problems(text: &str) -> Vec<String> {
    text.parse::<Plan>().unwrap_err().0
}

#[test]
fn a_whole_plan_is_read() {
    let plan: Plan = WHOLE.parse().unwrap();
    assert_eq!(plan.strategy, Way::Alternate);
    assert_eq!(plan.accounts.unwrap(), ["web_a", "web_b"]);
    assert_eq!(plan.every, Some(Duration::from_secs(30 * 86_400)));
    assert_eq!(plan.jitter, Duration::from_secs(12 * 3_600));
    assert_eq!(plan.settle, Duration::from_secs(5));
    assert_eq!(plan.deadline, Duration::from_secs(600));
    let exec = TargetKind::Exec(ExecPlan {
        program: "/usr/local/libexec/rotate-web".into(),
        arguments: vec!["db1".into()],
        variables: vec!["PGHOST".into()],
    });
    assert_eq!(plan.target.kind, exec);
    assert_eq!(plan.target.limit, Duration::from_secs(20));
    assert_eq!(plan.target.retry, Duration::from_secs(60));
}

#[test]
fn the_shortest_plan_has_defaults() {
    let plan: Plan = "strategy='overlap'\ngenerator='uuid'\ntarget.exec=['/bin/true']"
        .parse()
        .unwrap();
    assert_eq!((plan.every, plan.jitter), (None, Duration::ZERO));
    assert_eq!(plan.settle, Duration::from_secs(10));
    assert_eq!(plan.deadline, Duration::from_secs(3_600));
    assert_eq!(plan.target.limit, Duration::from_secs(60));
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let all = problems(
        "strategy='both'\nevery='soon'\nstratgy='x'\n[target]\nexec=['psql']\nenv=['STRONGROOM_IDENTITY']\nlimt=3",
    );
    for word in [
        "`strategy`: a strategy is one of",
        "`generator`: is missing",
        "`every`: a duration",
        "`stratgy`: is not known",
        "absolute path",
        "none of Strongroom's own",
        "`target.limt`: is not known",
    ] {
        assert!(
            all.iter().any(|problem| problem.contains(word)),
            "{word}: {all:?}"
        );
    }
    assert_eq!(all.len(), 7, "{all:?}");
}

#[test]
fn keys_that_do_not_go_together_are_refused() {
    let base = "generator='uuid'\ntarget.exec=['/bin/true']\n";
    for (more, words) in [
        ("strategy='alternate'", "two names that differ"),
        (
            "strategy='alternate'\naccounts=['a','a']",
            "two names that differ",
        ),
        (
            "strategy='overlap'\naccounts=['a','b']",
            "for the strategy `alternate`",
        ),
        ("strategy='overlap'\njitter='1d'", "at most `every`"),
        ("strategy='overlap'\nsettle='2h'", "at least `settle`"),
        ("strategy='overlap'\nevery='0d'", "longer than nothing"),
        ("strategy=1", "`strategy`: is a text"),
    ] {
        let all = problems(&format!("{more}\n{base}"));
        assert!(
            all.len() == 1 && all.iter().all(|problem| problem.contains(words)),
            "{more}: {all:?}"
        );
    }
    assert_eq!(problems("a = ["), ["it is not TOML, at line 1"]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_ends_the_program(text in "(?s).{0,200}") {
        let _ = text.parse::<Plan>();
    }

    #[test]
    fn a_plan_without_one_of_its_lines_or_with_another_one_is_read_or_refused(
        line in 0_usize..14, more in "[a-z]{1,9}",
    ) {
        let kept: String = WHOLE.lines().enumerate().filter(|(at, _)| *at != line)
            .map(|(_, text)| format!("{text}\n")).collect();
        let _ = kept.parse::<Plan>();
        let known = ["exec", "env", "limit", "retry"].contains(&more.as_str());
        let added = format!("{WHOLE}{more} = 1\n");
        prop_assert!(added.parse::<Plan>().is_err() || known);
    }

    #[test]
    fn durations_are_a_number_and_a_unit(number in 0_u64..1_000_000, unit in "[smhdw]") {
        let factor = match unit.as_str() { "s" => 1, "m" => 60, "h" => 3600, "d" => 86_400, _ => 604_800 };
        prop_assert_eq!(duration(&format!("{number}{unit}")), Ok(Duration::from_secs(number * factor)));
        let negative = format!("-{number}{unit}");
        prop_assert!(duration(&negative).is_err());
    }
}
