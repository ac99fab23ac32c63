//! What the names of control groups tell: a fixture for every runtime, as its processes see it.
#![cfg(feature = "attest")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use proptest::prelude::*;
use strongroom_core::attest::cgroup::{Place, down_to, place};
use strongroom_core::workload::{Container, Runtime};

const ID: &str = "3f4c1a9d0b7e52886c1d2e3f4a5b6c7d8e9f00112233445566778899aabbccdd";
const OTHER: &str = "00000000000000000000000000000000000000000000000000000000000000aa";
const POD: &str = "8d0e1f2a-3b4c-5d6e-7f80-91a2b3c4d5e6";

/// The text of a fixture: `ID`, `OTHER`, and the pod with dashes or underscores are filled in.
fn text(fixture: &str) -> String {
    fixture
        .replace("OTHER", OTHER)
        .replace("ID", ID)
        .replace("POD-", POD)
        .replace("POD_", &POD.replace('-', "_"))
}

fn seen(fixture: &str) -> Place {
    place(&text(fixture))
}

fn container(runtime: Runtime) -> Container {
    Container {
        runtime,
        id: ID.into(),
        pod: None,
        user: None,
    }
}

fn in_pod(runtime: Runtime) -> Container {
    Container {
        pod: Some(POD.into()),
        ..container(runtime)
    }
}

