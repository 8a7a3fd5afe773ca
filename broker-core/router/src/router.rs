//! The router: accounts by name, connections by number, and the way from a login to a session.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dunlin_api::{
    AccountName, Admission, AuthProvider, BrokerCore, CloseReason, Env, OpenError, ServerIdentity, Session,
    SessionControl, SessionLimits, SessionRequest,
};
use dunlin_config::{Config, GLOBAL_ACCOUNT};
use dunlin_subject::{Mapping, Mappings};
use parking_lot::{Mutex, RwLock};

use crate::account::{Account, AccountLimits, AccountTotals};
use crate::cache::RouteCache;
use crate::connections::{ClientError, ClosedConnection, ConnectionRecord, Connections, KindCount};
use crate::deliver::Origin;
use crate::member::{Member, Traffic, TrafficCells};
use crate::permit::{EffectiveLimits, Permit, PermitCell};
use crate::session::RouterSession;

/// What sessions share.
pub(crate) struct Shared {
    pub(crate) env: Env,
}

/// The heart of the broker. See the crate's page.
pub struct Router {
    shared: Arc<Shared>,
    identity: ServerIdentity,
    config: ArcSwap<Config>,
    auth: RwLock<Arc<dyn AuthProvider>>,
    accounts: RwLock<BTreeMap<AccountName, Arc<Account>>>,
    connections: Arc<Connections>,
    hash_seed: u64,
}

/// Numbers for people and tests, read at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Client connections.
    pub connections: usize,
    /// Connections that have closed since start.
    pub closed_connections: u64,
    /// Times since start that a connection did not keep up with what it is sent (CORE-67, CORE-68).
    pub slow_consumers: KindCount,
    /// Connections since start that were closed because they answered no ping (CORE-78).
    pub stale_connections: KindCount,
    /// Times since start that a publisher has waited for a connection that is far behind (CORE-71).
    pub stalls: u64,
    /// Subscriptions of all accounts.
    pub subscriptions: usize,
    /// Messages and bytes of all sessions since start.
    pub traffic: Traffic,
}

impl Router {
    /// A router with the accounts of the configuration: the global one, the system account, and those it lists.
    pub fn new(env: Env, identity: ServerIdentity, config: Arc<Config>, auth: Arc<dyn AuthProvider>) -> Self {
        let router = Self {
            shared: Arc::new(Shared { env: env.clone() }),
            identity,
            config: ArcSwap::new(config.clone()),
            auth: RwLock::new(auth),
            accounts: RwLock::default(),
            connections: Connections::new(env.clone(), config.max_closed_clients as usize),
            hash_seed: env.rng().bits(),
        };
        router.add_accounts(&config);
        router
    }

