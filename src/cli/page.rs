//! Text for a terminal: no line is wider than it.

use std::fmt::Write as _;

/// Columns of a terminal that is not small.
const WIDTH: usize = 120;

/// Lines of at most [`WIDTH`] columns.
#[derive(Default)]
pub struct Page {
    pub text: String,
}

impl Page {
    /// A line behind a margin; what does not fit goes on below, behind spaces of the margin's width.
    pub fn line(&mut self, margin: &str, text: &str) {
        let indent = margin.chars().count();
        let room = WIDTH.saturating_sub(indent).max(20);
        let mut rest = text;
        let mut before = margin.to_owned();
        loop {
            let (now, later) = split(rest, room);
            // Writing to a string does not fail.
            let _ = writeln!(self.text, "{}", format!("{before}{now}").trim_end());
            if later.is_empty() {
                return;
            }
            (rest, before) = (later, " ".repeat(indent));
        }
    }

    pub fn gap(&mut self) {
        self.text.push('\n');
    }
}

/// The words that fit, and the rest. A word longer than a line is cut.
fn split(text: &str, room: usize) -> (&str, &str) {
    let Some((end, _)) = text.char_indices().nth(room) else { return (text, "") };
    // A space right behind the last column ends a line too.
    let window = text.char_indices().nth(room + 1).map_or(text, |(after, _)| &text[..after]);
    match window.rfind(' ').filter(|at| *at > 0) {
        Some(at) => (&text[..at], text[at..].trim_start()),
        None => text.split_at(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_screen() {
        let long = "word ".repeat(60) + &"x".repeat(300) + " " + &"é–".repeat(100);
        let mut page = Page::default();
        page.line("  margin  ", &long);
        assert!(page.text.lines().all(|line| line.chars().count() <= WIDTH), "{}", page.text);
        let bare = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(bare(&page.text), bare(&format!("margin{long}")), "nothing is lost");
        assert_eq!(split("one two", 3), ("one", "two"));
        assert_eq!(split("one two", 7), ("one two", ""));
    }
}
