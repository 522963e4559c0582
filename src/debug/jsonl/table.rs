//! One table for an enum, from which writing, reading and the documentation follow.

/// `"name" Variant { field: HowItIsWritten = "its name", … }` for each variant: the compiler sees that none is missing.
macro_rules! table {
    ($type:ident; $($kind:literal $variant:ident { $($field:ident: $codec:ty = $name:literal),* $(,)? })*) => {
        /// The name that the format has for it.
        pub fn kind_of(value: &$type) -> &'static str {
            match value {
                $($type::$variant { .. } => $kind,)*
            }
        }

        /// Appends its fields.
        pub(super) fn put(value: &$type, out: &mut Vec<u8>) {
            match value {
                $($type::$variant { $($field),* } => {
                    // Some have none.
                    let _ = &out;
                    $(<$codec as Field>::put($name, $field, out);)*
                })*
            }
        }

        /// Reads one by its name.
        pub(super) fn take(kind: &str, from: &Fields) -> Result<$type, LineError> {
            match kind {
                $($kind => {
                    let _ = from;
                    Ok($type::$variant { $($field: <$codec as Field>::take($name, from)?),* })
                })*
                _ => Err(LineError::UnknownKind { kind: kind.chars().take(40).collect() }),
            }
        }

        /// All of them, with what their fields look like, as the documentation writes it.
        pub fn documented() -> Vec<(&'static str, String)> {
            vec![$(($kind, {
                let fields: &[String] = &[$(<$codec as Field>::shape($name)),*];
                fields.join(", ")
            })),*]
        }
    };
}

pub(super) use table;
