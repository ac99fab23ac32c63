//! `member add|remove|grant|list`: who opens what, and in which role.

use serde::Serialize;
use strongroom_core::crypto::identity::PublicIdentity;
use strongroom_core::name::{CompartmentName, MemberName};
use strongroom_core::snapshot::{Member, Role};
use strongroom_core::vault::Edit;

use crate::change::{self, ChangeOptions};
use crate::context::Context;
use crate::error::CliError;
use crate::open;
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
back: the answer lists the secrets to rotate.

Example:
  strongroom member remove web";

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

pub(crate) fn run(command: Command, context: &Context) -> Result<(), CliError> {
    let (edit, options) = match command {
        Command::List => return list(context),
        Command::Add {
            name,
            public,
            role,
            compartments,
            change,
        } => (
            Edit::AddMember {
                name,
                public,
                role,
                compartments,
            },
            change,
        ),
        Command::Remove { name, change } => (Edit::RemoveMember { name }, change),
        Command::Grant {
            name,
            compartment,
            change,
        } => (
            Edit::Grant {
                member: name,
                compartment,
            },
            change,
        ),
    };
    let opened = open::writer(&context.settings)?;
    let change = options.change(vec![edit]);
    change::carry_out(context, &opened, &change, &options)
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
