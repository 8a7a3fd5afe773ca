//! What a session may do, by its login: replaced whole when a reload decides again (CORE-134, AUTH-215, AUTH-1610).
//!
//! The session's own task keeps the permit that it has seen and looks at a number before each run; others look at the
//! permit only where a rule may apply. A session without rules pays one relaxed load a run, and nothing a delivery.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use arc_swap::ArcSwap;
use dunlin_api::{Evidence, Login, Permissions};
use parking_lot::Mutex;

use crate::grants::Grants;
use crate::permissions::Rules;

/// Limits that apply to one session: the smallest of user, account and server (CORE-45).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EffectiveLimits {
    pub(crate) subscriptions: Option<u64>,
    pub(crate) tokens: Option<usize>,
    pub(crate) payload: i64,
}

/// One decision about a session.
pub(crate) struct Permit {
    permissions: Option<Arc<Permissions>>,
    pub(crate) rules: Option<Arc<Rules>>,
    /// Replies that it may publish to although its rules say no (AUTH-211).
    pub(crate) grants: Option<Arc<Mutex<Grants>>>,
    pub(crate) limits: EffectiveLimits,
    /// What the decision was made on.
    pub(crate) evidence: Evidence,
}

impl Permit {
    pub(crate) fn new(login: &Login, limits: EffectiveLimits, hash_seed: u64) -> Self {
        let compiled = login
            .permissions
            .as_ref()
            .map(|list| Rules::compile(list, hash_seed));
        let (rules, grants) = match compiled {
            Some((rules, grants)) => (Some(rules), grants),
            None => (None, None),
        };
        Self {
            permissions: login.permissions.clone(),
            rules: rules.map(Arc::new),
            grants: grants.map(|grants| Arc::new(Mutex::new(grants))),
            limits,
            evidence: login.evidence.clone(),
        }
    }

    /// The permit after another decision. Rules and grants that stay the same are kept, open grants included.
    pub(crate) fn renewed(&self, login: &Login, limits: EffectiveLimits, hash_seed: u64) -> Self {
        if self.permissions != login.permissions {
            return Self::new(login, limits, hash_seed);
        }
        Self {
            permissions: self.permissions.clone(),
            rules: self.rules.clone(),
            grants: self.grants.clone(),
            limits,
            evidence: login.evidence.clone(),
        }
    }

    /// Whether both decide alike about subjects; limits may differ.
    pub(crate) fn has_same_rules(&self, other: &Self) -> bool {
        self.permissions == other.permissions
    }
}

/// The permit in force of one session.
pub(crate) struct PermitCell {
    permit: ArcSwap<Permit>,
    /// Grows with every permit.
    number: AtomicU32,
    grants_replies: AtomicBool,
}

impl PermitCell {
    pub(crate) fn new(permit: Permit) -> Self {
        Self {
            grants_replies: AtomicBool::new(permit.grants.is_some()),
            permit: ArcSwap::from_pointee(permit),
            number: AtomicU32::new(0),
        }
    }

    pub(crate) fn load(&self) -> Arc<Permit> {
        self.permit.load_full()
    }

    /// A look at the permit, without a count of references.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&Permit) -> R) -> R {
        look(&self.permit.load())
    }

    /// The number of the permit in force. Acquire: who sees a number sees its permit.
    #[inline]
    pub(crate) fn number(&self) -> u32 {
        self.number.load(Ordering::Acquire)
    }

    /// Whether requests that are delivered here grant an answer. One relaxed load.
    #[inline]
    pub(crate) fn grants_replies(&self) -> bool {
        self.grants_replies.load(Ordering::Relaxed)
    }

    /// Puts `permit` in force; true when its rules are other ones than before.
    pub(crate) fn replace(&self, permit: Permit) -> bool {
        let before = self.load();
        let is_other = !before.has_same_rules(&permit);
        self.grants_replies
            .store(permit.grants.is_some(), Ordering::Relaxed);
        self.permit.store(Arc::new(permit));
        self.number.fetch_add(1, Ordering::Release);
        is_other
    }
}
