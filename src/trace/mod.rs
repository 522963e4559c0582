//! What can be observed of the protocol, as plain values.
