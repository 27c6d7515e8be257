//! TinyML: check, compile, run and measure networks for microcontrollers.
fn main() {}
