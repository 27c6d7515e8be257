//! A limit on what a file may make the importer read and keep.
//!
//! A FlatBuffer may point to the same bytes from many places, so a small file can describe a huge one. Everything that
//! the importer copies is charged here, in bytes of memory; an honest file has each part once and stays far below.

use std::cell::Cell;

use super::super::ImportError;

/// Bytes of memory allowed for each byte of the file.
const FACTOR: usize = 24;
/// Bytes of memory allowed for any file.
const FLOOR: usize = 1 << 20;

/// What is left of the memory that a file may cause to be used.
pub(super) struct Budget(Cell<usize>);

impl Budget {
    /// The budget for a file of `bytes`.
    pub(super) fn new(bytes: usize) -> Self {
        Self(Cell::new(bytes.saturating_mul(FACTOR).saturating_add(FLOOR)))
    }

    /// Takes `bytes` for `count` things of that size.
    ///
    /// # Errors
    /// Where less is left.
    pub(super) fn spend(&self, count: usize, bytes: usize) -> Result<(), ImportError> {
        let left = count.checked_mul(bytes).and_then(|wanted| self.0.get().checked_sub(wanted));
        let left = left.ok_or_else(|| {
            ImportError::malformed("the file", "describes far more than its size holds: parts of it overlap")
        })?;
        self.0.set(left);
        Ok(())
    }
}
