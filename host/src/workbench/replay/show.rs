//! A comparison as text.

use std::fmt;

use super::{Comparison, Difference};
use crate::workbench::diff::{Line, diff};

/// Differences that are printed; all that are kept are in the JSON.
const MOST_PRINTED: usize = 20;

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in self.differences.iter().take(MOST_PRINTED) {
            writeln!(f, "{difference}")?;
        }
        if !self.differences.is_empty() {
            writeln!(f, "- recorded  + answered now")?;
            let all = self.different + self.failed;
            if all > MOST_PRINTED as u64 {
                writeln!(f, "({} more that differ)", all - MOST_PRINTED as u64)?;
            }
            writeln!(f)?;
        }
        let compared = self.same + self.different + self.failed;
        writeln!(f, "{}: {compared} calls compared", self.place)?;
        writeln!(f, "  {:>8} the same", self.same)?;
        writeln!(f, "  {:>8} different", self.different)?;
        if self.failed > 0 {
            writeln!(f, "  {:>8} failed", self.failed)?;
        }
        if self.masked > 0 {
            writeln!(
                f,
                "  {:>8} not compared, for what was recorded of them is masked or cut",
                self.masked
            )?;
        }
        for left in &self.left_out {
            writeln!(f, "  {:>8} left out: {}", left.calls, left.why)?;
        }
        self.notes
            .iter()
            .try_for_each(|note| writeln!(f, "note: {note}"))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  {}", self.id, self.call)?;
        for given in &self.inputs {
            match &given.value {
                Some(value) => writeln!(f, "      {} = {value:?}", given.input)?,
                None => writeln!(f, "      no {}", given.input)?,
            }
        }
        for line in diff(&self.recorded, &self.answered) {
            match line {
                Line::Same(text) => writeln!(f, "      {text}")?,
                Line::Missing(text) => writeln!(f, "    - {text}")?,
                Line::Extra(text) => writeln!(f, "    + {text}")?,
            }
        }
        Ok(())
    }
}
