//! A report as text.

use std::fmt;

use super::{Answer, Failure, Report, What};
use crate::workbench::diff::Line;

pub fn report(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for case in &report.cases {
        let mark = if case.failures.is_empty() {
            "ok  "
        } else {
            "FAIL"
        };
        writeln!(f, "{mark}  {}", case.name)?;
        for failure in &case.failures {
            self::failure(&report.file, failure, f)?;
        }
    }
    let failed = report.failed();
    let answers = report.cases.iter().flat_map(|case| &case.failures);
    if answers.clone().any(|f| matches!(f.what, What::Answer(_))) {
        writeln!(f, "\n- expected  + found")?;
    }
    match report.cases.len() {
        1 => write!(f, "\n1 case")?,
        cases => write!(f, "\n{cases} cases")?,
    }
    match failed {
        0 => writeln!(f, ", all as expected"),
        _ => writeln!(f, ", {failed} failed"),
    }
}

fn failure(file: &str, failure: &Failure, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let line = failure.line;
    match &failure.what {
        What::Error(message) => {
            writeln!(f, "      {file}:{line}:")?;
            message
                .lines()
                .try_for_each(|line| writeln!(f, "        {line}"))
        }
        What::NotRefused(text) => writeln!(
            f,
            "      {file}:{line}: the config was taken, and should be refused with `{text}`"
        ),
        What::Answer(Answer { call, part, lines }) => {
            writeln!(f, "      {file}:{line}: {call}")?;
            writeln!(f, "        {part}")?;
            lines.iter().try_for_each(|line| match line {
                Line::Same(text) => writeln!(f, "          {text}"),
                Line::Missing(text) => writeln!(f, "        - {text}"),
                Line::Extra(text) => writeln!(f, "        + {text}"),
            })
        }
    }
}
