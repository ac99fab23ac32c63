//! `?label=`: the version of a secret that is pending or previous, judged and recorded like the
//! current one.

use serde_json::Value;
use strongroom_core::kind::Kind;
use strongroom_core::secret::Secret;
use strongroom_core::vault::{Edit, Expect, LabelEdit, Relabel};

use crate::grant::{audit_of, decisions};
use crate::process::{Sidecar, until};
use crate::scene::{Scene, environment, path, put};

fn relabel(scene: &Scene, at: &str, to: Relabel) -> u64 {
    scene.commit(vec![Edit::Label(LabelEdit {
        environment: environment("prod"),
        path: path(at),
        to,
        expect: Expect::Any,
    })])
}

fn pending(value: &str) -> Relabel {
    Relabel::Pending(Secret::new(value.as_bytes().to_vec()))
}

fn served(sidecar: &Sidecar, revision: u64) {
    until("the commit is served", || {
        (sidecar.status()["revision"] == revision).then_some(())
    });
}

#[test]
fn each_label_has_its_version_and_the_log_says_which() {
    let scene = Scene::with_token();
    relabel(&scene, "web/token", pending("two"));
    let (audit, directory) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &audit);
    let get = |label: &str| sidecar.get(&format!("/api/v1/secrets/web/token?label={label}"));
    let now = get("pending");
    assert_eq!((now.status, now.header("strongroom-version")), (200, Some("2")));
    assert_eq!(now.json()["value"], "two");
    assert_eq!(
        (&get("current").json()["value"], sidecar.secret("web/token")),
        (&"one".into(), "one".into())
    );
    assert_ne!(now.header("etag"), get("current").header("etag"));
    let none = get("previous");
    assert_eq!(
        (none.status, none.text().contains("no previous version")),
        (404, true)
    );
    assert_eq!(get("newest").status, 400);
    let values = sidecar.get("/api/v1/values").json();
    assert_eq!(values["values"][0]["value"], "one", "{values}");

    let delivered = relabel(&scene, "web/token", Relabel::Promote);
    served(&sidecar, delivered);
    assert_eq!(sidecar.secret("web/token"), "two");
    assert_eq!(get("previous").json()["value"], "one");
    assert_eq!(get("pending").status, 404);
    let then = format!("/api/v1/secrets/web/token?label=pending&at={}", delivered - 1);
    assert_eq!(sidecar.get(&then).json()["value"], "two");
    let retired = relabel(&scene, "web/token", Relabel::Retire);
    served(&sidecar, retired);
    assert_eq!(get("previous").status, 404);
    until("the reads are recorded", || {
        let count = |reason: Value| {
            let is = |record: &&Value| record["action"] == "readSecret" && record["reason"] == reason;
            decisions(&directory).iter().filter(is).count()
        };
        let told = (
            count("the pending version".into()),
            count("the previous version".into()),
        );
        (told == (2, 1)).then_some(())
    });
    sidecar.terminate();
}

#[test]
fn what_is_hidden_has_no_labels_either() {
    let scene = Scene::with_token();
    scene.secret("other/key", "o");
    relabel(&scene, "web/token", pending("two"));
    relabel(&scene, "other/key", pending("p"));
    let uid = rustix::process::geteuid().as_raw();
    let text = format!(
        "permit (principal is Member, action, resource);\n\
         permit (principal is Workload, action == Action::\"describe\", resource in Path::\"prod/web\") \
         when {{ principal.uid == {uid} }};"
    );
    scene.commit(vec![put("prod", "policy/test", Kind::Policy, text.as_bytes())]);
    let sidecar = Sidecar::start(&scene, "");
    let get = |at: &str, label: &str| sidecar.get(&format!("/api/v1/secrets/{at}?label={label}"));
    for label in ["pending", "previous"] {
        let answer = get("other/key", label);
        let absent = get("none/key", label);
        assert_eq!(answer.text(), absent.text().replace("none/key", "other/key"));
        assert_eq!((answer.status, absent.status), (404, 404));
    }
    assert_eq!(get("web/token", "pending").status, 403);
    assert_eq!(get("web/token", "previous").status, 404);
    sidecar.terminate();
}
