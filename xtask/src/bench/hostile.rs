//! `--hostile`: what hostile peers cost a server, and the clients beside them.
//!
//! Each attack runs against each server, fresh, one after the other; in every second round the order turns. The table
//! holds medians over the rounds. Latencies are those of one pair of clients, before the attack and under it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dunlin_load::attack::{ATTACKS, Attack, Outcome};

use super::options::Options;
use super::server::Server;
use super::{Sides, progress, say};

/// Everybody has to log in: most attacks are those of strangers.
const CONFIG: &str = "authorization { users = [ { user: load, password: load } ] }\n";

/// What a server may open where descriptors are to run out.
const FEW: u32 = 256;

/// Runs all attacks, or those that `--only` names, and prints the table.
///
/// # Errors
/// A pair of clients was disturbed, a server did not start, or served nobody afterwards.
pub(super) fn run(options: &Options, sides: &Sides) -> Result<(), String> {
    let load = options.release("dunlin-load");
    let names: Option<Vec<&str>> = options.only.as_deref().map(|only| only.split(',').collect());
    let is_chosen = |attack: &&Attack| names.as_ref().is_none_or(|names| names.contains(&attack.name));
    say(HEAD)?;
    let mut failed = Vec::new();
    for attack in ATTACKS.iter().filter(is_chosen) {
        let mut outcomes = [Vec::new(), Vec::new()];
        for round in 0..options.rounds {
            progress(&format!(
                "round {} of {}: {}",
                round + 1,
                options.rounds,
                attack.name
            ));
            let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
            for side in order {
                let program = if side == 0 {
                    &sides.reference
                } else {
                    &sides.dunlin
                };
                match one(attack, program, options, &load) {
                    Ok(outcome) => outcomes[side].push(outcome),
                    Err(error) => failed.push(format!("{}: {error}", attack.name)),
                }
            }
        }
        for (name, outcomes) in ["nats-server", "Dunlin"].iter().zip(&outcomes) {
            if !outcomes.is_empty() {
                say(&row(attack, name, outcomes))?;
            }
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(failed.join("\n"))
    }
}

const HEAD: &str = "| attack | server | hostile: opened / held at the end | p50 calm → under, µs | p99 calm → under, µs | memory before → most, MiB | for each held, KiB | served after |
|---|---|---|---|---|---|---|---|";

fn one(attack: &Attack, program: &Path, options: &Options, load: &Path) -> Result<Outcome, String> {
    let limited;
    let program = if attack.name == "descriptors" {
        limited = with_few_descriptors(program, &options.target)?;
        &limited
    } else {
        program
    };
    let server = Server::start(program, &options.target, CONFIG)?;
    let output = Command::new(load)
        .args(["attack", attack.name, "--login", "load:load"])
        .args([
            "--server",
            &server.address.to_string(),
            "--pid",
            &server.pid().to_string(),
        ])
        .args(["--seconds", &options.seconds.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("dunlin-load: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {}", program.display(), said.trim()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("dunlin-load: {error}"))
}

/// A script that starts `program` with a low limit.
fn with_few_descriptors(program: &Path, target: &Path) -> Result<PathBuf, String> {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let path = target.join("bench").join(format!("few-{name}"));
    let text = format!(
        "#!/bin/sh\nulimit -n {FEW}\nexec '{}' \"$@\"\n",
        program.display()
    );
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    std::fs::create_dir_all(target.join("bench")).map_err(failed)?;
    std::fs::write(&path, text).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).map_err(failed)?;
    }
    Ok(path)
}

fn row(attack: &Attack, server: &str, outcomes: &[Outcome]) -> String {
    let median = |figure: fn(&Outcome) -> f64| {
        let mut figures: Vec<f64> = outcomes.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or_default()
    };
    let mib = 1024.0 * 1024.0;
    let (before, most) = (
        median(|o| o.resident_before as f64),
        median(|o| o.resident_most as f64),
    );
    let held = median(|o| o.held as f64);
    // Where the server closes them at once there is nobody to share the growth among.
    let each = if held >= 100.0 {
        format!("{:.1}", (most - before).max(0.0) / held / 1024.0)
    } else {
        "-".to_owned()
    };
    let served = outcomes.iter().all(|outcome| outcome.served_after);
    format!(
        "| {} | {server} | {:.0} / {held:.0} | {:.0} → {:.0} | {:.0} → {:.0} | {:.1} → {:.1} | {each} | {} |",
        attack.title,
        median(|o| o.opened as f64),
        median(|o| o.calm.p50),
        median(|o| o.under.p50),
        median(|o| o.calm.p99),
        median(|o| o.under.p99),
        before / mib,
        most / mib,
        if served { "yes" } else { "no" },
    )
}
