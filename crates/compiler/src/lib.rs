//! A trained network in, a verified program for a microcontroller out.
