//! HAProxy's configuration file: read, and written again as the weir.toml that means the same.
//!
//! `text` makes words of lines, `file` makes sections and typed rules of words, `translate` makes of
//! them the configuration in `weir`, which prints itself. What could not be carried over, or only
//! nearly, is in [`Remarks`]: each directive of the file has exactly one fate there.
//!
//! Knows nothing of the proxy: no sockets, no plugins, and of the files that a configuration names
//! only what [`Surroundings`] shows.

mod file;
mod nearest;
mod problem;
mod remark;
mod surroundings;
mod text;
mod translate;
mod weir;

pub use problem::{Problem, Problems};
pub use remark::{Fate, Remark, Remarks};
pub use surroundings::{Machine, Nothing, Surroundings};

/// What became of a haproxy.cfg.
#[derive(Debug, Clone)]
pub struct Import {
    /// The text of the weir.toml.
    pub weir: String,
    /// What happened to each directive, in the order of the file.
    pub remarks: Remarks,
    /// What the file itself says to whoever reads it (`.notice`, `.warning`), with its line.
    pub notices: Vec<String>,
    /// Files whose content became part of the result, such as lists of patterns.
    pub read: Vec<std::path::PathBuf>,
    /// What becomes of relative paths if the weir.toml lies in another folder than the one that HAProxy is started
    /// in.
    pub relative: Vec<Remark>,
}

/// Translates `text`, which stands in the file called `name`.
///
/// # Errors
/// Everything for which HAProxy would refuse the file, each with line, column and what would do.
pub fn import(name: &str, text: &[u8], around: &dyn Surroundings) -> Result<Import, Problems> {
    let mut problems = Problems::new(name, text);
    let lines = text::read(text, around, &mut problems);
    let file = file::read(&lines.lines, &mut problems);
    let translated = translate::translate(name, &file, around, &mut problems);
    problems.conclude()?;
    let mut remarks = translated.remarks;
    remarks.expanded(&lines.expanded);
    Ok(Import {
        weir: translated.weir.to_string(),
        remarks,
        notices: lines.notices,
        read: translated.read,
        relative: translated.relative,
    })
}
