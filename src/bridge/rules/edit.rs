//! Setting a field of an object: `media.caption`, `updates.0.message`, `users.*.first_name`.

use std::fmt;

use bytes::Bytes;
use serde_json::Value as Json;

use super::{Direction, What};
use crate::tl::dynamic::json::{JsonError, JsonOptions, from_json_as};
use crate::tl::dynamic::{self, Value};
use crate::tl::schema::{Kind, Schema, Type};

/// A field and the value that it gets.
#[derive(Clone, Debug)]
pub struct Edit {
    /// Where the field is.
    pub path: Path,
    /// Its value; `null` takes an optional field away.
    pub value: Json,
}

/// The way to a field: names of fields, numbers of items from 0, or `*` for every item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    Item(usize),
    Every,
}

/// Why a text is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no path to a field: write names, numbers of items and `*`, with dots between them, as in `updates.*.message`"
)]
pub struct PathError(pub String);

/// Steps of a path, at most.
const MAX_STEPS: usize = 64;

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let step = |step: &str| match step {
            "*" => Some(Step::Every),
            _ if !step.is_empty() && step.bytes().all(|c| c.is_ascii_digit()) => step.parse().ok().map(Step::Item),
            _ if !step.is_empty() && step.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_') => {
                Some(Step::Field(step.to_owned()))
            }
            _ => None,
        };
        let steps: Option<Vec<Step>> = text.split('.').map(step).collect();
        let steps = steps.filter(|steps| steps.len() <= MAX_STEPS && matches!(steps.last(), Some(Step::Field(_))));
        steps.map(Self).ok_or_else(|| PathError(text.to_owned()))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            let dot = if index == 0 { "" } else { "." };
            match step {
                Step::Field(name) => write!(f, "{dot}{name}")?,
                Step::Item(number) => write!(f, "{dot}{number}")?,
                Step::Every => write!(f, "{dot}*")?,
            }
        }
        Ok(())
    }
}

/// Why a field was not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EditError {
    #[error("an error has no fields")]
    IsError,
    #[error("it cannot be read: {0}")]
    Read(dynamic::Error),
    #[error("it cannot be written: {0}")]
    Write(dynamic::Error),
    #[error("there is no {0}")]
    NoSuchField(Path),
    #[error("{0} is not optional")]
    NotOptional(Path),
    #[error("{0}: {1}")]
    Value(Path, JsonError),
}

/// Sets fields of an object of a layer. All of them or none.
pub(super) fn apply(edits: &[Edit], schema: &Schema, on: Direction, method: u32, what: &What) -> Result<Bytes, EditError> {
    let What::Object(body) = what else { return Err(EditError::IsError) };
    // What a method answers with need not be an object: `Vector<User>` is none.
    let result = schema.by_id(method).filter(|found| on == Direction::Answer && found.kind == Kind::Function);
    let ty = result.map(|found| &found.result).filter(|ty| matches!(ty, Type::Vector { .. }));
    let mut value = match ty {
        Some(ty) => dynamic::decode_as(schema, ty, body.clone()),
        None => dynamic::decode(schema, body.clone()),
    }
    .map_err(EditError::Read)?;
    for edit in edits {
        if set(schema, &mut value, &edit.path.0, edit)? == 0 {
            return Err(EditError::NoSuchField(edit.path.clone()));
        }
    }
    let mut out = Vec::with_capacity(body.len());
    match ty {
        Some(ty) => dynamic::encode_as(schema, ty, &value, &mut out),
        None => dynamic::encode(schema, &value, &mut out),
    }
    .map_err(EditError::Write)?;
    Ok(out.into())
}