/// Of each fixture, the container and the unit.
#[test]
fn every_runtime_is_known_by_its_groups() {
    let of_user = |runtime| Container {
        user: Some(1000),
        ..container(runtime)
    };
    let scope = |prefix: &str| Some(format!("{prefix}-{ID}.scope"));
    let manager = || Some("user@1000.service".to_owned());
    let cases: Vec<(&str, &str, Container, Option<String>)> = vec![
        (
            "docker, version 1, cgroupfs",
            "12:pids:/docker/ID\n11:hugetlb:/docker/ID\n4:memory:/docker/ID\n1:name=systemd:/docker/ID\n0::/system.slice/containerd.service\n",
            container(Runtime::Docker),
            Some("containerd.service".into()),
        ),
        (
            "docker, version 1, systemd",
            "9:cpu,cpuacct:/system.slice/docker-ID.scope\n1:name=systemd:/system.slice/docker-ID.scope\n0::/system.slice/docker-ID.scope\n",
            container(Runtime::Docker),
            scope("docker"),
        ),
        (
            "docker, version 2, cgroupfs",
            "0::/docker/ID\n",
            container(Runtime::Docker),
            None,
        ),
        (
            "docker, version 2, systemd",
            "0::/system.slice/docker-ID.scope\n",
            container(Runtime::Docker),
            scope("docker"),
        ),
        (
            "docker of a user",
            "0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope\n",
            of_user(Runtime::Docker),
            manager(),
        ),
        (
            "docker below a parent of its own",
            "0::/batch/ID\n",
            container(Runtime::Unknown),
            None,
        ),
        (
            "podman of root, systemd",
            "0::/machine.slice/libpod-ID.scope/container\n",
            container(Runtime::Podman),
            scope("libpod"),
        ),
        (
            "podman of root, version 1, systemd",
            "5:devices:/machine.slice/libpod-ID.scope\n1:name=systemd:/machine.slice/libpod-ID.scope/container\n0::/\n",
            container(Runtime::Podman),
            scope("libpod"),
        ),
        (
            "podman of root, cgroupfs",
            "0::/libpod_parent/libpod-ID\n",
            container(Runtime::Podman),
            None,
        ),
        (
            "podman in a pod of its own",
            "0::/machine.slice/machine-libpod_pod_OTHER.slice/libpod-ID.scope/container\n",
            container(Runtime::Podman),
            scope("libpod"),
        ),
        (
            "podman inside its service",
            "0::/system.slice/web.service/libpod-payload-ID\n",
            container(Runtime::Podman),
            Some("web.service".into()),
        ),
        (
            "podman of a user",
            "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container\n",
            of_user(Runtime::Podman),
            manager(),
        ),
        (
            "containerd by nerdctl",
            "0::/system.slice/nerdctl-ID.scope\n",
            container(Runtime::Containerd),
            scope("nerdctl"),
        ),
        (
            "containerd by its own namespace",
            "0::/default/ID\n",
            container(Runtime::Containerd),
            None,
        ),
        (
            "Kubernetes, containerd, systemd: underscores",
            "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podPOD_.slice/cri-containerd-ID.scope\n",
            in_pod(Runtime::Containerd),
            scope("cri-containerd"),
        ),
        (
            "Kubernetes, guaranteed, version 1",
            "11:cpuset:/kubepods.slice/kubepods-podPOD_.slice/cri-containerd-ID.scope\n1:name=systemd:/kubepods.slice/kubepods-podPOD_.slice/cri-containerd-ID.scope\n",
            in_pod(Runtime::Containerd),
            scope("cri-containerd"),
        ),
        (
            "Kubernetes, cgroupfs: dashes",
            "0::/kubepods/besteffort/podPOD-/ID\n",
            in_pod(Runtime::Unknown),
            None,
        ),
        (
            "Kubernetes, CRI-O, systemd",
            "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podPOD_.slice/crio-ID.scope/container\n",
            in_pod(Runtime::CriO),
            scope("crio"),
        ),
        (
            "Kubernetes, CRI-O, cgroupfs",
            "4:memory:/kubepods/burstable/podPOD-/crio-ID\n",
            in_pod(Runtime::CriO),
            None,
        ),
        (
            "Kubernetes, Docker",
            "0::/kubepods.slice/kubepods-podPOD_.slice/docker-ID.scope\n",
            in_pod(Runtime::Docker),
            scope("docker"),
        ),
        (
            "Kubernetes inside a node of its own",
            "0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podPOD_.slice/cri-containerd-ID.scope\n",
            in_pod(Runtime::Containerd),
            scope("cri-containerd"),
        ),
        (
            "containerd and kubelet that disagree about systemd",
            "0::/system.slice/containerd.service/kubepods-burstable-podPOD_.slice:cri-containerd:ID\n",
            container(Runtime::Containerd),
            Some("containerd.service".into()),
        ),
        (
            "a neighbour's namespace",
            "0::/../docker-ID.scope\n",
            container(Runtime::Docker),
            None,
        ),
    ];
    for (what, fixture, expected, unit) in cases {
        let seen = seen(fixture);
        assert_eq!(seen.container, Some(expected), "{what}");
        assert_eq!(seen.unit, unit, "{what}");
        let path = seen.path.unwrap();
        let group = down_to(&path, ID).unwrap_or_else(|| panic!("{what}: {path}"));
        assert!(path.starts_with(group) && group.contains(ID), "{what}: {group}");
    }
}

#[test]
fn a_static_pod_has_a_uid_without_dashes() {
    let uid = "0123456789abcdef0123456789abcdef";
    let fixture = format!(
        "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid}.slice/crio-ID.scope\n"
    );
    assert_eq!(seen(&fixture).container.unwrap().pod.as_deref(), Some(uid));
}

#[test]
fn the_outer_container_counts() {
    // who is in the outer one named the inner one, maybe after somebody else's
    let nested = seen("0::/system.slice/docker-ID.scope/docker/OTHER\n");
    assert_eq!(nested.container, Some(container(Runtime::Docker)));
    let nested = seen("0::/system.slice/docker-ID.scope/kubepods/podPOD-/OTHER\n");
    assert_eq!(nested.container, Some(container(Runtime::Docker)));
    let path = nested.path.unwrap();
    assert_eq!(
        down_to(&path, ID),
        Some(text("/system.slice/docker-ID.scope").as_str())
    );
}

