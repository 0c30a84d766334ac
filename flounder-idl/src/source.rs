//! Interface files and how imports find them.
//!
//! The front end itself never touches the file system: it asks a [`Sources`], so that a test (or an editor) can answer
//! from memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes.
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
    /// A file shown as `path` in diagnostics.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let path = path.into();
        Self::with_key(path.clone(), path, text)
    }

    /// A file shown as `path` whose identity is `key`: two imports with one key are one file.
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

    /// The path to show.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What identifies the file.
    pub fn key(&self) -> &Path {
        &self.key
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of a byte offset, both from 1; the column counts characters.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|&start| start <= offset);
        let before = self.text.get(self.lines[line - 1]..offset).unwrap_or("");
        (line, before.chars().count() + 1)
    }

    /// The text of a line (from 1), without its line break.
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
    /// The answer's [key](SourceFile::key) must be equal for equal files: that is how a file that is imported by two
    /// paths stays one module.
    ///
    /// # Errors
    ///
    /// Whatever kept the file from being read; it becomes part of the diagnostic.
    fn read(&self, importer: Option<&SourceFile>, path: &str) -> io::Result<SourceFile>;
}

/// Files of the file system, found beside the file that imports them.
#[derive(Debug, Clone)]
pub struct FileSources {
    base: PathBuf,
}

impl FileSources {
    /// Imports of a macro call are found under `base`.
    pub fn new(base: impl Into<PathBuf>) -> Self {
        Self { base: base.into() }
    }

    /// Reads the file at `path`, with the key that an import of it would have.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is larger than [`MAX_FILE_BYTES`] or is not UTF-8.
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

/// Files that exist in memory only; a path is a key, whichever file imports it.
#[derive(Debug, Clone, Default)]
pub struct MemorySources {
    files: BTreeMap<String, String>,
}

impl MemorySources {
    /// No file at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file. Several paths with one text are several files.
    pub fn with(mut self, path: impl Into<String>, text: impl Into<String>) -> Self {
        self.files.insert(path.into(), text.into());
        self
    }
}

impl Sources for MemorySources {
    fn read(&self, _: Option<&SourceFile>, path: &str) -> io::Result<SourceFile> {
        // `./a.if` and `a.if` are one file here as they are on a disk.
        let plain = path.trim_start_matches("./");
        let text = self
            .files
            .get(plain)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))?;
        Ok(SourceFile::new(plain, text.clone()))
    }
}
