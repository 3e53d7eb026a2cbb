//! An example on its way to being started.

use std::{fmt::Display, fs, path::Path};

use weir_tests::{Exited, Origin, Weir, WeirBuilder, repository};

/// The proxy's answer when no server is left, byte for byte.
pub const NO_SERVER_PAGE: &str = "<html><body><h1>503 Service Unavailable</h1>\n\
    No server is available to handle this request.\n</body></html>\n";

/// A configuration file of an example, with what lies beside it.
pub struct Example {
    config: String,
    builder: WeirBuilder,
}

impl Example {
    /// The `weir.toml` of a folder.
    pub fn named(folder: &str) -> Self {
        Self::file(folder, "weir.toml")
    }

    pub fn file(folder: &str, name: &str) -> Self {
        let folder = repository().join("examples").join(folder);
        let file = folder.join(name);
        let config = fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()));
        Self {
            config,
            builder: Weir::builder().copy_of(folder),
        }
    }

    /// Puts another value wherever `"value"` stands. Panics if it stands nowhere.
    #[track_caller]
    pub fn with(mut self, value: &str, instead: impl Display) -> Self {
        let quoted = format!("\"{value}\"");
        assert!(
            self.config.contains(&quoted),
            "there is no {quoted} in\n{}",
            self.config
        );
        self.config = self.config.replace(&quoted, &format!("\"{instead}\""));
        self
    }

    /// Listens on a port of the system's choice instead of `bind`.
    #[track_caller]
    pub fn listening(self, bind: &str) -> Self {
        self.with(bind, "127.0.0.1:0")
    }

    /// Uses these servers instead of those at the addresses.
    #[track_caller]
    pub fn with_servers(self, addresses: &[&str], origins: &[Origin]) -> Self {
        assert_eq!(addresses.len(), origins.len());
        let pairs = addresses.iter().zip(origins);
        pairs.fold(self, |example, (address, origin)| {
            example.with(address, origin.address())
        })
    }

    /// Replaces a piece of the text, to make a mistake, say. Panics if it isn't there.
    #[track_caller]
    pub fn changed(mut self, text: &str, instead: &str) -> Self {
        assert!(self.config.contains(text), "no {text} in\n{}", self.config);
        self.config = self.config.replace(text, instead);
        self
    }

    /// Puts files beside the configuration.
    pub fn beside(mut self, files: Vec<(String, Vec<u8>)>) -> Self {
        for (name, content) in files {
            self.builder = self.builder.file(name, content);
        }
        self
    }

    pub async fn check(self) -> Exited {
        self.builder.check(&self.config).await
    }

    pub async fn start(self) -> Weir {
        self.builder.start(&self.config).await
    }
}

/// What the script `make-certificates` of an example makes; nothing if it has none.
pub async fn certificates_of(example: &Path) -> Vec<(String, Vec<u8>)> {
    let script = example.join("make-certificates");
    if !script.exists() {
        return Vec::new();
    }
    let made = tempfile::tempdir().expect("there is room for a few files");
    let script = script.to_str().expect("the path is UTF-8");
    let (well, said) = weir_tests::tls::run(script, &[], made.path()).await;
    assert!(well, "{said}");
    let entries = fs::read_dir(made.path()).expect("it was just made");
    let paths = entries.map(|entry| entry.expect("it stays readable").path());
    paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "pem"))
        .map(|path| {
            let name = path.file_name().expect("a file has a name");
            let content = fs::read(&path).expect("it was just written");
            (name.to_string_lossy().into_owned(), content)
        })
        .collect()
}

/// Servers of these names.
pub async fn origins<const N: usize>(names: [&str; N]) -> [Origin; N] {
    let mut started = Vec::with_capacity(N);
    for name in names {
        started.push(Origin::start(name).await);
    }
    started
        .try_into()
        .unwrap_or_else(|_| unreachable!("there are as many origins as names"))
}

/// The names of the servers that `count` requests reach, one after the other, each on a connection of its own.
pub async fn reached(weir: &Weir, count: usize) -> Vec<String> {
    let mut names = Vec::with_capacity(count);
    for _ in 0..count {
        names.push(weir.get("/").await.origin().to_owned());
    }
    names
}
