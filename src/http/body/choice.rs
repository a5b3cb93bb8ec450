//! Enums of a contract that are written by name or by number.

/// Makes an enum with its wire numbers and, where they differ from the variant, its wire names:
///
/// ```ignore
/// contract_enum! {
///     /// State of a transaction.
///     pub enum Status {
///         Initiated = 0,
///         /// Waits for the payer.
///         Pending = 1 as "pending",
///     }
/// }
/// ```
///
/// It is read in any letter case or as its number, written as [`Style`](crate::http::body::Style) says, and shown in the
/// document as a string enum whose description lists the numbers.
#[macro_export]
macro_rules! contract_enum {
    (@name $variant:ident) => { stringify!($variant) };
    (@name $variant:ident $name:literal) => { $name };
    (
        $(#[doc = $doc:literal])*
        $vis:vis enum $enum:ident {
            $($(#[doc = $variant_doc:literal])* $variant:ident = $code:literal $(as $name:literal)?),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $enum { $($(#[doc = $variant_doc])* $variant = $code),+ }

        impl $enum {
            /// Every value with its wire name and number.
            pub const ALL: &'static [($enum, &'static str, i64)] =
                &[$(($enum::$variant, $crate::contract_enum!(@name $variant $($name)?), $code)),+];

            /// The name on the wire.
            pub fn name(self) -> &'static str {
                match self { $($enum::$variant => $crate::contract_enum!(@name $variant $($name)?)),+ }
            }

            /// The number on the wire.
            pub fn code(self) -> i64 {
                match self { $($enum::$variant => $code),+ }
            }

            /// By name in any letter case.
            pub fn by_name(name: &str) -> Option<$enum> {
                $enum::ALL.iter().find(|(_, known, _)| known.eq_ignore_ascii_case(name)).map(|(value, ..)| *value)
            }

            /// By number.
            pub fn by_code(code: i64) -> Option<$enum> {
                $enum::ALL.iter().map(|(value, ..)| *value).find(|value| value.code() == code)
            }
        }

        impl ::poem_openapi::types::Type for $enum {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> ::std::borrow::Cow<'static, str> {
                stringify!($enum).into()
            }

            fn schema_ref() -> ::poem_openapi::registry::MetaSchemaRef {
                ::poem_openapi::registry::MetaSchemaRef::Reference(stringify!($enum).to_owned())
            }

            fn register(registry: &mut ::poem_openapi::registry::Registry) {
                $crate::http::body::remember_codes::<Self>(
                    &[$(($crate::contract_enum!(@name $variant $($name)?), $code)),+],
                );
                registry.create_schema::<Self, _>(stringify!($enum).to_owned(), |_| {
                    ::poem_openapi::registry::MetaSchema {
                        description: Some(concat!(
                            $($doc, "\n",)* "\nRead in any letter case or as a number:"
                            $(, " ", $code, " ", $crate::contract_enum!(@name $variant $($name)?), ";")+
                        )),
                        enum_items: vec![$($crate::contract_enum!(@name $variant $($name)?).into()),+],
                        ..::poem_openapi::registry::MetaSchema::new("string")
                    }
                });
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(::std::iter::once(self))
            }
        }

        impl ::poem_openapi::types::ParseFromJSON for $enum {
            fn parse_from_json(value: Option<::serde_json::Value>) -> ::poem_openapi::types::ParseResult<Self> {
                let value = value.unwrap_or_default();
                let by_name = value.as_str().and_then($enum::by_name);
                by_name
                    .or_else(|| value.as_i64().and_then($enum::by_code))
                    .ok_or_else(|| ::poem_openapi::types::ParseError::expected_type(value))
            }
        }

        impl ::poem_openapi::types::ParseFromParameter for $enum {
            fn parse_from_parameter(text: &str) -> ::poem_openapi::types::ParseResult<Self> {
                $enum::by_name(text)
                    .or_else(|| text.parse().ok().and_then($enum::by_code))
                    .ok_or_else(|| ::poem_openapi::types::ParseError::custom("is not a known value"))
            }
        }

        impl ::poem_openapi::types::ToJSON for $enum {
            fn to_json(&self) -> Option<::serde_json::Value> {
                Some((*self).name().into())
            }
        }
    };
}
