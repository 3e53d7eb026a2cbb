//! `weir plugin new` and `weir plugin build`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use crate::workbench::project::{self, Kind, Language, Project};

#[derive(Debug, Args)]
pub struct New {
    /// The plugin's name, and the folder's.
    name: String,
    #[arg(long, value_enum)]
    kind: Kind,
    #[arg(long, value_enum, default_value = "rust")]
    language: Language,
    /// Where the folder is made.
    #[arg(long = "in", value_name = "FOLDER", default_value = ".")]
    parent: PathBuf,
}

#[derive(Debug, Args)]
pub struct Build {
    /// The folder of the sources, or a file like its plugin.toml under another name.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Where the component goes; by default beside the sources, under the plugin's name.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn new(options: &New) -> anyhow::Result<ExitCode> {
    let folder = project::create(&Project {
        parent: &options.parent,
        name: &options.name,
        kind: options.kind,
        language: options.language,
    })?;
    let (folder, name) = (folder.display(), &options.name);
    println!(
        "{folder} is a {} in {}",
        options.kind,
        options.language.as_str()
    );
    println!("\n  cd {folder}");
    println!("  {}", options.language.test_command());
    println!("  weir plugin build");
    println!("  weir plugin test {name}.wasm --case cases.toml");
    println!("  weir run -c weir.toml");
    Ok(ExitCode::SUCCESS)
}

pub fn build(options: &Build) -> anyhow::Result<ExitCode> {
    let built = project::build(&options.folder, options.output.as_deref())?;
    let component = built.subject.component();
    let roles: Vec<&str> = component.roles().iter().map(|role| role.as_str()).collect();
    println!(
        "{}: {}, {} bytes, {}",
        built.file.display(),
        roles.join(" and "),
        component.size(),
        component.digest()
    );
    Ok(ExitCode::SUCCESS)
}
