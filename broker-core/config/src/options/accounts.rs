//! The `accounts` block: isolated groups of users.
//!
//! Rules: AUTH-6, AUTH-7 and the accounts table of CORE section 15.

use dunlin_subject::Mapping;

use super::jetstream::{self, AccountJetStream};
use super::mappings::{self, mappings};
use super::permissions::{Permissions, permissions};
use super::sharing::{self, Export, Import, MessageTrace};
use super::users::{User, apply_default_permissions, users};
use crate::ConfigSection;
use crate::nkey;
use crate::report::Report;
use crate::section::{ConfigValue, Field, TableReader};
use crate::shape::Shape;
use crate::text::quote;
use crate::value::{Origin, Table, Value};

/// Name of the account of users that no account lists. It cannot be configured.
pub const GLOBAL_ACCOUNT: &str = "$G";

/// An account: its users see each other's messages and nobody else's.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
#[config(
    after = Account::settle
)]
pub struct Account {
    /// Its name.
    #[config(skip)]
    pub name: String,
    /// Public account nkey that identifies it to other systems.
    #[config(with = account_nkey, kind = "nkey", example = "nkey: ACSU3SQYEUYLWHLNCMWN5VRDPMXNSHR7OIP4WGLRC5CJJVSJHSOVZQKS", spec = "CORE section 15", reload)]
    pub nkey: Option<String>,
    /// Its users.
    #[config(with = account_users, kind = "array of users", spec = "AUTH-7", reload)]
    pub users: Vec<User>,
    /// Permissions of its users without their own.
    #[config(with = permissions, kind = "table", spec = "AUTH-9", reload)]
    pub default_permissions: Option<Permissions>,
    /// What all its connections together may use.
    #[config(with = account_limits, kind = "table", spec = "CORE section 15", reload)]
    pub limits: AccountLimits,
    /// What it gives to other accounts.
    #[config(with = sharing::exports, kind = "array of tables", shape = Shape::List(&Shape::table::<Export>()), inert,
             spec = "AUTH-600", reload)]
    pub exports: Vec<Export>,
    /// What it takes from other accounts.
    #[config(with = sharing::imports, kind = "array of tables", shape = Shape::List(&Shape::table::<Import>()), inert,
             spec = "AUTH-600", reload)]
    pub imports: Vec<Import>,
    /// JetStream: a bool, `enabled`, or a table of limits.
    #[config(with = jetstream::account_jetstream, kind = "bool, string or table", shape = jetstream::ACCOUNT_SHAPE, inert,
             spec = "AUTH-1500", reload)]
    pub jetstream: Option<AccountJetStream>,
    /// Where traces of its messages go: a subject, or a table.
    #[config(with = sharing::msg_trace, kind = "string or table", shape = sharing::TRACE, inert, alias = ["trace_dest"],
             spec = "MON-160", reload)]
    pub msg_trace: Option<MessageTrace>,
    /// Its subject mappings: by source, a destination or a list of weighted ones.
    #[config(with = mappings, kind = "table", shape = mappings::SHAPE, alias = ["maps"], reload, spec = "AUTH-800")]
    pub mappings: Vec<Mapping>,
    /// Where it stands in the file.
    #[config(skip)]
    pub origin: Origin,
    /// Where its `users` stand in the file.
    #[config(skip)]
    pub users_origin: Origin,
}

/// Limits of an account; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ConfigSection)]
#[config(unknown = "Unknown field {key} parsing account limits")]
pub struct AccountLimits {
    /// Client connections.
    #[config(with = limit, kind = "integer", default_doc = "-1 = none", alias = ["max_conn"], reload)]
    pub max_connections: Option<u32>,
    /// Subscriptions of one connection.
    #[config(with = limit, kind = "integer", default_doc = "-1 = none", alias = ["max_subs"], reload)]
    pub max_subscriptions: Option<u32>,
    /// Bytes of a message's payload and headers.
    #[config(with = limit, kind = "integer", default_doc = "-1 = none", alias = ["max_pay"], reload)]
    pub max_payload: Option<u32>,
    /// Leafnode connections.
    #[config(with = limit, kind = "integer", default_doc = "-1 = none", alias = ["max_leafs"], reload)]
    pub max_leafnodes: Option<u32>,
}

