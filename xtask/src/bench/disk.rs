//! `cargo xtask bench floor|journal`: what the disk costs bare, and what the journal makes of it.
//!
//! Both are measured by `storage-backends/journal/examples/bench.rs` in the same directory, in turns. The floor is pwrite and fdatasync over
//! initialised bytes, as many a sync as each work brings; fio, where it is installed, says whether that measures the disk.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{progress, say};

const USAGE: &str = "\
usage: cargo xtask bench floor|journal [options]

  --directory DIR   where to write; its file system is what is measured (target/bench)
  --seconds S       length of one run (3)
  --rounds N        runs of each, whose medians are shown (3)
  --program PATH    measure with this program instead of building it";

/// What fio overwrites, as the floor does.
const FIO_BYTES: usize = 64 << 20;

struct Options {
    directory: PathBuf,
    seconds: f64,
    rounds: usize,
    program: Option<PathBuf>,
}

/// One line of the program.
#[derive(Clone, Debug, Default, PartialEq)]
struct Line {
    name: String,
    /// Syncs, records, bytes a second, then the median and 99th percentile of an ack in µs.
    figures: [f64; 5],
}

/// Measures and prints a Markdown table.
///
/// # Errors
/// A text for people: wrong arguments, a build or a run that failed.
pub(super) fn run(what: &str, args: &[String]) -> Result<(), String> {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        return say(USAGE);
    }
    let root = crate::project::root();
    let options = Options::parse(args, &root)?;
    let program = match &options.program {
        Some(program) => program.clone(),
        None => build(&root)?,
    };
    std::fs::create_dir_all(&options.directory)
        .map_err(|error| format!("{}: {error}", options.directory.display()))?;
    let (mut floor, mut journal, mut fio) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..options.rounds {
        progress(&format!("round {} of {}", round + 1, options.rounds));
        let measured = options.measure(&program, "floor")?;
        if what == "floor" && has_fio() {
            // The last line is files that grow, which is another pattern.
            let sizes = measured
                .iter()
                .filter(|line| !line.name.contains("files"))
                .map(Line::bytes_a_sync);
            fio.push(
                sizes
                    .map(|bytes| options.fio(bytes))
                    .collect::<Result<Vec<_>, _>>()?,
            );
        }
        floor.push(measured);
        if what == "journal" {
            journal.push(options.measure(&program, "journal")?);
        }
    }
    let floor = medians(&floor);
    match what {
        "floor" => say(&floor_table(&floor, &medians(&fio))),
        _ => say(&journal_table(&medians(&journal), &floor)),
    }
}

impl Options {
    fn parse(args: &[String], root: &Path) -> Result<Self, String> {
        let mut options = Self {
            directory: root.join("target/bench"),
            seconds: 3.0,
            rounds: 3,
            program: None,
        };
        let mut args = args.iter();
        while let Some(flag) = args.next() {
            let value = args
                .next()
                .ok_or_else(|| format!("{flag} needs a value\n\n{USAGE}"))?;
            let wrong = |what: &str| format!("{flag}: {value:?} is {what}");
            match flag.as_str() {
                "--directory" => options.directory = value.into(),
                "--program" => options.program = Some(value.into()),
                "--seconds" => {
                    let seconds = value.parse::<f64>().ok().filter(|seconds| *seconds > 0.0);
                    options.seconds = seconds.ok_or_else(|| wrong("no number of seconds"))?;
                }
                "--rounds" => {
                    let rounds = value.parse::<usize>().ok().filter(|rounds| *rounds > 0);
                    options.rounds = rounds.ok_or_else(|| wrong("no number of rounds"))?;
                }
                _ => return Err(format!("{flag} is no option\n\n{USAGE}")),
            }
        }
        Ok(options)
    }

    fn measure(&self, program: &Path, what: &str) -> Result<Vec<Line>, String> {
        let output = Command::new(program)
            .arg(what)
            .arg(&self.directory)
            .arg(self.seconds.to_string())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        if !output.status.success() {
            return Err(format!("{} {what} failed", program.display()));
        }
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(|line| Line::parse(line).ok_or_else(|| format!("{what}: {line:?} is no result")))
            .collect()
    }

    /// The same as one line of the floor, by fio.
    fn fio(&self, bytes: usize) -> Result<Line, String> {
        let file = self.directory.join("fio");
        let size = FIO_BYTES / bytes * bytes;
        let failed = |error: std::io::Error| format!("{}: {error}", file.display());
        std::fs::write(&file, vec![0; size]).map_err(failed)?;
        std::fs::File::open(&file)
            .and_then(|file| file.sync_all())
            .map_err(failed)?;
        let output = Command::new("fio")
            .arg(format!("--filename={}", file.display()))
            .arg(format!("--bs={bytes}"))
            .arg(format!("--size={size}"))
            .arg(format!("--runtime={}", self.seconds))
            .args([
                "--name=floor",
                "--rw=write",
                "--overwrite=1",
                "--ioengine=psync",
                "--fdatasync=1",
            ])
            .args(["--time_based", "--output-format=json"])
            .output()
            .map_err(|error| format!("fio: {error}"))?;
        let json: Value = serde_json::from_slice(&output.stdout).map_err(|error| format!("fio: {error}"))?;
        let rate = json.pointer("/jobs/0/write/iops").and_then(Value::as_f64);
        let rate = rate.ok_or("fio: no iops in its answer")?;
        std::fs::remove_file(&file).map_err(failed)?;
        Ok(Line {
            name: String::new(),
            figures: [rate, 0.0, 0.0, 0.0, 0.0],
        })
    }
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        let name = fields.next()?.to_owned();
        let mut figures = [0.0; 5];
        for figure in &mut figures {
            *figure = fields.next()?.parse().ok()?;
        }
        Some(Self { name, figures })
    }

    /// What one sync of the floor writes: whole blocks of 4 KiB.
    fn bytes_a_sync(&self) -> usize {
        let [syncs, _, bytes, ..] = self.figures;
        // A quotient of two rounded rates.
        let blocks = (bytes / syncs.max(1.0) / 4096.0).round().max(1.0);
        blocks as usize * 4096
    }
}

