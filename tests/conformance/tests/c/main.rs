//! The C library: built as `rasbora compile --emit c` builds it, used by programs in C as a user would.

mod boards;
mod footprint;
mod header;
mod host;
mod interpreter;
mod library;
