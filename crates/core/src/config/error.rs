//! Why a document cannot be used: owns the words for it. Errors give a position, never content.

/// Why a document cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It does not parse.
    #[error("the document is not valid {format} at line {line}, column {column}")]
    Syntax {
        /// The format it should have.
        format: &'static str,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// It parses but does not fit the type asked for.
    #[error("the document does not fit the type asked for, near line {line}, column {column}")]
    Shape {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// Text has no structure to read a type from.
    #[error("the document is text: only json and toml documents have keys")]
    Unstructured,
    /// A JSON layer holds `null`, which TOML cannot say.
    #[error("a json layer holds a null, which a toml document cannot carry: remove the key")]
    Null,
    /// A table whose only key is `strongroom` says something that is not known.
    #[error(
        "a table whose only key is `strongroom` is reserved: `{{ strongroom = \"unset\" }}` is all there is"
    )]
    Reserved,
    /// An `unset` stands where there is no key that a parent could have.
    #[error("an unset stands for the document itself or inside an array: only a key of a table can be unset")]
    Unset,
    /// A reference to a secret has no path, or stands for the document itself.
    #[error(
        "a table whose only key is `secret` refers to a secret: its path belongs there, as in `{{ secret = \"web/database/password\" }}`, and it cannot be the whole document"
    )]
    Reference,
    /// It refers to too many secrets.
    #[error("the document refers to more than 1000 secrets: make it several documents")]
    References,
    /// The secrets that it refers to are too long.
    #[error(
        "the secrets that the document refers to have more than 1 MiB in all: deliver them as files of their own"
    )]
    Secrets,
    /// A secret that is referred to is no text.
    #[error("a secret that the document refers to is no UTF-8 text: deliver it as a file of its own")]
    SecretText,
}
