//! From a package of WIT to a page of Markdown.

use std::fmt::Write;

use anyhow::{Result, bail};
use wit_bindgen_core::wit_parser::{
    Docs, Function, Interface, InterfaceId, PackageId, Resolve, Type, TypeDef, TypeDefKind,
    WorldId, WorldItem,
};

/// The page about a package: its roles, what plugins can import, the types that several of these use, and the
/// worlds.
pub fn of(resolve: &Resolve, package: PackageId) -> Result<String> {
    let package = &resolve.packages[package];
    let contract = Contract {
        resolve,
        worlds: package.worlds.values().copied().collect(),
    };
    let name = &package.name;
    let version = name.version.as_ref().map(ToString::to_string);
    let mut page = format!(
        "# The contract\n\n\
         `{}:{}@{}`, interface by interface. Made of the comments in\n\
         [weir-plugin.wit](../wit/v0.1/weir-plugin.wit) by `cargo xtask reference`: change them there. How plugins are\n\
         written is in [Writing a plugin](plugins.md), what may change here in [wit/README.md](../wit/README.md).\n\n",
        name.namespace,
        name.name,
        version.unwrap_or_default(),
    );
    write_docs(&mut page, &package.docs);

    let all: Vec<InterfaceId> = package.interfaces.values().copied().collect();
    let (exported, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|&id| contract.is_exported(id));
    let (shared, imported): (Vec<_>, Vec<_>) = others
        .into_iter()
        .partition(|&id| resolve.interfaces[id].functions.is_empty());
    for (heading, interfaces) in [
        ("What a plugin exports", exported),
        ("What a plugin can import", imported),
        ("Types that several of these use", shared),
    ] {
        writeln!(page, "## {heading}\n")?;
        for id in interfaces {
            contract.write_interface(&mut page, &resolve.interfaces[id])?;
        }
    }
    contract.write_worlds(&mut page)?;
    Ok(format!("{}\n", page.trim_end()))
}

struct Contract<'a> {
    resolve: &'a Resolve,
    worlds: Vec<WorldId>,
}

