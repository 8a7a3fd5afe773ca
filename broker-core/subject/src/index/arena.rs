//! The nodes of the index and how they hang together.
//!
//! Nodes lie in one vector and name each other by number. A literal child is found through one table for
//! the whole index, keyed by parent and token; the children of a node are also linked to a list, so that
//! they can be walked. The two wildcard children are fields of the node.

use std::hash::Hasher;

use foldhash::fast::FoldHasher;
use hashbrown::HashTable;

use super::subscribers::Subscribers;
use super::token::TokenText;
use crate::check::{FULL_WILDCARD, PARTIAL_WILDCARD};
use crate::hashing::Hashing;
use crate::subject::Tokens;

/// Number of a node. 0 is the root, which has no token and no subscriptions.
pub(super) type NodeId = u32;

pub(super) const ROOT: NodeId = 0;

/// A node's number, or none: the root is nobody's child, so 0 is free to say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Link(u32);

impl Link {
    pub(super) fn get(self) -> Option<NodeId> {
        (self.0 != 0).then_some(self.0)
    }
}

/// One token of the stored filters, below the tokens before it. 64 bytes when `T` is a pointer.
#[derive(Debug)]
pub(super) struct Node<T> {
    /// Empty in the root and in wildcard children.
    token: TokenText,
    parent: NodeId,
    /// First of the literal children.
    pub(super) children: Link,
    /// The next literal child of the same parent; in a free node, the next free one.
    pub(super) next: Link,
    previous: Link,
    /// Child for the token `*`.
    pub(super) partial: Link,
    /// Child for the token `>`, which has no children itself.
    pub(super) full: Link,
    pub(super) subscribers: Subscribers<T>,
}

impl<T> Node<T> {
    fn new(parent: NodeId, token: TokenText) -> Self {
        Self {
            token,
            parent,
            children: Link(0),
            next: Link(0),
            previous: Link(0),
            partial: Link(0),
            full: Link(0),
            subscribers: Subscribers::None,
        }
    }

    /// The token; empty in the root and in wildcard children.
    pub(super) fn text(&self) -> &[u8] {
        self.token.as_bytes()
    }

    fn is_empty(&self) -> bool {
        let links = [self.children, self.partial, self.full];
        self.subscribers.is_empty() && links.iter().all(|link| *link == Link(0))
    }
}

/// All nodes of an index. At least the root is there.
#[derive(Debug)]
pub(super) struct Arena<T> {
    nodes: Vec<Node<T>>,
    literals: HashTable<NodeId>,
    free: Link,
    /// Nodes in the free list.
    free_count: usize,
    /// Bytes of tokens that did not fit into their nodes.
    token_bytes: usize,
}

impl<T> Arena<T> {
    pub(super) fn new() -> Self {
        Self {
            nodes: vec![Node::new(ROOT, TokenText::default())],
            literals: HashTable::new(),
            free: Link(0),
            free_count: 0,
            token_bytes: 0,
        }
    }

    /// A node that the caller got from this arena and has not freed since.
    pub(super) fn node(&self, id: NodeId) -> &Node<T> {
        // Numbers never come from outside the index: one out of range is a broken invariant.
        &self.nodes[id as usize]
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> &mut Node<T> {
        &mut self.nodes[id as usize]
    }

    /// The literal child of `parent` for the token that `hasher` has taken.
    pub(super) fn literal(&self, parent: NodeId, token: &[u8], hasher: &FoldHasher<'_>) -> Option<NodeId> {
        let hash = finish(hasher.clone(), parent);
        let found = self.literals.find(hash, |&id| {
            let node = self.node(id);
            node.parent == parent && node.token.as_bytes() == token
        });
        found.copied()
    }

    /// Follows the tokens of a filter as far as there are nodes; the rest of the tokens has none.
    pub(super) fn descend<'f>(&self, mut tokens: Tokens<'f>, hashing: &Hashing) -> (NodeId, Tokens<'f>) {
        let mut at = ROOT;
        loop {
            let rest = tokens.clone();
            let child = match tokens.next() {
                None => None,
                Some(PARTIAL_WILDCARD) => self.node(at).partial.get(),
                Some(FULL_WILDCARD) => self.node(at).full.get(),
                Some(token) => self.literal(at, token, &hashing.begin(token)),
            };
            match child {
                Some(child) => at = child,
                None => return (at, rest),
            }
        }
    }

