//! Commands about tables of counters, in the words of HAProxy's stick tables.

use std::fmt::Write as _;

use super::Asked;
use crate::plugin::counters::{Row, Table, clock};

/// As many rows as one answer has at most.
const MOST_ROWS: usize = 100_000;

/// What is said to whoever asks for something else.
const OF_SHOW: &str =
    "Optional argument only supports \"data.<store_data_type>\" <operator> <value> and key <key>\n";
const OF_CLEAR: &str = "Required arguments: <table> \"data.<store_data_type>\" <operator> <value> or <table> key <key>\n";
const OF_SET: &str = "Required arguments: <table> key <key> [data.<store_data_type> <value>]*\n";

/// Which keys of a table a command is about.
enum Which {
    All,
    Key(String),
    /// Those of which this counter compares so with the number.
    Counter {
        position: usize,
        how: How,
        number: u64,
    },
}

#[derive(Clone, Copy)]
enum How {
    Equal,
    NotEqual,
    AtMost,
    AtLeast,
    Below,
    Above,
}

/// What is said to whoever asks for something that is not there.
type Refusal = String;

/// `show table [NAME [key KEY | data.COUNTER OPERATOR NUMBER]]`.
pub fn show(asked: &Asked<'_>) -> String {
    let generation = asked.admin.current.borrow();
    let now = clock();
    let Some(name) = asked.arguments.first() else {
        let mut out = String::new();
        for table in generation.counters.tables() {
            table.sweep(now);
            heading(&mut out, table);
        }
        return out;
    };
    let Some(table) = generation.counters.get(name) else {
        return no_table();
    };
    let which = match Which::read(&asked.arguments[1..], table, OF_SHOW) {
        Ok(which) => which,
        Err(refusal) => return refusal,
    };
    table.sweep(now);
    let mut out = String::new();
    if let Which::Key(key) = &which {
        if let Some(row) = table.row(key, now) {
            heading(&mut out, table);
            line(&mut out, table, &row);
        }
        return out;
    }
    heading(&mut out, table);
    let rows = table.rows(now).filter(|row| which.takes(row));
    for row in rows.take(MOST_ROWS) {
        line(&mut out, table, &row);
    }
    out
}

/// `clear table NAME [key KEY | data.COUNTER OPERATOR NUMBER]`.
pub fn clear(asked: &Asked<'_>) -> String {
    let generation = asked.admin.current.borrow();
    let Some(name) = asked.arguments.first() else {
        return OF_CLEAR.to_owned();
    };
    let Some(table) = generation.counters.get(name) else {
        return no_table();
    };
    let now = clock();
    match Which::read(&asked.arguments[1..], table, OF_CLEAR) {
        Err(refusal) => return refusal,
        Ok(Which::All) => {
            table.clear();
        }
        Ok(Which::Key(key)) => {
            table.remove(&key, now);
        }
        Ok(which) => {
            let rows = table.rows(now).filter(|row| which.takes(row));
            let keys: Vec<_> = rows.map(|row| row.key).collect();
            for key in keys {
                table.remove(&key, now);
            }
        }
    }
    String::new()
}

/// `set table NAME key KEY [data.COUNTER NUMBER]…`.
pub fn set(asked: &Asked<'_>) -> String {
    let generation = asked.admin.current.borrow();
    let Some(name) = asked.arguments.first() else {
        return OF_SET.to_owned();
    };
    let Some(table) = generation.counters.get(name) else {
        return no_table();
    };
    let ("key", key) = (asked.argument(1), asked.argument(2)) else {
        return OF_SET.to_owned();
    };
    if key.is_empty() {
        return "Key value expected\n".to_owned();
    }
    let now = clock();
    let mut said = Vec::new();
    for pair in asked.arguments[3..].chunks(2) {
        let position = match counter(&pair[0], table) {
            Ok(position) => position,
            Err(refusal) => return refusal,
        };
        let number = pair.get(1).and_then(|number| number.parse::<u64>().ok());
        let Some(number) = number else {
            return "Require a valid integer value to store\n".to_owned();
        };
        said.push((position, number));
    }
    // A key without numbers is one that was used.
    let used = said.is_empty() && table.counters().next().is_some();
    let kept = match used {
        true => table.add(0, key, 0, now).is_some(),
        false => said
            .iter()
            .all(|(position, number)| table.set(*position, key, *number, now)),
    };
    match kept {
        true => String::new(),
        false => "Unable to allocate a new entry\n".to_owned(),
    }
}

