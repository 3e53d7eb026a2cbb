//! Cutting `fact|converter(argument,"argument")` into its pieces.

/// What stands between the bars, quotes respected.
pub fn pieces(text: &str) -> Vec<&str> {
    split(text, '|').into_iter().map(str::trim).collect()
}

/// Name and arguments of `name(a,"b")`.
pub fn call(text: &str) -> Option<(&str, Vec<String>)> {
    let Some((name, inside)) = text.split_once('(') else {
        return Some((text, Vec::new()));
    };
    let inside = inside.strip_suffix(')')?;
    let arguments = split(inside, ',')
        .into_iter()
        .map(|argument| quoted(argument).unwrap_or_else(|| argument.to_owned()));
    Some((name, arguments.collect()))
}

/// The text between quotes, if it is all in quotes.
pub fn quoted(text: &str) -> Option<String> {
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut plain = String::new();
    let mut characters = inside.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => plain.push(characters.next()?),
            '"' => return None,
            c => plain.push(c),
        }
    }
    Some(plain)
}

/// Where the braces end that `text` stands in, quotes respected.
pub fn end_of_braces(text: &str) -> Option<usize> {
    let mut in_quotes = false;
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' if in_quotes => {
                characters.next();
            }
            '"' => in_quotes = !in_quotes,
            '}' if !in_quotes => return Some(at),
            _ => {}
        }
    }
    None
}

fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut in_quotes = false;
    let mut start = 0;
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' if in_quotes => {
                characters.next();
            }
            '"' => in_quotes = !in_quotes,
            c if c == separator && !in_quotes => {
                parts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_separators_together() {
        assert_eq!(pieces(r#"a|b("|",c)|d"#), ["a", r#"b("|",c)"#, "d"]);
        assert_eq!(
            call(r#"f("a,b",c)"#),
            Some(("f", vec!["a,b".to_owned(), "c".to_owned()]))
        );
        assert_eq!(call("f"), Some(("f", Vec::new())));
        assert_eq!(call("f(a"), None);
        assert_eq!(quoted(r#""a\"\\b""#).as_deref(), Some(r#"a"\b"#));
        assert_eq!(end_of_braces(r#"x|f("}")} rest"#), Some(8));
        assert_eq!(end_of_braces("x"), None);
    }
}
