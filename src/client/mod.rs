//! Typed calls: negotiation, data centres, migration, flood waits.
