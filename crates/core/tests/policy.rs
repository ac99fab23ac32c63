//! Policies: what is decided, by which policy, and which texts are refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod policy_kit;
mod vault_kit;

use std::sync::Arc;

use policy_kit::*;
use strongroom_core::ambient::Timestamp;
use strongroom_core::policy::{Action, Decisions, Policies, Prepared, Principal, check};
use strongroom_core::snapshot::{Kind, Role};
use strongroom_core::workload::{Container, Engine, Executable, Runtime, Workload};
use vault_kit::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn asks(policies: &Policies, workload: &Workload, action: Action, at: &str) -> (bool, Vec<String>) {
    let entry = Plain::secret(at);
    let decision = policies.decide(&prepared(workload), action, entry.resource(), NOW);
    assert!(decision.errors.is_empty(), "{:?}", decision.errors);
    (
        decision.allowed,
        decision.policies.iter().map(ToString::to_string).collect(),
    )
}

fn reads(text: &str, workload: &Workload) -> bool {
    asks(&policies(text), workload, Action::ReadSecret, "web/db").0
}

#[test]
fn without_policies_workloads_read_and_members_keep_to_their_roles() {
    let policies = Policies::from_texts(vec![env("prod")], []).unwrap();
    assert!(policies.is_default());
    for action in Action::ALL {
        let entry = Plain::secret("web/db");
        let workload = policies.decide(&prepared(&user(1000)), action, entry.resource(), NOW);
        assert_eq!(workload.allowed, !action.is_of_members(), "{action}");
        for role in [Role::Admin, Role::Writer, Role::Rotator, Role::Reader] {
            let member = policies.decide(&member("bob", role), action, entry.resource(), NOW);
            // What is left out for environments without policies must change nothing.
            assert_eq!(member.allowed, action.is_of_members(), "{action} {role}");
        }
    }
}

#[test]
fn what_no_policy_permits_is_denied_and_a_forbid_wins() {
    let policies = policies(
        r#"
        permit (principal, action == Action::"readSecret", resource) when { principal.uid == 1000 };
        @id("web reads its own")
        permit (principal, action in [Action::"readSecret", Action::"describe"], resource in Path::"prod/web");
        @id("never the key")
        forbid (principal, action, resource) when { resource.path == "web/key" };
        "#,
    );
    let mine = user(1000);
    let other = user(1001);
    let all = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        asks(&policies, &mine, Action::ReadSecret, "db"),
        (true, all(&["prod/policy/test#1"]))
    );
    assert_eq!(
        asks(&policies, &mine, Action::ReadSecret, "web/db"),
        (true, all(&["prod/policy/test#1", "web reads its own"]))
    );
    assert_eq!(
        asks(&policies, &other, Action::ReadSecret, "db"),
        (false, all(&[]))
    );
    assert_eq!(
        asks(&policies, &other, Action::Watch, "web/db"),
        (false, all(&[]))
    );
    assert_eq!(
        asks(&policies, &mine, Action::ReadSecret, "web/key"),
        (false, all(&["never the key"]))
    );
}

#[test]
fn a_policy_for_anyone_and_anything_gives_no_member_a_read_and_no_workload_a_commit() {
    let policies = policies("permit (principal, action, resource);");
    for action in Action::ALL {
        let entry = Plain::secret("a");
        let workload = policies.decide(&prepared(&user(0)), action, entry.resource(), NOW);
        let member = policies.decide(&member("bob", Role::Writer), action, entry.resource(), NOW);
        assert_eq!(
            (workload.allowed, member.allowed),
            (!action.is_of_members(), action.is_of_members())
        );
    }
}

