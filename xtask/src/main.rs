//! Everything a person or CI runs by hand.

fn main() {}
