//! Writes the two implementations.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Data, DeriveInput, Expr, ExprLit, Field, Fields, Ident, Lit};

use crate::attributes::{self, FieldAttributes};

/// The implementations of `ConfigSection` and `ConfigValue` for `input`.
pub(crate) fn section(input: &DeriveInput) -> syn::Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(syn::Error::new_spanned(
            input,
            "ConfigSection is derived for structs only",
        ));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(syn::Error::new_spanned(input, "ConfigSection needs named fields"));
    };
    let own = attributes::of_section(&input.attrs)?;
    let mut specs = Vec::new();
    let mut reads = Vec::new();
    let mut compared = Vec::new();
    for field in &fields.named {
        let found = attributes::of_field(&field.attrs)?;
        let Some(ident) = &field.ident else { continue };
        if found.skip {
            reads.push(quote! { #ident: ::core::default::Default::default() });
            continue;
        }
        let index = specs.len();
        compared.push((index, ident));
        specs.push(key_spec(field, ident, &found)?);
        reads.push(read_field(field, ident, &found, index));
    }
    for (names, status) in [(&own.inert, quote!(Inert)), (&own.refused, quote!(Refused))] {
        specs.extend(names.iter().map(|name| {
            quote! { ::dunlin_config::KeySpec::without_effect(#name, ::dunlin_config::KeyStatus::#status) }
        }));
    }

    let name = &input.ident;
    let label = name.to_string();
    let doc = attributes::doc_text(&input.attrs);
    let (implementation, types, filter) = input.generics.split_for_impl();
    let unknown = own.unknown.map(|text| {
        quote! {
            fn unknown_key(key: &str) -> ::std::string::String {
                #text.replace("{key}", &::dunlin_config::quote(key))
            }
        }
    });
    let after = own
        .after
        .map(|path| quote! { #path(&mut section, table, report); });
    let compare = own.compare.then(|| compare(input, &compared));
    Ok(quote! {
        #compare

        #[automatically_derived]
        impl #implementation ::dunlin_config::ConfigSection for #name #types #filter {
            const NAME: &'static str = #label;
            const DOC: &'static str = #doc;

            fn keys() -> &'static [::dunlin_config::KeySpec] {
                const KEYS: &[::dunlin_config::KeySpec] = &[#(#specs),*];
                KEYS
            }

            #unknown

            #[allow(unused_mut, unused_variables)]
            fn read(
                table: &::dunlin_config::TableReader<'_>,
                report: &mut ::dunlin_config::Report,
            ) -> Self {
                let keys = <Self as ::dunlin_config::ConfigSection>::keys();
                table.check_keys::<Self>(report);
                let mut section = Self { #(#reads),* };
                #after
                section
            }
        }

        #[automatically_derived]
        impl #implementation ::dunlin_config::ConfigValue for #name #types #filter {
            const KIND: &'static str = "table";
            const SHAPE: ::dunlin_config::Shape = ::dunlin_config::Shape::table::<Self>();

            fn from_field(
                field: &::dunlin_config::Field<'_>,
                report: &mut ::dunlin_config::Report,
            ) -> ::core::option::Option<Self> {
                ::dunlin_config::read_section(field, report)
            }
        }
    })
}

/// The implementation of `Compare`: every key whose two values differ, with both.
fn compare(input: &DeriveInput, fields: &[(usize, &Ident)]) -> TokenStream {
    let name = &input.ident;
    let (implementation, types, filter) = input.generics.split_for_impl();
    let fields = fields.iter().map(|(index, ident)| {
        quote! {
            if let (true, Some(key)) = (self.#ident != new.#ident, keys.get(#index)) {
                visit(key, &self.#ident, &new.#ident);
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl #implementation ::dunlin_config::reload::Compare for #name #types #filter {
            fn compare(&self, new: &Self, visit: ::dunlin_config::reload::Visit<'_>) {
                let keys = <Self as ::dunlin_config::ConfigSection>::keys();
                #(#fields)*
            }
        }
    }
}

fn key_spec(field: &Field, ident: &Ident, found: &FieldAttributes) -> syn::Result<TokenStream> {
    let doc = attributes::doc_text(&field.attrs);
    if doc.is_empty() {
        return Err(syn::Error::new_spanned(
            field,
            "a configuration key needs a doc comment",
        ));
    }
    let name = key_name(ident, found);
    let aliases = &found.aliases;
    let kind_of = &field.ty;
    let kind = match &found.kind {
        Some(text) => quote! { #text },
        None => quote! { <#kind_of as ::dunlin_config::ConfigValue>::KIND },
    };
    let default = match (&found.default_doc, &found.default) {
        (Some(text), _) => quote! { #text },
        (
            None,
            Some(Expr::Lit(ExprLit {
                lit: Lit::Str(text), ..
            })),
        ) => quote! { #text },
        (
            None,
            Some(Expr::Lit(ExprLit {
                lit: Lit::Int(number),
                ..
            })),
        ) => {
            let digits = number.base10_digits(); // Without underscores, which nats.conf does not read.
            quote! { #digits }
        }
        (None, Some(expression)) => {
            let text = expression.to_token_stream().to_string();
            quote! { #text }
        }
        (None, None) if found.with.is_some() => quote! { "" },
        (None, None) => quote! { <#kind_of as ::dunlin_config::ConfigValue>::ABSENT },
    };
    let values = &found.values;
    let shape = match &found.shape {
        None if !values.is_empty() => quote! { ::dunlin_config::Shape::Enum(&[#(#values),*]) },
        Some(expression) => quote! { #expression },
        None => quote! { <#kind_of as ::dunlin_config::ConfigValue>::SHAPE },
    };
    let text = |given: &Option<syn::LitStr>| given.as_ref().map(syn::LitStr::value).unwrap_or_default();
    let (spec, unit, example) = (text(&found.spec), text(&found.unit), text(&found.example));
    let status = match (found.inert, found.refused) {
        (_, true) => quote!(Refused),
        (true, _) => quote!(Inert),
        _ => quote!(Active),
    };
    let (required, reload, secret) = (found.required, found.reload, found.secret);
    let line = match &found.reload_line {
        Some(text) => text.value(),
        None => format!("{name} = {{new}}"),
    };
    let option = match &found.option {
        Some(text) => text.value(),
        None => camel_case(&name),
    };
    Ok(quote! {
        ::dunlin_config::KeySpec {
            name: #name,
            aliases: &[#(#aliases),*],
            kind: #kind,
            shape: #shape,
            unit: #unit,
            example: #example,
            default: #default,
            doc: #doc,
            spec: #spec,
            required: #required,
            reloadable: #reload,
            reload_line: #line,
            option: #option,
            secret: #secret,
            status: ::dunlin_config::KeyStatus::#status,
        }
    })
}

fn read_field(field: &Field, ident: &Ident, found: &FieldAttributes, index: usize) -> TokenStream {
    let kind = &field.ty;
    let reader = match &found.with {
        Some(path) => quote! { #path },
        None => quote! { <#kind as ::dunlin_config::ConfigValue>::from_field },
    };
    let default = match &found.default {
        Some(Expr::Lit(ExprLit {
            lit: Lit::Str(text), ..
        })) => {
            quote! { <#kind as ::dunlin_config::FromDefault>::from_default(#text) }
        }
        Some(expression) => quote! { #expression },
        None => quote! { ::core::default::Default::default() },
    };
    quote! {
        #ident: match keys.get(#index).and_then(|key| table.read_key(key, #reader, report)) {
            ::core::option::Option::Some(value) => value,
            ::core::option::Option::None => #default,
        }
    }
}

fn key_name(ident: &Ident, found: &FieldAttributes) -> String {
    match &found.name {
        Some(name) => name.value(),
        None => ident.to_string().trim_start_matches("r#").to_owned(),
    }
}

/// `max_pending` as `MaxPending`.
fn camel_case(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters)
    });
    words.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[track_caller]
    fn check_error(input: DeriveInput, expected: &str) {
        assert_eq!(
            section(&input).expect_err("an error is expected").to_string(),
            expected
        );
    }

    #[test]
    fn only_structs_with_named_fields_are_sections() {
        check_error(
            parse_quote! { enum A { B } },
            "ConfigSection is derived for structs only",
        );
        check_error(parse_quote! { struct A(u8); }, "ConfigSection needs named fields");
    }

    #[test]
    fn a_key_without_comment_does_not_compile() {
        check_error(
            parse_quote! { struct A { a: u8 } },
            "a configuration key needs a doc comment",
        );
        assert!(section(&parse_quote! { struct A { #[config(skip)] a: u8 } }).is_ok());
    }

    #[test]
    fn mistyped_attributes_do_not_compile() {
        check_error(
            parse_quote! { struct A { /** x */ #[config(defualt = 1)] a: u8 } },
            "unknown attribute of a configuration key",
        );
        check_error(
            parse_quote! { #[config(default = 1)] struct A { /** x */ a: u8 } },
            "unknown attribute of a configuration section",
        );
    }

    #[test]
    fn keys_have_the_references_names_and_lines_by_default() {
        let code = section(&parse_quote! { struct A { /** x */ #[config(reload)] max_sub_age: u8 } });
        let code = code.expect("valid").to_string();
        assert!(
            code.contains("\"max_sub_age = {new}\"") && code.contains("\"MaxSubAge\""),
            "{code}"
        );
    }

    #[test]
    fn names_aliases_and_comments_reach_the_specification() {
        let input = parse_quote! {
            struct A {
                #[doc = " First line"]
                #[doc = " and second."]
                #[config(nats_conf = "key", alias = ["other"], spec = "CORE-1", default = 7, reload = "type: {new}", option = "TypeOf")]
                r#type: u8,
            }
        };
        let code = section(&input).expect("valid").to_string();
        for part in [
            "\"key\"",
            "\"other\"",
            "\"CORE-1\"",
            "\"7\"",
            "First line\\nand second.",
            "reloadable : true",
            "reload_line : \"type: {new}\"",
            "option : \"TypeOf\"",
        ] {
            assert!(code.contains(part), "{part}: {code}");
        }
    }
}
