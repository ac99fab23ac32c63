//! The next file and the way to the disk.