impl Account {
    /// An account without users and limits.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            nkey: None,
            users: Vec::new(),
            default_permissions: None,
            limits: AccountLimits::default(),
            exports: Vec::new(),
            imports: Vec::new(),
            jetstream: None,
            msg_trace: None,
            mappings: Vec::new(),
            origin: Origin::default(),
            users_origin: Origin::default(),
        }
    }

    fn settle(&mut self, table: &TableReader<'_>, _report: &mut Report) {
        self.origin = table.position().into();
        self.users_origin = Origin(table.named(&["users"]).map(|entry| entry.key_pos.clone()));
        apply_default_permissions(&mut self.users, self.default_permissions.as_ref());
    }
}

/// What `accounts` looks like.
pub(super) const SHAPE: Shape = Shape::AnyOf(&[
    Shape::Map(&Shape::table::<Account>()),
    Shape::OneOrMany(&Shape::Text),
]);

/// Reads `accounts`: a list of names, or a map of accounts.
pub(super) fn accounts(field: &Field<'_>, report: &mut Report) -> Option<Vec<Account>> {
    match &field.node.value {
        Value::Table(table) => Some(account_map(table, report)),
        Value::Array(_) | Value::String(_) => Some(account_names(field, report)),
        _ => field.wrong_type("map[string]interface {}", report),
    }
}

fn account_names(field: &Field<'_>, report: &mut Report) -> Vec<Account> {
    let mut accounts: Vec<Account> = Vec::new();
    let mut add = |item: &Field<'_>| {
        let Some(name) = String::from_field(item, report) else {
            return;
        };
        if name == GLOBAL_ACCOUNT {
            report.error(
                item.pos,
                item.key,
                format!("{} is a Reserved Account", quote(&name)),
            );
        } else if accounts.iter().any(|account| account.name == name) {
            report.error(item.pos, item.key, format!("Duplicate Account Entry: {name}"));
        } else {
            accounts.push(Account {
                origin: item.pos.into(),
                ..Account::new(name)
            });
        }
    };
    match field.elements() {
        Some(elements) => elements.for_each(|item| add(&item)),
        None => add(field),
    }
    accounts
}

fn account_map(table: &Table, report: &mut Report) -> Vec<Account> {
    let mut accounts = Vec::new();
    for entry in table.iter().filter(|entry| !entry.used_as_variable) {
        let field = Field::of(entry);
        if field.node.value.as_table().is_none() {
            report.error(field.pos, field.key, "Expected map entries for accounts");
        } else if field.key == GLOBAL_ACCOUNT {
            report.error(
                field.pos,
                field.key,
                format!("{} is a Reserved Account", quote(field.key)),
            );
        } else if let Some(account) = Account::from_field(&field, report) {
            accounts.push(Account {
                name: field.key.to_owned(),
                ..account
            });
        }
    }
    accounts
}

fn account_users(field: &Field<'_>, report: &mut Report) -> Option<Vec<User>> {
    users(field, report).flatten()
}

fn account_nkey(field: &Field<'_>, report: &mut Report) -> Option<Option<String>> {
    match field.node.value.as_str() {
        Some(key) if nkey::is_public(key, nkey::Kind::Account) => Some(Some(key.to_owned())),
        _ => {
            let got = quote(&field.node.value.to_string());
            field.error(format!("Not a valid public nkey for an account: {got}"), report)
        }
    }
}

fn account_limits(field: &Field<'_>, report: &mut Report) -> Option<AccountLimits> {
    if field.node.value.as_table().is_none() {
        let got = &field.node.value;
        return field.error(
            format!("Expected account limits to be a map/struct, got {got}"),
            report,
        );
    }
    AccountLimits::from_field(field, report)
}

/// A limit; negative is none.
fn limit(field: &Field<'_>, report: &mut Report) -> Option<Option<u32>> {
    let value = i64::from_field(field, report)?;
    if value < 0 {
        return Some(None);
    }
    u32::from_field(field, report).map(Some)
}
