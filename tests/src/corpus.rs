//! Where the foreign corpus is, if it is anywhere: it is no part of the product, and lies beside it where it is judged.

use std::path::{Path, PathBuf};

/// The folder somebody named, whatever is there; else `../shared/data` as seen from the workspace, if that is a folder.
pub fn folder(named: Option<PathBuf>, workspace: &Path) -> Option<PathBuf> {
    named.or_else(|| Some(workspace.join("../shared/data")).filter(|folder| folder.is_dir()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_is_found_beside_the_workspace_unless_another_is_named() {
        let above = tempfile::tempdir().expect("a temporary directory");
        let workspace = above.path().join("product");
        std::fs::create_dir(&workspace).expect("the directory is writable");
        assert_eq!(folder(None, &workspace), None);
        std::fs::create_dir_all(above.path().join("shared/data")).expect("the directory is writable");
        assert_eq!(folder(None, &workspace), Some(workspace.join("../shared/data")));
        let named = PathBuf::from("elsewhere");
        assert_eq!(folder(Some(named.clone()), &workspace), Some(named));
    }
}
