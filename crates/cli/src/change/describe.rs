//! What an edit does, in words: owns one sentence for each kind of edit. It must not know entries' values.

use strongroom_core::snapshot::{Label, Snapshot};
use strongroom_core::vault::{Edit, LabelEdit, Relabel, Rotate, RotationEdit};

use crate::output::REMOVED;

/// What an edit of the structure does, with the versions that it was made `before`; entries are
/// described by the plan of the vault.
pub(super) fn describe(edit: &Edit, before: Option<&Snapshot>) -> Option<String> {
    let list = |names: &[strongroom_core::name::CompartmentName]| {
        names
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    Some(match edit {
        Edit::Put(_) | Edit::Delete { .. } => return None,
        Edit::Label(LabelEdit {
            environment,
            path,
            to,
            ..
        }) => {
            let entry = before.and_then(|snapshot| snapshot.entry(environment, path).ok());
            let version = |label| {
                let version = entry.as_ref().and_then(|entry| entry.labelled(label));
                version.map_or_else(String::new, |version| format!(" {version}"))
            };
            let (pending, previous) = (version(Label::Pending), version(Label::Previous));
            let what = match to {
                Relabel::Pending(_) => "make a new value the pending version".into(),
                Relabel::Promote => format!("deliver the pending version{pending}"),
                Relabel::TakeBack => format!("deliver the previous version{previous} again"),
                Relabel::Drop => format!("drop the pending version{pending}"),
                Relabel::Retire => format!("retire the previous version{previous}"),
            };
            let current = version(Label::Current);
            let besides = match before {
                Some(_) => format!("; current is{current}"),
                None => String::new(),
            };
            format!("{what} of {environment} {path}{besides}")
        }
        Edit::Rotate(RotationEdit {
            environment,
            path,
            to,
            ..
        }) => {
            let what = match to {
                Rotate::Begin { .. } => "begin the rotation",
                Rotate::Advance { .. } => "go on with the rotation",
                Rotate::TakeOver { .. } => "take over the rotation",
                Rotate::GiveUp { .. } => "give up the rotation",
            };
            format!("{what} of {environment} {path}")
        }
        Edit::AddEnvironment {
            name,
            parent,
            compartment,
        } => {
            let from = parent
                .as_ref()
                .map(|parent| format!(", inheriting config and flags from {parent}"));
            let into = compartment.as_ref().map_or_else(
                || " with a compartment of its name".to_owned(),
                |compartment| format!(" in compartment {compartment}"),
            );
            format!("add environment {name}{into}{}", from.unwrap_or_default())
        }
        Edit::NewKey { compartment } => format!("make a new key for compartment {compartment}"),
        Edit::Rewrap(edit) => format!(
            "wrap the records of {} entries under their newest key",
            edit.len()
        ),
        Edit::AddCompartment { name } => format!("add compartment {name}, which admins open"),
        Edit::AddMember {
            name,
            role,
            compartments,
            ..
        } if compartments.is_empty() => {
            format!("add member {name} as {}", role.as_str())
        }
        Edit::AddMember {
            name,
            role,
            compartments,
            ..
        } => {
            format!(
                "add member {name} as {}, opening {}",
                role.as_str(),
                list(compartments)
            )
        }
        Edit::RemoveMember { name } => {
            format!(
                "{REMOVED}remove member {name}{REMOVED:#} and change the key of every compartment it opened"
            )
        }
        Edit::Grant { member, compartment } => format!("let member {member} open compartment {compartment}"),
    })
}
