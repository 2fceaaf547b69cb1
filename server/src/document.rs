//! The API's OpenAPI document: what the routes and types say of themselves, and what they cannot.
//!
//! Promises that what it says can be kept: a schema that closes an object (`additionalProperties: false`) is not made part of a larger one, a patch
//! may leave out what the object has to have, and answers that depend on who asks are said to.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::error::PROBLEM_JSON;

/// Operations that answer with events where the client asks for a stream.
const STREAMS: [(&str, &str, &str); 6] = [
    ("/v1/runs", "post", "201"),
    ("/v1/threads/{thread}/runs", "post", "201"),
    ("/v1/runs/{run}/events", "get", "200"),
    ("/v1/responses", "post", "200"),
    ("/v1/responses/{response}", "get", "200"),
    ("/v1/chat/completions", "post", "200"),
];
/// Those that honour `If-Match`.
const VERSIONED: [(&str, &str); 4] = [
    ("/v1/agents/{agent}", "put"),
    ("/v1/agents/{agent}", "patch"),
    ("/v1/budgets/{budget}", "patch"),
    ("/v1/tenants/{tenant}/budgets/{budget}", "patch"),
];

/// The document as it is given out.
pub(crate) fn finished(mut document: Value) -> Value {
    open_parts(&mut document);
    agent_bodies(&mut document);
    patches(&mut document);
    if let Some(events) = document["components"]["schemas"]["EventBody"]["oneOf"].as_array_mut() {
        // What readers make of types of later releases is never sent.
        events.retain(|event| event["properties"]["type"]["enum"] != json!(["Unknown"]));
    }
    for (path, method, status) in STREAMS {
        let content = &mut document["paths"][path][method]["responses"][status]["content"];
        content["text/event-stream"] = json!({"schema": {"type": "string"}});
    }
    for (path, method) in VERSIONED {
        let header = json!({"name": "If-Match", "in": "header", "required": false, "schema": {"type": "string"},
            "description": "An ETag: 412 where the object has another one by now."});
        if let Some(parameters) = document["paths"][path][method]["parameters"].as_array_mut() {
            parameters.push(header);
        }
    }
    for (_, item) in members(&mut document["paths"]) {
        if let Some(parameters) = item.pointer_mut("/post/parameters").and_then(Value::as_array_mut) {
            // A ticket reads.
            parameters.retain(|parameter| parameter["name"] != "ticket");
        }
    }
    for method in ["/v1/agents", "/v1/agents/{agent}"] {
        for_users(&mut document["paths"][method]["get"]);
    }
    let content = &mut document["paths"]["/v1/artifacts/{artifact}/content"]["get"]["responses"]["200"]["content"];
    if let Some(bytes) = content["application/octet-stream"].as_object().cloned() {
        *content = json!({"*/*": bytes});
    }
    document["paths"]["/v1/artifacts"]["post"]["requestBody"]["content"]["application/octet-stream"]["schema"] =
        json!({"type": "string", "format": "binary"});
    problems(&mut document);
    document
}

/// Errors are of a media type of their own.
fn problems(document: &mut Value) {
    for (_, item) in members(&mut document["paths"]) {
        for (_, operation) in members(item) {
            let Some(content) = operation.pointer_mut("/responses/default/content").and_then(Value::as_object_mut)
            else {
                continue;
            };
            if let Some(problem) = content.remove("application/json") {
                content.insert(PROBLEM_JSON.into(), problem);
            }
        }
    }
}

fn members(value: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    value.as_object_mut().into_iter().flat_map(Map::iter_mut)
}

/// Objects that are part of others cannot be closed: they would refuse what is the others'.
fn open_parts(document: &mut Value) {
    let mut parts = BTreeSet::new();
    parts_of(&document["components"]["schemas"], &mut parts);
    for name in parts {
        if let Some(schema) = document["components"]["schemas"][&name].as_object_mut() {
            schema.remove("additionalProperties");
        }
    }
}

