//! What stands in `#[config(...)]` and in doc comments.

use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Path, Token, bracketed};

/// Attributes of one field.
#[derive(Default)]
pub(crate) struct FieldAttributes {
    pub(crate) default: Option<Expr>,
    pub(crate) default_doc: Option<LitStr>,
    pub(crate) name: Option<LitStr>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) spec: Option<LitStr>,
    pub(crate) with: Option<Path>,
    pub(crate) kind: Option<LitStr>,
    pub(crate) shape: Option<Expr>,
    pub(crate) values: Vec<LitStr>,
    pub(crate) unit: Option<LitStr>,
    pub(crate) example: Option<LitStr>,
    pub(crate) inert: bool,
    pub(crate) refused: bool,
    pub(crate) required: bool,
    pub(crate) reload: bool,
    pub(crate) reload_line: Option<LitStr>,
    pub(crate) option: Option<LitStr>,
    pub(crate) secret: bool,
    pub(crate) skip: bool,
}

/// Attributes of the struct.
#[derive(Default)]
pub(crate) struct SectionAttributes {
    pub(crate) after: Option<Path>,
    pub(crate) unknown: Option<LitStr>,
    pub(crate) inert: Vec<LitStr>,
    pub(crate) refused: Vec<LitStr>,
    pub(crate) compare: bool,
}

/// Reads the attributes of a field.
pub(crate) fn of_field(attributes: &[Attribute]) -> syn::Result<FieldAttributes> {
    let mut found = FieldAttributes::default();
    for_each_meta(attributes, |meta| {
        if meta.path.is_ident("default") {
            found.default = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("default_doc") {
            found.default_doc = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("nats_conf") {
            found.name = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("alias") {
            found.aliases = strings(&meta)?;
        } else if meta.path.is_ident("spec") {
            found.spec = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("with") {
            found.with = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("kind") {
            found.kind = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("shape") {
            found.shape = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("values") {
            found.values = strings(&meta)?;
        } else if meta.path.is_ident("unit") {
            found.unit = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("example") {
            found.example = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("inert") {
            found.inert = true;
        } else if meta.path.is_ident("refused") {
            found.refused = true;
        } else if meta.path.is_ident("required") {
            found.required = true;
        } else if meta.path.is_ident("reload") {
            found.reload = true;
            if meta.input.peek(Token![=]) {
                found.reload_line = Some(meta.value()?.parse()?);
            }
        } else if meta.path.is_ident("option") {
            found.option = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("secret") {
            found.secret = true;
        } else if meta.path.is_ident("skip") {
            found.skip = true;
        } else {
            return Err(meta.error("unknown attribute of a configuration key"));
        }
        Ok(())
    })?;
    Ok(found)
}

/// Reads the attributes of the struct.
pub(crate) fn of_section(attributes: &[Attribute]) -> syn::Result<SectionAttributes> {
    let mut found = SectionAttributes::default();
    for_each_meta(attributes, |meta| {
        if meta.path.is_ident("after") {
            found.after = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("unknown") {
            found.unknown = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("inert") {
            found.inert = strings(&meta)?;
        } else if meta.path.is_ident("refused") {
            found.refused = strings(&meta)?;
        } else if meta.path.is_ident("compare") {
            found.compare = true;
        } else {
            return Err(meta.error("unknown attribute of a configuration section"));
        }
        Ok(())
    })?;
    Ok(found)
}

/// The text of the doc comment, lines joined by newlines, each without its leading blank.
pub(crate) fn doc_text(attributes: &[Attribute]) -> String {
    let lines: Vec<String> = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
        .filter_map(
            |attribute| match &attribute.meta.require_name_value().ok()?.value {
                Expr::Lit(ExprLit {
                    lit: Lit::Str(text), ..
                }) => Some(text.value()),
                _ => None,
            },
        )
        .map(|line| line.strip_prefix(' ').unwrap_or(&line).to_owned())
        .collect();
    lines.join("\n").trim().to_owned()
}

fn for_each_meta(
    attributes: &[Attribute],
    mut visit: impl FnMut(ParseNestedMeta<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("config"))
    {
        attribute.parse_nested_meta(&mut visit)?;
    }
    Ok(())
}

fn strings(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<LitStr>> {
    let value = meta.value()?;
    let list;
    bracketed!(list in value);
    Ok(Punctuated::<LitStr, Token![,]>::parse_terminated(&list)?
        .into_iter()
        .collect())
}
