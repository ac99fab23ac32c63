//! The signed chain: owns commits, their canonical bytes and their verification.
