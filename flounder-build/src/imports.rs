//! Where imports are found.

use std::io;
use std::path::{Path, PathBuf};

use flounder_idl::source::{FileSources, SourceFile, Sources};

/// Finds imports beside the importing file, then in the folders of dependencies.
pub(crate) struct Imports {
    beside: FileSources,
    folders: Vec<PathBuf>,
}

impl Imports {
    pub(crate) fn new(package: &Path, folders: Vec<PathBuf>) -> Self {
        Self { beside: FileSources::new(package), folders }
    }
}

impl Sources for Imports {
    fn read(&self, importer: Option<&SourceFile>, path: &str) -> io::Result<SourceFile> {
        let beside = self.beside.read(importer, path);
        match beside {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                for folder in &self.folders {
                    match FileSources::open(folder.join(path)) {
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        found => return found,
                    }
                }
                Err(error)
            }
            found => found,
        }
    }
}
