//! What policy tests and benches ask with: plain workloads, members and entries.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;

use strongroom_core::name::{CompartmentName, EntryPath, EnvironmentName, MemberName};
use strongroom_core::policy::{Policies, Prepared, Principal, Resource, Source};
use strongroom_core::snapshot::{Kind, Role};
use strongroom_core::workload::{Kernel, Workload};

/// A process of which only the user is known.
pub fn user(uid: u32) -> Workload {
    Workload {
        kernel: Kernel {
            uid,
            gid: uid,
            groups: Vec::new(),
            pid: None,
            executable: None,
            cgroup: None,
            container: None,
            unit: None,
            user_unit: None,
        },
        engine: None,
    }
}

pub fn prepared(workload: &Workload) -> Prepared {
    Prepared::new(Principal::Workload(workload)).unwrap()
}

pub fn member(name: &str, role: Role) -> Prepared {
    let name = MemberName::new(name).unwrap();
    Prepared::new(Principal::Member { name: &name, role }).unwrap()
}

pub fn source<'a>(environment: &'a EnvironmentName, path: &'a EntryPath, text: &'a str) -> Source<'a> {
    Source {
        environment,
        path,
        text,
    }
}

/// `text` as the only policy entry of `prod`.
pub fn policies(text: &str) -> Policies {
    let (prod, at) = (
        EnvironmentName::new("prod").unwrap(),
        EntryPath::new("policy/test").unwrap(),
    );
    let policies = Policies::from_texts(vec![prod.clone()], [source(&prod, &at, text)]);
    policies.unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// An entry without a store.
pub struct Plain {
    pub path: EntryPath,
    pub kind: Kind,
    pub compartment: CompartmentName,
    pub labels: BTreeMap<String, String>,
}

impl Plain {
    pub fn secret(path: &str) -> Self {
        Self {
            path: EntryPath::new(path).unwrap(),
            kind: Kind::Secret,
            compartment: CompartmentName::new("prod").unwrap(),
            labels: BTreeMap::new(),
        }
    }

    pub fn resource(&self) -> Resource<'_> {
        Resource {
            path: &self.path,
            kind: self.kind,
            compartment: &self.compartment,
            labels: &self.labels,
        }
    }
}
