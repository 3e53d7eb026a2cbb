//! The config that the README shows is one that the plugin takes.

use rules::Rules;
use weir_sdk::test::Loaded;

#[test]
fn the_config_in_the_readme_loads() {
    let readme = include_str!("../README.md");
    let (_, rest) = readme
        .split_once("```toml\n")
        .expect("the README shows a config");
    let (text, _) = rest.split_once("```").expect("the config ends");
    let file: serde_json::Value = toml::from_str(text).expect("the config is TOML");
    let config = file
        .pointer("/frontend/filter/0/config")
        .expect("the filter has a config");
    Loaded::<Rules>::new(config).expect("the plugin takes the config");
}
