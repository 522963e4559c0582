//! Trace sinks.
