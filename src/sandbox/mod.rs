//! A local cluster of data centres.
