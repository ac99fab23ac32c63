//! Rotating several secrets, one after the other: owns that one that fails does not keep the others, their
//! one exit code and their one answer. It must not know why they are rotated.

use serde_json::{Value, json};

use super::drive::Done;
use crate::context::Context;
use crate::error::CliError;
use crate::output;

/// What became of those that are done.
#[derive(Default)]
pub(super) struct Several {
    worst: u8,
    ends: Vec<Value>,
}

impl Several {
    /// Tells how one ended.
    pub(super) fn took(&mut self, context: &Context, at: super::drive::At<'_>, done: Result<Done, CliError>) {
        let code = done.and_then(|done| {
            self.ends.push(done.document().clone());
            if !context.output.json {
                done.answer(context)?;
            }
            done.code()
        });
        let code = code.unwrap_or_else(|error| {
            output::show_error(&error, context.output.json);
            let known = self.ends.last().is_some_and(|end| {
                (end["environment"].as_str(), end["path"].as_str())
                    == (Some(at.0.as_str()), Some(at.1.as_str()))
            });
            if !known {
                self.ends.push(json!({
                    "environment": at.0.as_str(), "path": at.1.as_str(), "end": "failed",
                    "error": {"code": error.exit.word(), "message": error.message, "hint": error.hint},
                }));
            }
            error.exit as u8
        });
        self.worst = self.worst.max(code);
    }

    /// The highest exit code, and how each ended.
    pub(super) fn end(self) -> (u8, Vec<Value>) {
        (self.worst, self.ends)
    }
}
