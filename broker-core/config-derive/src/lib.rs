//! `#[derive(ConfigSection)]`: a struct becomes a section of the configuration.
//!
//! Each named field is one key. Its doc comment becomes the text of the generated reference page, so a
//! field without one does not compile. The macro only writes code; it reads no file and keeps no state.
//!
//! On a field, `#[config(...)]` takes
//!
//! | attribute | meaning |
//! |---|---|
//! | `default = EXPR` | value of an absent key; a string literal is read as the key's own text (`"2m"`) |
//! | `default_doc = "text"` | what the page shows as default, where the expression would not explain itself |
//! | `nats_conf = "key"` | the key's canonical name in both syntaxes, when it is not the field's name |
//! | `alias = ["a", "b"]` | further names of the key |
//! | `spec = "CORE-31"` | the numbered statement that the key keeps |
//! | `with = path` | `fn(&Field<'_>, &mut Report) -> Option<T>` in place of the type's own reading |
//! | `kind = "text"` | the type shown on the page, where `with` reads another one |
//! | `shape = EXPR` | the `Shape` of the value, where it is not the type's own |
//! | `values = ["a", "b"]` | the words that the key takes; short for a `shape` |
//! | `unit = "bytes"` | the unit of a plain number |
//! | `example = "text"` | the key with a value, as nats.conf has it, where the default does not show one |
//! | `inert` | the key is read and checked, and has no effect yet |
//! | `refused` | the key is read and checked, and refused: its neglect would weaken security |
//! | `required` | an absent key is an error |
//! | `reload` | the key may change while the broker runs; its line in the log is `key = new` |
//! | `reload = "max_payload = {new}"` | the same, and the line in the log |
//! | `option = "MaxSubs"` | the reference's name of a key that may not change; default: `max_subs` gives `MaxSubs` |
//! | `secret` | the page marks the key; use `Secret` as the type |
//! | `skip` | not a key: filled with `Default::default()`; no doc comment is asked for |
//!
//! and on the struct
//!
//! | attribute | meaning |
//! |---|---|
//! | `after = path` | `fn(&mut Self, &TableReader<'_>, &mut Report)`, run once all keys are read |
//! | `unknown = "text"` | text for an unknown key; `{key}` stands for the quoted key |
//! | `inert = ["a"]` | keys that are known and have no effect yet |
//! | `refused = ["a"]` | keys that are known and whose neglect would weaken security |
//! | `compare` | implements `Compare` as well, for reloads; the fields must be `PartialEq` |

mod attributes;
mod expand;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `dunlin_config::ConfigSection` and `dunlin_config::ConfigValue` for a struct with named
/// fields. The module page lists the attributes.
#[proc_macro_derive(ConfigSection, attributes(config))]
pub fn derive_config_section(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::section(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
