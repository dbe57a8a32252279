//! wartburg.
fn main() {}
