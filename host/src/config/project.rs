//! `plugin.toml`: what a component is to be made of, for languages whose own manifests do not say it.
//! Making it is not done here.

use std::path::{Component, Path, PathBuf};

use super::{
    ConfigErrors,
    load::{parse_with, text_of},
    read::{Fields, Reader},
    value::Node,
};

/// The interfaces that a component can export beside `lifecycle`.
pub const ROLES: [&str; 7] = [
    "connection-filter",
    "request-filter",
    "response-filter",
    "balancer",
    "balancer-ahead",
    "balancer-feedback",
    "persistence",
];

/// The interfaces that it can import beside `log`, which is always there.
pub const IMPORTS: [&str; 4] = ["clock", "random", "maps", "counters"];

/// What is said of a plugin's sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginProject {
    /// Its component is called so.
    pub name: String,
    pub source: SourceFile,
    pub roles: Vec<&'static str>,
    pub imports: Vec<&'static str>,
    /// The folder of the SDK, if it is not where `weir plugin new` puts it. Relative to the file.
    pub sdk: Option<PathBuf>,
}

/// The file of the decision, relative to the project's folder; its ending tells the language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceFile {
    JavaScript(PathBuf),
    Python { file: PathBuf, class: String },
    C(PathBuf),
}

/// Reads a `plugin.toml`.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn load(path: &Path) -> Result<PluginProject, ConfigErrors> {
    parse(path, &text_of(path)?)
}

/// Reads `text` as if it stood in `file`.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn parse(file: &Path, text: &str) -> Result<PluginProject, ConfigErrors> {
    let (project, _) = parse_with(file, text, |reader, tree| {
        read(reader, Fields::top(reader, tree))
    })?;
    // What is missing of it has been written down as an error.
    project.ok_or_else(|| super::ConfigError::of_file(file, "is incomplete").into())
}

fn read(reader: &Reader<'_>, mut top: Fields<'_>) -> Option<PluginProject> {
    let name = top.require("name", "\"gold-first\"").and_then(read_name);
    let source = read_source(&mut top);
    let roles = top.require("roles", "[\"request-filter\"]");
    let roles = roles.and_then(|node| words(&node, "roles", &ROLES));
    if let Some((node, [])) = roles.as_ref().map(|(span, roles)| (span, roles.as_slice())) {
        reader.error_with_hint(
            node.clone(),
            "`roles` is empty",
            format!("name what the plugin is: {}", ROLES.join(", ")),
        );
    }
    let imports = top.get("imports");
    let imports = imports.and_then(|node| words(&node, "imports", &IMPORTS));
    let sdk = top.get("sdk").and_then(|node| {
        let sdk = node.plain_text("vendor/weir-c");
        sdk.map(PathBuf::from)
    });
    top.finish(&[(
        "config",
        "the config belongs in weir.toml, where the plugin is used",
    )]);
    Some(PluginProject {
        name: name?,
        source: source?,
        roles: roles?.1,
        imports: imports.map(|(_, imports)| imports).unwrap_or_default(),
        sdk,
    })
}

/// A component's file is called so, and must stay beside the sources.
fn read_name(node: Node<'_>) -> Option<String> {
    let name = node.plain_text("gold-first")?;
    if name.contains(['/', '\\']) || name.starts_with('.') {
        node.wrong(
            "is no file's name",
            "write one like \"gold-first\"; the component is gold-first.wasm",
        );
        return None;
    }
    Some(name.to_owned())
}

fn read_source(top: &mut Fields<'_>) -> Option<SourceFile> {
    let node = top.require("source", "\"plugin.js\"");
    let class = top.get("class");
    let node = node?;
    let file = PathBuf::from(node.plain_text("plugin.js")?);
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if !file.components().all(inside) {
        node.wrong(
            "leads out of the project's folder",
            "name a file in it, such as \"plugin.js\"",
        );
        return None;
    }
    let source = match file.extension().and_then(|ending| ending.to_str()) {
        Some("js" | "mjs" | "ts" | "mts") => SourceFile::JavaScript(file),
        Some("c") => SourceFile::C(file),
        Some("py") => {
            let Some(class) = class else {
                node.wrong(
                    "in Python needs a `class` beside it",
                    "add `class = \"NAME\"`: the one that derives from a role of weir_plugin",
                );
                return None;
            };
            let class = read_class(&class)?;
            return Some(SourceFile::Python { file, class });
        }
        _ => {
            node.wrong(
                "is in no language that is known here",
                "end it with .js or .ts, .py or .c; a plugin in Rust has a Cargo.toml instead",
            );
            return None;
        }
    };
    if let Some(class) = class {
        class.wrong(
            "belongs to a source in Python",
            "leave it out, or name a .py file",
        );
    }
    Some(source)
}