impl Contract<'_> {
    fn is_exported(&self, interface: InterfaceId) -> bool {
        let worlds = self.worlds.iter().map(|&id| &self.resolve.worlds[id]);
        worlds
            .flat_map(|world| world.exports.values())
            .any(|item| matches!(item, WorldItem::Interface { id, .. } if *id == interface))
    }

    fn write_interface(&self, page: &mut String, interface: &Interface) -> Result<()> {
        let name = interface.name.as_deref().unwrap_or_default();
        writeln!(page, "### {name}\n")?;
        write_docs(page, &interface.docs);
        for function in interface.functions.values() {
            self.write_function(page, function)?;
        }
        for &id in interface.types.values() {
            self.write_type(page, &self.resolve.types[id])?;
        }
        Ok(())
    }

    fn write_function(&self, page: &mut String, function: &Function) -> Result<()> {
        let mut parameters = Vec::new();
        for parameter in &function.params {
            parameters.push(format!(
                "{}: {}",
                parameter.name,
                self.named(&parameter.ty)?
            ));
        }
        let result = match &function.result {
            Some(result) => format!(" -> {}", self.named(result)?),
            None => String::new(),
        };
        writeln!(
            page,
            "#### `{}({}){result}`\n",
            function.name,
            parameters.join(", ")
        )?;
        write_docs(page, &function.docs);
        Ok(())
    }

    /// Nothing for a name that only brings a type of another interface here.
    fn write_type(&self, page: &mut String, definition: &TypeDef) -> Result<()> {
        let name = definition.name.as_deref().unwrap_or_default();
        let parts = match &definition.kind {
            TypeDefKind::Type(_) => return Ok(()),
            TypeDefKind::Record(record) => {
                let fields = record.fields.iter();
                fields
                    .map(|field| {
                        let part = format!("`{}: {}`", field.name, self.named(&field.ty)?);
                        Ok((part, &field.docs))
                    })
                    .collect::<Result<Vec<_>>>()?
            }
            TypeDefKind::Variant(variant) => {
                let cases = variant.cases.iter();
                cases
                    .map(|case| {
                        let held = match &case.ty {
                            Some(ty) => format!("({})", self.named(ty)?),
                            None => String::new(),
                        };
                        Ok((format!("`{}{held}`", case.name), &case.docs))
                    })
                    .collect::<Result<Vec<_>>>()?
            }
            TypeDefKind::Enum(of) => {
                let cases = of.cases.iter();
                let cases = cases.map(|case| (format!("`{}`", case.name), &case.docs));
                cases.collect()
            }
            other => bail!("the page can't show a {} yet: `{name}`", other.as_str()),
        };
        writeln!(page, "#### {} `{name}`\n", definition.kind.as_str())?;
        write_docs(page, &definition.docs);
        for (part, docs) in parts {
            write_part(page, &part, docs);
        }
        page.push('\n');
        Ok(())
    }

    fn write_worlds(&self, page: &mut String) -> Result<()> {
        page.push_str(
            "## Worlds\n\n\
             For tools that want one to build against; the proxy looks at the exports.\n\n\
             | World | Exports | |\n|---|---|---|\n",
        );
        for &id in &self.worlds {
            let world = &self.resolve.worlds[id];
            let exports = world.exports.values().filter_map(|item| match item {
                WorldItem::Interface { id, .. } => self.resolve.interfaces[*id].name.clone(),
                WorldItem::Function(_) | WorldItem::Type { .. } => None,
            });
            let exports: Vec<String> = exports.map(|name| format!("`{name}`")).collect();
            // One that only gathers imports for the others is nothing to build against.
            if exports.is_empty() {
                continue;
            }
            let docs = world.docs.contents.as_deref().unwrap_or_default();
            writeln!(
                page,
                "| `{}` | {} | {} |",
                world.name,
                exports.join(", "),
                docs.trim().replace('\n', " ")
            )?;
        }
        Ok(())
    }

    /// A type as the WIT has it.
    fn named(&self, ty: &Type) -> Result<String> {
        Ok(match ty {
            Type::Bool => "bool".to_owned(),
            Type::U8 => "u8".to_owned(),
            Type::U16 => "u16".to_owned(),
            Type::U32 => "u32".to_owned(),
            Type::U64 => "u64".to_owned(),
            Type::S8 => "s8".to_owned(),
            Type::S16 => "s16".to_owned(),
            Type::S32 => "s32".to_owned(),
            Type::S64 => "s64".to_owned(),
            Type::F32 => "f32".to_owned(),
            Type::F64 => "f64".to_owned(),
            Type::Char => "char".to_owned(),
            Type::String => "string".to_owned(),
            Type::ErrorContext => "error-context".to_owned(),
            Type::Id(id) => self.defined(&self.resolve.types[*id])?,
        })
    }

    fn defined(&self, definition: &TypeDef) -> Result<String> {
        if let Some(name) = &definition.name {
            return Ok(name.clone());
        }
        Ok(match &definition.kind {
            TypeDefKind::List(of) => format!("list<{}>", self.named(of)?),
            TypeDefKind::Option(of) => format!("option<{}>", self.named(of)?),
            TypeDefKind::Tuple(tuple) => {
                let types = tuple.types.iter().map(|ty| self.named(ty));
                format!("tuple<{}>", types.collect::<Result<Vec<_>>>()?.join(", "))
            }
            TypeDefKind::Result(result) => {
                let part = |ty: &Option<Type>| match ty {
                    Some(ty) => self.named(ty),
                    None => Ok("_".to_owned()),
                };
                format!("result<{}, {}>", part(&result.ok)?, part(&result.err)?)
            }
            other => bail!(
                "the page can't show a {} without a name yet",
                other.as_str()
            ),
        })
    }
}

fn write_docs(page: &mut String, docs: &Docs) {
    if let Some(text) = &docs.contents {
        page.push_str(text.trim());
        page.push_str("\n\n");
    }
}

/// A field or case: an entry of a list, whose further lines are indented so that they belong to it.
fn write_part(page: &mut String, part: &str, docs: &Docs) {
    page.push_str("- ");
    page.push_str(part);
    if let Some(text) = &docs.contents {
        page.push_str(": ");
        page.push_str(&text.trim().replace('\n', "\n  ").replace("\n  \n", "\n\n"));
    }
    page.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_types_become_a_page() {
        let mut resolve = Resolve::default();
        let package = resolve
            .push_str(
                "a.wit",
                "/// All of it.
                 package a:b@0.1.0;
                 interface shared { record pair { left: u8, right: option<string> } }
                 /// Decides.
                 interface judge {
                   use shared.{pair};
                   variant answer { yes, /** Not so. */ no(list<pair>) }
                   /// First line.
                   ///
                   /// Last line.
                   ask: func(of: tuple<u32, pair>) -> result<answer, string>;
                 }
                 interface clock { now: func() -> u64; }
                 /// To build against.
                 world judges { import clock; export judge; }",
            )
            .unwrap();
        let page = of(&resolve, package).unwrap();
        for wanted in [
            "`a:b@0.1.0`",
            "All of it.",
            "## What a plugin exports\n\n### judge\n\nDecides.\n\n#### `ask(of: tuple<u32, pair>) -> result<answer, string>`\n\nFirst line.\n\nLast line.\n",
            "#### variant `answer`\n\n- `yes`\n- `no(list<pair>)`: Not so.\n",
            "## What a plugin can import\n\n### clock\n\n#### `now() -> u64`\n",
            "### shared\n\n#### record `pair`\n\n- `left: u8`\n- `right: option<string>`\n",
            "| `judges` | `judge` | To build against. |",
        ] {
            assert!(page.contains(wanted), "no {wanted:?} in\n{page}");
        }
    }
}
