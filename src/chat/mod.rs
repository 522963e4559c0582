//! Chats, messages and their export.
