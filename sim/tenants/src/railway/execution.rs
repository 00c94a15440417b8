//! GraphQL: a request is validated against the schema, executed on the state, and answered as Railway does.

use std::{cell::RefCell, sync::LazyLock};

use apollo_compiler::{
    ExecutableDocument, Schema,
    resolvers::{Execution, FieldError, ObjectValue, ResolveInfo, ResolvedValue},
    response::{JsonMap, JsonValue},
    validation::Valid,
};
use model::Moment;
use serde_json::{Value, json};

use super::{
    deletion::InstanceChange,
    estate::{ScheduleKind, Token},
    inventory::AuditFilter,
    world::{Refusal, World},
};

/// The parsed schema, or what is wrong with it.
pub(super) static SCHEMA: LazyLock<Result<Valid<Schema>, String>> = LazyLock::new(|| {
    Schema::parse_and_validate(include_str!("schema.graphql"), "schema.graphql")
        .map_err(|error| error.errors.to_string())
});

/// A GraphQL request as clients post it.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    query: String,
    variables: Option<serde_json::Map<String, Value>>,
    operation_name: Option<String>,
}

/// Executes a request for a caller; the answer's status is 200 whatever happened.
pub(super) fn execute(
    schema: &Valid<Schema>,
    world: &mut World,
    token: Option<&Token>,
    request: Request,
) -> Value {
    let document = match ExecutableDocument::parse_and_validate(schema, request.query, "request.graphql") {
        Ok(document) => document,
        Err(error) => {
            let errors: Vec<_> = error.errors.iter().map(|diagnostic| diagnostic.to_json()).collect();
            return json!({ "errors": errors, "data": null });
        }
    };
    let failed = |message: String| json!({ "errors": [{ "message": message }], "data": null });
    let operation = match document.operations.get(request.operation_name.as_deref()) {
        Ok(operation) => operation,
        Err(error) => return failed(error.message().to_string()),
    };
    let type_name = operation.object_type().to_string();
    let variables = match JsonValue::from(Value::Object(request.variables.unwrap_or_default())) {
        JsonValue::Object(map) => map,
        _ => JsonMap::new(),
    };
    let trace_id = world.new_id();
    let root = Root { world: RefCell::new(world), token, type_name };
    let execution = Execution::new(schema, &document)
        .operation(operation)
        .raw_variable_values(&variables)
        .enable_schema_introspection(true);
    match execution.execute_sync(&root) {
        Err(error) => failed(error.message().to_string()),
        Ok(response) => {
            let mut answer =
                serde_json::to_value(&response).unwrap_or_else(|error| failed(error.to_string()));
            if let Some(errors) = answer.get_mut("errors").and_then(Value::as_array_mut) {
                for error in errors {
                    // The executor puts its own words before a resolver's message; Railway does not.
                    let bare =
                        error["message"].as_str().and_then(|text| text.strip_prefix("resolver error: "));
                    if let Some(bare) = bare.map(str::to_owned) {
                        error["message"] = json!(bare);
                    }
                    error["extensions"] = json!({ "code": "INTERNAL_SERVER_ERROR" });
                    error["traceId"] = json!(trace_id);
                }
            }
            answer
        }
    }
}

struct Root<'w> {
    world: RefCell<&'w mut World>,
    token: Option<&'w Token>,
    type_name: String,
}

impl ObjectValue for Root<'_> {
    fn type_name(&self) -> &str {
        &self.type_name
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Result<ResolvedValue<'a>, FieldError> {
        let refuse = |refusal: Refusal| FieldError { message: refusal.to_string() };
        let token = self.token.ok_or(Refusal::NotAuthorized).map_err(refuse)?;
        let arguments = serde_json::to_value(info.arguments())
            .map_err(|error| FieldError { message: error.to_string() })?;
        let arguments = Arguments(&arguments);
        let mut world = self.world.borrow_mut();
        let value = if self.type_name == "Mutation" {
            mutation(&mut world, token, info.field_name(), arguments)
        } else {
            query(&world, token, info.field_name(), arguments)
        };
        resolve(value.map_err(refuse)?, info)
    }
}

/// An object whose fields were all worked out before.
struct Object {
    type_name: String,
    fields: Value,
}

