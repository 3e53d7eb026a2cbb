//! Reads from /proc what processes used.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};

/// A process and all that it started, which still run.
pub fn family(root: u32) -> Vec<u32> {
    let mut family = vec![root];
    let mut at = 0;
    while at < family.len() {
        let tasks = fs::read_dir(format!("/proc/{}/task", family[at]))
            .into_iter()
            .flatten()
            .flatten();
        for task in tasks {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            family.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
        at += 1;
    }
    family
}

/// CPU time of all threads of these processes, user and system, as the scheduler counts it.
pub fn time(pids: &[u32]) -> Result<Duration> {
    let mut nanoseconds = 0;
    for pid in pids {
        let tasks = format!("/proc/{pid}/task");
        for task in fs::read_dir(&tasks).with_context(|| format!("cannot list {tasks}"))? {
            nanoseconds += thread_nanoseconds(&task?.path())?;
        }
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Nothing for a thread that has ended since its process was listed.
fn thread_nanoseconds(task: &Path) -> Result<u64> {
    let text = match fs::read_to_string(task.join("schedstat")) {
        Err(_) if !task.exists() => return Ok(0),
        text => text.context("the kernel keeps no schedstat")?,
    };
    let first = text
        .split_whitespace()
        .next()
        .context("schedstat is empty")?;
    first.parse().context("schedstat begins with a number")
}

/// Memory of these processes in bytes, pages that they share counted in shares.
pub fn memory(pids: &[u32]) -> Result<u64> {
    let mut kibibytes = 0;
    for pid in pids {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
            .context("cannot read memory use")?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("Pss:"))
            .context("no Pss in smaps_rollup")?;
        kibibytes += line.trim().trim_end_matches(" kB").trim().parse::<u64>()?;
    }
    ensure!(kibibytes > 0, "a process without memory");
    Ok(kibibytes * 1024)
}

/// The machine in a line: processor, how many, kernel.
pub fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or(": unknown CPU");
    let count = cpus
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{} x {}, Linux {}",
        count,
        model.trim_start_matches([' ', '\t', ':']),
        kernel.trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_time_and_memory() {
        let own = std::process::id();
        let before = time(&[own]).unwrap();
        while time(&[own]).unwrap() == before {
            std::hint::black_box((0..100_000).sum::<u64>());
        }
        assert!(memory(&[own]).unwrap() > 100_000);
    }

    #[test]
    fn children_belong_to_the_family() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let family = family(std::process::id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(family.contains(&child.id()));
    }
}
