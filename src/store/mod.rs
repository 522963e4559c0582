//! Namespaces on disk.
