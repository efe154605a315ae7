//! What all signals share: resources, scopes, attributes and their values.

use sluice_wire::view::{Each, KeyValue, Resource, Scope, Value};

use super::writer::Object;

pub(super) fn resource(object: &mut Object<'_>, resource: Resource<'_>) {
    if !resource.is_present() {
        return;
    }
    object.object("resource", |object| {
        attributes(object, "attributes", resource.attributes());
        object.number("droppedAttributesCount", resource.dropped_attributes_count());
        object.each("entityRefs", resource.entity_refs(), |object, entity| {
            object.text("schemaUrl", entity.schema_url());
            object.text("type", entity.r#type());
            object.texts("idKeys", entity.id_keys());
            object.texts("descriptionKeys", entity.description_keys());
        });
    });
}

pub(super) fn scope(object: &mut Object<'_>, scope: Scope<'_>) {
    if !scope.is_present() {
        return;
    }
    object.object("scope", |object| {
        object.text("name", scope.name());
        object.text("version", scope.version());
        attributes(object, "attributes", scope.attributes());
        object.number("droppedAttributesCount", scope.dropped_attributes_count());
    });
}

pub(super) fn attributes<'a>(object: &mut Object<'_>, key: &str, attributes: Each<'a, KeyValue<'a>>) {
    object.each(key, attributes, attribute);
}

fn attribute(object: &mut Object<'_>, attribute: KeyValue<'_>) {
    object.present_text("key", attribute.key());
    object.object("value", |object| value(object, attribute.value()));
}

/// The fields of an `AnyValue`. Validation bounds how deep they are nested. Some readers insist on the `values` of
/// empty arrays and maps.
pub(super) fn value(object: &mut Object<'_>, value: Value<'_>) {
    match value {
        Value::Empty => {}
        Value::Text(text) => object.present_text("stringValue", text),
        Value::Boolean(boolean) => object.present_boolean("boolValue", boolean),
        Value::Integer(integer) => object.present_integer("intValue", integer),
        Value::Double(double) => object.present_double("doubleValue", double),
        Value::Bytes(bytes) => object.base64("bytesValue", bytes),
        Value::Array(array) => object.object("arrayValue", |object| {
            object.present_each("values", array.iter(), self::value);
        }),
        Value::Map(map) => object.object("kvlistValue", |object| object.present_each("values", map.iter(), attribute)),
    }
}
