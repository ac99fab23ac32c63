//! `init`: makes a store, its first admin and, where there is none yet, that admin's identity.

use std::sync::Arc;

use serde::Serialize;
use strongroom_core::Vault;
use strongroom_core::ambient::Ambient;
use strongroom_core::name::MemberName;
use strongroom_core::store::{self, Store, StoreError};

use super::identity::{self, NewOptions};
use crate::context::Context;
use crate::error::CliError;
use crate::open;

const EXAMPLES: &str = "\
Examples:
  strongroom init sqlite:./store.db --admin alice --identity ./alice.identity
  strongroom init sqlite:/srv/strongroom/store.db --admin ci --no-passphrase";

/// Make a new store with its first admin
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where the store will lie: sqlite:PATH [default: the `store` setting]
    #[arg(value_name = "LOCATION")]
    location: Option<String>,
    /// The name of the first admin
    #[arg(long, value_name = "NAME")]
    admin: MemberName,
    #[command(flatten)]
    new: NewOptions,
}

#[derive(Debug, Serialize)]
struct Made {
    store: String,
    fingerprint: String,
    revision: u64,
    admin: String,
    identity: String,
    identity_created: bool,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let location = match &args.location {
        Some(location) => location.as_str(),
        None => context.settings.store()?,
    };
    let file = context.settings.identity()?;
    let store: Arc<dyn Store> = Arc::from(empty_store(location)?);
    let (identity, identity_created) = if file.exists() {
        (open::identity(file, &context.settings)?, false)
    } else {
        (identity::make(file, &args.new, context)?, true)
    };
    let vault = Vault::create(store, &args.admin, Arc::new(identity), Ambient::system())?;
    let opened = open::created(&context.settings, location, vault);
    let snapshot = opened.vault.snapshot();
    let made = Made {
        store: opened.vault.location(),
        fingerprint: snapshot.fingerprint().to_string(),
        revision: snapshot.revision().0,
        admin: args.admin.to_string(),
        identity: file.display().to_string(),
        identity_created,
    };
    let text = format!(
        "made {} with admin {}\nfingerprint {}\nidentity {} ({}): keep a copy, without it nothing opens\n\
         next: strongroom --store {} --identity {} environment add prod\n",
        made.store,
        made.admin,
        made.fingerprint,
        made.identity,
        if identity_created { "new" } else { "as it was" },
        location,
        made.identity,
    );
    context.output.answer(&made, &text)
}

/// A new store, or one that an interrupted `init` left without a first commit.
fn empty_store(location: &str) -> Result<Box<dyn Store>, CliError> {
    match store::create(location) {
        Err(StoreError::Exists { .. }) => {
            let found = store::open(location, true)?;
            match found.head()? {
                None => Ok(found),
                Some(_) => Err(StoreError::Exists {
                    location: found.location(),
                }
                .into()),
            }
        }
        created => Ok(created?),
    }
}
