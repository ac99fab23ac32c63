//! Reading ahead: owns the thread that reads a file while what was read before is looked at. It
//! must not know what the bytes are.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Bytes that are read in one go: many, since handing them over costs a switch of threads.
const BLOCK: usize = 1 << 20;
/// One is looked at while the other is filled.
const BLOCKS: usize = 2;

/// A file that is read a block ahead, up to where it ends. From there it is read without the
/// thread, so that what is written to it later is found when it is looked for, not before.
pub(super) struct Ahead {
    file: Arc<File>,
    empty: SyncSender<Block>,
    filled: Receiver<io::Result<Block>>,
    now: Block,
}

#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    from: usize,
    to: usize,
}

impl Block {
    fn fill(mut self, mut file: &File) -> io::Result<Self> {
        self.bytes.resize(BLOCK, 0);
        self.to = file.read(&mut self.bytes)?;
        self.from = 0;
        Ok(self)
    }
}

impl Ahead {
    pub(super) fn of(file: File) -> io::Result<Self> {
        let file = Arc::new(file);
        let (empty, wanted) = sync_channel::<Block>(BLOCKS);
        let (full, filled) = sync_channel(BLOCKS);
        for _ in 1..BLOCKS {
            empty.send(Block::default()).map_err(io::Error::other)?;
        }
        let read = Arc::clone(&file);
        // it ends with the file, or when nobody wants more of it
        std::thread::Builder::new().spawn(move || {
            for block in wanted {
                let block = block.fill(&read);
                let is_end = block.as_ref().is_ok_and(|block| block.to == 0);
                if full.send(block).is_err() || is_end {
                    return;
                }
            }
        })?;
        Ok(Self {
            file,
            empty,
            filled,
            now: Block::default(),
        })
    }
}

impl BufRead for Ahead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.now.from == self.now.to {
            // refused after the end, as is waiting for what was filled
            let _ = self.empty.send(std::mem::take(&mut self.now));
            self.now = match self.filled.recv() {
                Ok(block) => block?,
                Err(_) => Block::default().fill(&self.file)?,
            };
        }
        Ok(self.now.bytes.get(self.now.from..self.now.to).unwrap_or_default())
    }

    fn consume(&mut self, bytes: usize) {
        self.now.from = self.now.to.min(self.now.from.saturating_add(bytes));
    }
}

impl Read for Ahead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}
