//! `cargo xtask tools`: the optional programs that tests and benchmarks run, by name and pinned version.
//!
//! Everything goes into `target/tools`, through the ordinary clients of the package registries. A tool whose toolchain
//! is not on this machine is reported as missing and stops nothing: the tests that need it say that they are skipped.
//! What is installed is written beside it, so that a second call does nothing and a changed pin installs anew.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::output::say;
use crate::project;

/// One tool: what it is, which toolchain makes it, what it is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    /// Its name for people and for the record.
    pub(crate) name: &'static str,
    /// The program that must be on the path.
    pub(crate) toolchain: &'static str,
    recipe: Recipe,
}

/// How a tool gets into the folder.
#[derive(Clone, Copy, Debug)]
enum Recipe {
    /// `go install` of a pinned module.
    GoInstall(&'static str),
    /// `go build` of a folder of this project, with this name.
    GoBuild {
        folder: &'static str,
        program: &'static str,
    },
    /// A Python environment with pinned packages.
    Python {
        requirements: &'static str,
        folder: &'static str,
    },
    /// A folder with pinned npm packages and the scripts that use them.
    Node {
        sources: &'static str,
        folder: &'static str,
    },
    /// Compiled classes beside the pinned packages of a `pom.xml`, in `classes` and `lib`.
    Java {
        sources: &'static str,
        folder: &'static str,
    },
}

/// Whether a tool is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Installed, now or before.
    Ready,
    /// Its toolchain is not on this machine.
    Missing,
    /// The toolchain said no.
    Failed(String),
}

/// All tools. The reference's version is the one that the specification was written from.
pub(crate) const ALL: &[Tool] = &[
    Tool {
        name: "nats-server",
        toolchain: "go",
        recipe: Recipe::GoInstall("github.com/nats-io/nats-server/v2@v2.15.2"),
    },
    Tool {
        name: "nats",
        toolchain: "go",
        recipe: Recipe::GoInstall("github.com/nats-io/natscli/nats@v0.5.1"),
    },
    Tool {
        name: "nats.go",
        toolchain: "go",
        recipe: Recipe::GoBuild {
            folder: "tests/interop/go",
            program: "interop-go",
        },
    },
    Tool {
        name: "nats-py",
        toolchain: "python3",
        recipe: Recipe::Python {
            requirements: "tests/interop/python/requirements.txt",
            folder: "py",
        },
    },
    Tool {
        name: "nats.js",
        toolchain: "npm",
        recipe: Recipe::Node {
            sources: "tests/interop/js",
            folder: "js",
        },
    },
    Tool {
        name: "nats.java",
        toolchain: "mvn",
        recipe: Recipe::Java {
            sources: "tests/interop/java",
            folder: "java",
        },
    },
];

/// What fetches the packages of a `pom.xml`.
const MAVEN_COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";

/// The command. What is missing is told, what failed is an error.
///
/// # Errors
/// A toolchain is there, but did not make its tool.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if !args.is_empty() {
        return Err("tools takes no arguments".to_owned());
    }
    let mut failed = Vec::new();
    for (tool, outcome) in install(&project::root(), &project::target()) {
        let text = match outcome {
            Outcome::Ready => "ready".to_owned(),
            Outcome::Missing => format!("skipped, no {} on the path", tool.toolchain),
            Outcome::Failed(reason) => {
                failed.push(tool.name);
                reason
            }
        };
        say(&format!("{}: {text}", tool.name));
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("not installed: {}", failed.join(", ")))
    }
}

/// Installs what is not there yet. `root` is the project's folder, `target` cargo's.
pub(crate) fn install(root: &Path, target: &Path) -> Vec<(&'static Tool, Outcome)> {
    let place = Place {
        root: root.to_path_buf(),
        tools: target.join("tools"),
    };
    ALL.iter().map(|tool| (tool, place.install(tool))).collect()
}

struct Place {
    root: PathBuf,
    tools: PathBuf,
}

impl Place {
    fn install(&self, tool: &Tool) -> Outcome {
        if !on_path(tool.toolchain) {
            return Outcome::Missing;
        }
        match self.make(tool) {
            Ok(()) => Outcome::Ready,
            Err(reason) => Outcome::Failed(reason),
        }
    }

