//! `weir import`, and haproxy.cfg in the place of weir.toml: `weir run --haproxy`, `weir check --haproxy`.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use weir_haproxy::{Import, Machine, Remarks};

use crate::{
    config::{self, Config, ConfigError, ConfigErrors},
    proxy::{self, Ending, Source},
};

/// Everything means the same.
const CLEAN: u8 = 0;
/// The file, or what it says, is not sound.
const REFUSED: u8 = 1;
/// It works, and something is different.
const WITH_REMARKS: u8 = 2;

#[derive(Debug, clap::Args)]
pub struct Options {
    /// A haproxy.cfg.
    file: PathBuf,
    /// Where to write the weir.toml; standard output if left out.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file that is there already.
    #[arg(long, requires = "output")]
    force: bool,
    /// Write nothing if anything would be different.
    #[arg(long)]
    strict: bool,
    /// Show what happens to every directive, not only to those that do not mean the same.
    #[arg(long)]
    all: bool,
}

/// Writes a weir.toml that means what a haproxy.cfg means, and says what is different.
pub fn import(options: &Options) -> ExitCode {
    let mut import = match read(&options.file) {
        Ok(import) => import,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::from(REFUSED);
        }
    };
    if goes_elsewhere(options.output.as_deref()) {
        for remark in std::mem::take(&mut import.relative) {
            import
                .remarks
                .add(remark.line, &remark.directive, remark.fate);
        }
    }
    tell(&import);
    if options.all {
        eprint!("{}", Remarks::table(import.remarks.iter()));
    }
    eprintln!("{}", import.remarks);
    if options.strict && !import.remarks.are_clean() {
        eprintln!("error: nothing is written, since not everything means the same");
        return ExitCode::from(REFUSED);
    }
    let written = match &options.output {
        Some(file) => write(file, &import.weir, options.force),
        None => io::stdout().lock().write_all(import.weir.as_bytes()),
    };
    if let Err(error) = written {
        let place = options
            .output
            .as_deref()
            .unwrap_or(Path::new("standard output"));
        let place = place.display();
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                eprintln!(
                    "error: {place} is there already, and is as it was; `--force` replaces it"
                );
            }
            _ => eprintln!("error: {place} cannot be written: {error}"),
        }
        return ExitCode::from(REFUSED);
    }
    let output = options.output.as_deref().unwrap_or(Path::new("weir.toml"));
    if let Err(errors) = config::parse(output, &import.weir) {
        eprintln!("warning: as things are here, it would not load yet:\n{errors}");
        return ExitCode::from(WITH_REMARKS);
    }
    verdict(&import.remarks)
}

/// Checks a haproxy.cfg as starting with it would, and says what is different.
pub fn check(file: &Path) -> ExitCode {
    let checked = read(file)
        .map_err(|message| format!("error: {message}"))
        .and_then(|import| {
            tell(&import);
            eprintln!("{}", import.remarks);
            // Told of already, all at once.
            let untold = Source::new(file, translate, Ending::AtOnce);
            let warnings = proxy::check(&untold)
                .map_err(|error| format!("error: {}", proxy::with_cause(&error)))?;
            warnings
                .iter()
                .for_each(|warning| eprintln!("warning: {warning}"));
            Ok(import)
        });
    match checked {
        Ok(import) => {
            println!("{} is sound", file.display());
            verdict(&import.remarks)
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(REFUSED)
        }
    }
}

/// A haproxy.cfg as the source of configurations: translated anew at each reload, and nothing is written.
/// Relative paths start at the working directory, as HAProxy has it.
pub fn source(file: &Path) -> Source {
    Source::new(file, load, Ending::AtOnce)
}

/// As a proxy that starts or reloads: its log tells what is different.
fn load(file: &Path) -> Result<Config, ConfigErrors> {
    let import = imported(file)?;
    for remark in import.remarks.different() {
        tracing::warn!("{}", Remarks::table(std::iter::once(remark)).trim());
    }
    config_of(file, &import)
}

fn translate(file: &Path) -> Result<Config, ConfigErrors> {
    config_of(file, &imported(file)?)
}

fn imported(file: &Path) -> Result<Import, ConfigErrors> {
    read(file).map_err(|message| ConfigErrors::from(ConfigError::of_file(file, message)))
}

fn config_of(file: &Path, import: &Import) -> Result<Config, ConfigErrors> {
    let config = config::parse(Path::new("weir.toml"), &import.weir)?;
    Ok(Config {
        file: std::path::absolute(file).unwrap_or_else(|_| file.to_owned()),
        ..config
    })
}

/// What somebody may have worked on is not lost by accident.
fn write(path: &Path, text: &str, replace: bool) -> io::Result<()> {
    // A pipe, a terminal or an empty file has nothing to lose.
    let has_something = |found: fs::Metadata| found.is_file() && found.len() > 0;
    if !replace && fs::metadata(path).is_ok_and(has_something) {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::write(path, text)
}

/// Whether the weir.toml goes into another folder than the one that paths of a haproxy.cfg start at.
fn goes_elsewhere(output: Option<&Path>) -> bool {
    let Some(folder) = output.and_then(Path::parent) else {
        return false;
    };
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    let here = std::env::current_dir().and_then(fs::canonicalize);
    match (here, fs::canonicalize(folder)) {
        (Ok(here), Ok(there)) => here != there,
        // It is not there; that is said when it is written to.
        _ => false,
    }
}

fn read(file: &Path) -> Result<Import, String> {
    let text =
        fs::read(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    weir_haproxy::import(&file.to_string_lossy(), &text, &Machine)
        .map_err(|problems| format!("HAProxy would not take it\n{problems}"))
}

fn tell(import: &Import) {
    for notice in &import.notices {
        eprintln!("note: {notice}");
    }
}

fn verdict(remarks: &Remarks) -> ExitCode {
    ExitCode::from(if remarks.are_clean() {
        CLEAN
    } else {
        WITH_REMARKS
    })
}
