//! The router: accounts by name, connections by number, and the way from a login to a session.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use arc_swap::ArcSwap;
use dunlin_api::{
    AccountName, Admission, AuthProvider, BrokerCore, CloseReason, Env, OpenError, ServerIdentity, Session,
    SessionAbout, SessionLimits, SessionRequest,
};
use dunlin_config::{Config, GLOBAL_ACCOUNT};
use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};

use crate::account::{Account, AccountLimits};
use crate::cache::RouteCache;
use crate::deliver::Origin;
use crate::member::{Member, Traffic, TrafficCells};
use crate::permissions::Rules;
use crate::session::{EffectiveLimits, RouterSession};

/// What sessions share.
pub(crate) struct Shared {
    pub(crate) env: Env,
    is_stopping: AtomicBool,
}

/// The heart of the broker. See the crate's page.
pub struct Router {
    shared: Arc<Shared>,
    identity: ServerIdentity,
    config: ArcSwap<Config>,
    auth: RwLock<Arc<dyn AuthProvider>>,
    accounts: RwLock<HashMap<AccountName, Arc<Account>, foldhash::fast::RandomState>>,
    next_id: AtomicU64,
    connections: Arc<AtomicUsize>,
    hash_seed: u64,
}

/// Numbers for people and tests, read at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Client connections.
    pub connections: usize,
    /// Subscriptions of all accounts.
    pub subscriptions: usize,
    /// Messages and bytes of all sessions since start.
    pub traffic: Traffic,
}

/// One open session, for people and tests.
#[derive(Clone, Debug)]
pub struct SessionSummary {
    /// Its connection's id.
    pub id: u64,
    /// Where it lives.
    pub account: AccountName,
    /// What it says about itself.
    pub about: SessionAbout,
    /// Its subscriptions.
    pub subscriptions: usize,
    /// What it published and was delivered.
    pub traffic: Traffic,
}

impl Router {
    /// A router with the accounts of the configuration: the global one, the system account, and those it lists.
    pub fn new(env: Env, identity: ServerIdentity, config: Arc<Config>, auth: Arc<dyn AuthProvider>) -> Self {
        let router = Self {
            shared: Arc::new(Shared {
                env: env.clone(),
                is_stopping: AtomicBool::new(false),
            }),
            identity,
            config: ArcSwap::new(config.clone()),
            auth: RwLock::new(auth),
            accounts: RwLock::default(),
            next_id: AtomicU64::new(1),
            connections: Arc::default(),
            hash_seed: env.rng().bits(),
        };
        router.add_accounts(&config);
        router
    }

    fn add_accounts(&self, config: &Config) {
        let system = config.system_account_name();
        let listed = config
            .accounts
            .iter()
            .map(|account| (account.name.as_str(), account.limits));
        let always = [Some(GLOBAL_ACCOUNT), system].into_iter().flatten();
        let always = always.map(|name| (name, dunlin_config::AccountLimits::default()));
        let mut accounts = self.accounts.write();
        // What the configuration says about an account counts more than that it always exists.
        for (name, limits) in always.chain(listed) {
            let Ok(valid) = AccountName::new(name) else {
                continue;
            };
            let limits = AccountLimits {
                connections: limits.max_connections.map(u64::from),
                session: SessionLimits {
                    subscriptions: limits.max_subscriptions.map(u64::from),
                    payload: limits.max_payload.map(u64::from),
                },
            };
            let account = Account::new(valid.clone(), system == Some(name), limits, self.hash_seed);
            accounts.insert(valid, Arc::new(account));
        }
    }

    /// Takes no new sessions from here on.
    pub fn stop(&self) {
        self.shared.is_stopping.store(true, Relaxed);
    }

    /// Asks every session to end (CORE-50).
    pub fn close_sessions(&self, reason: CloseReason) {
        for account in self.all_accounts() {
            for member in account.members() {
                member.control.close(reason);
            }
        }
    }

    /// Tells every client that this server is about to go (CORE-84).
    pub fn announce_lame_duck(&self) {
        for account in self.all_accounts() {
            for member in account.members() {
                member.control.announce_lame_duck();
            }
        }
    }

