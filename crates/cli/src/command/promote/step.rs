//! What there is to promote: owns finding the entries that are different, and whether the target
//! changed one of them itself since it was promoted. It must not know the store's change or the screen.

use std::sync::Arc;

use strongroom_core::name::{CompartmentName, EnvironmentName};
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{Entry, Kind, Snapshot};
use strongroom_core::vault::{Edit, Expect, Put};

use super::Args;
use super::origin::Origin;
use crate::differing;
use crate::error::CliError;
use crate::open::Opened;

/// One entry that the target does not have as the source has it.
pub(super) struct Step {
    pub(super) source: Arc<Entry>,
    pub(super) target: Option<Arc<Entry>>,
    /// Where a new entry is sealed, if not in the target's compartment.
    pub(super) compartment: Option<CompartmentName>,
    value: Secret,
    /// The keys that differ, from the target's document to the source's.
    pub(super) keys: Vec<String>,
    /// What the target did to it; `None` where it is as it was promoted, or not there.
    pub(super) own: Option<Own>,
}

/// What a target has that no promotion put there.
pub(super) struct Own {
    /// What it was promoted from before that.
    pub(super) since: Option<Origin>,
    /// Whether what was promoted is found in the history.
    pub(super) is_known: bool,
    /// The keys that the target changed since, and those that the source did.
    pub(super) ours: Vec<String>,
    pub(super) theirs: Vec<String>,
}

impl Step {
    /// The edit that takes it, if it still is as it was looked at.
    pub(super) fn edit(&self, to: &EnvironmentName) -> Edit {
        let target = self.target.as_deref();
        Edit::Put(Put {
            environment: to.clone(),
            path: self.source.path.clone(),
            kind: self.source.kind,
            value: self.value.expose(|bytes| Secret::new(bytes.to_vec())),
            format: self.source.format,
            labels: Some(Origin::labels(&self.source, target)),
            compartment: self.compartment.clone(),
            expect: target.map_or(Expect::Absent, |target| Expect::Revision(target.changed_at())),
        })
    }
}

/// Every entry that was asked for and is different, by path.
pub(super) fn find(args: &Args, opened: &Opened, snapshot: &Snapshot) -> Result<Vec<Step>, CliError> {
    let mut steps = Vec::new();
    for source in sources(args, snapshot)? {
        let target = snapshot.entry(&args.to, &source.path).ok();
        let target = target.filter(|target| target.environment == args.to);
        if let Some(target) = target.as_deref().filter(|target| target.kind != source.kind) {
            return Err(CliError::failed(format!(
                "{} is a {} in {} and a {} in {}: nothing was changed",
                source.path, source.kind, args.from, target.kind, args.to
            ))
            .hint("delete one of the two, or choose others with --only"));
        }
        steps.extend(step(opened, snapshot, source, target)?);
    }
    Ok(steps)
}

fn sources(args: &Args, snapshot: &Snapshot) -> Result<Vec<Arc<Entry>>, CliError> {
    let seen = snapshot.entries(&args.from, None)?.into_iter();
    let own: Vec<_> = seen.filter(|entry| entry.environment == args.from).collect();
    for path in &args.with_secrets {
        let is_there = |entry: &Arc<Entry>| entry.kind == Kind::Secret && entry.path == *path;
        if !own.iter().any(is_there) {
            return Err(CliError::failed(format!(
                "there is no secret {path} in {} that this identity opens",
                args.from
            )));
        }
    }
    let is_named = |entry: &Arc<Entry>| args.with_secrets.contains(&entry.path);
    for only in &args.only {
        let is_found =
            |entry: &Arc<Entry>| only.holds(&entry.path) && (entry.kind != Kind::Secret || is_named(entry));
        if !own.iter().any(is_found) {
            return Err(CliError::failed(format!(
                "--only {}: {} itself has nothing there that is promoted",
                only.text(),
                args.from
            ))
            .hint("secrets are named one by one with --with-secrets; what is inherited is promoted from where it is"));
        }
    }
    let is_wanted = |entry: &Arc<Entry>| {
        if entry.kind == Kind::Secret {
            return is_named(entry);
        }
        args.only.is_empty() || args.only.iter().any(|only| only.holds(&entry.path))
    };
    Ok(own.into_iter().filter(is_wanted).collect())
}

fn step(
    opened: &Opened,
    snapshot: &Snapshot,
    source: Arc<Entry>,
    target: Option<Arc<Entry>>,
) -> Result<Option<Step>, CliError> {
    for entry in [Some(&source), target.as_ref()].into_iter().flatten() {
        let read = (&entry.environment, snapshot.revision());
        opened.record(read, [&**entry], "promote")?;
    }
    let value = |entry: &Entry| snapshot.expose(entry, |bytes| Secret::new(bytes.to_vec()));
    let theirs = value(&source)?;
    let (mut keys, mut own) = (Vec::new(), None);
    if let Some(target) = target.as_deref() {
        let ours = value(target)?;
        if ours.same_as(&theirs) && target.format == source.format {
            return Ok(None);
        }
        let document =
            |format, value: &Secret| value.expose(|bytes| differing::document(source.kind, format, bytes));
        let [our, their] = [document(target.format, &ours), document(source.format, &theirs)];
        keys = differing::keys(our.as_ref(), their.as_ref());
        let since = Origin::of(target);
        let base = match &since {
            Some(origin) => origin.value(opened, snapshot, target)?,
            None => None,
        };
        own = match base {
            Some(base) if base.value.same_as(&ours) && base.format == target.format => None,
            Some(base) => {
                let base = document(base.format, &base.value);
                Some(Own {
                    since,
                    is_known: true,
                    ours: differing::keys(base.as_ref(), our.as_ref()),
                    theirs: differing::keys(base.as_ref(), their.as_ref()),
                })
            }
            None => Some(Own {
                since,
                is_known: false,
                ours: Vec::new(),
                theirs: Vec::new(),
            }),
        };
    }
    // Not to more readers than it has: what lies apart stays apart.
    let usual = |environment: &EnvironmentName| {
        let all = snapshot.environments();
        let found = all.into_iter().find(|each| each.name == *environment);
        found.map(|each| each.compartment)
    };
    let is_apart = target.is_none() && source.kind != Kind::Policy;
    let compartment = Some(source.compartment.clone())
        .filter(|own| is_apart && usual(&source.environment).as_ref() != Some(own));
    Ok(Some(Step {
        compartment,
        source,
        target,
        value: theirs,
        keys,
        own,
    }))
}
