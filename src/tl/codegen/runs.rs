//! Neighbours of fixed size: what is read or written with one look at the buffer.

use super::super::schema::{Definition, Flag, Param, Type};

/// A parameter in its place.
pub(super) type Place<'a> = (usize, &'a Param);

/// The parameters of a definition in order, those in one slice that are read or written together: one that may take any number of bytes
/// is alone, one that is always there and takes one or two words of 32 bits is with its neighbours of that kind. Parameters that take no
/// bytes are left out.
pub(super) fn runs(definition: &Definition) -> Vec<Vec<Place<'_>>> {
    let mut runs: Vec<Vec<Place<'_>>> = Vec::new();
    for place in definition.params.iter().enumerate().filter(|(_, p)| !p.is_true_flag()) {
        match runs.last_mut() {
            Some(run) if words(place.1).is_some() && run.last().is_some_and(|(_, p)| words(p).is_some()) => run.push(place),
            _ => runs.push(vec![place]),
        }
    }
    runs
}

/// How many words a parameter takes that can be one of several in a run.
pub(super) fn words(param: &Param) -> Option<usize> {
    match (&param.flag, &param.ty) {
        (None, Type::Flags | Type::Int) => Some(1),
        (None, Type::Long) => Some(2),
        _ => None,
    }
}

/// The place of a condition's flags field among the flags fields.
pub(super) fn flag_index(definition: &Definition, flag: &Flag) -> Option<usize> {
    definition.params.iter().filter(|p| p.ty == Type::Flags).position(|p| p.name == flag.field)
}

/// The expression for a condition, given flags in variables `b0`, `b1` and so on.
pub(super) fn bit(definition: &Definition, flag: &Flag) -> String {
    let index = flag_index(definition, flag).expect("the parser requires the flags field before what depends on it");
    format!("b{index} & {:#x} != 0", 1u32 << flag.bit)
}