#[test]
fn units_are_as_systemd_means_them() {
    let units = |fixture: &str| {
        let seen = seen(fixture);
        (seen.unit.unwrap_or_default(), seen.user_unit.unwrap_or_default())
    };
    let of = |unit: &str, user_unit: &str| (unit.to_owned(), user_unit.to_owned());
    assert_eq!(units("0::/system.slice/web.service\n"), of("web.service", ""));
    assert_eq!(
        units("0::/system.slice/system-web.slice/web@blue.service\n"),
        of("web@blue.service", "")
    );
    assert_eq!(units("0::/init.scope\n"), of("init.scope", ""));
    assert_eq!(
        units("0::/user.slice/user-1000.slice/session-3.scope\n"),
        of("session-3.scope", "")
    );
    assert_eq!(
        units("0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service\n"),
        of("user@1000.service", "web.service")
    );
    // version 1 knows units in systemd's own hierarchy alone
    assert_eq!(
        units("4:memory:/system.slice/not.service\n1:name=systemd:/system.slice/web.service\n0::/\n"),
        of("web.service", "")
    );
    // what a service makes below its group is no unit
    assert_eq!(
        units("0::/system.slice/worker.service/system.slice/web.service\n"),
        of("worker.service", "")
    );
    assert_eq!(units("0::/workers/web.service\n"), of("", ""));
    // without the root in sight, anything could be above
    assert_eq!(units("0::/../web.service\n"), of("", ""));
    assert_eq!(
        units("0::/system.slice/_cgroup.service\n"),
        of("cgroup.service", "")
    );
}

#[test]
fn names_that_a_user_chose_are_told_apart() {
    // a user's own groups, named after a pod, a container and a unit of the system
    let forged = "0::/user.slice/user-1000.slice/user@1000.service/kubepods-podPOD_.slice/docker-ID.scope\n";
    let seen = seen(forged);
    let container = seen.container.unwrap();
    assert_eq!((container.user, container.pod), (Some(1000), None));
    assert_eq!(seen.unit.as_deref(), Some("user@1000.service"));
    // and those of a service that was given its group
    let forged = text("0::/system.slice/worker.service/kubepods-podPOD_.slice/cri-containerd-ID.scope\n");
    assert_eq!(place(&forged).container.unwrap().pod, None);
}

#[test]
fn what_is_no_container_is_not_guessed() {
    for fixture in [
        "",
        "0::/\n",
        "0::\n",
        "nonsense\n",
        "0::/system.slice/web.service\n",
        // the monitors of containers, not in them
        "0::/machine.slice/libpod-conmon-ID.scope\n",
        "0::/system.slice/crio-conmon-ID.scope\n",
        // 32 digits, upper case, one too many
        "4:memory:/process_api/5a1b5353a897b4a55565dcc125c2ba26\n",
        "0::/docker/3F4C1A9D0B7E52886C1D2E3F4A5B6C7D8E9F00112233445566778899AABBCCDD\n",
        "0::/docker/ID0\n",
        "0::/system.slice/docker-ID-x.scope\n",
        // hierarchies that contradict each other
        "4:memory:/docker/ID\n3:cpu:/docker/OTHER\n",
    ] {
        let seen = seen(fixture);
        assert_eq!(seen.container, None, "{fixture}");
    }
    assert_eq!(seen("0::/\n").path.as_deref(), Some("/"));
    assert_eq!(
        seen("4:memory:/process_api/x\n0::/\n").path.as_deref(),
        Some("/process_api/x")
    );
    assert_eq!(seen("").path, None);
}

proptest! {
    #[test]
    fn any_text_is_read(text in "[a-f0-9:/@=_.,\\-podslicervckn \n]{0,200}", any in ".{0,100}") {
        for text in [text, any] {
            let seen = place(&text);
            if let Some(container) = seen.container {
                prop_assert_eq!(container.id.len(), 64);
                prop_assert!(seen.path.is_some_and(|path| down_to(&path, &container.id).is_some()));
            }
        }
    }
}
