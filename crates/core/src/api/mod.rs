//! The sidecar's socket: owns its wire types and a client for them. It must not know how a
//! value is stored or opened.
