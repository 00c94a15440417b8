//! Organisational units.

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{Directory, check_admin, with_etag};
use crate::{
    call::{Answer, Call, Reply},
    oauth::scopes::{ORGUNIT, ORGUNIT_READONLY},
    refusal::Refusal,
    routes::Route,
    tenant::Tenant,
    text,
};

/// A unit; the root is none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) id: String,
    /// `/Sales/EMEA`.
    pub(crate) path: String,
    pub(crate) description: String,
}

const READ: &[&str] = &[ORGUNIT, ORGUNIT_READONLY];
const WRITE: &[&str] = &[ORGUNIT];
const LIST: &str = "admin/directory/v1/customer/{customerId}/orgunits";
const ONE: &str = "admin/directory/v1/customer/{customerId}/orgunits/{+orgUnitPath}";

/// The routes.
pub(crate) const ROUTES: &[Route] = &[
    super::route("directory.orgunits.list", Method::GET, LIST, READ, list),
    super::route("directory.orgunits.get", Method::GET, ONE, READ, get),
    super::route("directory.orgunits.insert", Method::POST, LIST, WRITE, insert),
    super::route("directory.orgunits.patch", Method::PATCH, ONE, WRITE, update),
    super::route("directory.orgunits.update", Method::PUT, ONE, WRITE, update),
    super::route("directory.orgunits.delete", Method::DELETE, ONE, WRITE, delete),
];

impl Unit {
    /// Makes a unit.
    pub(crate) fn new(seed: u64, path: &str) -> Self {
        let id = format!("id:03ph8a2z{:09x}", text::drawn(format!("{seed} {path}").as_bytes()) >> 28);
        Self { id, path: path.to_owned(), description: String::new() }
    }

    fn parent(&self) -> &str {
        self.path.rsplit_once('/').map_or("/", |(parent, _)| if parent.is_empty() { "/" } else { parent })
    }
}

fn root_id(directory: &Directory) -> String {
    format!("id:03ph8a2z{:0>9}", directory.customer.trim_start_matches("C0"))
}

fn resource(directory: &Directory, unit: &Unit) -> Value {
    let parent = unit.parent();
    let parent_id = directory
        .units
        .iter()
        .find(|own| own.path == parent)
        .map_or_else(|| root_id(directory), |own| own.id.clone());
    with_etag(json!({
        "kind": "admin#directory#orgUnit",
        "name": unit.path.rsplit('/').next().unwrap_or_default(),
        "description": unit.description,
        "orgUnitPath": unit.path,
        "orgUnitId": unit.id,
        "parentOrgUnitPath": parent,
        "parentOrgUnitId": parent_id,
        "blockInheritance": false,
    }))
}

fn open(tenant: &Tenant, call: &Call) -> Result<(), Refusal> {
    check_admin(tenant, call)?;
    tenant.directory.check_customer(call.parameter("customerId"))
}

/// Finds the unit that a path names, with or without its first slash, or an id.
fn position(directory: &Directory, call: &Call) -> Result<usize, Refusal> {
    let named = call.parameter("orgUnitPath");
    let path = format!("/{}", named.trim_start_matches('/'));
    let found =
        directory.units.iter().position(|unit| unit.path.eq_ignore_ascii_case(&path) || unit.id == named);
    found.ok_or_else(|| Refusal::new(404, "notFound", "NOT_FOUND", "Org unit not found"))
}

fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    open(tenant, call)?;
    let under = format!("/{}", call.query("orgUnitPath").unwrap_or("/").trim_start_matches('/'));
    let kind = call.query("type").unwrap_or("children").to_lowercase();
    let prefix = format!("{}/", under.trim_end_matches('/'));
    let taken = |unit: &&Unit| match kind.as_str() {
        "children" => unit.parent() == under,
        _ => unit.path.starts_with(&prefix) || (kind == "allincludingparent" && unit.path == under),
    };
    let mut units: Vec<Value> =
        tenant.directory.units.iter().filter(taken).map(|unit| resource(&tenant.directory, unit)).collect();
    if kind == "allincludingparent" && under == "/" {
        let root = json!({
            "kind": "admin#directory#orgUnit", "name": tenant.settings.domain, "orgUnitPath": "/",
            "orgUnitId": root_id(&tenant.directory), "blockInheritance": false,
        });
        units.insert(0, with_etag(root));
    }
    Ok(Reply::json(super::groups::listed("admin#directory#orgUnits", "organizationUnits", units, None)))
}

fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    open(tenant, call)?;
    let at = position(&tenant.directory, call)?;
    Ok(Reply::json(resource(&tenant.directory, &tenant.directory.units[at])))
}

fn text_of(fields: &Map<String, Value>, name: &str) -> Option<String> {
    fields.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn insert(tenant: &mut Tenant, call: &Call) -> Answer {
    open(tenant, call)?;
    let fields = call.object()?;
    let name = text_of(&fields, "name").unwrap_or_default();
    let parent = text_of(&fields, "parentOrgUnitPath").or_else(|| {
        let id = text_of(&fields, "parentOrgUnitId")?;
        tenant.directory.units.iter().find(|unit| unit.id == id).map(|unit| unit.path.clone())
    });
    let parent = parent.ok_or_else(|| Refusal::invalid_value("Invalid Parent Orgunit Id"))?;
    if name.is_empty() || name.contains('/') {
        return Err(Refusal::invalid_value("Invalid Ou Id"));
    }
    if parent != "/" && !tenant.directory.units.iter().any(|unit| unit.path == parent) {
        return Err(Refusal::invalid_value("Invalid Parent Orgunit Id"));
    }
    let mut unit = Unit::new(tenant.settings.seed, &format!("{}/{name}", parent.trim_end_matches('/')));
    unit.description = text_of(&fields, "description").unwrap_or_default();
    if tenant.directory.units.iter().any(|own| own.path.eq_ignore_ascii_case(&unit.path)) {
        return Err(Refusal::duplicate("Invalid Ou Id"));
    }
    let body = resource(&tenant.directory, &unit);
    tenant.directory.units.push(unit);
    tenant.note(call, "admin", "ORG_SETTINGS", "CREATE_ORG_UNIT", Vec::new());
    Ok(Reply::json(body))
}

/// Renames or moves a unit, with everybody and everything below it.
fn update(tenant: &mut Tenant, call: &Call) -> Answer {
    open(tenant, call)?;
    let fields = call.object()?;
    let at = position(&tenant.directory, call)?;
    let unit = &tenant.directory.units[at];
    let name = text_of(&fields, "name")
        .unwrap_or_else(|| unit.path.rsplit('/').next().unwrap_or_default().to_owned());
    let parent = text_of(&fields, "parentOrgUnitPath").unwrap_or_else(|| unit.parent().to_owned());
    let (old, new) = (unit.path.clone(), format!("{}/{name}", parent.trim_end_matches('/')));
    let below = format!("{old}/");
    let moved = |path: &str| match path.strip_prefix(&below) {
        Some(rest) => Some(format!("{new}/{rest}")),
        None if path == old => Some(new.clone()),
        None => None,
    };
    if let Some(description) = text_of(&fields, "description") {
        tenant.directory.units[at].description = description;
    }
    for unit in &mut tenant.directory.units {
        unit.path = moved(&unit.path).unwrap_or_else(|| unit.path.clone());
    }
    for user in &mut tenant.directory.users {
        user.org_unit = moved(&user.org_unit).unwrap_or_else(|| user.org_unit.clone());
    }
    Ok(Reply::json(resource(&tenant.directory, &tenant.directory.units[at])))
}

fn delete(tenant: &mut Tenant, call: &Call) -> Answer {
    open(tenant, call)?;
    let at = position(&tenant.directory, call)?;
    let path = tenant.directory.units[at].path.clone();
    let below = format!("{path}/");
    let busy = tenant.directory.everybody().any(|user| user.org_unit == path)
        || tenant.directory.units.iter().any(|unit| unit.path.starts_with(&below));
    if busy {
        return Err(Refusal::precondition("Org unit is not empty"));
    }
    tenant.directory.units.remove(at);
    tenant.note(call, "admin", "ORG_SETTINGS", "REMOVE_ORG_UNIT", Vec::new());
    Ok(Reply::empty())
}
