//! One process and its record, for the tests of the audit log.
#![allow(dead_code, unreachable_pub)]

use std::sync::Arc;

use strongroom_core::ambient::Timestamp;
use strongroom_core::audit::{Decision, Name, Record, RequestId, Subject};
use strongroom_core::id::{EntryId, Revision};
use strongroom_core::workload::{Container, Executable, Kernel, Runtime, Workload};

pub const AT: Timestamp = Timestamp(1_764_381_247_123);

pub fn workload(executable: &str) -> Workload {
    Workload {
        kernel: Kernel {
            uid: 1000,
            gid: 100,
            groups: vec![5],
            pid: Some(77),
            executable: Some(Executable {
                path: executable.to_owned(),
                sha256: None,
            }),
            cgroup: None,
            container: Some(Container {
                runtime: Runtime::Docker,
                id: "c".repeat(64),
                pod: None,
                user: Some(1000),
            }),
            unit: Some("web.service".to_owned()),
            user_unit: None,
        },
        engine: None,
    }
}

pub fn record<'a>(subject: &'a Subject, policies: &'a [Arc<str>], name: Option<Name<'a>>) -> Record<'a> {
    Record {
        revision: Revision(7),
        subject,
        action: "readSecret",
        entry: Some(EntryId([0xab; 16])),
        name,
        decision: Decision::Allow,
        reason: Some("policy"),
        policies,
        request: Some(RequestId(0xfeed)),
    }
}
