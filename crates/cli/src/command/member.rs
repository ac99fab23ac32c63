//! `member add|remove|grant|list`: who opens what, and in which role.

use serde::Serialize;
use strongroom_core::crypto::identity::PublicIdentity;
use strongroom_core::name::{CompartmentName, MemberName};
use strongroom_core::snapshot::{Member, Role};
use strongroom_core::vault::Edit;

use super::rotate;
use crate::change::{self, ChangeOptions};
use crate::context::Context;
use crate::error::CliError;
use crate::open::{self, Opened};
use crate::output::Table;

const ADD_EXAMPLES: &str = "\
Roles: admin everything; writer all entries of its compartments; rotator new versions of secrets
there; reader nothing but reading.

Examples:
  strongroom member add web --role reader --compartment prod \\
      --public \"$(strongroom identity show ./web.identity)\"
  strongroom member add bob --public age1...:KEY --role writer --compartment dev --compartment prod";
const REMOVE_EXAMPLES: &str = "\
Every compartment the member opened gets a new key. What it could read before cannot be taken
back: the answer lists the secrets to rotate. With --rotate-exposed those that have a rotation plan are
rotated at once, and the exit code is not 0 when one is left that has none or failed.

Example:
  strongroom member remove web
  strongroom member remove bob --rotate-exposed";

const REPLACE_EXAMPLES: &str = "\
The old identity is worth nothing afterwards, and every compartment it opened gets a new key. A sidecar
serves what it has until it is started again with the new one. An admin's own is replaced by another
admin.

Example:
  strongroom identity new ./web-2.identity --no-passphrase
  strongroom member replace web --public \"$(strongroom identity show ./web-2.identity)\"";

/// Add, remove or list the members of the store
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Add a member
    #[command(after_help = ADD_EXAMPLES)]
    Add {
        /// The name of the member
        name: MemberName,
        /// Its public identity, as `strongroom identity show` prints it
        #[arg(long, value_name = "TOKEN")]
        public: PublicIdentity,
        /// What it may do: admin, writer, rotator or reader
        #[arg(long, value_name = "ROLE", default_value = "reader")]
        role: Role,
        /// A compartment it opens; may be repeated
        #[arg(long = "compartment", value_name = "NAME")]
        compartments: Vec<CompartmentName>,
        #[command(flatten)]
        change: ChangeOptions,
    },
    /// Remove a member and list what must be rotated
    #[command(after_help = REMOVE_EXAMPLES)]
    Remove {
        /// The name of the member
        name: MemberName,
        /// Rotate the secrets that it could have read, by their plans
        #[arg(long)]
        rotate_exposed: bool,
        #[command(flatten)]
        change: ChangeOptions,
    },
    /// Give a member a new identity, in one commit: its role and what it opens stay
    #[command(after_help = REPLACE_EXAMPLES)]
    Replace {
        /// The name of the member
        name: MemberName,
        /// The new public identity, as `strongroom identity show` prints it
        #[arg(long, value_name = "TOKEN")]
        public: PublicIdentity,
        /// Rotate the secrets that the old identity could have read, by their plans
        #[arg(long)]
        rotate_exposed: bool,
        #[command(flatten)]
        change: ChangeOptions,
    },
    /// Let a member open one more compartment
    Grant {
        /// The name of the member
        name: MemberName,
        /// The compartment it opens from now on
        #[arg(long, value_name = "NAME")]
        compartment: CompartmentName,
        #[command(flatten)]
        change: ChangeOptions,
    },
    /// List the members, their roles and what they open
    List,
}

#[derive(Debug, Serialize)]
struct MemberJson {
    name: String,
    role: &'static str,
    compartments: Vec<String>,
    public: String,
    is_self: bool,
}

impl From<&Member> for MemberJson {
    fn from(member: &Member) -> Self {
        let Member {
            name,
            role,
            public,
            compartments,
            is_self,
        } = member;
        Self {
            name: name.to_string(),
            role: role.as_str(),
            compartments: compartments.iter().map(ToString::to_string).collect(),
            public: public.to_string(),
            is_self: *is_self,
        }
    }
}

pub(crate) fn run(command: Command, context: &Context) -> Result<u8, CliError> {
    if matches!(command, Command::List) {
        return list(context).map(|()| 0);
    }
    let opened = open::writer(&context.settings)?;
    let mut rotates = None;
    let (edits, options) = match command {
        Command::List => return Ok(0),
        Command::Add {
            name,
            public,
            role,
            compartments,
            change,
        } => {
            let add = Edit::AddMember {
                name,
                public,
                role,
                compartments,
            };
            (vec![add], change)
        }
        Command::Remove {
            name,
            rotate_exposed,
            change,
        } => {
            rotates = rotate_exposed.then(|| format!("{name} is removed"));
            (vec![Edit::RemoveMember { name }], change)
        }
        Command::Replace {
            name,
            public,
            rotate_exposed,
            change,
        } => {
            rotates = rotate_exposed.then(|| format!("{name} has a new identity"));
            (replace(&opened, name, public)?, change)
        }
        Command::Grant {
            name,
            compartment,
            change,
        } => {
            let grant = Edit::Grant {
                member: name,
                compartment,
            };
            (vec![grant], change)
        }
    };
    let change = options.change(edits);
    let Some(why) = rotates else {
        return change::carry_out(context, &opened, &change, &options).map(|()| 0);
    };
    let Some(receipt) = change::carry_out_untold(context, &opened, &change, &options)? else {
        return Ok(0);
    };
    if !context.output.json {
        change::report(context, &change, &receipt)?;
    }
    let (code, rotations) = rotate::exposed(context, &opened, &receipt.exposed, &why);
    if context.output.json {
        context
            .output
            .json(&change::receipt_and(&receipt, "rotations", rotations)?)?;
    }
    Ok(code)
}

/// The old identity goes and the new one comes, with the role and compartments that there were.
fn replace(opened: &Opened, name: MemberName, public: PublicIdentity) -> Result<Vec<Edit>, CliError> {
    let members = opened.vault.snapshot().members();
    let member = members.into_iter().find(|member| member.name == name);
    let Some(member) = member else {
        return Err(CliError::failed(format!("there is no member {name}"))
            .hint("`strongroom member list` shows those there are"));
    };
    let add = Edit::AddMember {
        name: name.clone(),
        public,
        role: member.role,
        compartments: member.compartments,
    };
    Ok(vec![Edit::RemoveMember { name }, add])
}

fn list(context: &Context) -> Result<(), CliError> {
    let snapshot = open::reader(&context.settings)?.vault.snapshot();
    let members: Vec<MemberJson> = snapshot.members().iter().map(Into::into).collect();
    let mut table = Table::new(&["MEMBER", "ROLE", "COMPARTMENTS", ""]);
    for member in &members {
        let you = if member.is_self { "(you)" } else { "" };
        table.row(vec![
            member.name.clone(),
            member.role.into(),
            member.compartments.join(", "),
            you.into(),
        ]);
    }
    let json = serde_json::json!({"revision": snapshot.revision().0, "members": members});
    context.output.answer(&json, &table.render())
}
