//! Feature flags: owns the shape of a flag definition (flagd's JSON schema, one flag).
