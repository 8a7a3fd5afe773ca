//! The router's part of a reload: another configuration and another auth provider for a broker that goes on running.
//!
//! Accounts that stay keep their interest, so no message is lost between them; sessions are decided about again and keep
//! their subscriptions where the new decision allows them. Rules: CORE-134, AUTH-215, AUTH-1610.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use dunlin_api::{AccountName, AuthProvider, CloseReason, Denied, Login};
use dunlin_config::{Config, GLOBAL_ACCOUNT};

use crate::member::Member;
use crate::router::Router;
use crate::session::retire;

impl Router {
    /// Puts another configuration and auth provider in force: for new connections at once, for open sessions when this
    /// returns. Who is no longer authorized is closed; whose account is another one, or gone, has to come again.
    ///
    /// Visits every session, and asks the provider about each.
    pub async fn reload(&self, config: Arc<Config>, auth: Arc<dyn AuthProvider>) {
        self.set_config(config.clone());
        self.set_auth(auth.clone());
        self.add_accounts(&config);
        self.remove_accounts(&config);
        for (_, control) in self.controls() {
            control.reload();
        }
        for member in self.clients() {
            self.decide_again(&member, auth.as_ref()).await;
        }
        for member in self.excess_of_accounts() {
            member.control.close(CloseReason::MaxAccountConnectionsExceeded);
        }
    }

    /// Closes as many connections as there are above `limit`, whichever (CORE-134). Returns their number.
    pub fn close_excess(&self, limit: usize) -> usize {
        let connections = self.controls();
        let excess = connections.len().saturating_sub(limit);
        for (_, control) in connections.into_iter().take(excess) {
            control.close(CloseReason::MaxConnectionsExceeded);
        }
        excess
    }

    /// The newest clients of each account that has more of them than it may have (AUTH-506).
    fn excess_of_accounts(&self) -> Vec<Arc<Member>> {
        let mut clients = self.clients();
        clients.sort_unstable_by_key(|member| member.id);
        let mut counts = HashMap::new();
        clients.retain(|member| {
            let count: &mut u64 = counts.entry(Arc::as_ptr(&member.account)).or_default();
            *count += 1;
            member
                .account
                .limits()
                .connections
                .is_some_and(|limit| *count > limit)
        });
        clients
    }

    /// Accounts that the configuration names no more take no sessions; those that they have will be closed.
    fn remove_accounts(&self, config: &Config) {
        let system = config.system_account_name();
        let listed = config.accounts.iter().map(|account| account.name.as_str());
        let kept: HashSet<&str> = listed.chain(system).chain([GLOBAL_ACCOUNT]).collect();
        self.retain_accounts(|name: &AccountName| kept.contains(name.as_str()));
    }

    async fn decide_again(&self, member: &Arc<Member>, auth: &dyn AuthProvider) {
        let evidence = member.permit.load().evidence.clone();
        let reason = match auth.renew(&evidence).await {
            Ok(login) if self.is_account_of(member, &login) => {
                let limits = self.effective_limits(login.limits, &member.account);
                let permit = member.permit.load().renewed(&login, limits, self.hash_seed());
                member.renew(permit);
                return;
            }
            // AUTH-1610: a moved user comes again by itself, as one that is gone.
            Ok(_) | Err(Denied::UserGone) => CloseReason::ClientClosed,
            Err(Denied::ProxyNotTrusted) => CloseReason::ProxyNotTrusted,
            Err(Denied::ProxyRequired) => CloseReason::ProxyRequired,
            Err(_) => CloseReason::AuthenticationViolation,
        };
        member.control.close(reason);
    }

    /// Whether the login leads to where the session lives already.
    fn is_account_of(&self, member: &Member, login: &Login) -> bool {
        let account = self.account(&login.account);
        account.is_some_and(|account| Arc::ptr_eq(&account, &member.account))
    }
}

impl Member {
    /// Puts another permit in force, and ends the subscriptions that it does not allow (AUTH-215).
    fn renew(&self, permit: crate::permit::Permit) {
        let rules = permit.rules.clone();
        if !self.permit.replace(permit) {
            return;
        }
        // The permit comes first: a subscription that is made meanwhile is held against it by its own session.
        let subscriptions: Vec<_> = self.subscriptions.lock().values().cloned().collect();
        for subscription in subscriptions {
            let (filter, queue) = (subscription.filter.as_filter(), subscription.queue.as_ref());
            let is_allowed = rules
                .as_ref()
                .is_none_or(|rules| rules.may_subscribe(filter.into(), queue));
            let checks = rules
                .as_ref()
                .is_some_and(|rules| rules.checks_delivery(filter, queue));
            subscription.checks_delivery.store(checks, Relaxed);
            if !is_allowed {
                retire(&subscription);
                self.control
                    .subscription_forbidden(filter.into(), queue, &subscription.sid);
            }
        }
        // Routes that others have kept were made with the old rules.
        self.account.forget_routes();
    }
}