fn parts_of(value: &Value, parts: &mut BTreeSet<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| parts_of(value, parts)),
        Value::Object(fields) => {
            let all = fields.get("allOf").and_then(Value::as_array);
            let named = all.into_iter().flatten().filter_map(|part| part["$ref"].as_str()?.rsplit('/').next());
            parts.extend(named.map(str::to_owned));
            fields.values().for_each(|value| parts_of(value, parts));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What an agent is made of and changed by is its configuration, and a few things beside it.
fn agent_bodies(document: &mut Value) {
    let schemas = &mut document["components"]["schemas"];
    let metadata = json!({"$ref": "#/components/schemas/BTreeMap", "description": "The tenant's own pairs."});
    let mut params = schemas["AgentConfig"].clone();
    params["description"] = "An agent to be.".into();
    let name = json!({"type": "string", "description": "`[a-z0-9][a-z0-9_-]{0,63}`, unique in the tenant."});
    params["properties"]["name"] = name;
    params["properties"]["metadata"] = metadata;
    params["additionalProperties"] = false.into();
    let mut update = params.clone();
    update["description"] = "What is to be changed: what is left out stays.".into();
    let activate =
        "Whether the version that a change makes is the active one from now on; it is unless said otherwise.";
    update["properties"]["activate"] = json!({"type": "boolean", "default": true, "description": activate});
    let active = "Another version that there is, instead of a change: rolls back.";
    update["properties"]["active_version"] =
        json!({"type": ["integer", "null"], "format": "int32", "description": active});
    if let Some(update) = update.as_object_mut() {
        update.remove("required");
    }
    if let Some(required) = params["required"].as_array_mut() {
        required.push("name".into());
    }
    let mut put = params.clone();
    if let Some(required) = put["required"].as_array_mut() {
        required.retain(|field| field != "name");
    }
    (schemas["AgentParams"], schemas["AgentPut"], schemas["AgentUpdate"]) = (params, put, update);
    for (path, method, name) in [
        ("/v1/agents", "post", "AgentParams"),
        ("/v1/agents/{agent}", "put", "AgentPut"),
        ("/v1/agents/{agent}", "patch", "AgentUpdate"),
    ] {
        set_body(&mut document["paths"][path][method], name);
    }
}

fn set_body(operation: &mut Value, name: &str) {
    operation["requestBody"]["content"]["application/json"]["schema"] =
        json!({"$ref": format!("#/components/schemas/{name}")});
}

/// A patch holds what changes: no field has to be there.
fn patches(document: &mut Value) {
    let mut made = Vec::new();
    for (_, item) in members(&mut document["paths"]) {
        let Some(operation) = item.get("patch") else { continue };
        let body = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        if let Some(name) = body.as_str().and_then(|path| path.rsplit('/').next()).map(str::to_owned) {
            made.push((operation.clone(), name));
        }
    }
    for (operation, name) in made {
        let schema = &document["components"]["schemas"][&name];
        if schema["required"].as_array().is_none_or(Vec::is_empty) {
            continue;
        }
        let mut patch = schema.clone();
        if let Some(patch) = patch.as_object_mut() {
            patch.remove("required");
        }
        let named = format!("{name}Patch");
        document["components"]["schemas"][&named] = patch;
        for (_, item) in members(&mut document["paths"]) {
            if let Some(patch) = item.get_mut("patch").filter(|patch| patch["operationId"] == operation["operationId"])
            {
                set_body(patch, &named);
            }
        }
    }
}

/// Users are told less of an agent.
fn for_users(operation: &mut Value) {
    let content = &mut operation["responses"]["200"]["content"]["application/json"];
    let schema = content["schema"].clone();
    let of_one = json!({"$ref": "#/components/schemas/AgentSummary"});
    let of_user = match schema["$ref"].as_str() {
        Some(path) if path.ends_with("/Agent") => of_one,
        _ => json!({"type": "object", "required": ["object", "data", "has_more"], "properties": {
            "object": {"type": "string"}, "data": {"type": "array", "items": of_one}, "has_more": {"type": "boolean"},
            "next_cursor": {"type": ["string", "null"]}}}),
    };
    content["schema"] = json!({"anyOf": [schema, of_user]});
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_can_be_kept() {
        let document = crate::router::openapi();
        let schemas = &document["components"]["schemas"];
        let mut parts = BTreeSet::new();
        parts_of(schemas, &mut parts);
        assert!(!parts.is_empty(), "some are made of others");
        for name in parts {
            assert!(schemas[&name]["additionalProperties"] != false, "{name} is a part of another one, and closed");
        }
        for (path, item) in document["paths"].as_object().expect("paths") {
            let body = &item["patch"]["requestBody"]["content"]["application/json"]["schema"]["$ref"];
            let Some(name) = body.as_str().and_then(|path| path.rsplit('/').next()) else { continue };
            assert!(schemas[name]["required"].is_null(), "PATCH {path} has to give something");
        }
        for (path, item) in document["paths"].as_object().expect("paths") {
            assert!(item.as_object().expect("operations").values().all(|it| it["operationId"].is_string()), "{path}");
        }
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                let errors = operation["responses"]["default"]["content"].as_object().expect("errors");
                assert_eq!(errors.keys().collect::<Vec<_>>(), [PROBLEM_JSON], "{method} {path}");
            }
        }
        // Every name that is used is there.
        let text = document.to_string();
        for used in text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(!schemas[used].is_null(), "there is no schema {used}");
        }
        assert!(schemas["AgentUpdate"]["properties"]["active_version"].is_object());
        assert!(!text.contains("\"Unknown\""));
    }
}
