//! `auth_callout`: a service decides who may connect.
//!
//! Rules: AUTH-1300 and the authorization table of CORE section 15.

use super::GLOBAL_ACCOUNT;
use crate::ConfigSection;
use crate::nkey;
use crate::report::Report;
use crate::section::{ConfigValue, Field, TableReader};
use crate::text::quote;
use crate::value::Origin;

/// Which service is asked, and for whom.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
#[config(unknown = "Unknown field {key} parsing authorization callout", after = AuthCallout::settle)]
pub struct AuthCallout {
    /// Public account nkey that signs the answers.
    #[config(with = issuer, kind = "nkey", example = "issuer: ACSU3SQYEUYLWHLNCMWN5VRDPMXNSHR7OIP4WGLRC5CJJVSJHSOVZQKS", spec = "AUTH-1300")]
    pub issuer: String,
    /// Account in which the service listens.
    #[config(default = "$G", with = account, alias = ["acc"], spec = "AUTH-1300")]
    pub account: String,
    /// Users that log in without asking; the service itself is one of them.
    #[config(with = auth_users, kind = "array of names", alias = ["users"], spec = "AUTH-1300")]
    pub auth_users: Vec<String>,
    /// Public curve key with which questions are encrypted.
    #[config(with = xkey, kind = "nkey", example = "xkey: XBK6LTMOI3OI5VFXYJ3E2KS2JV3HOBXYLWDJAASK2262GQA35HEMWPO2", alias = ["key"], spec = "AUTH-1300")]
    pub xkey: Option<String>,
    /// Accounts that answers may name; empty for all.
    #[config(with = allowed_accounts, kind = "array of names", default_doc = "all", spec = "AUTH-1300")]
    pub allowed_accounts: Vec<String>,
    /// Where the block stands in the file.
    #[config(skip)]
    pub origin: Origin,
}

/// Reads the block.
pub(super) fn auth_callout(field: &Field<'_>, report: &mut Report) -> Option<Option<AuthCallout>> {
    if field.node.value.as_table().is_none() {
        let got = &field.node.value;
        return field.error(
            format!("Expected authorization callout to be a map/struct, got {got}"),
            report,
        );
    }
    AuthCallout::from_field(field, report).map(Some)
}

impl AuthCallout {
    fn settle(&mut self, table: &TableReader<'_>, report: &mut Report) {
        self.origin = table.position().into();
        let mut missing = |text: &str| {
            report.error(table.position(), "auth_callout", text);
        };
        if table.named(&["issuer"]).is_none() {
            missing("Authorization callouts require an issuer to be specified");
        } else if table
            .named(&["auth_users", "users"])
            .is_none_or(|entry| entry.node.value.as_array().is_some_and(<[_]>::is_empty))
        {
            missing("Authorization callouts require authorized users to be specified");
        }
    }
}

fn issuer(field: &Field<'_>, report: &mut Report) -> Option<String> {
    let key = String::from_field(field, report)?;
    if nkey::is_public(&key, nkey::Kind::Account) {
        return Some(key);
    }
    let got = quote(&key);
    field.error(
        format!("Expected callout user to be a valid public account nkey, got {got}"),
        report,
    )
}

fn account(field: &Field<'_>, report: &mut Report) -> Option<String> {
    let name = String::from_field(field, report)?;
    Some(if name.is_empty() {
        GLOBAL_ACCOUNT.to_owned()
    } else {
        name
    })
}

fn xkey(field: &Field<'_>, report: &mut Report) -> Option<Option<String>> {
    let key = String::from_field(field, report)?;
    if nkey::is_public(&key, nkey::Kind::Curve) {
        return Some(Some(key));
    }
    let got = quote(&key);
    field.error(
        format!("Expected callout xkey to be a valid public xkey, got {got}"),
        report,
    )
}

fn auth_users(field: &Field<'_>, report: &mut Report) -> Option<Vec<String>> {
    names(field, "Expected auth_users field to be an array", report)
}

fn allowed_accounts(field: &Field<'_>, report: &mut Report) -> Option<Vec<String>> {
    names(field, "Expected allowed accounts field to be an array", report)
}

fn names(field: &Field<'_>, wrong: &str, report: &mut Report) -> Option<Vec<String>> {
    if field.node.value.as_array().is_none() {
        let got = field.node.value.type_name();
        return field.error(format!("{wrong}, got {got}"), report);
    }
    Vec::from_field(field, report)
}
