//! The fenced blocks of a page of Markdown.

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    /// What stands after the opening fence.
    pub language: String,
    /// The first line of its text, counted from 0.
    pub start: usize,
    /// Its lines, without the indentation of the fence.
    pub lines: Vec<String>,
}

/// A command of a block, and what the page says that it prints.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    pub command: String,
    pub expected: Vec<String>,
}

/// The blocks of a page, in order.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, Block)> = None;
    for (number, line) in page.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(language)) => {
                let language = language.trim().to_owned();
                open = Some((indent, Block { language, start: number + 1, lines: Vec::new() }));
            }
            (Some(_), Some(_)) => blocks.extend(open.take().map(|(_, block)| block)),
            (Some((indent, block)), None) => {
                block.lines.push(line.get(*indent..).unwrap_or_default().to_owned());
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block that is not closed: {open:?}");
    blocks
}

impl Block {
    /// Its commands: lines after `$ `, continued where they end with a backslash.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for line in &self.lines {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => {
                    steps.push(Step { command: command.to_owned(), expected: Vec::new() });
                }
                (None, Some(step)) if step.command.ends_with('\\') => {
                    step.command.push('\n');
                    step.command.push_str(line);
                }
                (None, Some(step)) => step.expected.push(line.clone()),
                (None, None) => panic!("line {}: output without a command", self.start + 1),
            }
        }
        steps
    }
}

impl Step {
    /// The output that the page shows, without the empty lines before the next command.
    pub fn output(&self) -> &[String] {
        let last = self.expected.iter().rposition(|line| !line.is_empty());
        &self.expected[..last.map_or(0, |last| last + 1)]
    }

    /// The page's lines, if the command had printed this.
    pub fn with_output(&self, output: &[String]) -> Vec<String> {
        let gap = self.expected.len() - self.output().len();
        let mut lines: Vec<_> = format!("$ {}", self.command).lines().map(str::to_owned).collect();
        lines.extend(output.iter().cloned());
        lines.extend(vec![String::new(); gap]);
        lines
    }
}

#[test]
fn a_block_has_its_commands_and_their_output() {
    let page = "text\n- a list\n  ```console\n  $ one \\\n      --more\n  out\n\n  $ two\n  ```\n";
    let blocks = blocks(page);
    assert_eq!((blocks[0].language.as_str(), blocks[0].start), ("console", 3));
    let steps = blocks[0].steps();
    assert_eq!(steps[0].command, "one \\\n    --more");
    assert_eq!((steps[0].output(), steps[0].expected.len()), (&["out".to_owned()][..], 2));
    assert_eq!(steps[1], Step { command: "two".to_owned(), expected: Vec::new() });
    let lines: Vec<_> = steps.iter().flat_map(|step| step.with_output(step.output())).collect();
    assert_eq!(lines, blocks[0].lines);
}
