//! A value of any key, for people: as the reference's log prints it.

use std::any::Any;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::options::{Account, PluginOptions, User};
use crate::text::print_duration;

/// The value as Go prints it. Of users, accounts and plugins only the names; of what is not known here, nothing: a new
/// type of key then costs no line here and never shows a secret by mistake.
pub(super) fn shown(value: &dyn Any) -> String {
    let printers: [fn(&dyn Any) -> Option<String>; 3] = [plain, text, lists];
    let printed = printers.iter().find_map(|print| print(value));
    printed.unwrap_or_else(|| "{..}".to_owned())
}

fn plain(value: &dyn Any) -> Option<String> {
    macro_rules! display {
        ($($kind:ty)*) => {
            $(if let Some(value) = value.downcast_ref::<$kind>() {
                return Some(value.to_string());
            })*
        };
    }
    display!(bool u8 u16 u32 u64 usize i32 i64 f64);
    let duration = |value: &Duration| print_duration(i64::try_from(value.as_nanos()).unwrap_or(i64::MAX));
    if let Some(value) = value.downcast_ref::<Option<Duration>>() {
        return Some(value.as_ref().map(duration).unwrap_or_default());
    }
    value.downcast_ref::<Duration>().map(duration)
}

fn text(value: &dyn Any) -> Option<String> {
    if let Some(value) = value.downcast_ref::<Option<String>>() {
        return Some(value.clone().unwrap_or_default());
    }
    value.downcast_ref::<String>().cloned()
}

fn lists(value: &dyn Any) -> Option<String> {
    if let Some(words) = value.downcast_ref::<Vec<String>>() {
        return Some(listed(words.iter().map(String::as_str)));
    }
    if let Some(users) = value.downcast_ref::<Option<Vec<User>>>() {
        let names = users.iter().flatten();
        return Some(listed(
            names.map(|user| user.nkey.as_deref().unwrap_or(&user.user)),
        ));
    }
    if let Some(accounts) = value.downcast_ref::<Vec<Account>>() {
        return Some(listed(accounts.iter().map(|account| account.name.as_str())));
    }
    if let Some(plugins) = value.downcast_ref::<Vec<PluginOptions>>() {
        return Some(listed(plugins.iter().map(|plugin| plugin.name.as_str())));
    }
    let pairs = value.downcast_ref::<BTreeMap<String, String>>()?;
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{key}:{value}"))
        .collect();
    Some(format!("map[{}]", pairs.join(" ")))
}

fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", words.collect::<Vec<_>>().join(" "))
}