fn no_table() -> String {
    "No such table\n".to_owned()
}

impl Which {
    /// `usage` is said of what is no filter.
    fn read(arguments: &[String], table: &Table, usage: &str) -> Result<Self, Refusal> {
        let Some(first) = arguments.first() else {
            return Ok(Self::All);
        };
        if first == "key" {
            return match arguments.get(1).filter(|key| !key.is_empty()) {
                Some(key) => Ok(Self::Key(key.clone())),
                None => Err("Key value expected\n".to_owned()),
            };
        }
        if !first.starts_with("data.") {
            return Err(usage.to_owned());
        }
        let filter = |why: &str| format!("Filter entry #1: {why}");
        let position = counter(first, table).map_err(|why| filter(&why))?;
        let how = match arguments.get(1).map(String::as_str) {
            Some("eq") => How::Equal,
            Some("ne") => How::NotEqual,
            Some("le") => How::AtMost,
            Some("ge") => How::AtLeast,
            Some("lt") => How::Below,
            Some("gt") => How::Above,
            _ => {
                let operators =
                    "Require and operator among \"eq\", \"ne\", \"le\", \"ge\", \"lt\", \"gt\"\n";
                return Err(filter(operators));
            }
        };
        let number = arguments.get(2).and_then(|text| text.parse().ok());
        let number =
            number.ok_or_else(|| filter("Require a valid integer value to compare against\n"))?;
        Ok(Self::Counter {
            position,
            how,
            number,
        })
    }

    fn takes(&self, row: &Row) -> bool {
        match self {
            Self::All => true,
            Self::Key(key) => *row.key == **key,
            Self::Counter {
                position,
                how,
                number,
            } => {
                let count = row.counts.get(*position).copied().unwrap_or(0);
                match how {
                    How::Equal => count == *number,
                    How::NotEqual => count != *number,
                    How::AtMost => count <= *number,
                    How::AtLeast => count >= *number,
                    How::Below => count < *number,
                    How::Above => count > *number,
                }
            }
        }
    }
}

/// The counter that `data.NAME` means.
fn counter(text: &str, table: &Table) -> Result<usize, Refusal> {
    let Some(name) = text.strip_prefix("data.") else {
        return Err("\"data.<type>\" followed by a value expected\n".to_owned());
    };
    table
        .counter(name)
        .ok_or_else(|| "Data type not stored in this table\n".to_owned())
}

fn heading(out: &mut String, table: &Table) {
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "# table: {}, type: string, size:{}, used:{}",
        table.name(),
        table.declared().size,
        table.len()
    );
}

/// A row; the keys' own addresses, which HAProxy has here, mean nothing to anybody.
fn line(out: &mut String, table: &Table, row: &Row) {
    let expires = row.expires_in.map_or(0, |left| left.as_millis());
    let _ = write!(out, "0x0: key={} use=0 exp={expires}", escaped(&row.key));
    if let Some(value) = &row.value {
        let _ = write!(out, " server_key={}", escaped(value));
    }
    let mut counts: Vec<_> = table.counters().zip(&row.counts).collect();
    counts.sort_by_key(|((name, _), _)| place(name));
    for ((name, window), count) in counts {
        let _ = match window {
            Some(window) => write!(out, " {name}({window})={count}"),
            None => write!(out, " {name}={count}"),
        };
    }
    out.push('\n');
}

/// Where HAProxy has a counter in a row; others follow.
fn place(counter: &str) -> usize {
    const ORDER: [&str; 14] = [
        "gpc0",
        "gpc0_rate",
        "conn_cnt",
        "conn_rate",
        "conn_cur",
        "sess_cnt",
        "sess_rate",
        "http_req_cnt",
        "http_req_rate",
        "http_err_cnt",
        "http_err_rate",
        "bytes_in_cnt",
        "bytes_in_rate",
        "bytes_out_cnt",
    ];
    let known = ORDER.iter().position(|known| *known == counter);
    known.unwrap_or(ORDER.len())
}

/// A text that cannot look like more than one word of a line.
fn escaped(text: &str) -> String {
    let one = |c: char| match c {
        ' ' | '\\' => format!("\\{c}"),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.chars().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_word() {
        assert_eq!(escaped("a b\\c\nd"), "a\\ b\\\\c\\nd");
    }
}