#[test]
fn everything_known_of_a_workload_can_be_asked_for() {
    let mut known = user(1000);
    known.kernel.gid = 1001;
    known.kernel.groups = vec![20, 7];
    known.kernel.executable = Some(Executable {
        path: "/usr/bin/web".into(),
        sha256: Some("ab".repeat(32)),
    });
    known.kernel.cgroup = Some("/system.slice/web.service".into());
    known.kernel.container = Some(Container {
        runtime: Runtime::CriO,
        id: "c0".repeat(32),
        pod: Some("pod-uid".into()),
        user: Some(1000),
    });
    known.kernel.unit = Some("web.service".into());
    known.kernel.user_unit = Some("mine.service".into());
    known.engine = Some(Engine {
        name: Some("shop-web-1".into()),
        image: Some("registry/web:1".into()),
        labels: [("com.example/role".to_owned(), "web".to_owned())].into(),
        compose_project: Some("shop".into()),
        compose_service: Some("web".into()),
    });
    let hash = "ab".repeat(32);
    let id = "c0".repeat(32);
    let optional = [
        (
            "principal has executable",
            r#"principal.executable == "/usr/bin/web""#.to_owned(),
        ),
        (
            "principal has executableSha256",
            format!("principal.executableSha256 == \"{hash}\""),
        ),
        (
            "principal has cgroup",
            r#"principal.cgroup like "/system.slice/*""#.to_owned(),
        ),
        (
            "principal has container",
            format!("principal.container == \"{id}\""),
        ),
        (
            "principal has runtime",
            r#"principal.runtime == "cri-o""#.to_owned(),
        ),
        ("principal has pod", r#"principal.pod == "pod-uid""#.to_owned()),
        (
            "principal has containerUser",
            "principal.containerUser == 1000".to_owned(),
        ),
        (
            "principal has userUnit",
            r#"principal.userUnit == "mine.service""#.to_owned(),
        ),
        (
            "principal has unit",
            r#"principal.unit == "web.service""#.to_owned(),
        ),
        (
            "principal.engine has name",
            r#"principal.engine.name == "shop-web-1""#.to_owned(),
        ),
        (
            "principal has engine.image",
            r#"principal.engine.image like "registry/*""#.to_owned(),
        ),
        (
            "principal.engine has composeProject",
            r#"principal.engine.composeProject == "shop""#.to_owned(),
        ),
        (
            "principal.engine has composeService",
            r#"principal.engine.composeService == "web""#.to_owned(),
        ),
        (
            r#"principal.hasTag("com.example/role")"#,
            r#"principal.getTag("com.example/role") == "web""#.to_owned(),
        ),
    ];
    for (guard, condition) in &optional {
        let text =
            format!("permit (principal is Workload, action, resource) when {{ {guard} && {condition} }};");
        assert!(reads(&text, &known), "{text}");
        assert!(!reads(&text, &user(1000)), "what is not known is absent: {text}");
        // Without asking first whether it is there, it does not validate.
        let unguarded = format!("permit (principal is Workload, action, resource) when {{ {condition} }};");
        assert!(check(&unguarded).is_err(), "{unguarded}");
    }
    for condition in [
        "principal.uid == 1000",
        "principal.gid == 1001",
        "principal.groups.contains(7)",
    ] {
        let text = format!("permit (principal is Workload, action, resource) when {{ {condition} }};");
        assert!(reads(&text, &known), "{text}");
        assert!(!reads(&text, &user(1)), "{text}");
    }
}

#[test]
fn everything_known_of_an_entry_can_be_asked_for() {
    let entry = Plain {
        kind: Kind::Config,
        compartment: compartment("payments"),
        labels: [("team/name".to_owned(), "web".to_owned())].into(),
        ..Plain::secret("web/app.toml")
    };
    for (condition, holds) in [
        (r#"resource.environment == "prod""#, true),
        (r#"resource.path like "web/*""#, true),
        (r#"resource.kind == "config""#, true),
        (r#"resource.compartment == "payments""#, true),
        (
            r#"resource.hasTag("team/name") && resource.getTag("team/name") == "web""#,
            true,
        ),
        (r#"resource in Environment::"prod""#, true),
        (r#"resource in Path::"prod/web/app.toml""#, true),
        (r#"resource == Entry::"prod/web/app.toml""#, true),
        (r#"resource in Environment::"dev""#, false),
        (r#"resource.hasTag("team")"#, false),
    ] {
        let policies = policies(&format!(
            "permit (principal, action, resource) when {{ {condition} }};"
        ));
        let decision = policies.decide(&prepared(&user(1)), Action::ReadConfig, entry.resource(), NOW);
        assert_eq!(
            (decision.allowed, decision.errors.len()),
            (holds, 0),
            "{condition}"
        );
    }
}

#[test]
fn a_scope_in_a_parent_environment_covers_its_children() {
    let text = r#"permit (principal, action, resource in Path::"base/web");"#;
    let (base, prod, at) = (env("base"), env("prod"), path("policy/web"));
    let source = source(&base, &at, text);
    let inherits = Policies::from_texts(vec![prod.clone(), base.clone()], [source]).unwrap();
    let (allowed, by) = asks(&inherits, &user(1), Action::ReadSecret, "web/db");
    assert_eq!((allowed, by), (true, vec!["base/policy/web#1".to_owned()]));
    assert!(!asks(&inherits, &user(1), Action::ReadSecret, "db").0);
    let does_not = Policies::from_texts(vec![prod], [source]).unwrap();
    assert!(!asks(&does_not, &user(1), Action::ReadSecret, "web/db").0);
}

#[test]
fn a_permission_ends_when_its_time_is_over() {
    let policies = policies(
        r#"permit (principal, action == Action::"readSecret", resource)
        when { context.now < datetime("2023-11-14T22:13:21Z") };
        permit (principal, action == Action::"describe", resource);"#,
    );
    assert!(policies.is_timed(Action::ReadSecret));
    assert!(!policies.is_timed(Action::Describe));
    let world = World::new();
    world.put("prod", "a", b"1");
    let entry = world.vault.snapshot().entry(&env("prod"), &path("a")).unwrap();
    let decisions = Decisions::new(Arc::new(policies));
    let who = prepared(&user(1));
    // In 1 s of the end, at its last millisecond, and at the end.
    for (now, allowed) in [(0, true), (999, true), (1000, false), (1001, false)] {
        let now = Timestamp(NOW.0 + now);
        for _ in 0..2 {
            assert_eq!(
                decisions.decide(&who, Action::ReadSecret, &entry, now).allowed,
                allowed,
                "{now:?}"
            );
        }
        assert!(decisions.decide(&who, Action::Describe, &entry, now).allowed);
    }
}

#[test]
fn a_forbid_that_fails_denies() {
    let policies = policies(
        r#"permit (principal, action, resource);
        @id("broken") forbid (principal is Workload, action, resource)
        when { principal.uid + 9223372036854775807 > 0 };"#,
    );
    let entry = Plain::secret("a");
    let decision = policies.decide(&prepared(&user(1)), Action::ReadSecret, entry.resource(), NOW);
    assert!(!decision.allowed);
    assert_eq!(decision.errors.len(), 1);
    assert_eq!(
        decision.policies,
        [Arc::<str>::from("broken")],
        "it is what decided"
    );
    assert!(
        decision.errors[0].starts_with("broken: "),
        "{:?}",
        decision.errors
    );
}

#[test]
fn a_guest_has_nothing_that_a_policy_could_mistake_for_a_process() {
    let guest = Prepared::new(Principal::Guest { listener: "tcp" }).unwrap();
    let secret = Plain::secret("web/key");
    let is_allowed = |text: &str| {
        let policies = policies(text);
        let decide = |action| {
            policies
                .decide(&guest, action, secret.resource(), Timestamp(0))
                .allowed
        };
        assert!(!decide(Action::Commit), "{text}");
        decide(Action::EvaluateFlag)
    };
    let anyone = "permit (principal is Workload, action, resource);";
    assert!(is_allowed(anyone));
    for asked in [
        "principal.uid >= 0",
        "principal.uid < 0",
        "principal.gid != 5",
        "!(principal.groups.contains(5))",
        "!(principal.engine has image)",
    ] {
        let permit = format!("permit (principal is Workload, action, resource) when {{ {asked} }};");
        assert!(!is_allowed(&permit), "{asked}");
        let unless = format!("permit (principal is Workload, action, resource) unless {{ !({asked}) }};");
        assert!(!is_allowed(&unless), "{asked}");
        let forbid = format!("{anyone} forbid (principal is Workload, action, resource) when {{ {asked} }};");
        assert!(!is_allowed(&forbid), "{asked}");
    }
    let by_listener = "permit (principal is Workload, action, resource) when { principal has listener && principal.listener == ";
    assert!(is_allowed(&format!("{by_listener}\"tcp\" }};")));
    assert!(!is_allowed(&format!("{by_listener}\"other\" }};")));
    // a process never has one
    let process = user(1000);
    assert!(!reads(&format!("{by_listener}\"tcp\" }};"), &process));
    assert!(!guest.is_like(&prepared(&process)));
}

#[test]
fn the_same_question_is_decided_once_and_another_one_anew() {
    let world = World::new();
    world.put("prod", "web/a", b"1");
    world.put("prod", "b", b"1");
    let snapshot = world.vault.snapshot();
    let entry = |at: &str| snapshot.entry(&env("prod"), &path(at)).unwrap();
    let decisions = Decisions::new(Arc::new(policies(
        r#"permit (principal is Workload, action == Action::"readSecret", resource in Path::"prod/web") when { principal.uid == 1 };"#,
    )));
    let (one, two) = (prepared(&user(1)), prepared(&user(2)));
    let mut same_but_pid = user(1);
    same_but_pid.kernel.pid = Some(77);
    let first = decisions.decide(&one, Action::ReadSecret, &entry("web/a"), NOW);
    assert!(first.allowed);
    let again = decisions.decide(&prepared(&same_but_pid), Action::ReadSecret, &entry("web/a"), NOW);
    assert!(Arc::ptr_eq(&first, &again));
    assert!(
        !decisions
            .decide(&two, Action::ReadSecret, &entry("web/a"), NOW)
            .allowed
    );
    assert!(
        !decisions
            .decide(&one, Action::Describe, &entry("web/a"), NOW)
            .allowed
    );
    assert!(
        !decisions
            .decide(&one, Action::ReadSecret, &entry("b"), NOW)
            .allowed
    );
    assert_eq!(decisions.len(), 4);
}

#[test]
fn identities_that_policies_can_tell_apart_are_not_alike() {
    let base = user(1000);
    let mut others = Vec::new();
    let mut vary = |change: &dyn Fn(&mut Workload)| {
        let mut other = base.clone();
        change(&mut other);
        others.push(prepared(&other));
    };
    vary(&|_| {});
    vary(&|w| w.kernel.uid = 1);
    vary(&|w| w.kernel.gid = 1);
    vary(&|w| w.kernel.groups = vec![1]);
    vary(&|w| w.kernel.groups = vec![1, 2]);
    vary(&|w| w.kernel.unit = Some("a".into()));
    vary(&|w| w.kernel.cgroup = Some("a".into()));
    vary(&|w| {
        w.engine = Some(Engine {
            name: Some("a".into()),
            ..Engine::default()
        })
    });
    vary(&|w| {
        w.engine = Some(Engine {
            image: Some("a".into()),
            ..Engine::default()
        })
    });
    vary(&|w| {
        w.engine = Some(Engine {
            labels: [("a".into(), "b".into())].into(),
            ..Engine::default()
        })
    });
    vary(&|w| {
        w.engine = Some(Engine {
            labels: [("name".into(), "a".into())].into(),
            ..Engine::default()
        })
    });
    others.push(member("a", Role::Admin));
    others.push(member("a", Role::Writer));
    for (at, one) in others.iter().enumerate() {
        for other in &others[..at] {
            assert!(!one.is_like(other), "{one:?} {other:?}");
        }
    }
}

#[test]
fn words_of_actions_are_read_as_they_are_written() {
    for action in Action::ALL {
        assert_eq!(action.as_str().parse::<Action>(), Ok(action));
    }
    assert!("read".parse::<Action>().is_err());
}