    /// Makes the tool unless the record says that it was made from the same things.
    fn make(&self, tool: &Tool) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{}: {error}", tool.name);
        let record = self.tools.join(format!(".{}.made-of", tool.name));
        let parts = self.parts(tool.recipe).map_err(failed)?;
        let made = fs::read_to_string(&record).is_ok_and(|made| made == parts);
        if made && self.product(tool).exists() {
            return Ok(());
        }
        fs::create_dir_all(&self.tools).map_err(failed)?;
        match tool.recipe {
            Recipe::GoInstall(module) => {
                execute(
                    Command::new("go")
                        .args(["install", module])
                        .env("GOBIN", &self.tools),
                )?;
            }
            Recipe::GoBuild { folder, program } => {
                let out = self.tools.join(program);
                execute(
                    Command::new("go")
                        .args(["build", "-o"])
                        .arg(out)
                        .arg(".")
                        .current_dir(self.root.join(folder)),
                )?;
            }
            Recipe::Python { requirements, folder } => {
                let venv = self.tools.join(folder);
                execute(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
                let pip = venv.join("bin/python");
                let pins = self.root.join(requirements);
                execute(
                    Command::new(pip)
                        .args(["-m", "pip", "install", "--quiet", "--requirement"])
                        .arg(pins),
                )?;
            }
            Recipe::Node { sources, folder } => {
                let folder = self.tools.join(folder);
                fs::create_dir_all(&folder).map_err(failed)?;
                for file in files(&self.root.join(sources)).map_err(failed)? {
                    fs::copy(&file, folder.join(file.file_name().unwrap_or_default())).map_err(failed)?;
                }
                // A lock file would name a registry's host; the pins are exact versions.
                let flags = [
                    "install",
                    "--no-package-lock",
                    "--ignore-scripts",
                    "--no-audit",
                    "--no-fund",
                    "--silent",
                ];
                execute(Command::new("npm").args(flags).current_dir(folder))?;
            }
            Recipe::Java { sources, folder } => {
                let (sources, folder) = (self.root.join(sources), self.tools.join(folder));
                let (lib, classes) = (folder.join("lib"), folder.join("classes"));
                let mut out = std::ffi::OsString::from("-DoutputDirectory=");
                out.push(&lib);
                execute(
                    Command::new("mvn")
                        .args(["--quiet", "--batch-mode", MAVEN_COPY])
                        .arg(out)
                        .arg("--file")
                        .arg(sources.join("pom.xml")),
                )?;
                let programs = files(&sources).map_err(failed)?.into_iter();
                execute(
                    Command::new("javac")
                        .arg("-d")
                        .arg(classes)
                        .arg("-cp")
                        .arg(lib.join("*"))
                        .args(programs.filter(|file| file.extension().is_some_and(|end| end == "java"))),
                )?;
            }
        }
        fs::write(&record, parts).map_err(failed)
    }

    /// What must be there when the tool is.
    fn product(&self, tool: &Tool) -> PathBuf {
        match tool.recipe {
            Recipe::GoInstall(_) => self
                .tools
                .join(format!("{}{}", tool.name, std::env::consts::EXE_SUFFIX)),
            Recipe::GoBuild { program, .. } => self.tools.join(program),
            Recipe::Python { folder, .. } => self.tools.join(folder).join("bin/python"),
            Recipe::Node { folder, .. } => self.tools.join(folder).join("node_modules"),
            Recipe::Java { folder, .. } => self.tools.join(folder).join("classes"),
        }
    }

    /// Everything that decides what the tool is, as one text.
    fn parts(&self, recipe: Recipe) -> std::io::Result<String> {
        let all = |folder: &str| -> std::io::Result<String> {
            files(&self.root.join(folder))?
                .iter()
                .map(fs::read_to_string)
                .collect()
        };
        match recipe {
            Recipe::GoInstall(module) => Ok(module.to_owned()),
            Recipe::GoBuild { folder, .. } => all(folder),
            Recipe::Python { requirements, .. } => fs::read_to_string(self.root.join(requirements)),
            Recipe::Node { sources, .. } | Recipe::Java { sources, .. } => all(sources),
        }
    }
}

/// The files of a folder, in the order of their names.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn on_path(program: &str) -> bool {
    let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(&name).is_file())
}

fn execute(command: &mut Command) -> Result<(), String> {
    let shown = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{shown}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{shown} ended with {}\n{}", output.status, said.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_tool_is_in_the_project() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let place = Place {
            root: root.to_path_buf(),
            tools: PathBuf::new(),
        };
        for tool in ALL {
            assert!(!place.parts(tool.recipe).unwrap().is_empty(), "{}", tool.name);
        }
    }

    #[test]
    fn toolchain_that_does_not_exist_is_missing() {
        assert!(!on_path("no-such-toolchain"));
        let place = Place {
            root: PathBuf::new(),
            tools: PathBuf::new(),
        };
        let tool = Tool {
            toolchain: "no-such-toolchain",
            ..ALL[0]
        };
        assert_eq!(place.install(&tool), Outcome::Missing);
    }
}
