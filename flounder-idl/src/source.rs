//! Interface files and how imports find them.
//!
//! The front end reads files only through [`Sources`], so a test or an editor can supply them from memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Maximum size of a file, in bytes.
pub const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;

/// One file of interface text.
#[derive(Debug, Clone)]
pub struct SourceFile {
    path: PathBuf,
    key: PathBuf,
    text: String,
    /// Byte offset of the first character of each line; never empty, ascending.
    lines: Vec<usize>,
}

impl SourceFile {
    /// Creates a file that diagnostics show as `path`.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let path = path.into();
        Self::with_key(path.clone(), path, text)
    }

    /// Creates a file that diagnostics show as `path`, with the identity `key`: imports with equal keys are one file.
    pub fn with_key(
        path: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        text: impl Into<String>,
    ) -> Self {
        let text = text.into();
        let breaks =
            text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(breaks).collect();
        Self { path: path.into(), key: key.into(), text, lines }
    }

    /// Returns the path that diagnostics show.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the identity of the file.
    pub fn key(&self) -> &Path {
        &self.key
    }

    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns line and column of a byte offset, both from 1; the column counts characters.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|&start| start <= offset);
        let before = self.text.get(self.lines[line - 1]..offset).unwrap_or("");
        (line, before.chars().count() + 1)
    }

    /// Returns the text of a line (from 1), without the line break.
    pub fn line(&self, line: usize) -> &str {
        let Some(&start) = line.checked_sub(1).and_then(|at| self.lines.get(at)) else { return "" };
        let end = self.lines.get(line).copied().unwrap_or(self.text.len());
        self.text[start..end].trim_end_matches(['\n', '\r'])
    }
}

/// Finds the files that `import "path";` names.
pub trait Sources {
    /// Reads `path` as written in `importer`, or in a macro call when there is none.
    ///
    /// The returned [key](SourceFile::key) must be equal for equal files, so that a file that is imported by two paths
    /// becomes one module.
    ///
    /// # Errors
    ///
    /// Returns the reason why the file cannot be read; it becomes part of the diagnostic.
    fn read(&self, importer: Option<&SourceFile>, path: &str) -> io::Result<SourceFile>;
}

/// Files of the file system. An import is relative to the directory of the importing file.
#[derive(Debug, Clone)]
pub struct FileSources {
    base: PathBuf,
}

impl FileSources {
    /// Creates a source in which imports of a macro call are relative to `base`.
    pub fn new(base: impl Into<PathBuf>) -> Self {
        Self { base: base.into() }
    }

    /// Reads the file at `path`, with the key that an import of the file would have.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, is larger than [`MAX_FILE_BYTES`] or is not UTF-8.
    pub fn open(path: impl AsRef<Path>) -> io::Result<SourceFile> {
        let path = path.as_ref();
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > MAX_FILE_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 4 MiB"));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))?;
        Ok(SourceFile::with_key(path, path.canonicalize()?, text))
    }
}

impl Sources for FileSources {
    fn read(&self, importer: Option<&SourceFile>, path: &str) -> io::Result<SourceFile> {
        let folder = importer.and_then(|file| file.path().parent()).unwrap_or(&self.base);
        Self::open(folder.join(path))
    }
}

/// Files in memory. The path is the key, in whichever file the import stands.
#[derive(Debug, Clone, Default)]
pub struct MemorySources {
    files: BTreeMap<String, String>,
}

impl MemorySources {
    /// Creates an empty set of files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file. Two paths with equal text are two files.
    pub fn with(mut self, path: impl Into<String>, text: impl Into<String>) -> Self {
        self.files.insert(path.into(), text.into());
        self
    }
}

impl Sources for MemorySources {
    fn read(&self, _: Option<&SourceFile>, path: &str) -> io::Result<SourceFile> {
        // `./a.if` and `a.if` are one file, as on a disk.
        let plain = path.trim_start_matches("./");
        let text = self
            .files
            .get(plain)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))?;
        Ok(SourceFile::new(plain, text.clone()))
    }
}