fn read_class(node: &Node<'_>) -> Option<String> {
    let class = node.plain_text("GoldFirst")?;
    let begins = class.starts_with(|c: char| c.is_alphabetic() || c == '_');
    if !begins || !class.chars().all(|c| c.is_alphanumeric() || c == '_') {
        node.wrong("is no class's name", "write one like \"GoldFirst\"");
        return None;
    }
    Some(class.to_owned())
}

/// A list of words out of `choices`, each once, and where it stands.
fn words(
    node: &Node<'_>,
    of_what: &str,
    choices: &[&'static str],
) -> Option<(std::ops::Range<usize>, Vec<&'static str>)> {
    let pairs: Vec<_> = choices.iter().map(|word| (*word, *word)).collect();
    let mut words = Vec::new();
    let mut sound = true;
    for entry in node.list(of_what)? {
        match entry.choice(&pairs) {
            Some(word) if words.contains(&word) => {
                entry.wrong(format!("is `{word}` again"), "once is enough");
                sound = false;
            }
            Some(word) => words.push(word),
            None => sound = false,
        }
    }
    sound.then(|| (node.span(), words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PluginProject, String> {
        parse(Path::new("plugin.toml"), text).map_err(|errors| errors.to_string())
    }

    #[test]
    fn the_ending_of_the_source_tells_the_language() {
        let of = |source: &str| {
            let text = format!("name = \"mine\"\nroles = [\"balancer\"]\nsource = \"{source}\"\n");
            read(&text).unwrap().source
        };
        assert_eq!(of("a.js"), SourceFile::JavaScript("a.js".into()));
        assert_eq!(of("src/a.ts"), SourceFile::JavaScript("src/a.ts".into()));
        assert_eq!(of("a.c"), SourceFile::C("a.c".into()));
        let python = read(
            "name = \"m\"\nsource = \"m.py\"\nclass = \"Mine\"\nroles = [\"balancer\", \"balancer-ahead\"]\nimports = [\"clock\"]",
        );
        let python = python.unwrap();
        assert_eq!(
            python.source,
            SourceFile::Python {
                file: "m.py".into(),
                class: "Mine".into()
            }
        );
        assert_eq!(python.roles, ["balancer", "balancer-ahead"]);
        assert_eq!(python.imports, ["clock"]);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_its_place() {
        for (text, wanted) in [
            ("", "needs `name`"),
            (
                "name = \"../x\"\nsource = \"a.js\"\nroles = [\"balancer\"]",
                "plugin.toml:1:8: `name` is no file's name",
            ),
            (
                "name = \"x\"\nsource = \"../a.js\"\nroles = [\"balancer\"]",
                "plugin.toml:2:10: `source` leads out of the project's folder",
            ),
            (
                "name = \"x\"\nsource = \"a.go\"\nroles = [\"balancer\"]",
                "end it with .js or .ts, .py or .c",
            ),
            (
                "name = \"x\"\nsource = \"a.py\"\nroles = [\"balancer\"]",
                "needs a `class` beside it",
            ),
            (
                "name = \"x\"\nsource = \"a.py\"\nclass = \"a b\"\nroles = [\"balancer\"]",
                "plugin.toml:3:9: `class` is no class's name",
            ),
            (
                "name = \"x\"\nsource = \"a.c\"\nclass = \"A\"\nroles = [\"balancer\"]",
                "belongs to a source in Python",
            ),
            (
                "name = \"x\"\nsource = \"a.c\"\nroles = [\"balancr\"]",
                "did you mean `balancer`?",
            ),
            (
                "name = \"x\"\nsource = \"a.c\"\nroles = []",
                "`roles` is empty",
            ),
            (
                "name = \"x\"\nsource = \"a.c\"\nroles = [\"balancer\", \"balancer\"]",
                "once is enough",
            ),
            (
                "name = \"x\"\nsource = \"a.c\"\nroles = [\"balancer\"]\nconfig = {}",
                "the config belongs in weir.toml",
            ),
        ] {
            let found = read(text).unwrap_err();
            assert!(found.contains(wanted), "{text}\n{found}");
        }
    }
}