    /// Numbers of the whole broker. Visits every session.
    pub fn totals(&self) -> Totals {
        let sum = TrafficCells::default();
        let mut subscriptions = 0;
        for account in self.all_accounts() {
            sum.add(account.traffic());
            subscriptions += account.subscription_count();
        }
        Totals {
            connections: self.connections.load(Relaxed),
            subscriptions,
            traffic: sum.read(),
        }
    }

    /// Every open session, in no order.
    pub fn sessions(&self) -> Vec<SessionSummary> {
        let members = self
            .all_accounts()
            .into_iter()
            .flat_map(|account| account.members());
        members
            .map(|member| SessionSummary {
                id: member.id,
                account: member.account.name.clone(),
                about: member.about.clone(),
                subscriptions: member.subscriptions.lock().len(),
                traffic: member.traffic.read(),
            })
            .collect()
    }

    fn all_accounts(&self) -> Vec<Arc<Account>> {
        self.accounts.read().values().cloned().collect()
    }

    fn member(&self, request: SessionRequest, account: Arc<Account>) -> Member {
        let compiled = request
            .login
            .permissions
            .as_ref()
            .map(|list| Rules::compile(list, self.hash_seed));
        let (rules, grants) = match compiled {
            Some((rules, grants)) => (Some(Arc::new(rules)), grants.map(Mutex::new)),
            None => (None, None),
        };
        Member {
            id: request.id,
            account,
            receiver: request.receiver,
            control: request.control,
            rules,
            grants,
            subscriptions: Mutex::default(),
            traffic: TrafficCells::default(),
            about: request.about,
        }
    }

    /// The smallest of what user, account and server allow (CORE-45).
    fn effective_limits(&self, login: SessionLimits, account: &Account) -> EffectiveLimits {
        let config = self.config.load();
        let smallest = |limits: [Option<u64>; 3]| limits.into_iter().flatten().min();
        let payload = smallest([
            login.payload,
            account.limits.session.payload,
            u64::try_from(config.max_payload).ok(),
        ]);
        EffectiveLimits {
            subscriptions: smallest([
                login.subscriptions,
                account.limits.session.subscriptions,
                positive(config.max_subscriptions),
            ]),
            tokens: positive(config.max_sub_tokens).and_then(|tokens| usize::try_from(tokens).ok()),
            payload: payload.and_then(|bytes| i64::try_from(bytes).ok()).unwrap_or(-1),
        }
    }
}

impl BrokerCore for Router {
    fn env(&self) -> &Env {
        &self.shared.env
    }

    fn identity(&self) -> &ServerIdentity {
        &self.identity
    }

    fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    fn auth(&self) -> Arc<dyn AuthProvider> {
        self.auth.read().clone()
    }

    fn is_system_account(&self, account: &AccountName) -> bool {
        self.accounts
            .read()
            .get(account)
            .is_some_and(|account| account.is_system)
    }

    fn admit(&self) -> Admission {
        let id = self.next_id.fetch_add(1, Relaxed);
        let limit = usize::try_from(self.config.load().max_connections).unwrap_or(0);
        let count = self.connections.fetch_add(1, Relaxed) + 1;
        Admission::new(
            id,
            count > limit,
            Some(Box::new(Counted(self.connections.clone()))),
        )
    }

    fn internal_id(&self) -> u64 {
        self.next_id.fetch_add(1, Relaxed)
    }

    fn open(&self, request: SessionRequest) -> Result<Session, OpenError> {
        if self.shared.is_stopping.load(Relaxed) {
            return Err(OpenError::ShuttingDown);
        }
        let name = &request.login.account;
        let account = self.accounts.read().get(name).cloned();
        let account = account.ok_or_else(|| OpenError::UnknownAccount(name.clone()))?;
        if !account.try_join() {
            return Err(OpenError::AccountConnections);
        }
        let limits = self.effective_limits(request.login.limits, &account);
        let flags = request.flags;
        let member = Arc::new(self.member(request, account.clone()));
        account.add_member(&member);
        Ok(Session::new(Box::new(RouterSession {
            shared: self.shared.clone(),
            origin: Origin { id: member.id, flags },
            limits,
            member,
            cache: RouteCache::new(),
            rng: self.shared.env.rng(),
            exhausted: Vec::new(),
        })))
    }
}

/// One connection in the count.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// A limit where 0 means that there is none.
fn positive(value: impl TryInto<u64>) -> Option<u64> {
    value.try_into().ok().filter(|value| *value > 0)
}
