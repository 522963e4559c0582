//! The `tdl` command.

fn main() {}