fn build(root: &Path) -> Result<PathBuf, String> {
    progress("building with --release");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(root)
        .args([
            "build",
            "--release",
            "--quiet",
            "-p",
            "dunlin-journal",
            "--example",
            "bench",
        ])
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    if !status.success() {
        return Err("the release build failed".to_owned());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release/examples/bench"))
}

fn has_fio() -> bool {
    let found = Command::new("fio")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}

/// Each figure's median over the rounds.
fn medians(rounds: &[Vec<Line>]) -> Vec<Line> {
    let Some(first) = rounds.first() else {
        return Vec::new();
    };
    let median = |row: usize, figure: usize| {
        let values = rounds
            .iter()
            .filter_map(|lines| lines.get(row)?.figures.get(figure));
        let mut values: Vec<f64> = values.copied().collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    first
        .iter()
        .enumerate()
        .map(|(row, line)| Line {
            name: line.name.clone(),
            figures: std::array::from_fn(|figure| median(row, figure)),
        })
        .collect()
}

fn floor_table(floor: &[Line], fio: &[Line]) -> String {
    let mut table = "| floor | bytes a sync | syncs/s | records/s | MB/s | p50/p99 µs | fio syncs/s | floor/fio |\n|---|---|---|---|---|---|---|---|\n".to_owned();
    for (row, line) in floor.iter().enumerate() {
        let [syncs, records, bytes, median, tail] = line.figures;
        let (rate, ratio) = match fio.get(row).map(|fio| fio.figures[0]) {
            Some(rate) => (format!("{rate:.0}"), format!("{:.2}", syncs / rate)),
            None => ("-".to_owned(), String::new()),
        };
        let (name, size, megabytes) = (&line.name, line.bytes_a_sync(), bytes / 1e6);
        table.push_str(&format!(
            "| {name} | {size} | {syncs:.0} | {records:.0} | {megabytes:.0} | {median:.0}/{tail:.0} | {rate} | {ratio} |\n"
        ));
    }
    table
}

fn journal_table(journal: &[Line], floor: &[Line]) -> String {
    let mut table =
        "| journal | batches/s | records/s | MB/s | p50/p99 µs of an ack | floor records/s | ratio |\n|---|---|---|---|---|---|---|\n"
            .to_owned();
    let separate = floor.iter().find(|line| line.name.contains("files"));
    for line in journal {
        let [batches, records, bytes, median, tail] = line.figures;
        // The floor of many streams is that of as many records that wait.
        let waiting = line.name.rsplit(", ").next().unwrap_or_default();
        let same = |floor: &&Line| {
            let payload = |name: &str| name.split(", ").next().map(str::to_owned);
            floor.name.ends_with(waiting) && payload(&floor.name) == payload(&line.name)
        };
        let bare = floor.iter().find(same).map_or(0.0, |floor| floor.figures[1]);
        let (name, megabytes, ratio) = (&line.name, bytes / 1e6, records / bare.max(1.0));
        table.push_str(&format!(
            "| {name} | {batches:.0} | {records:.0} | {megabytes:.0} | {median:.0}/{tail:.0} | {bare:.0} | {ratio:.2} |\n"
        ));
        if let Some(separate) = separate.filter(|_| line.name.contains("streams")) {
            let (bare, ratio) = (separate.figures[1], records / separate.figures[1].max(1.0));
            table.push_str(&format!(
                "| against {} | | | | | {bare:.0} | {ratio:.1} |\n",
                separate.name
            ));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, syncs: f64, records: f64) -> Line {
        Line {
            name: name.to_owned(),
            figures: [syncs, records, syncs * 8192.0, 80.0, 120.0],
        }
    }

    #[test]
    fn lines_of_the_program_are_read() {
        let read = Line::parse("128 B, 1 waiting\t10\t20\t40960\t80\t120").unwrap();
        assert_eq!(read.figures, [10.0, 20.0, 40960.0, 80.0, 120.0]);
        assert_eq!(read.bytes_a_sync(), 4096);
        assert_eq!(Line::parse("failed: no space"), None);
    }

    #[test]
    fn medians_are_taken_figure_by_figure() {
        let rounds = [1.0, 9.0, 4.0].map(|rate| vec![line("a", rate, 10.0 - rate)]);
        assert_eq!(medians(&rounds)[0].figures[..2], [4.0, 6.0]);
    }

    #[test]
    fn a_journal_is_held_against_the_floor_of_as_many_records() {
        let floor = [
            line("128 B, 1 waiting", 9.0, 9.0),
            line("128 B, 4,000 waiting", 5.0, 2_000.0),
            line("8 KiB, 64 waiting", 1.0, 64.0),
        ];
        let journal = [line("128 B, 1,000 streams, 4,000 waiting", 5.0, 1_000.0)];
        assert!(journal_table(&journal, &floor).ends_with("| 2000 | 0.50 |\n"));
    }
}
