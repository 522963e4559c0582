//! The protocol core, sans-IO, for both roles.