impl ObjectValue for Object {
    fn type_name(&self) -> &str {
        &self.type_name
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Result<ResolvedValue<'a>, FieldError> {
        let value = self.fields.get(info.field_name()).ok_or_else(|| self.unknown_field_error(info))?;
        resolve(value.clone(), info)
    }
}

fn resolve<'a>(value: Value, info: &ResolveInfo<'_>) -> Result<ResolvedValue<'a>, FieldError> {
    let type_name = info.field_definition().ty.inner_named_type().to_string();
    let value = match value {
        Value::Array(nodes) if type_name.ends_with("Connection") => page(&nodes, info)?,
        value => value,
    };
    let is_object = info.schema().get_object(&type_name).is_some();
    let object = move |fields: Value| -> ResolvedValue<'a> {
        if is_object && fields.is_object() {
            ResolvedValue::object(Object { type_name: type_name.clone(), fields })
        } else {
            ResolvedValue::leaf(fields)
        }
    };
    Ok(match value {
        Value::Array(list) if info.field_definition().ty.is_list() => {
            ResolvedValue::List(Box::new(list.into_iter().map(move |value| Ok(object(value)))))
        }
        value => object(value),
    })
}

const PAGE_NODES_MAX: usize = 500;

/// Cuts a Relay page out of a list; a node's id is its cursor.
fn page(nodes: &[Value], info: &ResolveInfo<'_>) -> Result<Value, FieldError> {
    let arguments =
        serde_json::to_value(info.arguments()).map_err(|error| FieldError { message: error.to_string() })?;
    let arguments = Arguments(&arguments);
    let position = |cursor: &str| -> Result<usize, FieldError> {
        let found = nodes.iter().position(|node| node["id"] == cursor);
        found.ok_or_else(|| FieldError { message: format!("invalid cursor {cursor:?}") })
    };
    let mut start = arguments.text("after").map(|c| position(&c)).transpose()?.map_or(0, |at| at + 1);
    let mut end = arguments.text("before").map(|c| position(&c)).transpose()?.unwrap_or(nodes.len());
    end = end.max(start);
    match (arguments.count("first"), arguments.count("last")) {
        (_, Some(last)) => start = start.max(end.saturating_sub(last)),
        (first, None) => end = end.min(start + first.unwrap_or(PAGE_NODES_MAX).min(PAGE_NODES_MAX)),
    }
    let shown = &nodes[start..end];
    let edges: Vec<Value> = shown.iter().map(|node| json!({ "cursor": node["id"], "node": node })).collect();
    Ok(json!({
        "edges": edges,
        "pageInfo": {
            "hasNextPage": end < nodes.len(), "hasPreviousPage": start > 0,
            "startCursor": shown.first().map(|node| &node["id"]),
            "endCursor": shown.last().map(|node| &node["id"]),
        },
    }))
}

/// Coerced arguments; the schema has made sure that required ones are there.
#[derive(Clone, Copy)]
struct Arguments<'a>(&'a Value);

impl<'a> Arguments<'a> {
    fn text(self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str().map(str::to_owned)
    }

    fn required(self, name: &str) -> String {
        self.text(name).unwrap_or_default()
    }

    fn count(self, name: &str) -> Option<usize> {
        usize::try_from(self.0.get(name)?.as_u64()?).ok()
    }

    fn moment(self, name: &str) -> Result<Option<Moment>, Refusal> {
        let parse =
            |text: String| text.parse().map_err(|e: model::MomentParseError| Refusal::Invalid(e.to_string()));
        self.text(name).map(parse).transpose()
    }

    fn texts(self, name: &str) -> Option<Vec<String>> {
        let list = self.0.get(name)?.as_array()?;
        Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    fn nested(self, name: &str) -> Arguments<'a> {
        Arguments(self.0.get(name).unwrap_or(&Value::Null))
    }
}

