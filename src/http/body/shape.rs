//! The shape of a DTO, compiled once from the very schema that stands in the OpenAPI document: reading, writing and the
//! document can not disagree.

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;

/// An index into [`Shapes`].
pub(super) type Id = usize;

pub(super) enum Shape {
    /// Anything goes, and nothing in it is renamed: free-form values, and unions.
    Any,
    Object {
        fields: Vec<Field>,
        /// What a free map holds; its keys are the caller's own.
        rest: Option<Id>,
    },
    List(Id),
    Choice(Vec<Choice>),
    Decimal,
    Integer,
    Number,
    Text,
    Flag,
}

pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Id,
    pub(super) required: bool,
}

pub(super) struct Choice {
    pub(super) name: String,
    /// The number that may stand for the name on the wire, where the contract has such.
    pub(super) code: Option<i64>,
}

pub(super) struct Shapes {
    shapes: Vec<Shape>,
    pub(super) root: Id,
}

/// Wire numbers of the enums, by Rust type name: a schema has no place for them, and two contracts may well have enums of
/// one schema name.
static CODES: Mutex<BTreeMap<&'static str, &'static [(&'static str, i64)]>> = Mutex::new(BTreeMap::new());

/// Called by [`contract_enum!`](crate::contract_enum) when its schema is registered.
pub fn remember_codes<T>(codes: &'static [(&'static str, i64)]) {
    CODES.lock().unwrap_or_else(PoisonError::into_inner).insert(std::any::type_name::<T>(), codes);
}

impl Shapes {
    pub(super) fn of<T: Type + 'static>() -> Arc<Shapes> {
        static COMPILED: LazyLock<Mutex<HashMap<TypeId, Arc<Shapes>>>> = LazyLock::new(Mutex::default);
        let key = TypeId::of::<T>();
        let known = || COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shapes) = known().get(&key) {
            return shapes.clone();
        }
        let mut registry = Registry::new();
        T::register(&mut registry);
        let mut compiler = Compiler { registry, shapes: Vec::new(), named: HashMap::new() };
        let root = compiler.reference(&T::schema_ref());
        let shapes = Arc::new(Shapes { shapes: compiler.shapes, root });
        known().insert(key, shapes.clone());
        shapes
    }

    pub(super) fn get(&self, id: Id) -> &Shape {
        &self.shapes[id]
    }
}

struct Compiler {
    registry: Registry,
    shapes: Vec<Shape>,
    named: HashMap<String, Id>,
}

impl Compiler {
    fn push(&mut self, shape: Shape) -> Id {
        self.shapes.push(shape);
        self.shapes.len() - 1
    }

    fn reference(&mut self, reference: &MetaSchemaRef) -> Id {
        match reference {
            MetaSchemaRef::Reference(name) => {
                if let Some(id) = self.named.get(name) {
                    return *id;
                }
                // The place is taken before the schema is looked into, so that a type may contain itself.
                let id = self.push(Shape::Any);
                self.named.insert(name.clone(), id);
                if let Some(schema) = self.registry.schemas.get(name).cloned() {
                    self.shapes[id] = self.schema(&schema);
                }
                id
            }
            MetaSchemaRef::Inline(schema) => match schema.all_of.first() {
                // How poem-openapi writes a reference that has a description or a default of its own.
                Some(patched) if schema.ty.is_empty() => self.reference(patched),
                _ => {
                    let shape = self.schema(schema);
                    self.push(shape)
                }
            },
        }
    }

    fn schema(&mut self, schema: &MetaSchema) -> Shape {
        match (schema.ty, schema.format) {
            ("object", _) => Shape::Object {
                fields: schema.properties.iter().map(|(name, of)| self.field(schema, name, of)).collect(),
                rest: schema.additional_properties.as_ref().map(|of| self.reference(of)),
            },
            ("array", _) => Shape::List(match &schema.items {
                Some(items) => self.reference(items),
                None => self.push(Shape::Any),
            }),
            ("string", _) if !schema.enum_items.is_empty() => choices(schema),
            ("number", Some("decimal")) => Shape::Decimal,
            ("integer", _) => Shape::Integer,
            ("number", _) => Shape::Number,
            ("string", _) => Shape::Text,
            ("boolean", _) => Shape::Flag,
            _ => Shape::Any,
        }
    }

    fn field(&mut self, schema: &MetaSchema, name: &'static str, of: &MetaSchemaRef) -> Field {
        Field { name, shape: self.reference(of), required: schema.required.contains(&name) }
    }
}

fn choices(schema: &MetaSchema) -> Shape {
    let codes = CODES.lock().unwrap_or_else(PoisonError::into_inner);
    let codes = schema.rust_typename.and_then(|name| codes.get(name).copied()).unwrap_or_default();
    let choice = |name: &str| Choice {
        name: name.to_owned(),
        code: codes.iter().find(|(known, _)| *known == name).map(|(_, code)| *code),
    };
    Shape::Choice(schema.enum_items.iter().filter_map(|item| item.as_str()).map(choice).collect())
}
