//! Names: each directory as programs see it, as the medium has it, and the steps between.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;

use parking_lot::Mutex;

use super::super::Rng;
use super::content::Content;

type Entries = BTreeMap<OsString, Node>;

#[derive(Clone)]
pub(super) enum Node {
    Directory(Arc<Mutex<Directory>>),
    File(Arc<Mutex<Content>>),
}

#[derive(Default)]
pub(super) struct Directory {
    entries: Entries,
    synced: Entries,
    /// What leads from `synced` to `entries`: each step is there as a whole or not at all.
    unsynced: Vec<Step>,
}

/// Names and what each of them means from now on.
type Step = Vec<(OsString, Option<Node>)>;

impl Node {
    pub(super) fn file(content: Content) -> Self {
        Self::File(Arc::new(Mutex::new(content)))
    }
}

impl Directory {
    /// The file at `path`.
    pub(super) fn file(&self, path: &Path) -> io::Result<Arc<Mutex<Content>>> {
        match self.find(path)? {
            Node::File(content) => Ok(content),
            Node::Directory(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    /// A new file; directories above it that are missing come durably.
    pub(super) fn make_file(&mut self, path: &Path, content: Arc<Mutex<Content>>) -> io::Result<()> {
        let (above, name) = split(path)?;
        let node = Node::File(content);
        self.at(&above, true, &mut |directory| {
            directory.step(vec![(name.to_owned(), Some(node.clone()))]);
            Ok(())
        })
    }

    /// A durable entry, with the directories above it.
    pub(super) fn insert_durable(&mut self, path: &Path, node: Node) {
        let Ok((above, name)) = split(path) else { return };
        // Only a file in the place of a directory could be in the way: then the file stays.
        let _ = self.at(&above, true, &mut |directory| {
            directory.entries.insert(name.to_owned(), node.clone());
            directory.synced.insert(name.to_owned(), node.clone());
            Ok(())
        });
    }

    /// A directory and those above it, none of them durable before it is synced.
    pub(super) fn make_directory(&mut self, path: &Path) -> io::Result<()> {
        let names = names(path);
        for depth in 1..=names.len() {
            let (above, name) = names.split_at(depth - 1);
            let Some(name) = name.first() else { continue };
            self.at(
                above,
                false,
                &mut |directory| match directory.entries.get(*name) {
                    Some(Node::Directory(_)) => Ok(()),
                    Some(Node::File(_)) => Err(io::ErrorKind::AlreadyExists.into()),
                    None => {
                        let made = Node::Directory(Arc::default());
                        directory.step(vec![((*name).to_owned(), Some(made))]);
                        Ok(())
                    }
                },
            )?;
        }
        Ok(())
    }

    pub(super) fn names(&mut self, path: &Path) -> io::Result<Vec<OsString>> {
        self.at(&names(path), false, &mut |directory| {
            Ok(directory.entries.keys().cloned().collect())
        })
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.find(from)?;
        let ((old_above, old), (new_above, new)) = (split(from)?, split(to)?);
        match (&node, self.find(to)) {
            (_, Err(_)) | (Node::File(_), Ok(Node::File(_))) => {}
            (_, Ok(Node::File(_))) => return Err(io::ErrorKind::NotADirectory.into()),
            (_, Ok(Node::Directory(at))) if at.lock().entries.is_empty() => {}
            (_, Ok(Node::Directory(_))) => return Err(io::ErrorKind::DirectoryNotEmpty.into()),
        }
        let goes = (old.to_owned(), None);
        let comes = (new.to_owned(), Some(node));
        if old_above == new_above {
            // One step, so that a crash shows one of the names.
            return self.at(&old_above, false, &mut |directory| {
                directory.step(vec![goes.clone(), comes.clone()]);
                Ok(())
            });
        }
        self.at(&new_above, false, &mut |directory| {
            directory.step(vec![comes.clone()]);
            Ok(())
        })?;
        self.at(&old_above, false, &mut |directory| {
            directory.step(vec![goes.clone()]);
            Ok(())
        })
    }

    /// Removes a file, or a directory with what is in it.
    pub(super) fn remove(&mut self, path: &Path, directory: bool) -> io::Result<()> {
        match (self.find(path)?, directory) {
            (Node::File(_), true) => return Err(io::ErrorKind::NotADirectory.into()),
            (Node::Directory(_), false) => return Err(io::ErrorKind::IsADirectory.into()),
            _ => {}
        }
        let (above, name) = split(path)?;
        self.at(&above, false, &mut |directory| {
            directory.step(vec![(name.to_owned(), None)]);
            Ok(())
        })
    }

    /// Makes the names of one directory durable.
    pub(super) fn sync(&mut self, path: &Path) -> io::Result<()> {
        self.at(&names(path), false, &mut |directory| {
            directory.synced = directory.entries.clone();
            directory.unsynced.clear();
            Ok(())
        })
    }

    pub(super) fn each_file(&self, act: &mut dyn FnMut(&mut Content)) {
        for node in self.entries.values() {
            match node {
                Node::Directory(below) => below.lock().each_file(act),
                Node::File(content) => act(&mut content.lock()),
            }
        }
    }

    /// Goes back to what the medium has: with `rng`, to some moment since the last sync.
    pub(super) fn crash(&mut self, mut rng: Option<&mut Rng>) {
        let steps = std::mem::take(&mut self.unsynced);
        if let Some(rng) = rng.as_deref_mut() {
            let most = u32::try_from(steps.len()).unwrap_or(u32::MAX);
            let kept = rng.below(most.saturating_add(1)) as usize;
            for step in steps.iter().take(kept) {
                apply(&mut self.synced, step);
            }
        }
        self.entries = self.synced.clone();
        for node in self.entries.values() {
            match node {
                Node::Directory(below) => below.lock().crash(rng.as_deref_mut()),
                Node::File(content) => content.lock().crash(rng.as_deref_mut()),
            }
        }
    }

    fn step(&mut self, step: Step) {
        apply(&mut self.entries, &step);
        self.unsynced.push(step);
    }

    fn find(&self, path: &Path) -> io::Result<Node> {
        let names = names(path);
        let (first, rest) = names.split_first().ok_or(io::ErrorKind::IsADirectory)?;
        let mut node = self.entries.get(*first).cloned().ok_or(io::ErrorKind::NotFound)?;
        for name in rest {
            let Node::Directory(below) = &node else {
                return Err(io::ErrorKind::NotADirectory.into());
            };
            let next = below.lock().entries.get(*name).cloned();
            node = next.ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(node)
    }

    /// Does something in the directory `above`; with `make`, those that are missing on the way come durably.
    fn at<T>(
        &mut self,
        above: &[&OsStr],
        make: bool,
        act: &mut dyn FnMut(&mut Directory) -> io::Result<T>,
    ) -> io::Result<T> {
        let Some((name, rest)) = above.split_first() else {
            return act(self);
        };
        if make && !self.entries.contains_key(*name) {
            let made = Node::Directory(Arc::default());
            self.entries.insert((*name).to_owned(), made.clone());
            self.synced.insert((*name).to_owned(), made);
        }
        match self.entries.get(*name) {
            Some(Node::Directory(below)) => below.lock().at(rest, make, act),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn apply(entries: &mut Entries, step: &Step) {
    for (name, node) in step {
        match node {
            Some(node) => entries.insert(name.clone(), node.clone()),
            None => entries.remove(name),
        };
    }
}

/// The names of a path, without what does not name anything.
fn names(path: &Path) -> Vec<&OsStr> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect()
}

/// The names above the last, and the last.
fn split(path: &Path) -> io::Result<(Vec<&OsStr>, &OsStr)> {
    let mut names = names(path);
    let last = names.pop().ok_or(io::ErrorKind::InvalidInput)?;
    Ok((names, last))
}
