//! The TL language: wire format, schemas, generated types, dynamic objects.
