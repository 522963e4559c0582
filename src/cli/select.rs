//! Which files, by extension.

/// The extensions given with `--include` or `--exclude`, with or without a dot, in any case.
pub(crate) struct Extensions {
    include: Vec<String>,
    exclude: Vec<String>,
}

impl Extensions {
    pub(crate) fn new(include: &[String], exclude: &[String]) -> Self {
        let normal = |list: &[String]| list.iter().map(|e| e.trim().trim_start_matches('.').to_lowercase()).collect();
        Self { include: normal(include), exclude: normal(exclude) }
    }

    /// Whether a file of this name is wanted.
    pub(crate) fn admits(&self, name: &str) -> bool {
        let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
        let extension = file.rsplit_once('.').map(|(_, e)| e.to_lowercase()).unwrap_or_default();
        (self.include.is_empty() || self.include.contains(&extension)) && !self.exclude.contains(&extension)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_and_case_do_not_matter() {
        let list = |l: &[&str]| l.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let include = Extensions::new(&list(&[".JPG", "png"]), &[]);
        assert!(include.admits("a.jpg") && include.admits("dir.x/A.PNG") && !include.admits("a.gif") && !include.admits("jpg"));
        let exclude = Extensions::new(&[], &list(&["Tmp"]));
        assert!(exclude.admits("a.jpg") && !exclude.admits("a.TMP") && exclude.admits("tmp"));
    }
}
