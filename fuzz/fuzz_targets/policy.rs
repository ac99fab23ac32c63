//! The text of a policy: nothing panics, and what validates can be asked.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use strongroom_core::ambient::Timestamp;
use strongroom_core::kind::Kind;
use strongroom_core::name::{CompartmentName, EntryPath, EnvironmentName};
use strongroom_core::policy::{Action, Policies, Prepared, Principal, Resource, Source, check};
use strongroom_core::workload::{Kernel, Workload};

fuzz_target!(|text: &str| {
    let checked = check(text);
    let environment = EnvironmentName::new("prod").expect("a name");
    let path = EntryPath::new("web/key").expect("a path");
    let source = Source {
        environment: &environment,
        path: &path,
        text,
    };
    let policies = Policies::from_texts(vec![environment.clone()], [source]);
    assert_eq!(checked.is_ok(), policies.is_ok());
    let Ok(policies) = policies else { return };
    let kernel = Kernel {
        uid: 1,
        gid: 1,
        groups: vec![1],
        pid: None,
        executable: None,
        cgroup: None,
        container: None,
        unit: None,
        user_unit: None,
    };
    let workload = Workload { kernel, engine: None };
    let principal = Prepared::new(Principal::Workload(&workload)).expect("a workload");
    for action in Action::ALL {
        let resource = Resource {
            path: &path,
            kind: Kind::Secret,
            compartment: &CompartmentName::new("prod").expect("a name"),
            labels: &BTreeMap::new(),
        };
        let decision = policies.decide(&principal, action, resource, Timestamp(0));
        assert!(!(decision.allowed && action.is_of_members()));
    }
});
