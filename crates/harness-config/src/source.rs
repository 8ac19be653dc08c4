//! The texts that were read, and the places in them.
//!
//! Owns: every text and its lines; line and column of a place. Never says what a text means.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes of one of the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    /// The index of the text.
    pub(crate) file: u32,
    /// The first byte.
    pub(crate) start: u32,
    /// One past the last byte.
    pub(crate) end: u32,
}

impl Span {
    pub(crate) fn new(file: u32, range: Range<usize>) -> Self {
        // Texts are limited to a size far below 4 GiB before they get here.
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            file,
            start: narrow(range.start),
            end: narrow(range.end),
        }
    }

    /// The file as a whole.
    pub(crate) fn whole(file: u32) -> Self {
        Self {
            file,
            start: u32::MAX,
            end: u32::MAX,
        }
    }

    pub(crate) fn range(self) -> Range<usize> {
        if self.is_whole() {
            return 0..0;
        }
        self.start as usize..self.end as usize
    }

    fn is_whole(self) -> bool {
        self.start == u32::MAX
    }
}

/// A place as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// One text that was read: a stack file, or an environment file that it names.
#[derive(Clone, Debug)]
pub struct SourceFile {
    name: String,
    path: Option<PathBuf>,
    is_stack: bool,
    text: String,
    line_starts: Vec<usize>,
}

impl SourceFile {
    fn new(name: String, path: Option<PathBuf>, is_stack: bool, text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self {
            name,
            path,
            is_stack,
            text,
            line_starts,
        }
    }

    /// Its name, as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its path; absent for text that came from elsewhere, such as standard input.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Its text, without a byte order mark.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column, both from 1, of a byte of the text.
    pub fn line_column(&self, byte: usize) -> (u32, u32) {
        let byte = floor_boundary(&self.text, byte);
        let line = self.line_starts.partition_point(|start| *start <= byte);
        let start = self.line_starts[line - 1];
        let column = self.text[start..byte].chars().count() + 1;
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (narrow(line), narrow(column))
    }

    /// The part of a span that a snippet can show: inside the text, one line, at least one character where there is
    /// one.
    pub(crate) fn visible(&self, span: &Range<usize>) -> Range<usize> {
        let start = floor_boundary(&self.text, span.start);
        let end = floor_boundary(&self.text, span.end).max(start);
        let line_end = self.text[start..end]
            .find(['\n', '\r'])
            .map_or(end, |at| start + at);
        match self.text[start..].chars().next() {
            Some(c) if line_end == start && c != '\n' && c != '\r' => start..start + c.len_utf8(),
            _ => start..line_end,
        }
    }
}

/// Every text that was read, in the order in which spans count them.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

impl SourceMap {
    pub(crate) fn add(
        &mut self,
        name: String,
        path: Option<PathBuf>,
        is_stack: bool,
        text: &str,
    ) -> u32 {
        self.files.push(SourceFile::new(name, path, is_stack, text));
        u32::try_from(self.files.len() - 1).expect("far fewer than 2^32 files are read")
    }

    pub(crate) fn file(&self, index: u32) -> &SourceFile {
        &self.files[index as usize]
    }

    /// The text that was read from this path.
    pub(crate) fn index_of(&self, path: &Path) -> Option<u32> {
        let at = self
            .files
            .iter()
            .position(|file| file.path() == Some(path))?;
        u32::try_from(at).ok()
    }

    /// All of them.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The text of this name.
    pub fn by_name(&self, name: &str) -> Option<&SourceFile> {
        self.files.iter().find(|file| file.name == name)
    }

    /// The names of the stack files, without those of environment files.
    pub fn stack_names(&self) -> Vec<&str> {
        let stacks = self.files.iter().filter(|file| file.is_stack);
        stacks.map(|file| file.name.as_str()).collect()
    }

    pub(crate) fn place(&self, span: Span) -> Place {
        let file = self.file(span.file);
        let (line, column) = if span.is_whole() {
            (0, 0)
        } else {
            file.line_column(span.start as usize)
        };
        Place {
            file: file.name.clone(),
            line,
            column,
        }
    }
}

fn floor_boundary(text: &str, byte: usize) -> usize {
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let file = SourceFile::new("f".into(), None, true, "\u{feff}é: x\r\nßß b\n");
        assert_eq!(file.line_column(0), (1, 1));
        assert_eq!(file.line_column(4), (1, 4));
        let b = file.text().find('b').expect("it is there");
        assert_eq!(file.line_column(b), (2, 4));
        assert_eq!(file.line_column(1000), (3, 1));
    }
}
