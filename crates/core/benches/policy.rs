//! Decisions by policy: cold and remembered, and what a new set of policies costs.
//! `cargo bench -p strongroom-core --bench policy`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing
)]

mod kit;
#[path = "../tests/policy_kit/mod.rs"]
mod policy_kit;
#[path = "../tests/vault_kit/mod.rs"]
mod vault_kit;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use kit::{head, line, per_call, percentile, show};
use policy_kit::{Plain, policies, prepared, user};
use strongroom_core::ambient::Timestamp;
use strongroom_core::policy::{Action, Decisions, Prepared, Principal};
use strongroom_core::workload::{Container, Engine, Executable, Runtime, Workload};
use vault_kit::{World, env, path};

const ROUNDS: usize = 15;
const NOW: Timestamp = Timestamp(1_700_000_000_000);
const COLD: Duration = Duration::from_micros(150);
const REMEMBERED: Duration = Duration::from_nanos(100);

fn main() {
    head("Policy");
    cold(100, Some(COLD));
    cold(1000, None);
    timed();
    remembered();
    prepare();
    parse();
}

fn limited(what: &str, figure: Duration, most: Option<Duration>) {
    let reach = most.map_or_else(|| "-".to_owned(), |most| format!("at most {}", show(most)));
    line(
        what,
        &show(figure),
        &reach,
        most.is_none_or(|most| figure <= most),
    );
}

fn median(calls: u32, mut f: impl FnMut()) -> Duration {
    let mut all: Vec<_> = (0..ROUNDS).map(|_| per_call(calls, &mut f)).collect();
    percentile(&mut all, 50)
}

/// Policies as they are written: by user, by unit, by label, and some that forbid. None is passed
/// over by its action.
fn many(count: usize) -> String {
    let one = |n: usize| match n % 4 {
        0 => format!(
            "permit (principal is Workload, action == Action::\"readSecret\", resource in Path::\"prod/s{n}\") when {{ principal.uid == {n} }};\n"
        ),
        1 => format!(
            "permit (principal, action in [Action::\"readSecret\", Action::\"watch\"], resource) when {{ principal has unit && principal.unit == \"s{n}.service\" && resource.path like \"s{n}/*\" }};\n"
        ),
        2 => format!(
            "permit (principal is Workload, action, resource) when {{ principal.hasTag(\"role\") && principal.getTag(\"role\") == \"r{n}\" }};\n"
        ),
        _ => format!(
            "forbid (principal, action, resource in Path::\"prod/s{n}/keys\") unless {{ principal is Workload && principal.groups.contains({n}) }};\n"
        ),
    };
    (0..count).map(one).collect()
}

/// A container of which everything is known.
fn known() -> Workload {
    let mut known = user(1000);
    known.kernel.groups = vec![4, 20, 27, 1000];
    known.kernel.executable = Some(Executable {
        path: "/usr/bin/web".into(),
        sha256: Some("ab".repeat(32)),
    });
    known.kernel.cgroup = Some("/system.slice/docker-0123.scope".into());
    known.kernel.container = Some(Container {
        runtime: Runtime::Docker,
        id: "c0".repeat(32),
        pod: None,
        user: None,
    });
    let label = |n: usize| (format!("com.example.label-{n}"), format!("value {n}"));
    let mut labels: std::collections::BTreeMap<_, _> = (0..10).map(label).collect();
    labels.insert("role".into(), "r98".into());
    known.engine = Some(Engine {
        name: Some("shop-web-1".into()),
        image: Some("registry.example/web:1".into()),
        labels,
        compose_project: Some("shop".into()),
        compose_service: Some("web".into()),
    });
    known
}

fn cold(count: usize, most: Option<Duration>) {
    let policies = policies(&many(count));
    let who = prepared(&known());
    let entry = Plain::secret("s1/keys/deep/er/a");
    assert!(
        policies
            .decide(&who, Action::ReadSecret, entry.resource(), NOW)
            .allowed
    );
    let figure = median(200, || {
        black_box(policies.decide(&who, Action::ReadSecret, entry.resource(), NOW));
    });
    limited(&format!("a cold decision among {count} policies"), figure, most);
}

fn timed() {
    let text =
        many(99) + "permit (principal, action, resource) when { context.now < datetime(\"2030-01-01\") };";
    let policies = policies(&text);
    let who = prepared(&known());
    let entry = Plain::secret("s1/a");
    let figure = median(200, || {
        black_box(policies.decide(&who, Action::ReadSecret, entry.resource(), NOW));
    });
    limited("the same where one policy asks for the time", figure, Some(COLD));
}

fn remembered() {
    let world = World::new();
    let edits = (0..1000).map(|n| vault_kit::secret("prod", &format!("s{}/key-{n}", n % 97), b"1"));
    world.commit(edits.collect()).unwrap();
    let snapshot = world.vault.snapshot();
    let entry = |n: usize| {
        snapshot
            .entry(&env("prod"), &path(&format!("s{}/key-{n}", n % 97)))
            .unwrap()
    };
    let entries: Vec<_> = (0..1000).map(entry).collect();
    let decisions = Decisions::new(Arc::new(policies(&many(100))));
    let who = prepared(&known());
    let mut at = 0;
    let figure = median(200_000, || {
        at = (at + 1) % entries.len();
        black_box(decisions.decide(&who, Action::ReadSecret, &entries[at], NOW));
    });
    limited(
        "a remembered decision, of 1,000 entries in turn",
        figure,
        Some(REMEMBERED),
    );
}

fn prepare() {
    let known = known();
    let figure = median(2000, || {
        black_box(Prepared::new(Principal::Workload(&known)).unwrap());
    });
    limited("describing a workload with 10 labels", figure, None);
}

fn parse() {
    for count in [1, 100, 1000] {
        let text = many(count);
        let figure = median(1, || drop(black_box(policies(&text))));
        limited(&format!("parsing and validating {count} policies"), figure, None);
    }
}
