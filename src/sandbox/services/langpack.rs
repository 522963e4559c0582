//! `langpack.*`: the cluster has one language, with no strings of its own, so that clients fall back to what they bring along.

use super::Call;
use crate::fault::Fault;
use tdl_core::tl::Str;
use tdl_core::tl::api::functions::langpack as f;
use tdl_core::tl::api::{enums, types};

const LANG_CODE: &str = "en";
const VERSION: i32 = 1;

fn check(lang_code: &str) -> Result<(), Fault> {
    if lang_code == LANG_CODE { Ok(()) } else { Err(Fault::LangCodeNotSupported) }
}

fn difference(lang_code: Str, from_version: i32) -> enums::LangPackDifference {
    types::LangPackDifference { lang_code, from_version, version: VERSION, strings: Vec::new() }.into()
}

fn english() -> enums::LangPackLanguage {
    types::LangPackLanguage {
        official: true,
        name: "English".into(),
        native_name: "English".into(),
        lang_code: LANG_CODE.into(),
        plural_code: LANG_CODE.into(),
        ..types::LangPackLanguage::default()
    }
    .into()
}

pub(crate) fn lang_pack(_: &mut Call<'_>, req: f::GetLangPack) -> Result<enums::LangPackDifference, Fault> {
    check(&req.lang_code)?;
    Ok(difference(req.lang_code, 0))
}

pub(crate) fn difference_since(_: &mut Call<'_>, req: f::GetDifference) -> Result<enums::LangPackDifference, Fault> {
    check(&req.lang_code)?;
    Ok(difference(req.lang_code, req.from_version))
}

/// A string that is not there is answered as deleted.
pub(crate) fn strings(_: &mut Call<'_>, req: f::GetStrings) -> Result<Vec<enums::LangPackString>, Fault> {
    check(&req.lang_code)?;
    Ok(req.keys.into_iter().map(|key| types::LangPackStringDeleted { key }.into()).collect())
}

pub(crate) fn languages(_: &mut Call<'_>, _: f::GetLanguages) -> Result<Vec<enums::LangPackLanguage>, Fault> {
    Ok(vec![english()])
}

pub(crate) fn language(_: &mut Call<'_>, req: f::GetLanguage) -> Result<enums::LangPackLanguage, Fault> {
    check(&req.lang_code)?;
    Ok(english())
}