fn query(world: &World, token: &Token, field: &str, arguments: Arguments<'_>) -> Result<Value, Refusal> {
    let text = |name: &str| arguments.required(name);
    match field {
        "me" => world.me(token),
        "apiToken" => world.api_token(token),
        "projectToken" => World::project_token(token),
        "apiTokens" => world.api_tokens(token),
        "projectTokens" => world.project_tokens(token, &text("projectId")),
        "workspace" => world.workspace(token, &text("workspaceId")),
        "projects" => {
            let include_deleted = arguments.0["includeDeleted"] == true;
            world.projects(token, arguments.text("workspaceId").as_deref(), include_deleted)
        }
        "project" => world.project(token, &text("id")),
        "environment" => world.environment(token, &text("id")),
        "volumeInstance" => world.volume_instance(token, &text("id")),
        "volumeInstanceBackupList" => world.backup_list(token, &text("volumeInstanceId")),
        "volumeInstanceBackupScheduleList" => world.schedule_list(token, &text("volumeInstanceId")),
        "workflowStatus" => Ok(world.workflow_status(&text("workflowId"))),
        "auditLogs" => world.audit_logs(token, &text("workspaceId"), &audit_filter(arguments)?),
        "auditLog" => world.audit_log(token, &text("workspaceId"), &text("id")),
        "auditLogEventTypeInfo" => Ok(World::audit_event_types()),
        "events" => world.events(token, &text("projectId"), arguments.text("environmentId").as_deref()),
        other => Err(Refusal::Invalid(format!("query {other} is not simulated"))),
    }
}

fn audit_filter(arguments: Arguments<'_>) -> Result<AuditFilter, Refusal> {
    let filter = arguments.nested("filter");
    Ok(AuditFilter {
        start: filter.moment("startDate")?,
        end: filter.moment("endDate")?,
        event_types: filter.texts("eventTypes"),
        project_id: filter.text("projectId"),
        environment_id: filter.text("environmentId"),
        newest_first: arguments.text("sort").as_deref() != Some("asc"),
    })
}

fn mutation(
    world: &mut World,
    token: &Token,
    field: &str,
    arguments: Arguments<'_>,
) -> Result<Value, Refusal> {
    let text = |name: &str| arguments.required(name);
    let id = text("id");
    let (instance, backup) = (text("volumeInstanceId"), text("volumeInstanceBackupId"));
    let environment = arguments.text("environmentId");
    let workflow = |id: String| json!({ "workflowId": id });
    let done = |()| json!(true);
    match field {
        "volumeDelete" => world.volume_delete(token, &text("volumeId")).map(done),
        "volumeInstanceUpdate" => {
            let input = arguments.nested("input");
            let change = InstanceChange {
                service_id: input.text("serviceId"),
                mount_path: input.text("mountPath"),
                state: input.text("state"),
            };
            world.volume_instance_update(token, &text("volumeId"), environment.as_deref(), &change).map(done)
        }
        "volumeInstanceBackupCreate" => {
            world.backup_create(token, &instance, arguments.text("name")).map(workflow)
        }
        "volumeInstanceBackupRestore" => world.backup_restore(token, &instance, &backup).map(workflow),
        "volumeInstanceBackupLock" => world.backup_lock(token, &instance, &backup).map(done),
        "volumeInstanceBackupDelete" => world.backup_delete(token, &instance, &backup).map(workflow),
        "volumeInstanceBackupScheduleUpdate" => {
            let kinds = arguments.texts("kinds").unwrap_or_default();
            let kinds: Vec<ScheduleKind> =
                kinds.iter().filter_map(|kind| ScheduleKind::parse(kind)).collect();
            world.schedules_update(token, &instance, &kinds).map(done)
        }
        "volumeInstancePITRRestore" => world.pitr_restore(token, &instance).map(workflow),
        "serviceDelete" => world.service_delete(token, &id, environment.as_deref()).map(done),
        "environmentDelete" => world.environment_delete(token, &id).map(done),
        "projectDelete" | "projectScheduleDeleteForce" => world.project_delete(token, &id).map(done),
        "projectScheduleDelete" => world.project_schedule(token, &id, true).map(done),
        "projectScheduleDeleteCancel" => world.project_schedule(token, &id, false).map(done),
        "workspaceDelete" => world.workspace_delete(token, &id).map(done),
        "apiTokenDelete" => world.token_delete(token, &id, false).map(done),
        "projectTokenDelete" => world.token_delete(token, &id, true).map(done),
        other => Err(Refusal::Invalid(format!("mutation {other} is not simulated"))),
    }
}
