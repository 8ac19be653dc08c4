//! Fenced code blocks of Markdown.
//!
//! Owns: finding them. A block is `run` when its info string says so: ```` ```sh run ````.

/// One fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// The line of its opening fence, from 1.
    pub(crate) line: usize,
    /// The words after the opening fence.
    pub(crate) info: Vec<String>,
    /// What stands between the fences.
    pub(crate) text: String,
}

impl Block {
    /// Whether it is in this language.
    pub(crate) fn is_in(&self, language: &str) -> bool {
        self.info.first().is_some_and(|word| word == language)
    }

    /// Whether its info string carries this mark after the language.
    pub(crate) fn is_marked(&self, mark: &str) -> bool {
        self.info.iter().skip(1).any(|word| word == mark)
    }
}

/// The fenced blocks of a page, in order. A block that is never closed ends with the page.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some("")) => found.extend(open.take()),
            (Some(block), _) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, Some(info)) => {
                open = Some(Block {
                    line: index + 1,
                    info: info.split_whitespace().map(str::to_owned).collect(),
                    text: String::new(),
                });
            }
            (None, None) => {}
        }
    }
    found.extend(open);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn language_marks_text_and_line_are_found() {
        let page = "text\n```sh run\necho hi\n```\nmore\n```yaml\na: 1\n```\n```\nplain\n```\n";
        let found = blocks(page);
        assert_eq!(found.len(), 3);
        assert!(found[0].is_in("sh") && found[0].is_marked("run"));
        assert_eq!((found[0].line, found[0].text.as_str()), (2, "echo hi\n"));
        assert!(found[1].is_in("yaml") && !found[1].is_marked("run"));
        assert!(!found[2].is_in("sh"));
    }
}
