//! Which name a file gets: no two files of one run share one.

use std::path::PathBuf;
use std::sync::PoisonError;

use tdl::transfer::name::numbered;

use super::run::Run;
use crate::cli::failure::Failure;

impl Run<'_> {
    /// The target, or a numbered one beside it when an earlier file of this run has taken it.
    pub(super) fn claim(&self, target: PathBuf) -> PathBuf {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut chosen = target.clone();
        let mut n = 2;
        while !taken.insert(chosen.clone()) {
            chosen = numbered(&target, n);
            n += 1;
        }
        chosen
    }

    /// Names a finished file by what its content is.
    pub(super) fn rewrite_extension(&self, path: PathBuf) -> Result<PathBuf, Failure> {
        let Ok(Some(kind)) = infer::get_from_path(&path) else { return Ok(path) };
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case(kind.extension())) {
            return Ok(path);
        }
        let renamed = self.claim(path.with_extension(kind.extension()));
        std::fs::rename(&path, &renamed).map_err(|e| Failure::Item(format!("downloaded, but cannot be renamed: {e}")))?;
        Ok(renamed)
    }
}
