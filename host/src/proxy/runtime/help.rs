//! What is said of commands: all of them, or those that were probably meant.

use std::fmt::Write;

use super::commands::{COMMANDS, Command};
use crate::config::Level;

/// Shown whatever was meant.
const ALWAYS: [&str; 3] = ["help", "prompt", "quit"];
/// So different may a word be that somebody mistyped.
const MOST_DISTANT: usize = 2;

/// The answer to `help`, and to `help WORDS`.
pub fn help(words: &[String], level: Level) -> String {
    list(
        "The following commands are valid at this level:\n",
        &near(words, level),
    )
}

/// The answer to what is no command.
pub fn unknown(words: &[String], level: Level) -> String {
    let near = match words.is_empty() {
        true => Vec::new(),
        false => near(words, level),
    };
    match near.len() > ALWAYS.len() {
        true => list(
            "Unknown command, but maybe one of the following ones is a better match:\n",
            &near,
        ),
        false => list(
            "Unknown command. Please enter one of the following commands only:\n",
            &allowed(level),
        ),
    }
}

fn allowed(level: Level) -> Vec<&'static Command> {
    let commands = COMMANDS.iter();
    commands.filter(|command| command.level <= level).collect()
}

/// Those that begin as `words` do; else those with a word that is almost the first.
fn near(words: &[String], level: Level) -> Vec<&'static Command> {
    let allowed = allowed(level);
    let Some(first) = words.first() else {
        return allowed;
    };
    let chosen = |meant: &dyn Fn(&Command) -> bool| -> Vec<&'static Command> {
        let commands = allowed.iter().copied();
        commands
            .filter(|command| ALWAYS.contains(&command.words[0]) || meant(command))
            .collect()
    };
    let begins = |depth: usize| {
        chosen(&|command: &Command| {
            let pairs = command.words.iter().zip(words).take(depth);
            command.words.len() >= depth && pairs.into_iter().all(|(known, word)| known == word)
        })
    };
    for depth in (1..=words.len().min(3)).rev() {
        let found = begins(depth);
        if found.len() > ALWAYS.len() {
            return found;
        }
    }
    chosen(&|command: &Command| {
        let mut words = command.words.iter();
        words.any(|known| known.contains(first.as_str()) || distance(known, first) <= MOST_DISTANT)
    })
}

fn list(heading: &str, commands: &[&Command]) -> String {
    let mut out = heading.to_owned();
    for command in commands {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "  {:<40}: {}", command.usage, command.about);
    }
    out
}

/// Letters to change, add or leave out until one word is the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(32).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.chars().enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (position, with) in other.iter().enumerate() {
            let change = diagonal + usize::from(letter != *with);
            diagonal = row[position + 1];
            row[position + 1] = change.min(diagonal + 1).min(row[position] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn what_was_probably_meant_is_shown() {
        let said = unknown(&words("show maps"), Level::Admin);
        assert!(said.starts_with("Unknown command, but maybe"), "{said}");
        assert!(said.contains("show map [@<ver>]") && !said.contains("set map"));
        let said = unknown(&words("shwo info"), Level::Admin);
        assert!(said.contains("show info"), "{said}");
        let said = unknown(&words("set maxconn x"), Level::Admin);
        assert!(said.contains("set maxconn global") && !said.contains("set map"));
        let said = unknown(&words("xyzzy"), Level::Admin);
        assert!(said.starts_with("Unknown command. Please"), "{said}");
    }

    #[test]
    fn nobody_is_shown_what_he_may_not() {
        let said = help(&[], Level::User);
        assert!(said.contains("show stat") && !said.contains("set server"));
        assert!(help(&[], Level::Admin).contains("set server"));
        let said = help(&words("set server"), Level::Admin);
        assert_eq!(said.lines().count(), 1 + 1 + ALWAYS.len(), "{said}");
    }

    #[test]
    fn words_are_as_distant_as_their_letters() {
        for (one, other, wanted) in [("show", "shwo", 2), ("set", "get", 1), ("a", "", 1)] {
            assert_eq!(distance(one, other), wanted);
        }
    }
}
