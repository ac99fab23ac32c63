//! What a log is written to: owns the face that the files have, and that tests give to a slow or
//! broken disk.

use std::io;

/// When a record counts as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When the kernel has it: survives the end of the process, whichever.
    Written,
    /// When the disk has it: survives the end of the machine.
    Fsync,
}

/// Brings the file before and the directory to the disk, which may take long.
pub type Rest = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// The files of one log.
pub trait Medium: Send {
    /// Appends all of `bytes` to the current file, or nothing.
    ///
    /// # Errors
    /// The system's own.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Brings the current file to the disk.
    ///
    /// # Errors
    /// The system's own.
    fn flush(&mut self) -> io::Result<()>;

    /// Takes back what is behind the first `length` bytes of the current file. When that fails,
    /// the next append does it or fails.
    fn cut(&mut self, length: u64);

    /// Fails when the current file is no longer the one at its path.
    ///
    /// # Errors
    /// Says what became of it.
    fn check(&mut self) -> io::Result<()>;

    /// Begins the file whose first line is number `first` with `bytes`, and makes it the current
    /// one. With [`Durability::Fsync`] it is on the disk afterwards, with [`Durability::Written`]
    /// what takes long is given back.
    ///
    /// # Errors
    /// The system's own; then the current file stays.
    fn begin(&mut self, first: u64, bytes: &[u8], durability: Durability) -> io::Result<Option<Rest>>;

    /// Bytes of the current file; `None` when there is none to append to.
    fn length(&self) -> Option<u64>;

    /// The name of the current file.
    fn name(&self) -> String;

    /// Removes the oldest files beyond `keep` and returns their names.
    ///
    /// # Errors
    /// The system's own.
    fn prune(&mut self, keep: usize) -> io::Result<Vec<String>>;
}