    /// Adds the accounts that are new, and gives the others their limits; they keep everything else.
    pub(crate) fn add_accounts(&self, config: &Config) {
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
            if let Some(account) = accounts.get(&valid) {
                account.set_limits(limits);
                continue;
            }
            let account = Account::new(valid.clone(), system == Some(name), limits, self.hash_seed);
            accounts.insert(valid, Arc::new(account));
        }
        drop(accounts);
        self.apply_mappings(config);
    }

    /// Gives every account the subject mappings that `config` has for it, in the place of those it had. Open
    /// sessions follow with their next publish.
    pub fn apply_mappings(&self, config: &Config) {
        let cluster = config.cluster.as_ref().map(|cluster| cluster.name.as_str());
        let gateway = config.gateway.as_ref().map(|gateway| gateway.name.as_str());
        let cluster = cluster.or(gateway).filter(|name| !name.is_empty());
        for account in self.all_accounts() {
            let listed = config
                .accounts
                .iter()
                .find(|listed| listed.name == account.name.as_str());
            let mappings: &[Mapping] = match listed {
                Some(listed) => &listed.mappings,
                None if account.name.as_str() == GLOBAL_ACCOUNT => &config.mappings,
                None => &[],
            };
            account.set_mappings(Mappings::new(mappings.iter().cloned(), cluster));
        }
    }

    /// Takes no new sessions from here on.
    pub fn stop(&self) {
        self.connections.stop();
    }

    /// Asks every connection to end, logged in or not (CORE-50).
    pub fn close_connections(&self, reason: CloseReason) {
        for (_, control) in self.connections.controls() {
            control.close(reason);
        }
    }

    /// The ways to all connections, by id, in no order: for a lame duck, which closes them one by one.
    pub fn controls(&self) -> Vec<(u64, Arc<dyn SessionControl>)> {
        self.connections.controls()
    }

    /// Closes one client with reason `Kicked` (CORE-86).
    ///
    /// # Errors
    /// No connection has that id.
    pub fn kick(&self, id: u64) -> Result<(), ClientError> {
        self.connections.control(id)?.close(CloseReason::Kicked);
        Ok(())
    }

    /// Tells one client that this server is about to go, so that it connects elsewhere (CORE-86).
    ///
    /// # Errors
    /// No connection has that id, or it cannot be told.
    pub fn announce_lame_duck_to(&self, id: u64) -> Result<(), ClientError> {
        let is_told = self.connections.control(id)?.announce_lame_duck();
        is_told.then_some(()).ok_or(ClientError::NotReady)
    }

    /// Every open connection, logged in or not, in no order. Visits each.
    pub fn connections(&self) -> Vec<ConnectionRecord> {
        self.connections.open()
    }

    /// The last connections that have closed, oldest first: as many as `max_closed_clients` says. Copies them.
    pub fn closed_connections(&self) -> Vec<ClosedConnection> {
        self.connections.closed()
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
            connections: self.connections.count(),
            closed_connections: self.connections.closed_total(),
            slow_consumers: self.connections.slow_consumers(),
            stale_connections: self.connections.stale(),
            stalls: self.connections.stalls(),
            subscriptions,
            traffic: sum.read(),
        }
    }

    /// Numbers of one account; `None` when there is no such account. Visits its sessions.
    pub fn account_totals(&self, name: &AccountName) -> Option<AccountTotals> {
        self.account(name).map(|account| account.totals())
    }

    pub(crate) fn set_config(&self, config: Arc<Config>) {
        self.config.store(config);
    }

    pub(crate) fn set_auth(&self, auth: Arc<dyn AuthProvider>) {
        *self.auth.write() = auth;
    }

    pub(crate) fn retain_accounts(&self, keep: impl Fn(&AccountName) -> bool) {
        self.accounts.write().retain(|name, _| keep(name));
    }

    pub(crate) fn account(&self, name: &AccountName) -> Option<Arc<Account>> {
        self.accounts.read().get(name).cloned()
    }

    /// The sessions of all connections, without those of the broker's own.
    pub(crate) fn clients(&self) -> Vec<Arc<Member>> {
        self.connections.members()
    }

    pub(crate) fn hash_seed(&self) -> u64 {
        self.hash_seed
    }

    fn all_accounts(&self) -> Vec<Arc<Account>> {
        self.accounts.read().values().cloned().collect()
    }

    fn member(&self, request: SessionRequest, account: Arc<Account>) -> Member {
        let limits = self.effective_limits(request.login.limits, &account);
        Member {
            id: request.id,
            account,
            receiver: request.receiver,
            control: request.control,
            permit: PermitCell::new(Permit::new(&request.login, limits, self.hash_seed)),
            subscriptions: Mutex::default(),
            traffic: TrafficCells::default(),
        }
    }

    /// The smallest of what user, account and server allow (CORE-45).
    pub(crate) fn effective_limits(&self, login: SessionLimits, account: &Account) -> EffectiveLimits {
        let config = self.config.load();
        let of_account = account.limits().session;
        let payload = smallest([
            login.payload,
            of_account.payload,
            u64::try_from(config.max_payload).ok(),
        ]);
        EffectiveLimits {
            subscriptions: smallest([
                login.subscriptions,
                of_account.subscriptions,
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
        let limit = usize::try_from(self.config.load().max_connections).unwrap_or(0);
        self.connections.admit(limit)
    }

    fn internal_id(&self) -> u64 {
        self.connections.next_id()
    }

    fn open(&self, request: SessionRequest) -> Result<Session, OpenError> {
        if self.connections.is_stopping() {
            return Err(OpenError::ShuttingDown);
        }
        let name = &request.login.account;
        let account = self.accounts.read().get(name).cloned();
        let account = account.ok_or_else(|| OpenError::UnknownAccount(name.clone()))?;
        let flags = request.flags;
        // The broker's own sessions are no connections, and no limit counts them.
        let entry = self.connections.find(request.id);
        if entry.is_some() && !account.try_join() {
            return Err(OpenError::AccountConnections);
        }
        let member = Arc::new(self.member(request, account.clone()));
        account.add_member(&member);
        if let Some(entry) = &entry {
            entry.enter(&member);
        }
        Ok(Session::new(Box::new(RouterSession {
            shared: self.shared.clone(),
            entry,
            origin: Origin { id: member.id, flags },
            permit: member.permit.load(),
            permit_number: 0,
            member,
            cache: RouteCache::new(),
            drawer: None,
            rng: self.shared.env.rng(),
        })))
    }
}

/// A limit where 0 means that there is none.
fn positive(value: impl TryInto<u64>) -> Option<u64> {
    value.try_into().ok().filter(|value| *value > 0)
}

/// The smallest of limits of which `None` is no limit (CORE-45).
fn smallest(limits: [Option<u64>; 3]) -> Option<u64> {
    limits.into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    // CORE-45 [TestClientLimits]
    #[test]
    fn the_smallest_limit_counts_and_no_limit_is_none() {
        let check = |client, account, server, expected| {
            let limit = |value: i64| u64::try_from(value).ok();
            let server = positive(server);
            assert_eq!(smallest([limit(client), limit(account), server]), limit(expected));
        };
        check(1, 1, 1, 1);
        check(-1, -1, 0, -1);
        check(1, -1, 0, 1);
        check(-1, 1, 0, 1);
        check(-1, -1, 1, 1);
        for [client, account, server] in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
            check(client, account, server, 1);
        }
    }
}
