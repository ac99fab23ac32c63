//! Administrative edits: owns how members, compartments and environments are added and removed,
//! and which keys are made or wrapped anew for it.

use std::sync::Arc;

use super::change::Edit;
use super::check::{denied, invalid};
use super::draft::Draft;
use super::error::CommitError;
use crate::commit::{AdminChange, Role};
use crate::crypto::identity::PublicIdentity;
use crate::crypto::seal::Kek;
use crate::id::{CompartmentId, EnvironmentId, MemberId, Term};
use crate::name::{CompartmentName, EnvironmentName, MemberName};
use crate::snapshot::{
    Action, Changed, EnvironmentInfo, EnvironmentRecord, Kind, Label, MAX_DEPTH, ReadError, name_context,
};

impl Draft<'_> {
    /// Takes one administrative edit.
    pub(super) fn administer(&mut self, edit: &Edit) -> Result<(), CommitError> {
        if self.role != Role::Admin {
            return Err(denied(format!("its role is {}, this takes an admin", self.role)));
        }
        match edit {
            Edit::AddEnvironment {
                name,
                parent,
                compartment,
            } => self.add_environment(name, parent.as_ref(), compartment.as_ref()),
            Edit::AddCompartment { name } => {
                if self.directory.compartment(name).is_some() {
                    return Err(invalid(format!("there is a compartment {name:?} already")));
                }
                self.add_compartment(name).map(|_| ())
            }
            Edit::NewKey { compartment } => {
                let id = self.compartment(compartment)?;
                let newest = self.keyring.newest(id).map(|(term, _)| term);
                let newest = newest.ok_or_else(|| denied("it does not open the compartment"))?;
                self.new_term(id, newest.next())
            }
            Edit::AddMember {
                name,
                public,
                role,
                compartments,
            } => self.add_member(name, public, *role, compartments),
            Edit::RemoveMember { name } => self.remove_member(name),
            Edit::Grant { member, compartment } => self.grant(member, compartment),
            Edit::Put(_) | Edit::Delete { .. } | Edit::Label(_) | Edit::Rotate(_) | Edit::Rewrap(_) => Ok(()),
        }
    }

    fn add_environment(
        &mut self,
        name: &EnvironmentName,
        parent: Option<&EnvironmentName>,
        compartment: Option<&CompartmentName>,
    ) -> Result<(), CommitError> {
        if self.directory.environments.contains_key(name) {
            return Err(invalid(format!("there is an environment {name:?} already")));
        }
        let parent_id = match parent {
            None => None,
            Some(parent) => {
                let info = self.directory.environments.get(parent);
                let info = info.ok_or_else(|| ReadError::NoEnvironment {
                    environment: parent.clone(),
                })?;
                if self.directory.layers(parent).len() >= MAX_DEPTH {
                    return Err(invalid(format!(
                        "environments inherit over at most {MAX_DEPTH} levels"
                    )));
                }
                Some(info.id)
            }
        };
        let compartment = match compartment {
            Some(name) => self.compartment(name)?,
            None => {
                // Both have one grammar.
                let own = CompartmentName::new(name.as_str()).map_err(|error| invalid(error.to_string()))?;
                match self.directory.compartment(&own) {
                    Some(id) => id,
                    None => self.add_compartment(&own)?,
                }
            }
        };
        if compartment == self.admin.common() {
            return Err(invalid(
                "every member opens `common`: it cannot hold an environment's entries",
            ));
        }
        let id = EnvironmentId(self.ambient.random()?);
        let record = EnvironmentRecord {
            name: name.clone(),
            parent: parent_id,
            compartment,
        };
        let context = name_context(self.store, self.admin.common(), id.0);
        let record = self.record(&context, &record.encode())?;
        let record = self.object(record);
        let directory = Arc::make_mut(&mut self.directory);
        directory.environment_names.insert(id, name.clone());
        let info = EnvironmentInfo {
            id,
            parent: parent.cloned(),
            compartment,
        };
        directory.environments.insert(name.clone(), info);
        self.push(AdminChange::EnvironmentAdd { id, record })
    }

    fn add_compartment(&mut self, name: &CompartmentName) -> Result<CompartmentId, CommitError> {
        let id = CompartmentId(self.ambient.random()?);
        let record = self.name(id.0, name.as_str())?;
        Arc::make_mut(&mut self.directory)
            .compartments
            .insert(id, name.clone());
        self.push(AdminChange::CompartmentAdd { id, name: record })?;
        self.new_term(id, Term(1))?;
        Ok(id)
    }

    fn add_member(
        &mut self,
        name: &MemberName,
        public: &PublicIdentity,
        role: Role,
        compartments: &[CompartmentName],
    ) -> Result<(), CommitError> {
        if self.directory.member(name).is_some() {
            return Err(invalid(format!("there is a member {name:?} already")));
        }
        let same = |other: &PublicIdentity| {
            other.verify_key == public.verify_key || other.recipient == public.recipient
        };
        if self.admin.members().values().any(|member| same(&member.public)) {
            return Err(invalid(
                "another member has these keys: every member needs an identity of its own",
            ));
        }
        let mut granted = compartments
            .iter()
            .map(|name| self.compartment(name))
            .collect::<Result<Vec<_>, _>>()?;
        granted.retain(|id| *id != self.admin.common());
        granted.sort();
        granted.dedup();
        if role == Role::Admin {
            granted.clear();
        }
        let id = MemberId(self.ambient.random()?);
        let record = self.name(id.0, name.as_str())?;
        Arc::make_mut(&mut self.directory)
            .members
            .insert(id, name.clone());
        self.push(AdminChange::MemberAdd {
            id,
            role,
            public: public.clone(),
            name: record,
            compartments: granted,
        })?;
        let opened: Vec<_> = self.opened_by(id);
        for compartment in opened {
            self.wrap_all_terms(compartment);
        }
        Ok(())
    }

    fn remove_member(&mut self, name: &MemberName) -> Result<(), CommitError> {
        let id = self.known_member(name)?;
        let admins = self
            .admin
            .members()
            .iter()
            .filter(|(_, member)| member.role == Role::Admin);
        if admins.map(|(admin, _)| *admin).eq([id]) {
            return Err(invalid(format!(
                "{name:?} is the only admin: add another one first"
            )));
        }
        if id == self.me {
            return Err(invalid("an admin cannot remove itself: another admin must"));
        }
        let opened = self.opened_by(id);
        Arc::make_mut(&mut self.directory).members.remove(&id);
        self.push(AdminChange::MemberRemove { id })?;
        for compartment in &opened {
            let (newest, _) = self
                .keyring
                .newest(*compartment)
                .ok_or_else(|| denied("it does not open every compartment the member opens"))?;
            self.new_term(*compartment, newest.next())?;
        }
        let entries = self.base.all_entries();
        let exposed = entries.filter(|entry| entry.kind == Kind::Secret && opened.contains(&entry.sealed_in));
        // The target takes a previous version still, and a pending one perhaps already.
        let versions = exposed.flat_map(|entry| {
            let labels = [Label::Current, Label::Pending, Label::Previous];
            let versions = labels.into_iter().filter_map(|label| entry.labelled(label));
            versions.map(move |version| (entry, version))
        });
        self.exposed.extend(versions.map(|(entry, version)| Changed {
            environment: entry.environment.clone(),
            path: entry.path.clone(),
            kind: entry.kind,
            action: Action::Updated,
            version,
        }));
        self.exposed
            .sort_by(|a, b| (&a.environment, &a.path, a.version).cmp(&(&b.environment, &b.path, b.version)));
        self.exposed.dedup();
        Ok(())
    }

    fn grant(&mut self, member: &MemberName, compartment: &CompartmentName) -> Result<(), CommitError> {
        let id = self.known_member(member)?;
        let compartment_id = self.compartment(compartment)?;
        if self.admin.opens(id, compartment_id) {
            return Err(invalid(format!("{member:?} opens {compartment:?} already")));
        }
        self.push(AdminChange::Grant {
            member: id,
            compartment: compartment_id,
        })?;
        self.wrap_all_terms(compartment_id);
        Ok(())
    }

    fn known_member(&self, name: &MemberName) -> Result<MemberId, CommitError> {
        self.directory.member(name).ok_or_else(|| {
            invalid(format!(
                "there is no member {name:?}: `strongroom member list` shows them"
            ))
        })
    }

    fn opened_by(&self, member: MemberId) -> Vec<CompartmentId> {
        let all = self.admin.compartments().keys().copied();
        all.filter(|id| self.admin.opens(member, *id)).collect()
    }

    fn name(&mut self, subject: [u8; 16], name: &str) -> Result<crate::id::Hash, CommitError> {
        let context = name_context(self.store, self.admin.common(), subject);
        let record = self.record(&context, name.as_bytes())?;
        Ok(self.object(record))
    }

    fn new_term(&mut self, compartment: CompartmentId, term: Term) -> Result<(), CommitError> {
        let kek = Kek::generate(self.ambient.entropy())?;
        self.keyring.insert(compartment, term, Arc::new(kek));
        self.wrap.insert((compartment, term));
        Ok(())
    }

    fn wrap_all_terms(&mut self, compartment: CompartmentId) {
        let terms: Vec<_> = self.keyring.terms(compartment).map(|(term, _)| term).collect();
        self.wrap
            .extend(terms.into_iter().map(|term| (compartment, term)));
    }

    /// Takes a change into the commit and into the draft's own view of the members.
    fn push(&mut self, change: AdminChange) -> Result<(), CommitError> {
        Arc::make_mut(&mut self.admin)
            .change(&change, &mut Vec::new())
            .map_err(|what| invalid(what.to_string()))?;
        self.changes.push(change);
        Ok(())
    }
}
