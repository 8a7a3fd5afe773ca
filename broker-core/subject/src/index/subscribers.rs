//! The subscriptions that hang on one node of the index.

use std::hash::Hash;

use super::bag::Bag;
use crate::hashing::Hashing;
use crate::names::QueueName;

/// One value in place, more of them, or members of queue groups, behind a pointer.
///
/// Two words when `T` is a pointer: most nodes of a large index hold one plain subscription.
#[derive(Debug, Default)]
pub(super) enum Subscribers<T> {
    #[default]
    None,
    One(T),
    Many(Box<Lists<T>>),
}

/// At least two plain values, or a group.
#[derive(Debug)]
pub(super) struct Lists<T> {
    plain: Bag<T>,
    groups: Bag<Group<T>>,
}

/// The members of one queue group under one filter; at least one.
#[derive(Debug)]
pub(super) struct Group<T> {
    pub(super) name: QueueName,
    members: Bag<T>,
}

impl<T> Group<T> {
    pub(super) fn members(&self) -> &[T] {
        self.members.items()
    }
}

impl<T> Subscribers<T> {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    pub(super) fn plain(&self) -> &[T] {
        match self {
            Self::None => &[],
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(lists) => lists.plain.items(),
        }
    }

    pub(super) fn groups(&self) -> &[Group<T>] {
        match self {
            Self::None | Self::One(_) => &[],
            Self::Many(lists) => lists.groups.items(),
        }
    }

    /// Bytes on the heap, what the values themselves hold there not included.
    pub(super) fn heap_bytes(&self) -> usize {
        let Self::Many(lists) = self else { return 0 };
        let members: usize = self.groups().iter().map(|group| group.members.heap_bytes()).sum();
        size_of::<Lists<T>>() + lists.plain.heap_bytes() + lists.groups.heap_bytes() + members
    }
}

impl<T: Eq + Hash> Subscribers<T> {
    /// Adds a value. When the value's hash panics, nothing has changed.
    pub(super) fn insert(&mut self, queue: Option<&QueueName>, value: T, hashing: &Hashing) {
        let hash_of = |value: &T| hashing.value(value);
        let Some(name) = queue else {
            return match self {
                Self::None => *self = Self::One(value),
                _ => self.lists().plain.push(value, hash_of),
            };
        };
        let groups = &mut self.lists().groups;
        let at = groups.position(|| hashing.bytes(name.as_bytes()), |group| group.name == *name);
        match at.and_then(|at| groups.get_mut(at)) {
            Some(group) => group.members.push(value, hash_of),
            None => {
                let group = Group {
                    name: name.clone(),
                    members: Bag::of(value),
                };
                groups.push(group, |group| hashing.bytes(group.name.as_bytes()));
            }
        }
    }

    /// Takes a value out. When its hash or comparison panics, nothing has changed.
    pub(super) fn remove(&mut self, queue: Option<&QueueName>, value: &T, hashing: &Hashing) -> Option<T> {
        let hash_of = |value: &T| hashing.value(value);
        let lists = match self {
            Self::None => return None,
            Self::One(only) => {
                let found = queue.is_none() && only == value;
                return if found { self.take_one() } else { None };
            }
            Self::Many(lists) => lists,
        };
        let removed = match queue {
            None => {
                let at = lists.plain.position(|| hash_of(value), |item| item == value)?;
                lists.plain.swap_remove(at, hash_of)
            }
            Some(name) => {
                let hash = || hashing.bytes(name.as_bytes());
                let place = lists.groups.position(hash, |group| group.name == *name)?;
                let group = lists.groups.get_mut(place)?;
                let at = group.members.position(|| hash_of(value), |item| item == value)?;
                let removed = group.members.swap_remove(at, hash_of);
                if group.members.items().is_empty() {
                    lists
                        .groups
                        .swap_remove(place, |group| hashing.bytes(group.name.as_bytes()));
                }
                removed
            }
        };
        self.settle();
        removed
    }

    /// The lists, made from what is there.
    fn lists(&mut self) -> &mut Lists<T> {
        if !matches!(self, Self::Many(_)) {
            let plain = self.take_one().map_or(Bag::new(), Bag::of);
            *self = Self::Many(Box::new(Lists {
                plain,
                groups: Bag::new(),
            }));
        }
        match self {
            Self::Many(lists) => lists,
            _ => unreachable!("the lists were made above"),
        }
    }

    fn take_one(&mut self) -> Option<T> {
        match std::mem::take(self) {
            Self::One(value) => Some(value),
            other => {
                *self = other;
                None
            }
        }
    }

    /// Gives up the lists when no group and at most one value is left.
    fn settle(&mut self) {
        let Self::Many(lists) = self else { return };
        if lists.groups.items().is_empty() && lists.plain.items().len() <= 1 {
            // The hash is not asked for: a bag this small keeps no table.
            *self = lists.plain.swap_remove(0, |_| 0).map_or(Self::None, Self::One);
        }
    }
}