/// Sets a field wherever the rest of its path leads; returns how often.
fn set<'s>(schema: &'s Schema, value: &mut Value<'s>, path: &[Step], edit: &Edit) -> Result<usize, EditError> {
    let Some((step, rest)) = path.split_first() else { return Ok(0) };
    match (step, value) {
        (Step::Item(number), Value::Vector(items)) => {
            items.get_mut(*number).map_or(Ok(0), |item| set(schema, item, rest, edit))
        }
        (Step::Every, Value::Vector(items)) => {
            items.iter_mut().try_fold(0, |sum, item| Ok(sum + set(schema, item, rest, edit)?))
        }
        (Step::Field(name), Value::Object(object)) => {
            let params = object.definition.params.iter().zip(&mut object.values);
            let Some((param, value)) = params.into_iter().find(|(param, _)| param.name == *name) else { return Ok(0) };
            if !rest.is_empty() {
                return set(schema, value, rest, edit);
            }
            // Flags follow from what is there.
            if param.ty == Type::Flags {
                return Ok(0);
            }
            *value = match &edit.value {
                Json::Null if param.flag.is_some() => Value::Absent,
                Json::Null => return Err(EditError::NotOptional(edit.path.clone())),
                Json::Bool(false) if param.ty == Type::True => Value::Absent,
                json => from_json_as(schema, &param.ty, json, &JsonOptions::default())
                    .map_err(|error| EditError::Value(edit.path.clone(), error))?,
            };
            Ok(1)
        }
        _ => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tl;
    use crate::tl::Identifiable as _;
    use crate::tl::Serialize as _;
    use crate::tl::api::{enums, functions as f, types};

    fn edit(path: &str, value: Json) -> Edit {
        Edit { path: Path::parse(path).unwrap(), value }
    }

    fn user(id: i64, name: &str) -> enums::User {
        types::User { id, first_name: Some(name.into()), ..types::User::default() }.into()
    }

    fn updates(names: &[&str]) -> Bytes {
        let users = (1..).zip(names).map(|(id, name)| user(id, name)).collect();
        enums::Updates::from(types::Updates { updates: Vec::new(), users, chats: Vec::new(), date: 1, seq: 0 }).to_bytes()
    }

    fn applied(edits: &[Edit], body: Bytes) -> Result<Bytes, EditError> {
        apply(edits, tl::compiled_schema(), Direction::Update, 0, &What::Object(body))
    }

    #[test]
    fn paths_are_names_numbers_and_stars() {
        for good in ["a", "a.b", "a.0.b", "a.*.b", "0.a"] {
            assert_eq!(Path::parse(good).unwrap().to_string(), good);
        }
        for bad in ["", ".", "a.", ".a", "a..b", "a.0", "*", "a b", "a[0]", "99999999999999999999.a", &["a"; 65].join(".")] {
            assert_eq!(Path::parse(bad), Err(PathError(bad.into())));
        }
    }

    #[test]
    fn fields_are_set_where_the_path_leads() {
        let body = updates(&["a", "b"]);
        assert_eq!(applied(&[edit("users.1.first_name", json!("c"))], body.clone()), Ok(updates(&["a", "c"])));
        assert_eq!(applied(&[edit("users.*.first_name", json!("c"))], body.clone()), Ok(updates(&["c", "c"])));
        let without = applied(&[edit("users.0.first_name", json!(null))], updates(&["a"])).unwrap();
        let user = types::User { id: 1, ..types::User::default() };
        let expected = types::Updates { updates: vec![], users: vec![user.into()], chats: vec![], date: 1, seq: 0 };
        assert_eq!(without, enums::Updates::from(expected).to_bytes());
    }

    #[test]
    fn a_list_that_a_method_answers_with_has_paths_too() {
        let (before, after) = (vec![user(1, "a")].to_bytes(), vec![user(1, "b")].to_bytes());
        let edits = [edit("0.first_name", json!("b"))];
        assert_eq!(
            apply(&edits, tl::compiled_schema(), Direction::Answer, f::users::GetUsers::ID, &What::Object(before)),
            Ok(after)
        );
    }

    #[test]
    fn what_cannot_be_set_is_left_as_it_is() {
        let body = updates(&["a"]);
        let error = |path: &str, value: Json| applied(&[edit("date", json!(9)), edit(path, value)], body.clone()).unwrap_err();
        for path in ["usrs", "users.5.first_name", "users.first_name", "date.x", "users.*.nothing", "users.0.flags"] {
            assert_eq!(error(path, json!(1)), EditError::NoSuchField(Path::parse(path).unwrap()), "{path}");
        }
        assert_eq!(error("seq", json!(null)), EditError::NotOptional(Path::parse("seq").unwrap()));
        assert!(matches!(error("seq", json!("x")), EditError::Value(..)));
        assert!(matches!(applied(&[edit("a", json!(1))], Bytes::from_static(b"1234")), Err(EditError::Read(_))));
        let refused = What::Error { code: 400, text: "X".into() };
        assert_eq!(
            apply(&[edit("a", json!(1))], tl::compiled_schema(), Direction::Answer, 0, &refused),
            Err(EditError::IsError)
        );
    }
}
