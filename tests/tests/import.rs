//! `weir import` and `weir check --haproxy`: what they write, what they say, and how they end.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use weir_tests::{binary, repository};

const CLEAN: &str = "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\nfrontend web\n bind 127.0.0.1:0\n default_backend app\nbackend app\n server a 127.0.0.1:9\n";

fn weir(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(binary());
    command.args(arguments).current_dir(folder);
    command.output().expect("the binary can be started")
}

fn folder_with(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    fs::write(folder.path().join("h.cfg"), config).expect("a file can be written");
    folder
}

#[test]
fn what_means_the_same_is_written_and_ends_with_0() {
    let folder = folder_with(CLEAN);
    let output = weir(
        &["import", "h.cfg", "-o", "weir.toml", "--strict"],
        folder.path(),
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let checked = weir(&["check", "-c", "weir.toml"], folder.path());
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
    let checked = weir(&["check", "--haproxy", "h.cfg"], folder.path());
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
}

#[test]
fn what_is_different_is_in_a_table_and_ends_with_2_or_not_at_all_if_strict() {
    let folder = folder_with(&format!("global\n daemon\n{CLEAN}"));
    let output = weir(&["import", "h.cfg", "-o", "weir.toml"], folder.path());
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("2 | daemon") && told.contains("not carried over"),
        "{told}"
    );
    assert!(folder.path().join("weir.toml").exists());

    fs::remove_file(folder.path().join("weir.toml")).expect("it is there");
    let output = weir(
        &["import", "h.cfg", "-o", "weir.toml", "--strict"],
        folder.path(),
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        !folder.path().join("weir.toml").exists(),
        "strict writes nothing"
    );
    let checked = weir(&["check", "--haproxy", "h.cfg"], folder.path());
    assert_eq!(checked.status.code(), Some(2));
    let told = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(told.matches("daemon").count(), 1, "{told}");
}

#[test]
fn a_file_that_is_there_is_replaced_only_if_told_so() {
    let folder = folder_with(CLEAN);
    let file = folder.path().join("weir.toml");
    fs::write(&file, "# worked on by hand\n").expect("a file can be written");
    let refused = weir(&["import", "h.cfg", "-o", "weir.toml"], folder.path());
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("weir.toml is there already"), "{told}");
    let kept = fs::read_to_string(&file).expect("it is there");
    assert_eq!(kept, "# worked on by hand\n");
    let forced = weir(
        &["import", "h.cfg", "-o", "weir.toml", "--force"],
        folder.path(),
    );
    assert_eq!(forced.status.code(), Some(0), "{forced:?}");
    let written = fs::read_to_string(&file).expect("it is there");
    assert!(written.contains("[[frontend]]"), "{written}");
    // Written where nothing can be lost.
    let elsewhere = weir(&["import", "h.cfg", "-o", "/dev/stdout"], folder.path());
    assert!(!elsewhere.stdout.is_empty(), "{elsewhere:?}");
}

#[test]
fn relative_paths_are_told_of_where_they_would_mean_another_file() {
    let config = CLEAN.replace(
        " default_backend app",
        " errorfile 503 pages/503.http\n default_backend app",
    );
    let folder = folder_with(&config);
    fs::create_dir(folder.path().join("pages")).expect("a folder can be made");
    fs::create_dir(folder.path().join("out")).expect("a folder can be made");
    let page = "HTTP/1.1 503 Later\r\n\r\nlater";
    fs::write(folder.path().join("pages/503.http"), page).expect("a file can be written");
    let here = weir(&["import", "h.cfg", "-o", "weir.toml"], folder.path());
    assert_eq!(here.status.code(), Some(0), "{here:?}");
    let there = weir(&["import", "h.cfg", "-o", "out/weir.toml"], folder.path());
    assert_eq!(there.status.code(), Some(2), "{there:?}");
    let told = String::from_utf8_lossy(&there.stderr).into_owned();
    assert!(
        told.contains("8 | errorfile 503 pages/503.http")
            && told.contains("`pages/503.http` starts at weir.toml's folder"),
        "{told}"
    );
}

#[test]
fn what_haproxy_would_refuse_is_refused_with_all_mistakes_at_once() {
    let wrong = CLEAN
        .replace("default_backend app", "default_backend ap")
        .replace("server a", "sever a");
    let folder = folder_with(&wrong);
    for arguments in [
        ["import", "h.cfg"].as_slice(),
        &["check", "--haproxy", "h.cfg"],
    ] {
        let output = weir(arguments, folder.path());
        assert_eq!(output.status.code(), Some(1));
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        for what in [
            "h.cfg:8:18: no backend is called `ap`",
            "did you mean `app`?",
            "h.cfg:10:2: unknown keyword `sever`",
        ] {
            assert!(told.contains(what), "{what} is not in\n{told}");
        }
    }
}

/// Names that only their own machines know become addresses, and files that only those have are taken out.
#[test]
fn what_was_imported_from_real_configs_loads() {
    let configs = repository().join("haproxy/tests/configs");
    let mut loaded = 0;
    for under in ["shared", "common"] {
        for entry in fs::read_dir(configs.join(under)).expect("the folder is there") {
            let file = entry.expect("it stays readable").path();
            let text = fs::read_to_string(&file).unwrap_or_default();
            let foreign = [
                "/etc/",
                "namespace",
                "admin",
                "\"haproxy\"",
                "user = \"app\"",
                "[[resolver]]",
                "password_hash",
            ];
            let is_toml = file.extension().is_some_and(|ending| ending == "toml");
            if !is_toml
                || foreign.iter().any(|word| text.contains(word))
                || !text.contains("[[frontend]]")
            {
                continue;
            }
            let folder = tempfile::tempdir().expect("a folder can be made");
            let local = [
                "app1:", "app2:", "app3:", "web-a:", "web-b:", "rabbit1:", "rabbit2:",
            ];
            let text = local.iter().fold(text, |text, name| {
                text.replace(&format!("\"{name}"), "\"127.0.0.1:")
            });
            fs::write(folder.path().join("weir.toml"), text).expect("a file can be written");
            let output = weir(&["check", "-c", "weir.toml"], folder.path());
            assert_eq!(
                output.status.code(),
                Some(0),
                "{}: {output:?}",
                file.display()
            );
            loaded += 1;
        }
    }
    assert!(loaded >= 15, "only {loaded} of them could be tried");
}
