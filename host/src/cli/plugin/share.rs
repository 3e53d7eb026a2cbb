//! `weir plugin push`, `pull`, `list`, `sign`, `verify` and `keygen`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Args;

use super::ComponentFile;
use crate::{
    cli::log_to_stderr,
    config::{KeyFile, MovedTags, OciReference, OciSource, RegistryAccess, SignedBy},
    plugin::bundled,
    store::{self, About, KeyPair, SecretKey, Store},
    workbench::Subject,
};

/// How a registry is reached. weir.toml says the same in `[registry."host"]`.
#[derive(Debug, Args)]
pub struct Access {
    /// Speak HTTP without TLS.
    #[arg(long)]
    plain_http: bool,
    /// Certificates to trust besides the usual ones, as PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Push {
    file: ComponentFile,
    /// Where it goes: `oci://host/team/name:tag`.
    reference: OciReference,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Args)]
pub struct Pull {
    /// `oci://host/team/name:tag`, or `…@sha256:…`.
    reference: OciReference,
    /// Where the component goes; by default `NAME.wasm`.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Args)]
pub struct List {
    /// A repository, as `oci://host/team/name`, whose tags are listed; otherwise the plugins that come with Weir.
    repository: Option<String>,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Args)]
pub struct Sign {
    /// A file, whose signature is laid beside it as `FILE.sig`; or `oci://…`, whose signature goes to its registry.
    what: String,
    /// The secret key, a PEM file.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// A file or `oci://…`.
    what: String,
    /// A public key, a PEM file. Several may be given; one has to fit.
    #[arg(long = "key", value_name = "FILE", required = true)]
    keys: Vec<PathBuf>,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Args)]
pub struct Keygen {
    /// Begins the names of the files: `NAME.key` and `NAME.pub`.
    name: PathBuf,
}

pub fn push(options: &Push) -> anyhow::Result<ExitCode> {
    if options.reference.tag.is_none() || options.reference.digest.is_some() {
        bail!(
            "{}: give a tag and no digest, which follows from what is sent",
            options.reference
        );
    }
    // What Weir would not load nobody should get.
    let subject = Subject::open(&options.file)?;
    let info = subject.inspect("{}")?.info;
    let (imports, exports) = subject.component().interfaces();
    let mut about = About {
        imports: imports.to_vec(),
        exports: exports.to_vec(),
        ..About::default()
    };
    if let Some(info) = info {
        about.name = info.name;
        about.version = info.version;
        about.summary = info.summary;
    }
    let source = source(&options.reference, &options.access)?;
    let manifest = Store::push(&source, subject.bytes().to_vec(), &about)?;
    println!("{}", pinned(&options.reference, &manifest));
    Ok(ExitCode::SUCCESS)
}

pub fn pull(options: &Pull) -> anyhow::Result<ExitCode> {
    // If the registry is silent and what was kept is used, that is said in the log.
    log_to_stderr(false);
    let source = source(&options.reference, &options.access)?;
    let fetched = Store::new(store::user_folder()).fetch(&source)?;
    let file = match &options.output {
        Some(file) => file.clone(),
        None => {
            let name = options.reference.repository.rsplit('/').next();
            PathBuf::from(format!("{}.wasm", name.unwrap_or("plugin")))
        }
    };
    fs::write(&file, &fetched.bytes)
        .with_context(|| format!("{} can't be written", file.display()))?;
    println!("{}", pinned(&options.reference, &fetched.manifest));
    println!(
        "{}: {} bytes, {}",
        file.display(),
        fetched.bytes.len(),
        store::digest(&fetched.bytes)
    );
    Ok(ExitCode::SUCCESS)
}

pub fn list(options: &List) -> anyhow::Result<ExitCode> {
    let Some(repository) = &options.repository else {
        for name in bundled::names() {
            println!("{name}");
        }
        return Ok(ExitCode::SUCCESS);
    };
    // Any tag does: the repository alone is looked at.
    let reference: OciReference = format!("{repository}:latest")
        .parse()
        .or_else(|_| repository.parse())?;
    for tag in Store::tags(&source(&reference, &options.access)?)? {
        println!("{tag}");
    }
    Ok(ExitCode::SUCCESS)
}

pub fn sign(options: &Sign) -> anyhow::Result<ExitCode> {
    let key = SecretKey::read(&options.key)?;
    if options.what.starts_with("oci://") {
        let reference: OciReference = options.what.parse()?;
        let manifest = Store::sign(&source(&reference, &options.access)?, &key)?;
        println!("{} is signed", pinned(&reference, &manifest));
        return Ok(ExitCode::SUCCESS);
    }
    let file = Path::new(&options.what);
    let bytes = fs::read(file).with_context(|| format!("{} can't be read", file.display()))?;
    let beside = store::signature_file(file);
    fs::write(&beside, key.sign_bytes(&bytes) + "\n")
        .with_context(|| format!("{} can't be written", beside.display()))?;
    println!("{} is signed in {}", file.display(), beside.display());
    Ok(ExitCode::SUCCESS)
}

pub fn verify(options: &Verify) -> anyhow::Result<ExitCode> {
    let read = |file: &PathBuf| {
        let pem = fs::read_to_string(file)
            .with_context(|| format!("{} can't be read", file.display()))?;
        let file = file.clone();
        anyhow::Ok(KeyFile { file, pem })
    };
    let trust = SignedBy {
        keys: options.keys.iter().map(read).collect::<Result<_, _>>()?,
    };
    let key = if options.what.starts_with("oci://") {
        let reference: OciReference = options.what.parse()?;
        let source = source(&reference, &options.access)?;
        let store = Store::new(None);
        let manifest = store.fetch(&source)?.manifest;
        println!("{}", pinned(&reference, &manifest));
        store.verify(&source, &manifest, &trust)?
    } else {
        let file = Path::new(&options.what);
        let bytes = fs::read(file).with_context(|| format!("{} can't be read", file.display()))?;
        store::verify_file(file, &bytes, &trust)?
    };
    println!("signed by {}", key.file.display());
    Ok(ExitCode::SUCCESS)
}

pub fn keygen(options: &Keygen) -> anyhow::Result<ExitCode> {
    let with = |ending: &str| {
        let mut name = options.name.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let (secret, public) = (with(".key"), with(".pub"));
    KeyPair::new()?.write(&secret, &public)?;
    println!("{}  signs; keep it to yourself", secret.display());
    println!("{}  goes into [trust] of weir.toml", public.display());
    Ok(ExitCode::SUCCESS)
}

fn source(reference: &OciReference, access: &Access) -> anyhow::Result<OciSource> {
    let ca = access
        .ca
        .as_ref()
        .map(|file| fs::read(file).with_context(|| format!("{} can't be read", file.display())));
    Ok(OciSource {
        reference: reference.clone(),
        access: RegistryAccess {
            plain_http: access.plain_http,
            ca: ca.transpose()?,
            // Who types a tag means what it names now.
            moved_tags: MovedTags::Follow,
        },
    })
}

/// The reference as it never moves.
fn pinned(reference: &OciReference, manifest: &str) -> String {
    let reference = OciReference {
        tag: None,
        digest: Some(manifest.to_owned()),
        ..reference.clone()
    };
    reference.to_string()
}