    /// Makes the nodes for `tokens` below `at` and returns the last; `None`, with nothing changed, when
    /// the numbers do not suffice. Runs no code of a caller's type.
    pub(super) fn extend(&mut self, mut at: NodeId, tokens: Tokens<'_>, hashing: &Hashing) -> Option<NodeId> {
        let missing = tokens.clone().count();
        let highest = self
            .nodes
            .len()
            .checked_add(missing.saturating_sub(self.free_count))?;
        u32::try_from(highest).ok()?;
        for token in tokens {
            let text = match token {
                PARTIAL_WILDCARD | FULL_WILDCARD => TokenText::default(),
                literal => TokenText::new(literal),
            };
            let child = self.allocate(Node::new(at, text));
            match token {
                PARTIAL_WILDCARD => self.node_mut(at).partial = Link(child),
                FULL_WILDCARD => self.node_mut(at).full = Link(child),
                literal => self.link_literal(at, child, literal, hashing),
            }
            at = child;
        }
        Some(at)
    }

    /// Frees `at` and its ancestors as far as they hold nothing.
    pub(super) fn prune(&mut self, mut at: NodeId, hashing: &Hashing) {
        while at != ROOT && self.node(at).is_empty() {
            let parent = self.node(at).parent;
            self.unlink(parent, at, hashing);
            self.release(at);
            at = parent;
        }
    }

    /// Every node with subscriptions, in an order that depends on nothing but the calls made so far.
    pub(super) fn occupied(&self) -> impl Iterator<Item = &Node<T>> {
        self.nodes.iter().filter(|node| !node.subscribers.is_empty())
    }

    /// Nodes in use, the root not counted.
    pub(super) fn node_count(&self) -> usize {
        self.nodes.len() - 1 - self.free_count
    }

    /// Tokens of the longest stored filter. One walk over all nodes.
    #[cfg(test)]
    pub(super) fn depth(&self) -> usize {
        let depth_of =
            |mut id: NodeId| std::iter::from_fn(|| (id != ROOT).then(|| id = self.node(id).parent)).count();
        let occupied = (0..self.nodes.len()).filter(|&id| !self.nodes[id].subscribers.is_empty());
        occupied.map(|id| depth_of(id as NodeId)).max().unwrap_or(0)
    }

    /// Bytes on the heap, what the values themselves hold there not included. One walk over all nodes.
    pub(super) fn heap_bytes(&self) -> usize {
        let lists: usize = self.nodes.iter().map(|node| node.subscribers.heap_bytes()).sum();
        self.nodes.capacity() * size_of::<Node<T>>()
            + self.literals.allocation_size()
            + self.token_bytes
            + lists
    }

    fn allocate(&mut self, node: Node<T>) -> NodeId {
        self.token_bytes += node.token.heap_bytes();
        match self.free.get() {
            Some(id) => {
                self.free = self.node(id).next;
                self.free_count -= 1;
                *self.node_mut(id) = node;
                id
            }
            None => {
                self.nodes.push(node);
                // `extend` has checked that the number fits.
                (self.nodes.len() - 1) as NodeId
            }
        }
    }

    fn release(&mut self, id: NodeId) {
        self.token_bytes -= self.node(id).token.heap_bytes();
        let mut free = Node::new(ROOT, TokenText::default());
        free.next = self.free;
        *self.node_mut(id) = free;
        self.free = Link(id);
        self.free_count += 1;
        if self.free_count == self.nodes.len() - 1 {
            // All gone: the room goes back, so that a storm of subscriptions leaves nothing behind.
            *self = Self::new();
        }
    }

    fn link_literal(&mut self, parent: NodeId, child: NodeId, token: &[u8], hashing: &Hashing) {
        let first = self.node(parent).children;
        self.node_mut(child).next = first;
        if let Some(first) = first.get() {
            self.node_mut(first).previous = Link(child);
        }
        self.node_mut(parent).children = Link(child);
        let nodes = &self.nodes;
        let hash = finish(hashing.begin(token), parent);
        self.literals.insert_unique(hash, child, |&id| {
            nodes.get(id as usize).map_or(0, |node| {
                finish(hashing.begin(node.token.as_bytes()), node.parent)
            })
        });
    }

    fn unlink(&mut self, parent: NodeId, child: NodeId, hashing: &Hashing) {
        let link = Link(child);
        if self.node(parent).partial == link {
            self.node_mut(parent).partial = Link(0);
            return;
        }
        if self.node(parent).full == link {
            self.node_mut(parent).full = Link(0);
            return;
        }
        let node = self.node(child);
        let (next, previous) = (node.next, node.previous);
        let hash = finish(hashing.begin(node.token.as_bytes()), parent);
        if let Ok(entry) = self.literals.find_entry(hash, |&id| id == child) {
            entry.remove();
        }
        match previous.get() {
            Some(previous) => self.node_mut(previous).next = next,
            None => self.node_mut(parent).children = next,
        }
        if let Some(next) = next.get() {
            self.node_mut(next).previous = previous;
        }
    }
}

/// The hash of a literal child: its token, then its parent.
fn finish(mut token: FoldHasher<'_>, parent: NodeId) -> u64 {
    token.write_u32(parent);
    token.finish()
}
