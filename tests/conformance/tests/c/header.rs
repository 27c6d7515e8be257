//! The header by itself.
